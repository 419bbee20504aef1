"""Graders with right, wrong and tricky answers."""

import pytest

import pipeline.evaluate.graders  # noqa: F401  (registers the graders)
import simulator
from pipeline.data.claims import Run
from pipeline.data.duplicates import Seen
from pipeline.data.regions import TRAIN
from pipeline.data.samples import make
from pipeline.data.source import InProcess
from pipeline.evaluate.contradictions import count
from pipeline.evaluate.graders.ordering import ranking
from pipeline.evaluate.question import Question, definition_questions, grade
from pipeline.evaluate.questions.ordering import Ordering

ISING = {"phase_type": "ising_symmetry_breaking", "system_size": 16, "depth": 4, "seed": 20001}


def question(kind: str, *params: dict, **fields) -> Question:
    runs = [Run("run_phase", one) for one in params]
    return Question(kind, "interpolation", fields.pop("prompt", ""), runs, simulator.run_many(list(params)), **fields)


@pytest.mark.parametrize(
    "answer, right",
    [
        ("spt_cluster: the order is hidden.", True),
        ("This is the SPT cluster phase.", True),
        ("It is not trivial_product but spt_cluster.", True),
        ("Rather than pseudorandom, spt.", True),
        ("trivial_product. Not spt_cluster.", False),
        ("ising_symmetry_breaking, spt_cluster, trivial_product or pseudorandom.", False),
        ("It is either spt_cluster or trivial_product.", False),
        ("Let me think.\nspt_cluster", True),
        ("not spt_cluster", False),
        ("At first it looks like trivial_product. It is spt_cluster.", True),
        ("trivial_product? No, spt_cluster.", True),
        ("spt_cluster. On second thought: trivial_product.", False),
        ("spt_cluster. Ising would show zz_nearest.", True),
        ("spt_cluster. Symmetry breaking is absent.", True),
        ("It is spt_cluster. A pseudorandom run has high entropy.", True),
        ("The SPT phase. There is hardly any Ising order.", True),
        ("Types:\n1. ising_symmetry_breaking\n2. trivial_product\n3. pseudorandom\n4. spt_cluster", False),
        ("ising\ntrivial_product\npseudorandom\nspt_cluster\nIt is spt_cluster.", True),
        ("A phase.", False),
        ("", False),
        ("surprising despite pseudo science", False),
    ],
)
def test_phase_identification(answer: str, right: bool) -> None:
    asked = Question("phase_identification", "interpolation", "?", facts={"phase": "spt_cluster"})
    result = grade(asked, answer)
    assert result.right is right
    assert "spt_cluster" in result.reason


def test_numeric() -> None:
    asked = question("numeric", ISING, feature="zz_nearest", prompt="zz_nearest for system_size 16, depth 4?")
    truth = asked.results[0]["features"]["zz_nearest"]
    edge = 0.15 * simulator.FEATURE_SCALES["zz_nearest"]
    for value, right in ((truth, True), (truth + 0.9 * edge, True), (truth + 1.1 * edge, False), (-truth, False)):
        assert grade(asked, f"zz_nearest {value:.4f}.").right is right
        assert grade(asked, f"With 16 sites at depth 4 zz_nearest is about {value:.4f}").right is right
        assert grade(asked, f"zz_nearest at size 16, depth 4: {value:.4f}; zz_long at depth 4: 9").right is right
    assert grade(asked, f"transverse 0.10, zz_nearest {truth:.4f}").right
    assert not grade(asked, "zz_nearest is high").right
    assert "said 4," in grade(asked, "zz_nearest: 4").reason
    assert "said 16," in grade(asked, "**zz_nearest** = 16").reason
    assert "no number" in grade(asked, "I cannot tell for depth 4.").reason
    other = "zz_nearest depends on the seed, entropy_mean " + f"{truth:.4f}"
    assert "no number" in grade(asked, other).reason


PAIR = question(
    "ordering", ISING, {**ISING, "phase_type": "trivial_product"}, feature="zz_nearest", facts={"form": "pair"}
)


