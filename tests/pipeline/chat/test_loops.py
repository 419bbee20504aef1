"""Answers that repeat themselves without end are cut; text that only looks alike is not."""

from __future__ import annotations

import pytest

from pipeline.chat.events import Delta, Done
from pipeline.chat.loops import LONGEST_PART, LoopGuard
from pipeline.chat.ollama import _Answer

START = "The string order of the cluster chain is strong. "
PARTS = [
    "ha",
    "I cannot say. ",
    "Ben's Lab AI (Jarvis-2v)\n",
    '"spt_cluster", ',
    "It is a modified version of the original protocol, which differs a little from the original protocol. ",
    "\n\nThe phase is trivial. The chain has 32 sites.",
    "波函数坍缩。",
    "x" * 199 + "y",
]


def play(text: str, step: int = 3) -> tuple[str, bool]:
    """What is shown of a text that arrives in pieces, and whether it was cut."""
    guard, shown = LoopGuard(), ""
    for at in range(0, len(text), step):
        shown += guard.feed(text[at : at + step])
        if guard.looped:
            return shown, True
    return shown + guard.end(), False


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("step", [1, 4, 50])
def test_what_repeats_without_end_is_cut_and_what_came_before_it_stays(part, step):
    text, looped = play(START + part * 4000, step)
    assert looped
    assert text.startswith(START)
    assert (START + part * 4000).startswith(text)
    assert len(text) < len(START) + max(6 * len(part), 400)


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize(
    "text",
    [
        "very " * 12 + "cold.",
        "-" * 80 + "\nA ruled line.\n" + "-" * 80,
        "| n | string_order |\n|---|---|\n" + "".join(f"| {n} | {1 / n:.3f} |\n" for n in range(1, 60)),
        "".join(f"{n}. Run run_phase with seed={n} and look at string_order.\n" for n in range(1, 40)),
        "[" + "0.0, " * 30 + "1.0]",
        "word " * 20 + "then another thought, " + "word " * 20,
        START * 3 + "That is all.",
        "",
    ],
)
def test_what_only_looks_alike_is_passed_on_whole(text, step):
    assert play(text, step) == (text, False)


def test_a_repetition_longer_than_the_longest_part_is_left_to_the_token_limit():
    part = "".join(chr(0x4E00 + n) for n in range(LONGEST_PART + 50))
    assert play(part * 6, 9) == (part * 6, False)


def test_nothing_is_shown_after_a_cut():
    guard = LoopGuard()
    guard.feed("no " * 200)
    assert guard.looped
    assert guard.feed("and then something new") == "" == guard.end()


class _Part:
    """A line of Ollama's stream, as its client gives it."""

    def __init__(self, text: str) -> None:
        self.message = type("Message", (), {"content": text, "tool_calls": None})()
        self.done, self.done_reason = False, None
        self.eval_duration = self.eval_count = self.prompt_eval_count = None


def test_ollamas_answer_is_cut_and_says_so():
    answer = _Answer(None)
    events = []
    for _ in range(500):
        events += answer.take(_Part("never again "))
        if answer.looped:
            break
    events += answer.end()
    text = "".join(event.text for event in events if isinstance(event, Delta))
    done = answer.done(4096)
    assert isinstance(done, Done) and done.reason == "repetition"
    assert len(text) < 200


async def test_the_base_is_cut_by_the_embedded_engine_and_the_engine_stops_writing(base_gguf):
    """Greedy and long, the small base falls into a loop by itself."""
    from pipeline.chat import ChatOptions, EmbeddedEngine, EmbeddedServer

    prompt = "Repeat the words 'the cat sat on the mat.' forever: " + "the cat sat on the mat. " * 6
    server = EmbeddedServer.start(base_gguf, parallel=1, context=2048)
    engine = EmbeddedEngine(server, "base", adapter=False)
    try:
        options = ChatOptions(temperature=0.0, max_tokens=1200)
        events = [event async for event in engine.chat([{"role": "user", "content": prompt}], options=options)]
    finally:
        await engine.aclose()
    done = events[-1]
    assert isinstance(done, Done) and done.reason == "repetition"
    assert len("".join(event.text for event in events if isinstance(event, Delta))) < 2500
