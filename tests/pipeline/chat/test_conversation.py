"""Conversations with a model that calls experiments, over a real HTTP server in the model's place."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

import pytest

import simulator
from pipeline.chat import conversation as c
from pipeline.chat.conversation import Conversation, Limits
from pipeline.chat.events import Delta
from pipeline.chat.history import History
from pipeline.chat.ollama import OllamaEngine
from pipeline.chat.openai import OpenAIEngine
from pipeline.chat.result_text import result_text
from pipeline.chat.tool_text import call_text
from pipeline.chats import Chats, Message
from pipeline.lab import Lab

CHAIN = {"phase_type": "spt_cluster", "system_size": 48, "depth": 10}
LONGER = {**CHAIN, "system_size": 96}


@pytest.fixture
def talk(model: Any, lab: Lab) -> Conversation:
    """A chat in an empty lab."""
    return Conversation(OpenAIEngine(model.url, "m"), lab)


async def turn(talk: Conversation, question: str, yes: bool | None = None) -> list[Any]:
    """The events of one turn; what asks first gets `yes`."""
    found: list[Any] = []
    async with aclosing(talk.ask(question)) as events:
        reply = None
        while True:
            try:
                event = await events.asend(reply)
            except StopAsyncIteration:
                return found
            found.append(event)
            reply = yes if isinstance(event, c.AskFirst) else None


def of(events: list[Any], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def test_a_run_is_followed_up(talk: Conversation, model: Any) -> None:
    """Both results reach the model as the tool message, the second with what changed."""
    before, after = simulator.run_now("run_phase", **CHAIN), simulator.run_now("run_phase", **LONGER)
    change = result_text(after, before).splitlines()[-1]
    model.answers = [call_text("run_phase", CHAIN), "Done.", call_text("run_phase", LONGER), f"It fell. {change}"]
    first = await turn(talk, "a cluster chain of 48 sites, 10 layers")
    second = await turn(talk, "the same with 96 sites")
    (ran,) = of(first, c.ToolRan)
    assert (ran.params["system_size"], ran.result) == (48, before)
    assert ran.text == result_text(before)
    (ran,) = of(second, c.ToolRan)
    assert ran.text == result_text(after, before)
    (answer,) = of(second, c.Answered)
    assert answer.runs == [after["experiment_id"]]
    assert answer.checks and all(check.right for check in answer.checks)
    assert [message["role"] for message in model.asked[-1]["messages"]] == [
        *("user", "assistant", "tool", "assistant"),
        *("user", "assistant", "tool"),
    ]


async def test_a_number_from_nowhere_is_marked_as_it_comes(talk: Conversation, model: Any) -> None:
    """Before the answer is over; with nothing run, the turn names the command that measures."""
    model.answers = ["The string order is 0.61. That is high, and more words follow."]
    events = await turn(talk, "What is the string order of spt_cluster with depth 7?")
    marks = [place for place, event in enumerate(events) if isinstance(event, c.NumberChecked)]
    assert marks and any(isinstance(event, Delta) for event in events[marks[0] :])
    (answer,) = of(events, c.Answered)
    assert [check.right for check in answer.checks] == [False]
    assert answer.proposal == "benlab experiment run_phase phase_type=spt_cluster depth=7"
    model.answers = ["I have no number for you."]
    assert not of(await turn(talk, "And the entropy?"), c.Answered)[0].proposal


async def test_a_model_that_calls_itself_in_a_circle_is_stopped(talk: Conversation, model: Any) -> None:
    """The same call is refused at its second coming, however its arguments are written."""
    other = {"depth": 10, "system_size": 48.0, "phase_type": "spt", "seed": 0}
    model.answers = [call_text("run_phase", CHAIN), call_text("run_phase", other), call_text("run_phase", CHAIN)]
    events = await turn(talk, "run it")
    assert len(of(events, c.ToolRan)) == 1
    assert ["in this turn already" in event.reason for event in of(events, c.ToolRefused)] == [True, True]
    assert len(model.asked) == 3
    assert "in this turn already" in of(events, c.Answered)[0].text


async def test_calls_end_after_some_rounds_and_the_model_still_answers(talk: Conversation, model: Any) -> None:
    """After the last round no tool is offered; a call then is shown as a command."""
    calls = [call_text("run_phase", {**CHAIN, "seed": seed, "system_size": 8}) for seed in range(5)]
    model.answers = calls
    events = await turn(talk, "many runs")
    assert len(of(events, c.ToolRan)) == Limits().rounds == len(model.asked) - 1
    assert "tools" not in model.asked[-1]
    answer = of(events, c.Answered)[0].text
    assert "benlab experiment run_phase" in answer and "TOOL" not in answer


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sweep", {"seeds": 2, "system_sizes": [8], "depths": [2]}),
        ("scientist", {"budget": 10, "trials": 1}),
        ("discovery", {"num_per_phase": 100, "system_size": 256}),
    ],
)
async def test_what_may_run_long_waits_for_consent(
    talk: Conversation, model: Any, name: str, arguments: dict[str, Any]
) -> None:
    """No word is no; the question says what would run."""
    model.answers = [call_text(name, arguments)]
    events = await turn(talk, "go")
    (asked,) = of(events, c.AskFirst)
    assert f"run {name}" in asked.question and all(key in asked.question for key in arguments)
    assert "did not want" in of(events, c.ToolRefused)[0].reason
    assert not of(events, c.ToolStarted)


async def test_a_yes_or_allow_runs_it(model: Any, lab: Lab) -> None:
    """In a process of its own, without the turn's limit."""
    grid = call_text("sweep", {"seeds": 2, "system_sizes": [8], "depths": [2], "phases": ["spt_cluster"]})
    for allow, yes in (((), True), (("sweep",), None)):
        talk = Conversation(OpenAIEngine(model.url, "m"), lab, allow=allow, limits=Limits(seconds=0.01))
        model.answers = [grid]
        events = await turn(talk, "go", yes)
        assert of(events, c.ToolRan)[0].result["num_samples"] == 2
        assert bool(of(events, c.AskFirst)) is (yes is True)
        assert of(events, c.ToolStarted)[0].job.state() == "done"


