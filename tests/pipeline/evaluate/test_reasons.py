"""Verdicts with reasons, comparisons and directions beside them, as chat models write them."""

from __future__ import annotations

import pytest

from pipeline.data.claims import Run
from pipeline.evaluate.contradictions import Numbers, count
from pipeline.evaluate.graders.definitions import definitions
from pipeline.evaluate.graders.names import plain
from pipeline.evaluate.graders.numeric import stated_value
from pipeline.evaluate.graders.ordering import ordering, ranking
from pipeline.evaluate.graders.phase_identification import phase_identification
from pipeline.evaluate.question import Question, definition_questions

RANKED = ["pseudorandom", "spt_cluster", "ising_symmetry_breaking", "trivial_product"]
FALLING = ", ".join(RANKED)
RISING = ", ".join(reversed(RANKED))


@pytest.mark.parametrize(
    "answer",
    [
        f"From largest to smallest: {FALLING}",
        "Here is the ranking from largest to smallest:\n\n1. pseudorandom\n2. spt\n3. ising\n4. trivial",
        "Sorted from highest to lowest:\n1. pseudorandom\n2. spt\n3. ising\n4. trivial",
        f"Order by entropy_final, largest to smallest: {FALLING}.",
        f"Ranking (most to least): {FALLING}",
        f"Since entropy is rising with depth, I would list {FALLING} in that order",
        f"{RISING} (smallest first)",
        f"{RISING}, in ascending order.",
        "| Rank | Phase |\n|---|---|\n| 1 | pseudorandom |\n| 2 | spt_cluster |\n| 3 | ising |\n| 4 | trivial |",
    ],
)
def test_directions_of_a_ranking(answer: str) -> None:
    ranks = ranking(answer)
    assert sorted(ranks, key=ranks.__getitem__) == RANKED


@pytest.mark.parametrize(
    "answer",
    [f"{FALLING} (in ascending order)", f"{FALLING}, from smallest to largest", f"From most to least: {RISING}"],
)
def test_a_ranking_the_other_way_round(answer: str) -> None:
    ranks = ranking(answer)
    assert sorted(ranks, key=ranks.__getitem__) == RANKED[::-1]


@pytest.mark.parametrize(
    "answer",
    [
        f"I cannot rank {FALLING} without more data.",
        f"Sure! For {FALLING} the order depends on the seed.",
        f"To order {FALLING} by entropy_final, first run each experiment.",
        f"The four phases are {FALLING}. Each has its own order.",
    ],
)
def test_a_refusal_ranks_nothing(answer: str) -> None:
    runs = [Run("run_phase", {"phase_type": phase}) for phase in RANKED]
    results = [{"features": {"entropy_final": value}} for value in (5.0, 2.0, 1.0, 0.0)]
    facts = {"form": "ranking"}
    question = Question("ordering", "x", "Rank.", runs, results, feature="entropy_final", facts=facts)
    assert not ordering(question, answer).right


def pair(second: str, depth: int) -> Question:
    """B has more string_order; it is `second` at `depth`, A is the cluster phase at depth 4."""
    places = [("spt_cluster", 4), (second, depth)]
    runs = [Run("run_phase", {"phase_type": name, "system_size": 8, "depth": deep}) for name, deep in places]
    results = [{"features": {"string_order": value}} for value in (0.1, 0.9)]
    return Question("ordering", "x", "Which?", runs, results, feature="string_order", facts={"form": "pair"})


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("B, because A has more layers.", True),
        ("B has the larger string_order since A has a larger depth.", True),
        ("The run with depth 8 has the larger string_order.", True),
        ("A, because B has more layers.", False),
        ("A has the larger string_order since B has a larger depth.", False),
        ("A is larger. B has the larger transverse.", False),
        ("B is deeper: B has a higher depth, so its string_order is lower.", False),
        ("B would exceed A.", True),
        ("B would not exceed A.", False),
        ("Run B comes out on top.", True),
        ("B is the winner.", True),
        ("My pick is B.", True),
        ("B's.", True),
        ("You should show run B.", True),
        ("Show the students run B.", True),
        ("The first run is smaller, B is larger.", True),
        ("string_order(B) > string_order(A)", True),
        ("Yes, it is B.", True),
        ("In run B.", True),
        ("Not A but B.", True),
        ("Not B but A.", False),
        ("B (both are of one size).", True),
    ],
)
def test_a_pair_and_its_reasons(answer: str, right: bool) -> None:
    assert ordering(pair("spt_cluster", 8), answer).right is right