@pytest.mark.parametrize(
    "answer, right",
    [
        ("zz_nearest: A 0.94, B 0.10; A is larger.", True),
        ("zz_nearest: A 0.94, B 0.10; B is larger.", False),
        ("A", True),
        ("**A**", True),
        ("Answer: A", True),
        ("Answer: **B**", False),
        ("**A** is larger.", True),
        ("Run B.", False),
        ("The larger one is A.", True),
        ("B is smaller.", True),
        ("B has the lower value.", True),
        ("A is smaller.", False),
        ("they are equal.", False),
        ("A: spt_cluster, depth 8. B: pseudorandom, depth 8. It is larger with spt_cluster. A > B: A is larger.", True),
        ("A: spt_cluster, depth 4. B: spt_cluster, depth 8. It is larger with depth 8. B > A: B is larger.", False),
        ("I have no idea.", False),
        ("Keep the letter A.", True),
        ("I believe it is A.", True),
        ("I think B.", False),
    ],
)
def test_pairs(answer: str, right: bool) -> None:
    assert grade(PAIR, answer).right is right


def test_rankings() -> None:
    runs = [{**ISING, "phase_type": phase} for phase in simulator.PHASES]
    asked = question("ordering", *runs, feature="zz_nearest", facts={"form": "ranking"})
    listed = "zz_nearest: spt_cluster 0, ising_symmetry_breaking 1.\n"
    good = "ising_symmetry_breaking > trivial_product > pseudorandom = spt_cluster"
    assert grade(asked, listed + "Order: " + good).right
    assert grade(asked, good).right
    swapped = "Order: ising_symmetry_breaking > spt_cluster > trivial_product > pseudorandom"
    assert grade(asked, swapped).right is (
        abs(asked.results[2]["features"]["zz_nearest"]) < 0.3 * simulator.FEATURE_SCALES["zz_nearest"]
    )
    assert not grade(asked, "Order: spt_cluster > ising_symmetry_breaking > trivial_product > pseudorandom").right
    assert "left out" in grade(asked, "ising_symmetry_breaking, then the rest").reason
    assert list(ranking(good.replace("=", "≳")).values()) == [0, 1, 2, 3]
    tie = "Order: ising_symmetry_breaking = trivial_product > pseudorandom = spt_cluster"
    assert "put trivial_product beside ising_symmetry_breaking" in grade(asked, tie).reason


@pytest.mark.parametrize("kind, form", [("ordering", "ranking"), ("comparison", "pair")])
def test_what_is_taught_of_orders_is_right(kind: str, form: str) -> None:
    judged = 0
    for sample in make(kind, 60, 5, TRAIN, InProcess(), Seen()):
        claims = {claim["quantity"]: claim for claim in sample.meta["claims"]}
        verdict = claims.get("verdict.order") or claims["verdict.higher"]
        params = [run["params"] for run in verdict["runs"]]
        asked = question("ordering", *params, feature=verdict["feature"], facts={"form": form})
        if Ordering().finish(asked):
            assert grade(asked, sample.output).right, sample.output
            judged += 1
    assert judged > 20


def test_definitions_accept_the_glossary_and_refuse_nonsense() -> None:
    from pipeline.data.glossary import by_key

    for item in definition_questions():
        asked = Question("definitions", "interpolation", item["ask"], facts=item)
        assert grade(asked, by_key(item["term"]).text).right, item["ask"]
        assert not grade(asked, "It is a thing in quantum physics that we measure.").right
        assert not grade(asked, "").right
    drift = next(item for item in definition_questions() if item["term"] == "drift_interpretation")
    best = next(item for item in definition_questions() if item["term"] == "maximize_tri")
    asked = Question("definitions", "interpolation", best["ask"], facts=best)
    assert not grade(
        asked, "ising_symmetry_breaking: magnetization at bias 0.9: 0.75; transverse at depth 4: 0.35."
    ).right
    asked = Question("definitions", "interpolation", drift["ask"], facts=drift)
    assert not grade(asked, "High replay drift means it is stable, low replay drift means it is sensitive.").right


