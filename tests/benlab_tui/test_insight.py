"""Tool calls, verified numbers, feedback, provenance, comparison, retrieval, explanations: as a person meets them."""

from __future__ import annotations

import asyncio
import json

import pytest
from textual.widgets import OptionList

import simulator
from benlab_tui import arguments, registry
from benlab_tui.commands.compare import chosen
from benlab_tui.errors import BadArgument
from benlab_tui.screens.compare import Compare
from benlab_tui.screens.confirm import Confirm
from benlab_tui.screens.document import Document
from benlab_tui.screens.entry import Entry
from benlab_tui.screens.picker import Picker
from benlab_tui.widgets.experiment_card import ExperimentCard
from benlab_tui.widgets.turns import ReplyTurn
from pipeline import judgements
from pipeline.chat.events import ToolCall
from pipeline.chat.result_text import result_text
from pipeline.data.feedback import judged
from simulator.number_text import figure

RUN = {"phase_type": "spt_cluster", "system_size": 8, "depth": 4, "seed": 3}


def call(name, **given):
    return ToolCall("call-1", name, given)


async def test_a_tool_call_runs_becomes_a_card_and_the_answer_follows_with_its_numbers_checked(
    lab, scripted, console, typed, shown
):
    truth = simulator.run_now("run_phase", **RUN)["features"]["string_order"]
    engine = scripted([call("run_phase", **RUN)], f"The string_order is {truth:.2f} and zz_nearest is 9.75.")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "run it", 60)
        assert [kind for kind, _ in shown(app)] == ["UserTurn", "ExperimentCard", "ReplyTurn"]
        tool = engine.seen[1][-1]
        assert (tool["role"], tool["tool_name"]) == ("tool", "run_phase")
        assert tool["content"] == result_text(simulator.run_now("run_phase", **RUN))
        chips = app.main.query_one(ReplyTurn).meta["chips"]
        assert [chip["ok"] for chip in chips] == [True, False]
        under = str(app.main.query_one(ReplyTurn).query_one(".under").render())
        assert f"✓ string_order {truth:.2f}" in under
        assert "✗ zz_nearest 9.75 (the simulator says" in under
    async with console(lab, engine) as (app, pilot):
        assert "✗ zz_nearest" in str(app.main.query_one(ReplyTurn).query_one(".under").render())


async def test_a_bad_call_goes_back_once_with_its_reason_and_ends_at_the_second(lab, scripted, console, typed, shown):
    bad = [call("run_phase", **{**RUN, "system_size": 3})]
    engine = scripted(bad, [call("rm", path="/")], "never")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "run it")
        assert "below the smallest, 4" in engine.seen[1][-1]["content"]
        assert len(engine.seen) == 2
        assert [kind for kind, _ in shown(app)] == ["UserTurn", "NoteTurn", "NoteTurn"]
        assert "'rm' is not a tool" in shown(app)[-1][1]


async def test_a_call_may_name_a_phase_as_people_do(lab, scripted, console, typed):
    engine = scripted([call("run_phase", **{**RUN, "phase_type": "SPT"})], "done")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "run the spt phase")
        assert "phase_type spt_cluster," in engine.seen[1][-1]["content"]


async def test_the_model_looks_up_runs_of_the_notebook_and_their_numbers_are_checked(
    lab, scripted, console, typed, shown
):
    with lab.notebook() as notebook:
        results = [simulator.run_now("run_phase", notebook, **{**RUN, "seed": seed}) for seed in range(4)]
        notebook.tag(results[0]["experiment_id"], "baseline")
    largest = max(results, key=lambda result: result["features"]["entropy_final"])
    truth = largest["features"]["entropy_final"]
    engine = scripted(
        [call("notebook", number="entropy_final", order="largest", limit=1)],
        f"Your run with seed {largest['params']['seed']} had the largest: entropy_final {truth:.2f}, not 9.75.",
        [call("notebook", tag="two words")],
        "I cannot look that up.",
    )
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "which of my runs had the largest entropy?", 60)
        told = engine.seen[1][-1]
        assert (told["role"], told["tool_name"]) == ("tool", "notebook")
        assert largest["experiment_id"] in told["content"]
        assert f"entropy_final {figure(truth)}" in told["content"]
        assert told["content"] in [text for kind, text in shown(app) if kind == "NoteTurn"]
        assert f"✓ entropy_final {truth:.2f}" in str(app.main.query_one(ReplyTurn).query_one(".under").render())
        await typed(app, pilot, "and those with two words?", 60)
        assert "tag is 'two words'" in engine.seen[3][-1]["content"]
    with lab.notebook() as notebook:
        assert notebook.count() == 4


async def test_a_sweep_is_asked_about_first(lab, scripted, console, settled, shown):
    engine = scripted([call("sweep", seeds=2)], "as you wish")
    async with console(lab, engine) as (app, pilot):
        await pilot.press(*"sweep", "enter")
        async with asyncio.timeout(10):
            while not isinstance(app.screen, Confirm):
                await asyncio.sleep(0.05)
        await pilot.press("n")
        await settled(app)
        assert "did not want sweep" in engine.seen[1][-1]["content"]
        assert shown(app)[-1] == ("ReplyTurn", "as you wish")