async def test_compute_of_a_turn_ends_and_its_process_with_it(model: Any, lab: Lab) -> None:
    talk = Conversation(OpenAIEngine(model.url, "m"), lab, limits=Limits(seconds=0.5))
    model.answers = [call_text("discovery", {"num_per_phase": 40, "system_size": 64, "depth": 32})]
    events = await turn(talk, "go")
    assert "exceeded the 0.5 s compute limit per turn" in of(events, c.Answered)[0].text
    assert not of(events, c.ToolStarted)[0].job.alive()
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('TOOL: {"name": "rm", "arguments": {}}', "is not a tool"),
        ('TOOL: {"name": "run_phase", "arguments": {"phase_type": "spt", "system_size": 3}}', "system_size"),
        ('TOOL: {"name": "run_phase", "arguments": {"phase_type": "spt", "depth"', "is not a tool"),
        ('TOOL: {"name": "sweep", "arguments": {"cluster": "tcp://127.0.0.1:1"}}', "cluster"),
    ],
)
async def test_a_bad_call_goes_back_with_its_reason(talk: Conversation, model: Any, text: str, reason: str) -> None:
    """Once; the model may then answer."""
    model.answers = [text, "I see."]
    events = await turn(talk, "go")
    assert reason in of(events, c.ToolRefused)[0].reason
    assert model.asked[1]["messages"][-1]["content"].startswith("Not run: ")
    assert of(events, c.Answered)[0].text == "I see."


@pytest.mark.parametrize(
    "text",
    [
        f"I will run {call_text('run_phase', CHAIN)} now.",
        'TOOL: {"name": "run_phase", "arguments": ' + json.dumps(json.dumps(CHAIN)) + "}",
    ],
)
async def test_a_call_in_a_sentence_and_arguments_as_text_run(talk: Conversation, model: Any, text: str) -> None:
    model.answers = [text]
    events = await turn(talk, "go")
    assert of(events, c.ToolRan)[0].params["system_size"] == 48
    assert "TOOL" not in "".join(event.text for event in of(events, Delta))


async def test_a_lab_without_tools_offers_none(model: Any, lab: Lab) -> None:
    """`[chat] tools = false`: a call is shown as the command that a person can run."""
    (lab.root / "benlab.toml").write_text("[chat]\ntools = false\n")
    talk = Conversation(OpenAIEngine(model.url, "m"), lab)
    model.answers = [call_text("run_phase", CHAIN)]
    events = await turn(talk, "go")
    assert "tools" not in model.asked[0] and not of(events, c.ToolRan)
    told = "To run this, use `benlab experiment run_phase phase_type=spt_cluster system_size=48 depth=10`."
    assert of(events, c.Answered)[0].text == told