def test_the_guides_prompts_are_asked_word_by_word() -> None:
    asked = {item["ask"] for item in definition_questions()}
    assert asked >= {
        "Explain what TRI measures in a quantum phase experiment",
        "What's the difference between Ising symmetry-breaking and SPT cluster phases?",
        "How do I interpret high vs low replay drift?",
        "Design an experiment to maximize TRI",
        "What are the four phase types in Ben Lab?",
    }


@pytest.mark.parametrize(
    "answer, right, words",
    [
        ('TOOL: {"name": "tri", "arguments": {"phase_type": "spt_cluster", "depth": 4}}', True, "called tri"),
        (
            'Sure.\nTOOL: {"name": "tri", "arguments": {"depth": 4, "phase_type": "spt_cluster", "seed": 0}}',
            True,
            "called",
        ),
        ('TOOL: {"name": "tri", "args": {"phase_type": "spt_cluster", "depth": 4}}', True, "called tri"),
        ('TOOL: {"name": "tri", "arguments": {"phase_type": "spt_cluster", "depth": 5}}', False, "depth is 5"),
        ('TOOL: {"name": "tri", "arguments": {"phase_type": "spt_cluster", "depth": 40}}', False, "40"),
        (
            'TOOL: {"name": "tri", "arguments": {"phase_type": "spt_cluster", "depth": 4, "seed": 7}}',
            False,
            "seed is 7",
        ),
        (
            'TOOL: {"name": "run_phase", "arguments": {"phase_type": "spt_cluster", "depth": 4}}',
            False,
            "called run_phase",
        ),
        ('TOOL: {"name": "tri", "arguments": {"phase_type": "spt_cluster", "depth": 4', False, "not JSON"),
        ('TOOL: {"name": "rm", "arguments": {}}', False, "not an experiment"),
        ('TOOL: {"name": "tri", "arguments": [4]}', False, "not an object"),
        ('{"name": "tri", "arguments": {"phase_type": "spt_cluster", "depth": 4}}', False, "no TOOL line"),
        ("I would run tri.", False, "no TOOL line"),
    ],
)
def test_tools(answer: str, right: bool, words: str) -> None:
    facts = {"name": "tri", "args": {"phase_type": "spt_cluster", "depth": 4}}
    result = grade(Question("tools", "interpolation", "?", facts=facts), answer)
    assert result.right is right
    assert words in result.reason


def test_numbers_are_checked_against_the_run_they_belong_to() -> None:
    first, second = (result["features"]["zz_nearest"] for result in PAIR.results)
    assert count(PAIR, f"zz_nearest: A {first:.2f}, B {second:.2f}; A is larger.").contradicted == 0
    swapped = count(PAIR, f"zz_nearest: A {second:.2f}, B {first:.2f}")
    assert (swapped.checked, swapped.contradicted) == (2, 2)
    mixed = count(PAIR, f"A: zz_nearest {first:.2f}, string_order {first:.2f}")
    assert (mixed.checked, mixed.contradicted) == (2, 1)
    by_phase = count(PAIR, f"trivial_product {second:.2f}, ising_symmetry_breaking {first:.2f}")
    assert (by_phase.checked, by_phase.contradicted) == (2, 0)


def test_settings_and_definitions_are_no_measured_numbers() -> None:
    asked = question("numeric", ISING, feature="zz_nearest", prompt="zz_nearest for system_size 16, depth 4?")
    assert count(asked, "With 16 sites at depth 4 it is high.").checked == 0
    assert count(Question("definitions", "interpolation", "?"), "bias is 0.65").checked == 0
    truth = asked.results[0]["features"]["zz_nearest"]
    for aside in ("size 24, depth 12, bias 0.65", "Over the 23 bonds", "It is not 5", "seed 2916", "95 % sure"):
        found = count(asked, f"{aside}: zz_nearest {truth:.4f}, {aside}")
        assert (found.checked, found.contradicted) == (1, 0), aside
    assert count(asked, "zz_nearest is 4").contradicted == 1
    # 4 stands in the prompt, too, but the answer gives it as the value.
    assert count(asked, "zz_nearest at size 16, depth 4: 4").contradicted == 1
