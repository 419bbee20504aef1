"""Numbers, durations, receipts and job views in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benlab_tui.facts import facts
from benlab_tui.phrasing import as_slash
from benlab_tui.plain_text import as_text
from benlab_tui.receipts import describe
from benlab_tui.text import duration, inert, number, one_line
from benlab_tui.watch import JobView, bar
from simulator.events import Failed, Metric, Note, Progress, Result

RECEIPT = {
    "engine": "llama.cpp",
    "prompts": 8,
    "prompts_equal": 8,
    "tokens": 128,
    "tokens_agreeing": 127,
    "changed_by_adapter": 8,
    "tokens_per_second": 31.25,
    "first_token_seconds": 0.08,
    "failures": [],
    "passed": True,
}


@given(st.text(max_size=200))
def test_nothing_that_a_terminal_obeys_passes(text):
    shown = inert(text)
    assert not [char for char in shown if (ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
    shown.encode("utf-8")
    assert inert(shown) == shown
    assert len(one_line(text, 20)) <= 20


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "0.5"),
        (1234567, "1,234,567"),
        (2e-4, "0.0002"),
        (1e-7, "1.000e-07"),
        (12345.6, "12,346"),
        (True, "True"),
        (3, "3"),
    ],
)
def test_numbers(value, words):
    assert number(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "3 s"), (200, "3:20"), (3723, "1:02:03"), (None, "?"), (float("nan"), "?"), (-1, "?")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_a_view_adds_events_up():
    view = JobView("j", "train")
    view.take(Progress("train", 0, 100), now=0.0)
    view.take(Progress("train", 25, 100), now=5.0)
    view.take(Metric("train", 25, {"loss": 1.5, "learning_rate": 2e-4}))
    view.take(Note("checkpoint written"))
    assert (view.share, view.seconds_left, view.losses, view.note) == (0.25, 15.0, [1.5], "checkpoint written")
    view.take(Progress("validate", 1, None), now=6.0)
    assert (view.share, view.seconds_left) == (None, None)
    view.take(Result({"loss": 1.0}))
    assert (view.state, view.result) == ("done", {"loss": 1.0})


@pytest.mark.parametrize(
    ("kind", "state"), [("Interrupted", "cancelled"), ("TrainError", "failed"), ("Died", "failed")]
)
def test_a_view_tells_how_it_ended(kind, state):
    view = JobView("j", "train")
    view.take(Failed("a sentence", kind))
    assert (view.state, view.note) == (state, "a sentence")


def test_bars_keep_their_width():
    assert [len(bar(share, 20)) for share in (None, 0.0, 0.333, 1.0)] == [20] * 4


def test_a_receipt_says_what_was_compared():
    text = describe({"version": "ben-lab:r1", "base": "smollm2", "target": "embedded", "receipt": RECEIPT})
    assert "✓ receipt: 8 of 8 prompts" in text
    assert "127 of 128 tokens" in text
    failed = describe({"version": "v", "receipt": {**RECEIPT, "passed": False, "failures": ["the prompts differ"]}})
    assert "✗ receipt failed" in failed
    assert "✗ the prompts differ" in failed


def test_after_an_install_into_ollama_the_receipt_is_ollamas():
    own = {**RECEIPT, "engine": "Ollama at http://127.0.0.1:11434", "tokens_agreeing": 120}
    row = {"version": "ben-lab:r1", "base": "smollm2", "target": "embedded+ollama", "receipt": RECEIPT}
    text = describe({**row, "ollama": {"host": "http://127.0.0.1:11434", "receipt": own}})
    assert "120 of 128 tokens" in text and "by Ollama at http://127.0.0.1:11434" in text and "127 of" not in text


def test_the_lab_pane_names_what_is_missing_and_what_is_here(lab):
    assert facts(lab)["base"] == "none: /pull smollm2"
    (lab.models / "ben-lab").mkdir(parents=True)
    record = {"current": "ben-lab:r1", "versions": [{"version": "ben-lab:r1", "receipt": RECEIPT}]}
    (lab.models / "ben-lab" / "registry.json").write_text(json.dumps(record))
    lab.data.parent.mkdir()
    lab.data.write_text("{}\n{}\n")
    found = facts(lab)
    assert (found["ben-lab"], found["receipt"], found["data"]) == ("r1", "✓ 127 of 128 tokens agree", "2 samples")
    (lab.models / "ben-lab" / "registry.json").write_text("[broken")
    assert facts(lab)["ben-lab"] == "not installed: /install"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("the base is not here: run `benlab pull smollm2`", "the base is not here: run `/pull smollm2`"),
        ("run `benlab train` first, then `benlab train --resume`", "run `/train` first, then `/train --resume`"),
        ("open what `benlab web` printed", "open what `benlab web` printed"),
        ("`benlab soup` and `benlab trains x` are no commands", "`benlab soup` and `benlab trains x` are no commands"),
        ("benlab pull smollm2 without back-ticks", "benlab pull smollm2 without back-ticks"),
        ("", ""),
    ],
)
def test_the_console_names_commands_as_it_takes_them(said, shown):
    assert as_slash(said) == shown
    assert as_slash(shown) == shown


def test_failed_claims_are_told_once_and_the_rest_is_counted():
    rows = [{"line": line, "claim": "line", "text": f"line {line} is no sample: empty"} for line in range(1, 31)]
    said = as_text({"ok": False, "lines": 40, "failed": 45, "failures": rows})
    assert said.count("line 1 is no sample") == 1 and "line 21 " not in said
    assert "and 25 more (--json lists 30)" in said and "lines: 40" in said
