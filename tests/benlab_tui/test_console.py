"""Keys, commands, dialogs and what is kept: the console as a person uses it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time

from textual import events
from textual.widgets import OptionList

from benlab_tui.screens.confirm import Confirm
from benlab_tui.screens.help import Help
from benlab_tui.screens.picker import Picker
from benlab_tui.widgets.composer import Suggestions
from benlab_tui.widgets.experiment_card import ExperimentCard
from benlab_tui.widgets.lab_pane import LabPane
from benlab_tui.widgets.prompt import LARGEST_PASTE, Prompt
from pipeline.chats import Chats


def test_importing_the_console_loads_nothing_heavy():
    script = "import sys, benlab_tui.app; print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    for name in ("torch", "transformers", "numpy", "scipy", "stim", "sklearn", "httpx", "pydantic", "xllamacpp"):
        assert f"'{name}'" not in loaded.stdout, name


async def test_a_slash_lists_commands_and_tab_takes_one_then_its_parameters(lab, engine, console):
    async with console(lab, engine) as (app, pilot):
        await pilot.press("/")
        options = app.main.query_one(Suggestions)
        await pilot.pause()
        assert options.has_class("-open")
        assert options.option_count > 10
        await pilot.press(*"experi", "tab")
        await pilot.pause()
        assert app.main.query_one(Prompt).text == "/experiment "
        await pilot.press(*"tri", "tab")
        await pilot.pause(0.2)
        labels = [str(option.prompt) for option in options.options]
        assert any("system_size" in label and "4–1024 qubits" in label for label in labels)
        await pilot.press("escape")
        await pilot.pause()
        assert not options.has_class("-open")
        assert app.main.query_one(Prompt).text == "/experiment tri "


async def test_down_then_enter_takes_the_suggestion_and_enter_on_a_part_completes_it(lab, engine, console):
    async with console(lab, engine) as (app, pilot):
        await pilot.press(*"/experiment ", "down", "enter")
        await pilot.pause()
        assert app.main.query_one(Prompt).text == "/experiment tri "
        app.main.query_one(Prompt).put("")
        await pilot.press(*"/sess", "enter")
        await pilot.pause()
        assert app.main.query_one(Prompt).text == "/sessions "


async def test_an_experiment_is_a_card_with_numbers_and_plot_and_comes_back_after_a_restart(
    lab, engine, console, typed, settled
):
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "/experiment run_phase phase_type=spt_cluster system_size=8 depth=4 seed=3", 60)
        card = app.main.query_one(ExperimentCard)
        assert card.result["features"]["string_order"] > 0.5
        assert "string_order" in str(card.query_one(".numbers").render())
        assert card.query("FigurePlot")
        found = card.result["experiment_id"]
    async with console(lab, engine) as (app, pilot):
        assert app.main.query_one(ExperimentCard).result["experiment_id"] == found
        assert "1 experiment" in str(app.main.query_one("#facts").render())


async def test_wrong_lines_are_one_sentence_each(lab, engine, console, typed, shown):
    lines = {
        "/experiment run_phase phase_type=spt_cluster system_size=3": "below the smallest, 4",
        "/experiment run_phase phase_type=plasma": "not one of the choices",
        "/experimnt": "did you mean /experiment?",
        "/experiment nothing": "is not a kind of experiment",
        "/train learning_rate=abc": "not a number",
        "/": "a slash alone is no command",
    }
    async with console(lab, engine) as (app, _pilot):
        for line, words in lines.items():
            app.main.query_one(Prompt).put("")
            await app.main.send(line)
            await asyncio.sleep(0.1)
            for _ in range(100):
                if words in shown(app)[-1][1]:
                    break
                await asyncio.sleep(0.05)
            kind, text = shown(app)[-1]
            assert (kind, words in text) == ("NoteTurn", True), text


async def test_a_job_runs_beside_the_chat_and_escape_cancels_it_after_a_yes(lab, engine, console, settled, shown):
    async with console(lab, engine) as (app, pilot):
        await pilot.press(*"/experiment sweep seeds=5000 system_sizes=64 depths=32", "enter")
        async with asyncio.timeout(30):
            while not app.main.jobs.running():
                await asyncio.sleep(0.05)
        await pilot.press(*"hello", "enter")
        async with asyncio.timeout(10):
            while ("ReplyTurn", "**TRI** is a distance.") not in shown(app):
                await asyncio.sleep(0.05)
        view = app.main.jobs.running()[0]
        assert app.main.query_one(LabPane).query("JobCard")
        await pilot.press("escape")
        await pilot.pause(0.2)
        assert isinstance(app.screen, Confirm)
        await pilot.press("y")
        await settled(app, 30)
        assert view.state == "cancelled"
        assert app.main.jobs.running() == []


async def test_jobs_of_a_former_console_are_found_again(lab, engine, console):
    from pipeline import jobs

    killed = lab.new_run("train")
    record = {"id": killed.name, "kind": "train", "params": {}, "pid": 2**22 - 1, "born": 1.0, "started": time.time()}
    (killed / "job.json").write_text(json.dumps(record))
    line = {"event": "metric", "stage": "train", "step": 3, "values": {"loss": 1.5}}
    (killed / "events.jsonl").write_text(json.dumps(line) + "\n")
    running = jobs.start(lab, "experiment", {"name": "sweep", "params": {"seeds": 5000, "depths": [32]}})
    try:
        async with console(lab, engine) as (app, _pilot):
            views = app.main.jobs.views
            assert views[killed.name].state == "interrupted"
            assert views[killed.name].losses == [1.5]
            assert views[running.id].state == "running"
            text = " ".join(
                str(card.query_one("Static").render()) for card in app.main.query_one(LabPane).query("JobCard")
            )
            assert "train · interrupted" in text
            assert "experiment · running" in text
    finally:
        await jobs.cancel(running)


async def test_a_job_card_of_a_stored_session_shows_how_the_job_ended(lab, engine, console):
    run = lab.new_run("generate")
    record = {"id": run.name, "kind": "generate", "params": {}, "pid": 2**22 - 1, "born": 1.0, "started": time.time()}
    (run / "job.json").write_text(json.dumps(record))
    (run / "events.jsonl").write_text('{"event": "result", "samples": 5}\n')
    chats = Chats(lab.database)
    session = chats.start()
    chats.add(session.id, "card", f"generate {run.name}", job=run.name)
    chats.add(session.id, "card", "train gone", job="gone")
    chats.close()
    async with console(lab, engine) as (app, _pilot):
        cards = [str(card.query_one("Static").render()) for card in app.main.transcript.query("JobCard")]
        assert cards[0].startswith("✓ generate · done")
        assert cards[1].startswith("· train · past")


async def test_a_database_that_refuses_an_action_is_one_sentence_and_the_console_lives(lab, engine, console, settled):
    async with console(lab, engine) as (app, pilot):
        app.chats._conn.execute("PRAGMA busy_timeout = 20")
        other = sqlite3.connect(lab.database, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        await pilot.press("ctrl+n")
        await settled(app)
        assert any("cannot be written" in toast.message for toast in app._notifications)
        assert app.is_running
        other.execute("ROLLBACK")
        other.close()


async def test_the_theme_is_kept_and_keys_are_remapped_by_benlab_toml(lab, engine, console, typed, shown, settled):
    lab.config_path.write_text('[keys]\n"app.help" = "f9"\n"chat.send" = "ctrl+s"\n')
    async with console(lab, engine) as (app, pilot):
        await pilot.press(*"/theme nord", "ctrl+s")
        await settled(app)
        assert app.theme == "nord"
        await pilot.press("f9")
        await pilot.pause()
        assert isinstance(app.screen, Help)
    async with console(lab, engine) as (app, pilot):
        assert app.theme == "nord"


async def test_broken_settings_do_not_stop_the_console(lab, engine, console):
    lab.config_path.write_text("[keys\n")
    async with console(lab, engine) as (app, _pilot):
        assert any("not valid TOML" in toast.message for toast in app._notifications)


async def test_sessions_are_found_renamed_resumed_and_deleted(lab, engine, console, typed, settled, shown):
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "about replay drift")
        await pilot.press("ctrl+n")
        await pilot.pause()
        assert shown(app) == []
        await typed(app, pilot, "about echoes")
        await pilot.press("f3")
        await pilot.pause(0.2)
        assert isinstance(app.screen, Picker)
        await pilot.press(*"drift")
        await pilot.pause()
        assert app.screen.query_one(OptionList).option_count == 1
        await pilot.press("ctrl+r")
        await pilot.pause(0.2)
        await pilot.press("!", "ctrl+s")
        await pilot.pause(0.2)
        assert [s.title for s in app.chats.sessions()] == ["about echoes", "about replay drift!"]
        await pilot.press(*"drift", "enter")
        await settled(app)
        assert shown(app)[0] == ("UserTurn", "about replay drift")
        await pilot.press("f3")
        await pilot.pause(0.2)
        await pilot.press("down", "ctrl+d")
        await pilot.pause(0.2)
        await pilot.press("y")
        await pilot.pause(0.2)
        await pilot.press("escape")
        await settled(app)
        assert len(app.chats.sessions()) == 1


async def test_ctrl_c_asks_and_ctrl_q_quits(lab, engine, console):
    async with console(lab, engine) as (app, pilot):
        await pilot.press("ctrl+c")
        await pilot.pause(0.2)
        assert isinstance(app.screen, Confirm)
        await pilot.press("n")
        await pilot.pause(0.2)
        assert app.is_running
        await pilot.press("ctrl+q")
        await pilot.pause(0.2)
        assert app._exit


async def test_the_palette_opens_and_the_lab_pane_follows_the_width(lab, engine, console):
    async with console(lab, engine, (160, 48)) as (app, pilot):
        assert app.main.query_one(LabPane).display
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.2)
        assert not app.main.query_one(LabPane).display
        await pilot.press("ctrl+l")
        await pilot.pause(0.2)
        assert app.main.query_one(LabPane).display
        await pilot.press("ctrl+l", "ctrl+p")
        await pilot.pause(0.3)
        assert type(app.screen).__name__ == "CommandPalette"
        await pilot.press(*"/rag")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert app.main.query_one(Prompt).text == "/rag "


async def test_a_megabyte_in_one_paste_is_a_mark_and_refused_in_one_sentence(lab, engine, console):
    async with console(lab, engine) as (app, pilot):
        prompt = app.main.query_one(Prompt)
        prompt.post_message(events.Paste("x" * 1_000_000))
        await pilot.pause(0.2)
        assert prompt.text == "[pasted text 1: 1,000,000 characters]"
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert any("above the most, 100,000" in toast.message for toast in app._notifications)
        assert engine.seen == []
        assert "1,000,000" in prompt.text


async def test_any_bytes_in_a_paste_are_inert_and_a_medium_one_is_sent_whole(lab, engine, console, settled):
    async with console(lab, engine) as (app, pilot):
        prompt = app.main.query_one(Prompt)
        prompt.post_message(events.Paste("\x1b[2J\x00\x9b31m\udcff\u202eok"))
        await pilot.pause(0.1)
        assert prompt.text == "␛[2J␀�31m?�ok"
        prompt.put("")
        prompt.post_message(events.Paste("y" * (LARGEST_PASTE + 1)))
        await pilot.pause(0.1)
        await pilot.press("enter")
        await settled(app)
        assert engine.seen[0][0]["content"] == "y" * (LARGEST_PASTE + 1)


async def test_a_corrupt_lab_db_is_set_aside_and_said(lab, engine, console):
    lab.database.write_bytes(b"this is no database at all " * 100)
    async with console(lab, engine) as (app, _pilot):
        assert any("set aside as lab.db.corrupt-" in toast.message for toast in app._notifications)
        assert app.chats.newest() is not None
    assert len(list(lab.root.glob("lab.db.corrupt-*"))) == 1


async def test_a_locked_lab_db_costs_no_answer(lab, engine, console, typed, shown):
    async with console(lab, engine) as (app, pilot):
        app.chats._conn.execute("PRAGMA busy_timeout = 20")
        other = sqlite3.connect(lab.database, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        await typed(app, pilot, "hello")
        assert ("ReplyTurn", "**TRI** is a distance.") in shown(app)
        assert any("is not kept" in toast.message for toast in app._notifications)
        other.execute("ROLLBACK")
        other.close()


async def test_resizing_while_an_answer_streams_breaks_nothing(lab, scripted, console, settled, shown):
    engine = scripted(["word "] * 150, pause=0.005)
    async with console(lab, engine) as (app, pilot):
        await pilot.press(*"go", "enter")
        for size in ((80, 24), (250, 80), (40, 10), (160, 48)):
            await pilot.resize_terminal(*size)
            await asyncio.sleep(0.1)
        await settled(app)
        assert shown(app)[-1][1] == "word " * 150


def test_one_console_a_lab(lab):
    import pytest

    from benlab_tui.lock import ConsoleLock
    from pipeline.errors import LabError

    with (
        ConsoleLock(lab.root),
        pytest.raises(LabError, match=r"open in another console \(process \d+\)"),
        ConsoleLock(lab.root),
    ):
        pass
    with ConsoleLock(lab.root):
        assert Chats(lab.database).newest() is None


async def test_a_session_with_a_long_answer_before_short_turns_opens_at_its_end(lab, engine, console):
    chats = Chats(lab.database)
    session = chats.start("long")
    note = "\n".join(f"fact {number}: yes" for number in range(10))
    for number in range(5):
        chats.add(session.id, "command", f"/disk {number}")
        chats.add(session.id, "note", note)
    chats.add(session.id, "user", "What is a quantum phase?")
    chats.add(session.id, "assistant", "\n\n".join(f"Paragraph {number} of an answer." for number in range(50)))
    for text in (note, "short\nnote"):
        chats.add(session.id, "note", text)
        chats.add(session.id, "command", "/disk")
    chats.add(session.id, "user", "What are the four phase types?")
    chats.add(session.id, "assistant", "They are:\n\n- one\n- two\n- three\n- four")
    chats.add(session.id, "command", "/quit")
    chats.close()
    async with console(lab, engine, (80, 24)) as (app, pilot):
        await pilot.pause(0.5)
        assert app.main.transcript.max_scroll_y > 0
        assert app.main.transcript.is_vertical_scroll_end
