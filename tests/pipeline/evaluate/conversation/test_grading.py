"""Who understands passes; who lists, hedges, copies or repeats does not."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.evaluate.conversation.direction import direction_of
from pipeline.evaluate.conversation.grading import grade_dialogue
from pipeline.evaluate.conversation.play import MARK, play, read, well_formed
from pipeline.evaluate.conversation.render import render
from pipeline.evaluate.conversation.results import Results
from pipeline.evaluate.conversation.script import Dialogue
from pipeline.evaluate.conversation.talker import Reply, Talker
from pipeline.evaluate.scoring import PlayedDialogue, conversation_scores
from pipeline.evaluate.sealed import evaluation_set


def _talkers() -> ModuleType:
    path = Path(__file__).with_name("talkers.py")
    spec = importlib.util.spec_from_file_location("evaluation_talkers", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


talkers = _talkers()
SLOW = {"classify", "discovery", "sweep", "scientist"}
RESULTS = Results()


@pytest.fixture(scope="module")
def dialogues() -> list[Dialogue]:
    found = render(evaluation_set(), RESULTS)
    quick = [d for d in found if not any(run.experiment in SLOW for turn in d.turns for run in turn.calls)]
    return quick


def played(dialogue: Dialogue, talker: Talker, model: str = "tuned") -> PlayedDialogue:
    turns = play(dialogue, talker, RESULTS, "You are the lab's assistant.")
    return PlayedDialogue(dialogue, model, turns, grade_dialogue(dialogue, turns, RESULTS))


def test_right_answers_are_right(dialogues: list[Dialogue]) -> None:
    assert len(dialogues) > 200
    for dialogue in dialogues:
        item = played(dialogue, talkers.Oracle(dialogue, RESULTS))
        wrong = [
            (turn.turn.text, turn.answer, dict(grade.reasons))
            for turn, grade in zip(item.turns, item.grades, strict=True)
            if not grade.right
        ]
        assert not wrong, wrong


@pytest.mark.parametrize("name", talkers.ADVERSARIES)
def test_adversaries_do_not_pass(dialogues: list[Dialogue], name: str) -> None:
    """What is left to them: a greeting answered politely, silence where silence is wanted."""
    scores = conversation_scores([played(d, talkers.ADVERSARIES[name]()) for d in dialogues])
    topics = {topic: entry["score"] for topic, entry in scores["topics"]["tuned"].items()}
    assert scores["conversation"]["tuned"]["score"] <= 0.06
    for topic in (
        "request",
        "two_runs",
        "follow_up",
        "compare",
        "read_back",
        "why",
        "definition",
        "general",
        "units",
        "identity",
        "redirect",
        "code",
    ):
        assert topics[topic] == 0, (topic, topics)
    assert scores["calls"]["tuned"]["score"] <= 0.03 and scores["numbers"]["tuned"]["score"] <= 0.1


def dialogue_on(dialogues: list[Dialogue], topic: str) -> Dialogue:
    return next(dialogue for dialogue in dialogues if dialogue.topic == topic)


class Spoiled:
    """Right in everything but what `spoil` makes of its replies."""

    def __init__(self, dialogue: Dialogue, spoil) -> None:
        self.right, self.spoil = talkers.Oracle(dialogue, RESULTS), spoil

    def reply(self, messages, **options) -> Reply:
        return Reply(self.spoil(self.right.reply(messages, **options).text))

    def choose(self, *words) -> str:
        return self.right.choose(*words)


@pytest.mark.parametrize(
    ("topic", "spoil", "check"),
    [
        ("request", lambda text: text.replace('"seed": 2', '"seed": 1'), "call"),
        ("request", lambda text: text if text.startswith(MARK) else text + " The entropy_max is 7.77.", "numbers"),
        ("request", lambda text: text if text.startswith(MARK) else "All went well.", "value"),
        ("request", lambda text: text if text.startswith(MARK) else "", "answers"),
        ("request", lambda text: text if text.startswith(MARK) else f"{text} " * 4, "answers"),
        ("social", lambda text: 'TOOL: {"name": "run_phase", "arguments": {"phase_type": "spt_cluster"}}', "silent"),
        ("social", lambda text: "TOOL: TOOL: TOOL:", "silent"),
        ("clarify", lambda text: "That is out of bounds.", "bound"),
        ("toolless", lambda text: "I cannot run it here.", "command"),
    ],
)
def test_one_fault_is_one_wrong_check(dialogues: list[Dialogue], topic: str, spoil, check: str) -> None:
    fitting = [
        d
        for d in dialogues
        if d.topic == topic
        and (check != "bound" or d.turns[0].bound is not None)
        and (check != "command" or d.turns[0].command)
        and (check != "call" or "seed" in d.turns[0].calls[0].params)
    ]
    item = played(fitting[0], Spoiled(fitting[0], spoil))
    wrong = {name for grade in item.grades for name, ok in grade.checks.items() if not ok}
    assert check in wrong and wrong <= {check, "call_under_grammar", "answers", "value", "says", "own_words"}


def test_two_runs_may_be_called_one_after_the_other(dialogues: list[Dialogue]) -> None:
    dialogue = dialogue_on(dialogues, "two_runs")

    class OneByOne(talkers.Oracle):
        def reply(self, messages, *, tools: bool, most: int, grammar: str = "") -> Reply:
            ran = len(talkers.results_shown(messages))
            if ran < 2:
                return Reply(talkers.call_line(dialogue.turns[0].calls[1 - ran]))
            return super().reply(messages, tools=tools, most=most)

    assert played(dialogue, OneByOne(dialogue, RESULTS)).right


def test_a_wrong_call_does_not_spoil_the_turns_behind_it(dialogues: list[Dialogue]) -> None:
    dialogue = next(d for d in dialogues if d.topic == "compare" and d.turns[-1].shift)
    item = played(dialogue, Spoiled(dialogue, lambda text: text.replace('"depth": ', '"depth": 1')))
    assert not item.grades[0].right and not item.grades[1].right
    assert item.grades[2].right and len(item.turns[2].results) == 2


def test_a_comparison_the_wrong_way_round_is_wrong(dialogues: list[Dialogue]) -> None:
    dialogue = next(d for d in dialogues if d.topic == "compare" and d.turns[-1].shift)
    turn = {"rose": "fell", "fell": "rose"}
    for spoil in (
        lambda text: next((text.replace(a, b) for a, b in turn.items() if a in text), text),
        lambda text: text.replace("rose", "rose or fell").replace("fell from", "rose or fell from"),
        lambda text: text if text.startswith(MARK) else "It changed a lot.",
    ):
        assert not played(dialogue, Spoiled(dialogue, spoil)).grades[-1].checks["direction"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("The string order fell from 0.76 to 0.61.", "down"),
        ("string_order is larger now.", "up"),
        ("With more layers the string order dropped.", "down"),
        ("A larger depth made the string order smaller.", "down"),
        ("It rose. String order: fell.", "down"),
        ("The string order may have risen or fallen.", ""),
        ("The string order did not change.", "same"),
        ("It went down.", "down"),
        ("The string order has two values.", ""),
    ],
)
def test_directions(answer: str, said: str) -> None:
    assert direction_of(answer, "string_order") == said


def test_one_text_for_all_topics_answers_nothing(dialogues: list[Dialogue]) -> None:
    items = [played(d, talkers.Oracle(d, RESULTS)) for d in dialogues if d.topic in ("identity", "units", "redirect")]
    assert conversation_scores(items)["conversation"]["tuned"]["score"] == 1
    same = [replace(i, turns=[replace(turn, answer="one text") for turn in i.turns]) for i in items]
    assert conversation_scores(same)["conversation"]["tuned"]["score"] == 0


@pytest.mark.parametrize(
    ("text", "said", "calls", "well"),
    [
        ('TOOL: {"name": "tri", "arguments": {"phase_type": "spt_cluster"}}', "", 1, True),
        ('Sure.\nTOOL: {"name": "tri", "arguments": {"phase_type": "spt_cluster"}}', "Sure.", 1, True),
        ('TOOL: {"name": "tri", "arguments": {"phase_type": "spt"', "", 1, False),
        ('TOOL: {"name": "sing", "arguments": {}}', "", 1, False),
        ("Hello.", "Hello.", 0, True),
    ],
)
def test_replies_are_read_as_the_chat_reads_them(text: str, said: str, calls: int, well: bool) -> None:
    found = read(text)
    assert (found[0], len(found[1])) == (said, calls) and well_formed(text) is well


def test_free_and_constrained_calls_are_told_apart(dialogues: list[Dialogue]) -> None:
    """A malformed call that comes out right under the grammar counts there alone."""
    dialogue = dialogue_on(dialogues, "request")

    class Clumsy(talkers.Oracle):
        def reply(self, messages, *, tools: bool, most: int, grammar: str = "") -> Reply:
            right = super().reply(messages, tools=tools, most=most).text
            return Reply(right if grammar or not right.startswith(MARK) else right[:-9])

    turns = play(dialogue, Clumsy(dialogue, RESULTS), RESULTS, "", grammar="root ::= x")
    grades = grade_dialogue(dialogue, turns, RESULTS)
    assert not grades[0].checks["call"] and grades[0].checks["call_under_grammar"]
    assert not grades[0].right and grades[0].right_under_grammar
