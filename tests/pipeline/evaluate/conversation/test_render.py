"""The dialogues: enough of them, every experiment, held out, and worded apart from training."""

import re
from collections import Counter

import pytest

import simulator
from pipeline.data.regions import FAR_SIZES, is_test_case
from pipeline.data.wordings import all_templates
from pipeline.evaluate.conversation.render import CLEAR, questions_of, render
from pipeline.evaluate.conversation.results import Results
from pipeline.evaluate.conversation.script import Dialogue
from pipeline.evaluate.conversation.wording import in_words, with_slips
from pipeline.evaluate.question_sampling import plain
from pipeline.evaluate.sealed import evaluation_set


@pytest.fixture(scope="module")
def results() -> Results:
    return Results()


@pytest.fixture(scope="module")
def dialogues(results: Results) -> list[Dialogue]:
    return render(evaluation_set(), results)


def test_there_are_enough_on_every_topic(dialogues: list[Dialogue]) -> None:
    topics = Counter(dialogue.topic for dialogue in dialogues)
    assert len(dialogues) >= 200
    assert {"request", "two_runs", "follow_up", "compare", "read_back", "why", "clarify", "toolless"} <= set(topics)
    assert {"social", "general", "code", "redirect", "identity", "units", "definition"} <= set(topics)
    called = Counter(run.experiment for d in dialogues for turn in d.turns for run in turn.calls)
    assert {"run_phase", "tri", "echo", "replay_drift", "discovery", "classify", "sweep", "scientist"} <= set(called)


def test_every_beginning_mixes_the_topics(dialogues: list[Dialogue]) -> None:
    whole = Counter(dialogue.topic for dialogue in dialogues)
    part = Counter(dialogue.topic for dialogue in dialogues[:100])
    for topic, count in whole.items():
        assert abs(part[topic] - 100 * count / len(dialogues)) <= 2, topic


def test_every_run_is_valid_and_held_out(dialogues: list[Dialogue]) -> None:
    for run in (run for dialogue in dialogues for turn in dialogue.turns for run in turn.calls):
        simulator.validate(simulator.EXPERIMENTS[run.experiment].params, run.params)
        seeds = {**run.params, "seed": run.params.get("first_seed", run.params.get("seed"))}
        held = is_test_case(run.experiment, seeds) or run.params.get("system_size") in FAR_SIZES
        assert held or run.experiment == "scientist", run


def test_every_setting_of_a_call_was_said(dialogues: list[Dialogue]) -> None:
    """In figures or words, in this turn or one before it."""
    for dialogue in dialogues:
        said = ""
        for turn in dialogue.turns:
            said += " " + turn.text.lower()
            for run in turn.calls:
                for name, value in run.params.items():
                    values = value if isinstance(value, list) else [value]
                    for item in (item for item in values if isinstance(item, int | float)):
                        words = in_words(item) if isinstance(item, int) and 0 < item < 100 else "-"
                        assert re.search(rf"(?<![\d.]){item:g}(?![\d.]*\d)|{words[:3]}", said), (name, item, said)


def test_comparisons_have_a_clear_gap(dialogues: list[Dialogue], results: Results) -> None:
    pairs = [pair for d in dialogues for turn in d.turns for pair in (turn.shift, turn.larger) if pair]
    assert len(pairs) >= 20
    assert all(abs(results.gap(pair)) >= CLEAR for pair in pairs)
    assert len({results.gap(pair) > 0 for pair in pairs}) == 2


def test_the_same_seed_renders_the_same(dialogues: list[Dialogue], results: Results) -> None:
    again = render(evaluation_set(), results)
    assert list(questions_of(again)) == list(questions_of(dialogues))
    other = render(evaluation_set(), results, seed=1)
    assert len(set(questions_of(other)) & set(questions_of(dialogues))) < 0.4 * len(list(questions_of(dialogues)))


def test_no_wording_is_a_training_wording() -> None:
    """Neither the same nor nearly so. On failure the number of the wording is told and not the training's words."""
    training = [set(re.findall(r"[a-z]+", plain(text).lower())) for text in all_templates()]
    for number, template in enumerate(evaluation_set().table("dialogues.toml")["dialogue"]):
        for turn in template["turn"]:
            for text in turn["say"]:
                asked = set(re.findall(r"[a-z]+", re.sub(r"\{[\w.]+\}", "", text).lower()))
                if len(asked) >= 4:
                    near = max(len(asked & words) / len(asked | words) for words in training if words)
                    assert near < 0.7, f"dialogue {number}"


def test_slips_leave_numbers_alone() -> None:
    from random import Random

    text = "simulate the trivial product chain with 48 sites and seed 20311"
    slipped = {with_slips(text, Random(seed)) for seed in range(30)}
    assert len(slipped) > 5
    assert all("48" in one and "20311" in one for one in slipped)