def test_a_pair_by_its_phase_in_brackets() -> None:
    assert ordering(pair("pseudorandom", 4), "string_order is higher for the pseudorandom run (B).").right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("I would classify this run as spt_cluster.", True),
        ("My answer would be the SPT cluster phase.", True),
        ("I would assign the run to spt_cluster.", True),
        ("I think it may be spt_cluster, since string_order is high.", True),
        ("- pseudorandom: entropy is too low\n- ising: zz is low\nSo the best match is spt_cluster.", True),
        ("Of the four phases (ising, spt_cluster, trivial_product, pseudorandom), I would go with spt_cluster.", True),
        ("The phase is spt_cluster, which differs from ising_symmetry_breaking in having no local order.", True),
        ("Most likely: spt_cluster. Second most likely: trivial_product.", True),
        ("I would classify this run as trivial_product. For comparison: spt_cluster.", False),
        ("First choice: trivial_product. Second choice: spt_cluster.", False),
        ("It is trivial_product. The next closest phase is: spt_cluster.", False),
        ("The circuit was most likely in trivial_product. Unlikely: spt_cluster.", False),
        ("It would be spt_cluster if string_order were high.", False),
        ("Is it spt_cluster?", False),
    ],
)
def test_a_phase_and_the_runner_up(answer: str, right: bool) -> None:
    question = Question("phase_identification", "x", "Which phase?", [], facts={"phase": "spt_cluster"})
    assert phase_identification(question, answer).right is right


@pytest.mark.parametrize(
    ("feature", "answer", "wanted"),
    [
        ("correlation_range", "correlation_range is 13.7 sites.", 13.7),
        ("correlation_range", "about 14 sites", 14.0),
        ("correlation_range", "a chain of 40 sites has 14", 14.0),
        ("zz_nearest", "over 14 sites", None),
        ("zz_nearest", "zz_nearest is 0.44 ± 0.1", 0.44),
    ],
)
def test_a_unit_is_no_count(feature: str, answer: str, wanted: float | None) -> None:
    assert stated_value(Question("numeric", "x", "How large?", [], feature=feature), answer) == wanted


def test_signs_between_factors_stay() -> None:
    assert plain("**0.5** = 2*0.8 - `1.1`") == "0.5 = 2*0.8 - 1.1"


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("string_order is 0.90 in B and 0.10 in A.", Numbers(2, 0)),
        ("string_order is 0.90 in A and 0.10 in B.", Numbers(2, 2)),
        ("It ranges from 0.10 (spt_cluster) to 0.90 (pseudorandom).", Numbers(2, 0)),
        ("In B string_order is 0.90, 9 times that of A.", Numbers(1, 0)),
    ],
)
def test_a_number_belongs_to_the_run_named_behind_it(answer: str, wanted: Numbers) -> None:
    assert count(pair("pseudorandom", 4), answer) == wanted


@pytest.mark.parametrize(
    ("term", "answer", "right"),
    [
        (
            "drift_interpretation",
            "High replay drift indicates that the system is stable, whereas low replay drift indicates that it is "
            "sensitive to depth.",
            False,
        ),
        ("drift_interpretation", "If drift is high, the run is stable. If drift is low, it keeps changing.", False),
        ("pseudorandom", "A random circuit in which entropy stays low.", False),
        (
            "maximize_tri",
            "Run tri on ising with a bias close to one half and a large depth. At bias 1 it is zero.",
            False,
        ),
        ("spt_cluster", "string_order is low in this cluster phase; magnetization is zero", False),
        ("spt_cluster", "A cluster phase with hidden string order; in other phases string_order is low.", True),
        ("spt_cluster", "The cluster phase hides its order: zz_nearest is high, as is the string", False),
        ("pseudorandom", "random gates scramble it: entropy is low at depth 1 and grows", True),
        ("maximize_tri", "ising, bias 1, shallow depth; avoid a bias close to one half", True),
        ("magnetization", "The mean of X over sites, weighted with the bias of the spin", False),
        ("sensitivity_index", "The mean of drift times factor", False),
        ("sensitivity_index", "The average of drift divided by factor minus one", True),
        ("entropy", "It is the entanglement between the left and right halves of the chain.", True),
        ("bias", "bias sets how likely it is that the initial state is all up rather than all down.", True),
        ("maximize_tri", "Set bias near 1 in the ising phase with few layers", True),
        ("fingerprint_distance", "Euclidean distance between the normalized feature vectors.", True),
        (
            "tri",
            "How far the fingerprint moves if you flip the bias, i.e. between the run at bias and at 1 - bias.",
            True,
        ),
        ("tri", "The distance between two runs whose bias is reversed; nothing is reversed in time.", True),
        ("tri", "It compares a run with itself at an opposite bias: the distance of the two fingerprints.", True),
        ("tri", "It measures how the chain differs if time runs backward at the opposite bias.", False),
        ("phase_detector", "It identifies the phase from a fingerprint.", True),
    ],
)
def test_opposites_and_plain_words_of_definitions(term: str, answer: str, right: bool) -> None:
    item = next(item for item in definition_questions() if item["term"] == term)
    facts = {"needs": item["needs"], "wrong": item["wrong"]}
    grade = definitions(Question("definitions", "x", item["ask"], [], facts=facts), answer)
    assert grade.right is right, grade.reason