async def test_compute_of_a_turn_is_bounded(lab, scripted, console, typed, monkeypatch):
    monkeypatch.setattr("pipeline.chat.conversation.SECONDS", 0.3)
    engine = scripted([call("discovery", num_per_phase=40, system_size=64, depth=32)], "never")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "discover", 30)
        assert len(engine.seen) == 1
        assert app.main.jobs.running() == []
        assert "s compute limit per turn" in app.main.stored()[-1].content


async def test_an_answer_is_kept_corrected_or_rejected_for_the_next_training_set(
    lab, engine, console, typed, settled, monkeypatch
):
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "what is TRI?")
        await pilot.press("ctrl+up", "a")
        await settled(app)
        assert [(turn.verdict, turn.prompt) for turn in judged(lab)] == [("accept", "what is TRI?")]
        await pilot.press("f")
        await pilot.pause(0.3)
        assert isinstance(app.screen, Entry)
        await pilot.press(*" Better.", "ctrl+s")
        await settled(app)
        assert judged(lab)[0].correction == "**TRI** is a distance. Better."
        await pilot.press("x")
        await settled(app)
        assert judged(lab)[0].verdict == "reject"
        assert "✗ rejected" in str(app.main.query_one(ReplyTurn).query_one(".under").render())


async def test_why_opens_the_training_examples(lab, engine, console, typed, settled):
    lab.data.parent.mkdir()
    line = {"instruction": "Explain TRI.", "input": "", "output": "A distance.", "meta": {"kind": "definitions"}}
    lab.data.write_text(json.dumps(line) + "\n")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "what is TRI?")
        await pilot.press(*"/why", "enter")
        await pilot.pause(0.5)
        await settled(app)
        assert isinstance(app.screen, Document)
        assert "line 1 · definitions" in app.screen.text
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.main


async def test_compare_shows_two_models_and_a_key_keeps_the_winner(lab, console, scripted):
    engine = scripted("left answer", "right answer")
    async with console(lab, engine) as (app, pilot):
        await pilot.press(*'/compare base tuned "what is TRI?"', "enter")
        async with asyncio.timeout(20):
            while not (isinstance(app.screen, Compare) and all(app.screen._ready)):
                await asyncio.sleep(0.05)
        await pilot.press("2")
        await pilot.pause(0.5)
        row = json.loads(judgements.preferences_path(lab).read_text())
        assert (row["prompt"], row["chosen"], row["rejected"]) == ("what is TRI?", "right answer", "left answer")
        assert engine.closed
        assert row["models"] == ["ben-lab", "base"]


@pytest.mark.parametrize(
    ("line", "names", "prompt"),
    [
        ("What is TRI?", ("ben-lab", "base"), "What is TRI?"),
        ("'What is TRI?'", ("ben-lab", "base"), "What is TRI?"),
        ("Why?", ("ben-lab", "base"), "Why?"),
        ("base tuned What is TRI?", ("base", "ben-lab"), "What is TRI?"),
        ("llama3:8b base Why?", ("llama3:8b", "base"), "Why?"),
        ("base What is TRI?", ("base", "mine:1"), "What is TRI?"),
        ("mine:1 What is TRI?", ("mine:1", "base"), "What is TRI?"),
        ("tuned 'What is TRI?'", ("ben-lab", "mine:1"), "What is TRI?"),
        ("What base is it?", ("ben-lab", "base"), "What base is it?"),
    ],
)
def test_compare_takes_the_first_words_as_models_only_where_they_are(lab, line, names, prompt):
    params = arguments.parse(registry.find("compare", "console"), arguments.split(line))[1]
    assert chosen(lab, params, "mine:1") == (names, prompt)


def test_compare_of_the_model_in_use_with_itself_takes_the_other(lab):
    for line, names in (("base Why is it?", ("base", "ben-lab")), ("tuned Why is it?", ("ben-lab", "base"))):
        params = arguments.parse(registry.find("compare", "console"), arguments.split(line))[1]
        assert chosen(lab, params, names[0])[0] == names


@pytest.mark.parametrize("line", ["", "base", "base tuned"])
def test_compare_without_a_question_says_how_it_is_used(lab, line):
    params = arguments.parse(registry.find("compare", "console"), arguments.split(line))[1]
    with pytest.raises(BadArgument, match="/compare MODEL MODEL QUESTION"):
        chosen(lab, params)


async def test_retrieval_puts_passages_in_front_and_cites_them(lab, engine, console, typed):
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "/rag on")
        await typed(app, pilot, "How do I interpret replay drift?")
        assert engine.seen[0][-1]["content"].startswith("Notes from the lab:\n[1] ")
        assert app.main.stored()[-2].content == "How do I interpret replay drift?"
        assert "[1] glossary" in str(app.main.query_one(ReplyTurn).query_one(".under").render())
        await typed(app, pilot, "/rag off")
        await typed(app, pilot, "and TRI?")
        assert engine.seen[1][-1]["content"] == "and TRI?"


