"""Verdicts in the words that people and other models use, and sentences that only look like one."""

from __future__ import annotations

import pytest

from pipeline.data.claims import Run
from pipeline.evaluate.graders.definitions import definitions
from pipeline.evaluate.graders.ordering import ordering
from pipeline.evaluate.graders.phase_identification import phase_identification
from pipeline.evaluate.question import Question, definition_questions
from pipeline.evaluate.reading import values_alone


def _pair() -> Question:
    """A has more."""
    runs = [
        Run("run_phase", {"phase_type": phase, "system_size": 8, "depth": 4})
        for phase in ("spt_cluster", "pseudorandom")
    ]
    results = [{"features": {"string_order": value}} for value in (0.9, 0.0)]
    prompt = "Which do we keep, the one with more string_order?"
    return Question("ordering", "x", prompt, runs, results, feature="string_order", facts={"form": "pair"})


@pytest.mark.parametrize(
    "answer",
    [
        "Keep A.",
        "We keep A.",
        "I'd go with A.",
        "Keep run A, where string_order is high.",
        "Yes, A does.",
        "A does beat B.",
        "That would be A.",
        "Definitely A.",
        "Option A.",
        "spt_cluster has the larger string_order.",
        "The larger one is spt_cluster.",
    ],
)
def test_a_pair_is_won(answer: str) -> None:
    assert ordering(_pair(), answer).right


@pytest.mark.parametrize(
    "answer",
    ["Keep B.", "A does not beat B.", "pseudorandom has more.", "A does not.", "A: spt_cluster. B: pseudorandom."],
)
def test_a_pair_is_not_won(answer: str) -> None:
    assert not ordering(_pair(), answer).right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("- Phase type: trivial_product\n- Next: compare it with ising_symmetry_breaking at the same size.", True),
        ("For a transverse value this high, the phase is trivial_product.", True),
        ("In a word: trivial_product.", True),
        ("There is no doubt this is trivial_product.", True),
        ("Without hidden order it is trivial_product.", True),
        ("It is none other than trivial_product.", True),
        ("The phase is trivial.", True),
        ("The run belongs to the trivial product phase.", True),
        ("It is spt_cluster. trivial_product has a higher transverse.", False),
        ("spt_cluster. In trivial_product entropy is low.", False),
        ("I think it's spt_cluster; trivial_product has a lower entropy.", False),
        ("This is a trivial question.", False),
        ("It would be trivial_product if transverse were high.", False),
        ("It is not trivial_product.", False),
        ("The phase is pseudorandom.\ntrivial_product: has a high transverse", False),
        ("It is pseudorandom.\n- spt_cluster (string order near 1)\n- trivial_product (entropy near 0)", False),
        ("It is pseudorandom. Trivial_product, in contrast, has transverse 1.", False),
        ("Phase type: pseudorandom\n\nWhy: transverse is low; trivial_product, which has 1, fails.", False),
        ("Without a doubt spt_cluster; it is spt_cluster, not trivial_product.", False),
    ],
)
def test_phases_that_are_said_and_phases_that_are_mentioned(answer: str, right: bool) -> None:
    question = Question("phase_identification", "x", "Which phase?", [], facts={"phase": "trivial_product"})
    assert phase_identification(question, answer).right is right


@pytest.mark.parametrize(
    ("term", "answer", "wrong"),
    [
        ("entropy", "Low entropy means little entanglement; high entropy means scrambling.", False),
        ("entropy", "Low entropy means entanglement.", True),
        ("drift_interpretation", "Low replay drift means it is insensitive to depth.", False),
        ("drift_interpretation", "Low drift means the run isn't sensitive: it is stable.", False),
        ("drift_interpretation", "High drift means a less stable, sensitive run.", False),
        ("drift_interpretation", "Low drift means it is sensitive.", True),
        ("drift_interpretation", "High drift means it is stable.", True),
        ("maximize_tri", "Use ising_symmetry_breaking with bias 1, since at bias 0.5 TRI is zero.", False),
        ("maximize_tri", "Use ising_symmetry_breaking with bias 0.5.", True),
        ("trivial_product", "It does not show a high entropy.", False),
        ("trivial_product", "Unlike the high entropy of pseudorandom, its entropy is low.", False),
        ("trivial_product", "It has high entropy.", True),
        ("pseudorandom", "It is unlike trivial_product with low entropy.", False),
        ("magnetization", "Unlike transverse, the mean X, it is the mean Z.", False),
        ("spt_cluster", "There is no string order.", True),
    ],
)
def test_what_is_known_to_be_wrong(term: str, answer: str, wrong: bool) -> None:
    item = next(item for item in definition_questions() if item["term"] == term)
    facts = {"needs": item["needs"], "wrong": item["wrong"]}
    grade = definitions(Question("definitions", "x", item["ask"], [], facts=facts), answer)
    assert ("is wrong" in grade.reason) is wrong


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ("operator_spread as a share of sites is 0.28.", "0.28"),
        ("The share of sites: 0.28", "0.28"),
        ("sites: 32", ""),
        ("with 32 sites", ""),
    ],
)
def test_a_share_of_sites_is_a_value(answer: str, left: str) -> None:
    found = [word.rstrip(".") for word in values_alone(answer).split() if word[0].isdigit()]
    assert found == [left] * bool(left)