def test_a_stored_session_is_the_conversation_again(lab: Lab) -> None:
    """Runs of the person count; what is not known is left out and named."""
    result = simulator.run_now("run_phase", **CHAIN)
    later = simulator.run_now("run_phase", **LONGER)
    chats = Chats(lab.database)
    session = chats.start()
    chats.add(session.id, "command", "/experiment run_phase phase_type=spt_cluster")
    chats.add(session.id, "card", "run_phase", result=result)
    chats.add(session.id, "user", "and with 96?")
    chats.add(session.id, "card", "run_phase", result=later, call={"name": "run_phase", "arguments": LONGER})
    chats.add(session.id, "assistant", "It is weaker.")
    chats.add(session.id, "assistant", "help text", kind="command")
    chats.add(session.id, "wizard", "abracadabra")
    history = History().restore(chats.messages(session.id))
    chats.close()
    assert [(message["role"], message["content"]) for message in history.messages] == [
        ("tool", result_text(result)),
        ("user", "and with 96?"),
        ("assistant", ""),
        ("tool", result_text(later, result)),
        ("assistant", "It is weaker."),
    ]
    assert history.strange == {"wizard"}
    assert history.runs == [result, later]


def test_old_results_are_shortened_before_turns_are_dropped() -> None:
    """The last two stay whole; the question is always there."""
    history = History()
    for size in range(8, 20):
        history.add("user", f"a chain of {size}")
        history.add_run(simulator.run_now("run_phase", phase_type="spt_cluster", system_size=size, depth=2))
        history.add("assistant", "It is strong.")
    history.add("user", "and now?")
    whole = [message["content"] for message in history.sent(100_000) if message["role"] == "tool"]
    short = [message["content"] for message in history.sent(2048) if message["role"] == "tool"]
    assert short[-2:] == whole[-2:]
    assert all("\n" not in text and "string_order" in text for text in short[:-2])
    assert len(history.sent(2048)) <= 40
    assert history.sent(2048)[0]["role"] == "user"
    assert history.sent(2048)[-1]["content"] == "and now?"


def test_a_message_of_a_session_may_be_anything() -> None:
    """Stored by another version, or by hand."""
    odd = [Message(1, 1, "card", "x", {"result": {"experiment": 3}}), Message(2, 1, "card", "x", {"result": []})]
    odd += [Message(3, 1, "card", "x", {"result": {}, "call": {"name": 1, "arguments": "no"}})]
    assert History().restore(odd).messages


async def test_on_ollama_a_bad_call_is_asked_for_once_more_under_its_schema(ollama: Any, lab: Lab) -> None:
    """The second request carries `format`; what it answers runs, and takes the bad call's place."""
    server = ollama()
    bad = 'TOOL: {"name": "run_phase", "arguments": {"phase_type": "spt_cluster", "system_size": 3}}'
    good = json.dumps({"name": "run_phase", "arguments": CHAIN})
    engine = OllamaEngine(server.url, "ben-lab", learned_tools=True)
    talk = Conversation(engine, lab)
    server.words = [bad]
    events: list[Any] = []
    async with aclosing(talk.ask("a chain of 48 sites")) as turn_events:
        async for event in turn_events:
            events.append(event)
            if isinstance(event, c.Said):
                server.words = [good]
            if isinstance(event, c.ToolRan):
                server.words = ["Done."]
    assert of(events, c.ToolRan)[0].params["system_size"] == 48 and not of(events, c.ToolRefused)
    schema = server.asked[1]["format"]
    assert schema["properties"]["name"] == {"const": "run_phase"}
    assert "phase_type" in schema["properties"]["arguments"]["required"]
    assert not server.asked[0].get("format")
    assert json.loads(json.dumps(talk.history.messages[1]["tool_calls"][0]["function"]["arguments"])) == CHAIN
    await engine.aclose()


async def test_an_answer_about_a_persons_run_cites_it(talk: Conversation, model: Any) -> None:
    """No call was needed; the number leads to the run."""
    result = simulator.run_now("run_phase", **CHAIN)
    talk.history.add_run(result)
    model.answers = [f"The string_order is {result['features']['string_order']:.2f}."]
    (answer,) = of(await turn(talk, "What is the string order?"), c.Answered)
    assert answer.runs == [result["experiment_id"]] and answer.checks[0].right
    model.answers = ["You are welcome."]
    assert of(await turn(talk, "thank you"), c.Answered)[0].runs == []
