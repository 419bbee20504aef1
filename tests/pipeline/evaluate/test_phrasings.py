"""Answers as models phrase them: denied, hedged, turned around, with the settings said again."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from pipeline.evaluate.graders.definitions import definitions
from pipeline.evaluate.graders.names import phases_in
from pipeline.evaluate.graders.numeric import stated_value
from pipeline.evaluate.graders.ordering import ranking, winner
from pipeline.evaluate.graders.tools import tools
from pipeline.evaluate.question import Question, definition_questions
from pipeline.evaluate.reading import asserted

RANKED = ["pseudorandom", "spt_cluster", "ising_symmetry_breaking", "trivial_product"]


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("A is 0.20 and B is 0.60, so B is larger.", "B"),
        ("A is spt_cluster, depth 8. B is pseudorandom, depth 8. B has more entropy.", "B"),
        ("A has depth 8 and B has depth 16; the larger one is B.", "B"),
        ("A has a lower entropy_final than B.", "B"),
        ("A is clearly smaller.", "B"),
        ("A is no larger than B.", "B"),
        ("B isn't larger.", "A"),
        ("The larger one is not A.", "B"),
        ("A has 0.2, and B wins.", "B"),
        ("B > A", "B"),
        ("A < B", "B"),
        ("It's B.", "B"),
        ("B, because it is deeper.", "B"),
        ("B's entropy is larger.", "B"),
        ("A: 0.2, B: 0.6. Answer: B", "B"),
        ("Larger: B", "B"),
        ("**B**", "B"),
        ("Run B is larger than run A.", "B"),
        ("A is larger than B.", "A"),
        ("Both are equal.", None),
        (
            "A: spt_cluster, depth 8. B: pseudorandom, depth 8. zz_long is larger with neither. A = B: they are equal.",
            None,
        ),
        ("A: spt_cluster, system_size 8, depth 4\nB: pseudorandom, system_size 8, depth 4", None),
        ("A: it is deeper.", "A"),
        ("A: larger. B: smaller.", "A"),
        ("A: smaller. B: larger.", "B"),
        ("B, since at the same depth entropy grows with size.", "B"),
        ("A, as both have equal depth.", "A"),
        ("Neither A nor B is larger.", None),
        ("A and B have the same entropy; A is not larger.", None),
        ("A larger value is found in B.", "B"),
        ("A smaller entropy is seen in run A.", "B"),
        ("A larger than B.", "A"),
        ("A larger, B smaller.", "A"),
        ("A (0.85) is larger than B (0.80).", "A"),
        ("In run A, zz_nearest is larger.", "A"),
        ("A exceeds B.", "A"),
        ("I choose A.", "A"),
        ("A ≤ B", "B"),
    ],
)
def test_pairs(answer: str, wanted: str | None) -> None:
    assert winner(answer) == wanted


@pytest.mark.parametrize(
    "answer",
    [
        "pseudorandom > spt_cluster > ising_symmetry_breaking > trivial_product",
        "trivial_product < ising < spt < pseudorandom",
        "From smallest to largest: trivial_product, ising, spt, pseudorandom",
        "pseudorandom has more than spt_cluster, which has more than ising, which has more than trivial_product.",
        "Among ising, spt, trivial and pseudorandom the ranking is pseudorandom > spt > ising > trivial.",
        "1. pseudorandom\n2. spt_cluster\n3. ising\n4. trivial_product",
        "pseudorandom, then spt, then ising, then trivial",
        "trivial_product ≤ ising ≤ spt ≤ pseudorandom",
        "pseudorandom, spt_cluster, ising_symmetry_breaking, trivial_product.",
        "In descending order: pseudorandom, spt_cluster, ising and trivial.",
        "Lowest: trivial_product, ising_symmetry_breaking, spt_cluster, pseudorandom",
        "The smallest is trivial_product, then ising_symmetry_breaking, spt_cluster, pseudorandom",
        "Bottom to top: trivial_product, ising_symmetry_breaking, spt_cluster, pseudorandom",
        "trivial_product is last, ising third, spt_cluster second, pseudorandom first",
    ],
)
def test_rankings(answer: str) -> None:
    ranks = ranking(answer)
    assert sorted(ranks, key=ranks.__getitem__) == RANKED


@pytest.mark.parametrize(
    "answer",
    [
        "The four phase types are pseudorandom, spt_cluster, ising_symmetry_breaking and trivial_product.",
        "Ben Lab knows pseudorandom, spt_cluster, ising_symmetry_breaking, trivial_product.",
    ],
)
def test_a_list_without_an_order_ranks_nothing(answer: str) -> None:
    assert ranking(answer) == {}


def test_the_question_said_again_and_doubts_assert_nothing() -> None:
    prompt = "Decide between A and B: whose zz_long is larger?\nA: spt_cluster, depth 4\nB: pseudorandom, depth 4"
    for answer in (
        prompt,
        "Decide between A and B: whose zz_long is larger?",
        "Whose is larger, is it B?",
        "Either B is larger or A is larger; I cannot tell.",
        "I don't know whether A is larger.",
    ):
        assert winner(asserted(prompt, answer)) is None, answer
    assert winner(asserted(prompt, "Whose is larger? B is larger.")) == "B"
    ranked = "Rank ising_symmetry_breaking, spt_cluster, trivial_product and pseudorandom by zz_long (depth 4)."
    assert asserted(ranked, ranked) == ""


def test_equal_ranks_in_a_rising_list() -> None:
    assert ranking("pseudorandom < spt < ising = trivial")["ising_symmetry_breaking"] == 0
    assert ranking("pseudorandom < spt < ising = trivial")["trivial_product"] == 0


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("It isn't spt_cluster.", []),
        ("It is not `spt_cluster`.", []),
        ("This cannot be spt_cluster.", []),
        ("It is not consistent with the spt_cluster phase.", []),
        ("Anything but spt_cluster.", []),
        ("I don't think it is spt_cluster", []),
        ("spt_cluster is wrong.", []),
        ("The order is non-trivial.", []),
        ("Neither Ising, trivial nor pseudorandom.", []),
        ("spt_cluster and not **ising_symmetry_breaking**", ["spt_cluster"]),
        ("spt_cluster without symmetry breaking.", ["spt_cluster"]),
        ("not ising but spt_cluster", ["spt_cluster"]),
        ("There is no order and it is trivial_product", ["trivial_product"]),
    ],
)
def test_phases(answer: str, wanted: list[str]) -> None:
    assert phases_in(answer) == wanted


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("zz_nearest for ising, bias 0.65, seed 20001 is 0.44", 0.44),
        ("At bias 0.65 it is 0.44", 0.44),
        ("zz_nearest (depth 8, bias 0.65) = 0.44", 0.44),
        ("zz_nearest at bias 0.65 is **0.05**", 0.05),
        ("ising_symmetry_breaking at size 32, depth 8, bias 0.65. zz_nearest: 0.65.", 0.65),
        ("zz_nearest is zero.", 0.0),
        ("zz_nearest is .44", 0.44),
        ("zz_nearest = –0.44", -0.44),
        ("1. Value: 0.44", 0.44),
        ("zz_nearest comes out as 8.", 8.0),
        ("zz_nearest is **not** 0.44", None),
        ("zz_nearest is not 0.44 but 0.62", 0.62),
        ("zz_nearest is not far from 0.44", 0.44),
        ("It depends on the seed.", None),
        ("ising_symmetry_breaking, size 16, depth 4, bias 0.65: zz_long 0.60.", None),
        ("0.65", None),
        ("zz_nearest grows with magnetization and is 0.62", 0.62),
        ("zz_nearest (unlike string_order) is 0.62", 0.62),
        ("0.60", 0.60),
        ("zz_nearest is not zero.", None),
        ("It is non-zero.", None),
        ("string_order is 1.02.", None),
        ("Zz_nearest = 0.65", 0.65),
        ("Transverse 0.40, Zz_nearest 0.30", 0.30),
        ("zz_nearest isn't 0.62", None),
        ("zz_nearest never reaches 0.62", None),
        ("zz_nearest is 0,44", 0.44),
        ("zz_nearest is minus 0.44", -0.44),
    ],
)
def test_numbers(answer: str, wanted: float | None) -> None:
    prompt = "What is zz_nearest for ising_symmetry_breaking, system_size 32, depth 8, bias 0.65, seed 20001?"
    assert stated_value(Question("numeric", "x", prompt, [], feature="zz_nearest"), answer) == wanted


FALSE = {
    "maximize_tri": "Run tri on ising_symmetry_breaking with bias 0.5 and a large depth.",
    "drift_interpretation": "High drift: the run is stable. Low drift: the run is sensitive.",
    "ising_vs_spt": "SPT has local order: its spins align. The Ising phase only shows string order.",
    "pseudorandom": "pseudorandom has zero entropy and never scrambles",
    "trivial_product": "trivial_product is maximally entangled by the field",
    "spt_cluster": "spt_cluster has no string order, it is not hidden.",
    "ising_symmetry_breaking": "spins never align, zz_nearest is zero and the bias does nothing.",
    "magnetization": "mean X of the spins and independent of bias.",
    "echo": "An echo goes forward and never back.",
    "entropy": "high entropy means independent halves, low entropy entanglement",
    "fingerprint": "A fingerprint consists of twelve features, not thirteen.",
}
TRUE = [
    ("maximize_tri", "Take ising_symmetry_breaking with bias=1.0 at depth 1"),
    ("maximize_tri", "ising, set the bias to 1 at a shallow depth"),
    ("maximize_tri", "ising: Do not use a bias of 0.5: take bias 1 at low depth"),
    ("drift_interpretation", "High replay drift means the run is unstable: it keeps changing. Low drift: stable."),
    (
        "drift_interpretation",
        "Low replay drift means that it is not sensitive: it is stable. High drift: it scrambles.",
    ),
    ("ising_vs_spt", "Ising has local order, whereas SPT order is hidden in string_order"),
    ("ising_vs_spt", "SPT has a hidden string order, but Ising has a high magnetization."),
    ("spt_cluster", "a symmetry-protected phase with hidden string order and no high magnetization"),
    ("trivial_product", "a field makes every spin independent: no high entropy"),
    ("entropy_slope", "The slope of entanglement entropy against depth: bits gained at each further layer."),
    ("entropy_slope", "It is how fast the entropy grows from layer to layer, in bits."),
    ("clustering", "It clusters fingerprints without labels."),
    ("operator_spread", "How far a single-site Pauli operator spreads over the chain."),
    ("purity", "Purity is the percentage of runs in a cluster that belong to its most common phase."),
    ("pseudorandom", "random Clifford gates; from low entropy at depth 1 it scrambles"),
    ("maximize_tri", "Run tri on ising_symmetry_breaking with bias 0.9 and depth 1."),
    ("bias", "the probability with which a run starts with all spins up rather than down"),
    ("string_order", "the expectation value of a string operator, near 1 in the SPT cluster phase"),
    ("growth_exponent", "how drift grows with depth: the exponent of a power law"),
]


def _asked(term: str) -> Question:
    text = (files("pipeline.evaluate") / "definitions.toml").read_text(encoding="utf-8")
    facts = next(item for item in tomllib.loads(text)["question"] if item["term"] == term)
    return Question("definitions", "x", facts["ask"], facts=facts)


@pytest.mark.parametrize(("term", "answer"), FALSE.items())
def test_false_definitions(term: str, answer: str) -> None:
    assert not definitions(_asked(term), answer).right


OTHER_KINDS = (
    "ising_symmetry_breaking, size 16, depth 4, bias 0.65: entropy_slope 0.50, zz_nearest 0.60, string_order 0.10.",
    "Order: spt_cluster > trivial_product > ising_symmetry_breaking > pseudorandom",
    "A: spt_cluster, depth 8. B: pseudorandom, depth 8. zz_long is larger with pseudorandom. B > A: B is larger.",
)


@pytest.mark.parametrize("item", definition_questions(), ids=lambda item: item["term"])
def test_an_answer_of_another_kind_and_the_question_again_define_nothing(item: dict) -> None:
    asked = _asked(item["term"])
    for answer in (*OTHER_KINDS, item["ask"], f"{item['term']} describes {item['term']}."):
        names_the_four = item["term"] == "phase_types" and answer.startswith("Order")
        assert definitions(asked, answer).right is names_the_four, answer


@pytest.mark.parametrize(
    ("term", "answer"),
    [
        ("purity", "Purity is part of the cluster phase."),
        ("tri", "TRI is the distance between a run at bias and the run at 1-bias, evolved backward in time."),
        ("tri", "TRI is the difference between the run at bias and the one with the flipped bias, reversed in time."),
        ("bias", "bias is the probability that it starts all down, else in the all-up sector."),
        ("string_order", "string_order is a trivial_product of the cluster."),
        ("ising_symmetry_breaking", "Spins are anti-aligned; zz_nearest is low; magnetization ignores the bias"),
        ("magnetization", "Magnetization is the average Z; it does not depend on the bias."),
        ("maximize_tri", "Run tri on spt_cluster, not ising, with bias 1 and depth 30"),
    ],
)
def test_near_misses(term: str, answer: str) -> None:
    assert not definitions(_asked(term), answer).right


@pytest.mark.parametrize(("term", "answer"), TRUE)
def test_true_definitions(term: str, answer: str) -> None:
    grade = definitions(_asked(term), answer)
    assert grade.right, grade.reason


@pytest.mark.parametrize("name", ['["run_phase"]', "{}", "null"])
def test_a_tool_named_by_no_text_is_wrong(name: str) -> None:
    question = Question("tools", "x", "", facts={"name": "run_phase", "args": {"phase_type": "spt_cluster"}})
    assert "is not an experiment" in tools(question, f'TOOL: {{"name": {name}, "arguments": {{}}}}').reason