async def test_one_key_explains_an_experiment_and_the_explanation_stays_with_it(lab, engine, console, typed, settled):
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "/experiment run_phase phase_type=spt_cluster system_size=8 depth=4 seed=3", 60)
        card = app.main.query_one(ExperimentCard)
        await pilot.press("f5")
        await pilot.pause(0.3)
        await settled(app)
        assert "phase_type spt_cluster" in engine.seen[0][-1]["content"]
        assert "string_order" in engine.seen[0][-1]["content"]
        said = judgements.explanation(lab, card.result["experiment_id"])
        assert said is not None
        assert (said["text"], said["model"]) == ("**TRI** is a distance.", "ben-lab")
        await typed(app, pilot, "/report monday")
        assert "**TRI** is a distance." in (lab.root / "reports" / "monday.md").read_text()


async def test_a_session_is_saved_as_markdown_and_json_and_an_answer_copied(lab, engine, console, typed):
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "what is TRI?")
        await typed(app, pilot, "/copy")
        assert app.clipboard == "**TRI** is a distance."
        await typed(app, pilot, "/save talk.md")
        await typed(app, pilot, "/save talk.json")
    assert "## ben-lab\n\n**TRI** is a distance." in (lab.root / "talk.md").read_text()
    rows = json.loads((lab.root / "talk.json").read_text())
    assert rows[0]["content"] == "what is TRI?"
    assert rows[1]["meta"]["tokens_per_second"] == 42.0


async def test_the_model_picker_switches_and_the_choice_is_kept(lab, engine, console, settled):
    async with console(lab, engine) as (app, pilot):
        await pilot.press("f2")
        await pilot.pause(0.5)
        assert isinstance(app.screen, Picker)
        assert app.screen.query_one(OptionList).option_count == 3
        await pilot.press(*"base", "enter")
        await settled(app)
        assert app.main.engines.model == "base"
        assert engine.closed
    async with console(lab, engine) as (app, pilot):
        assert app.main.engines.model == "base"


async def test_the_model_picker_lists_what_ollama_lists(lab, engine, console, settled, monkeypatch):
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Tags(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"models": [{"name": "qwen2.5:1.5b"}, {"name": "\x1b[31mred"}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Tags)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")
    try:
        async with console(lab, engine) as (app, pilot):
            await pilot.press("f2")
            await pilot.pause(0.8)
            labels = [str(option.prompt) for option in app.screen.query_one(OptionList).options]
            assert any("qwen2.5:1.5b" in label for label in labels)
            assert not any("\x1b" in label for label in labels)
            await pilot.press(*"qwen", "enter")
            await settled(app)
            assert app.main.engines.model == "qwen2.5:1.5b"
    finally:
        server.shutdown()


async def test_benlab_toml_names_the_model(lab, engine, console):
    lab.config_path.write_text('[chat]\nmodel = "base"\n')
    async with console(lab, engine) as (app, _pilot):
        assert app.main.engines.model == "base"


async def test_search_finds_messages_of_other_sessions(lab, engine, console, typed, shown):
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "about replay drift")
        await pilot.press("ctrl+n")
        await typed(app, pilot, "/search drift repl")
        assert shown(app)[-1][1] == "about replay drift · user: about replay drift"
        await typed(app, pilot, "/search zebra")
        assert shown(app)[-1][1] == "no message holds all these words"


async def test_an_answer_cites_its_run_and_enter_goes_to_the_card(lab, scripted, console, typed):
    """Also after the card has left the session: it is read from the notebook."""
    engine = scripted([call("run_phase", **RUN)], "The order is strong.")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "run it", 60)
        reply, card = app.main.query_one(ReplyTurn), app.main.query_one(ExperimentCard)
        key = card.result["experiment_id"]
        assert reply.meta["runs"] == [key]
        assert f"from run {key}" in str(reply.query_one(".under").render())
        reply.focus()
        await pilot.press("enter")
        await pilot.pause()
        assert app.focused is card
        await card.remove()
        reply.focus()
        await pilot.press("enter")
        await pilot.pause()
        assert app.main.query_one(ExperimentCard).result["experiment_id"] == key


async def test_plot_it_shows_the_newest_run(lab, scripted, console, typed, shown):
    """Without a run the model is asked."""
    engine = scripted("There is nothing to plot.")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "plot it")
        assert len(engine.seen) == 1
        await typed(app, pilot, "/experiment run_phase phase_type=spt_cluster system_size=8")
        await typed(app, pilot, "Show me the plot, please!".replace(",", ""))
        assert len(engine.seen) == 1
        assert [kind for kind, _ in shown(app)][-2:] == ["UserTurn", "ExperimentCard"]
        await typed(app, pilot, "plot it against size for me")
        assert len(engine.seen) == 2
