"""Faults that nobody foresaw: one sentence on the screen, the answer so far kept, the traceback in console.log."""

from __future__ import annotations

import asyncio

import pytest

from benlab_tui import cli
from benlab_tui.app import BenLabApp
from benlab_tui.crash_log import unforeseen
from benlab_tui.text import duration, number
from benlab_tui.watch import JobView, bar
from pipeline.chat.events import Delta
from simulator.events import Progress, from_line

FAULTS = [
    OverflowError("int too large to convert to float"),
    ValueError("1e400"),
    RecursionError(),
    KeyError("x"),
    AssertionError(),
]
NUMBERS = ["1e400", "-1e400", "Infinity", "NaN", "-0.0", "1" + "0" * 4000, "9" * 5000, "1e308", "1e-400"]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise OverflowError("not even its name")


@pytest.mark.parametrize("fault", [*FAULTS, Unspeakable()], ids=lambda fault: type(fault).__name__)
async def test_an_answer_that_breaks_off_is_kept_and_told_in_one_sentence(console, scripted, typed, shown, lab, fault):
    async with console(lab, scripted([Delta("The first half. "), fault])) as (app, pilot):
        await typed(app, pilot, "why")
        turns = shown(app)
        assert ("ReplyTurn", "The first half. ") in turns
        errors = [text for name, text in turns if name == "NoteTurn" and type(fault).__name__ in text]
        assert len(errors) == 1 and "\n" not in errors[0] and "console.log" in errors[0]
        stored = app.main.stored()
        assert [m.content for m in stored if m.role == "assistant"] == ["The first half. "]
        log = (lab.root / "console.log").read_text(encoding="utf-8")
        assert "Traceback" in log and type(fault).__name__ in log
        assert not app.main.chat.busy
        await typed(app, pilot, "still alive?")


async def test_a_fault_of_a_tool_is_told(console, scripted, typed, shown, lab, monkeypatch):
    from pipeline.chat.events import ToolCall

    def fails(*_: object) -> None:
        raise ZeroDivisionError("in the tool")

    monkeypatch.setattr("pipeline.chat.lab_tools._in_thread", fails)
    call = ToolCall("1", "tri", {"phase_type": "ising_symmetry_breaking"})
    async with console(lab, scripted([Delta("Running it."), call])) as (app, pilot):
        await typed(app, pilot, "tri")
        assert any("ZeroDivisionError" in text for _, text in shown(app))
        assert ("ReplyTurn", "Running it.") in shown(app)


async def test_a_job_that_cannot_be_followed_ends_with_a_sentence(console, lab):
    async with console(lab) as (app, _):
        view = app.main.jobs.start("check", {"file": "nowhere.jsonl"})
        (lab.runs / view.id / "events.jsonl").unlink()
        await asyncio.wait_for(app.main.jobs.wait(view), 20)
        assert view.state == "failed" and "console.log" in view.note


def test_the_log_is_private_bounded_and_no_link(lab):
    for _ in range(80):
        unforeseen(lab, "a test", ValueError("\x1b[2J" + "x" * 30_000))
    log = lab.root / "console.log"
    assert log.stat().st_size < 1_100_000 and log.stat().st_mode & 0o077 == 0 and b"\x1b" not in log.read_bytes()
    log.unlink()
    target = lab.root / "elsewhere"
    log.symlink_to(target)
    unforeseen(lab, "a test", ValueError("y"))
    assert not target.exists()


def test_the_console_itself_fails_in_one_sentence(lab, monkeypatch, capsys):
    monkeypatch.setattr(BenLabApp, "run", lambda self: 1 / 0)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert cli.main(["--lab", str(lab.root)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "ZeroDivisionError" in said and "Traceback" not in said


@pytest.mark.parametrize("text", NUMBERS)
def test_no_number_of_an_event_overflows(text: str) -> None:
    for line in (
        f'{{"event": "progress", "stage": "s", "done": {text}, "total": 2}}',
        f'{{"event": "progress", "stage": "s", "done": 1, "total": {text}}}',
        f'{{"event": "metric", "stage": "s", "step": 1, "values": {{"loss": {text}}}}}',
        f'{{"event": "result", "value": {text}}}',
    ):
        try:
            event = from_line(line)
        except ValueError:
            continue
        view = JobView("a", "train", total=2)
        view.take(event, 1.0)
        view.take(Progress("s", 1, 2), 2.0)
        bar(view.share, 20)
        duration(view.seconds_left)
        number(view.done)


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "progress", "stage": 5, "done": "x"}',
        '{"event": "progress", "stage": "s", "done": null}',
        '{"event": "metric", "stage": "s", "step": 1, "values": {"loss": "high"}}',
        '{"event": "metric", "stage": "s", "step": 1, "values": []}',
        '{"event": "note", "text": {"a": 1}}',
        '{"event": "failed", "error": 7}',
    ],
)
def test_an_event_of_the_wrong_types_is_no_event(line: str) -> None:
    with pytest.raises(ValueError):
        from_line(line)


def test_any_number_can_be_shown() -> None:
    for value in (10**400, -(10**400), 10**5000, float("inf"), float("-inf"), float("nan"), -0.0, 2**63):
        assert 0 < len(number(value)) < 40
