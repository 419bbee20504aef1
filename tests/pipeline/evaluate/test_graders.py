"""Verdicts that were given under a grammar, graded by the simulator's numbers."""

import pytest

import simulator
from pipeline.data.claims import Run
from pipeline.data.regions import PHASES
from pipeline.evaluate.graders import RANKINGS, gap, grade, tolerance
from pipeline.evaluate.question import Question

ISING = {"phase_type": "ising_symmetry_breaking", "system_size": 16, "depth": 4, "seed": 20001}
TRIVIAL = {**ISING, "phase_type": "trivial_product"}


def question(kind: str, *params: dict, **fields) -> Question:
    runs = [Run("run_phase", one) for one in params]
    return Question(kind, "interpolation", "", runs, simulator.run_many(list(params)), **fields)


@pytest.mark.parametrize("verdict", PHASES)
def test_identification_takes_the_verdict_and_not_the_words_before_it(verdict: str) -> None:
    asked = Question("phase_identification", "interpolation", "?", facts={"phase": "spt_cluster"})
    assert grade(asked, "spt_cluster, ising, trivial", verdict).right is (verdict == "spt_cluster")


def test_numbers_are_right_within_the_tolerance() -> None:
    asked = question("numeric", ISING, feature="zz_nearest")
    truth, room = asked.results[0]["features"]["zz_nearest"], tolerance("zz_nearest")
    assert grade(asked, "no idea", f"{truth + 0.9 * room:.4f}").right
    assert not grade(asked, f"it is {truth}", f"{truth + 1.1 * room:.4f}").right


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_pair_the_larger_run_is_right(turned: bool) -> None:
    runs = (TRIVIAL, ISING) if turned else (ISING, TRIVIAL)
    asked = question("ordering", *runs, feature="zz_nearest", facts={"form": "pair"})
    assert {verdict: grade(asked, "", verdict).right for verdict in "AB"} == {"A": not turned, "B": turned}


def test_a_ranking_is_right_if_every_clear_pair_is() -> None:
    runs = [{**ISING, "phase_type": phase} for phase in PHASES]
    asked = question("ordering", *runs, feature="zz_nearest", facts={"form": "ranking"})
    right = [ranking for ranking in RANKINGS if grade(asked, "", ranking).right]
    assert right and all(ranking.startswith("ising_symmetry_breaking") for ranking in right)
    for ranking in RANKINGS:
        order = [PHASES.index(phase) for phase in ranking.split(" > ")]
        swapped = any(gap(asked, low, high) >= 0.3 for at, high in enumerate(order) for low in order[at + 1 :])
        assert (ranking in right) is not swapped
