"""Numbers of an answer about a known run are right or wrong as the simulator says, and nothing else is judged."""

from __future__ import annotations

import pytest

import simulator
from pipeline.verify import check_answer, run_in_words


@pytest.fixture(scope="module")
def run():
    return simulator.run_now("run_phase", phase_type="spt_cluster", system_size=16, depth=6, seed=3)


def test_a_right_number_and_a_wrong_one_are_told_apart(run):
    truth = run["features"]["string_order"]
    answer = (
        f"The string_order is {truth:.2f}, and the entropy final reaches {run['features']['entropy_final'] + 1:.2f}."
    )
    first, second = check_answer(answer, [run])
    assert (first.quantity, first.right) == ("string_order", True)
    assert (second.quantity, second.right) == ("entropy_final", False)
    assert second.value == pytest.approx(run["features"]["entropy_final"])
    assert "the simulator says" in second.as_chip()["text"]


@pytest.mark.parametrize("digits", [0, 1, 3, 6])
def test_a_number_counts_as_rounded_as_it_is_given(run, digits):
    truth = run["features"]["entropy_final"]
    assert check_answer(f"entropy_final {truth:.{digits}f}", [run])[0].right
    assert not check_answer(f"entropy_final {truth + 2 * 10**-digits:.{digits}f}", [run])[0].right


def test_the_stored_result_is_not_believed(run):
    forged = {**run, "features": {**run["features"], "string_order": 0.11}}
    assert not check_answer("string_order 0.11", [forged])[0].right


@pytest.mark.parametrize("minus", ["-", "−", "–"])
def test_every_dash_is_a_minus_sign(run, minus):
    truth = run["features"]["string_order"]
    assert truth > 0.1
    assert not check_answer(f"string_order is {minus}{truth:.2f}", [run])[0].right


def test_settings_counts_and_far_numbers_are_not_judged(run):
    assert check_answer("A run of 16 sites, depth 6, seed 3.", [run]) == []
    assert check_answer("string_order matters; see the paper that came out long ago, in the year 1987", [run]) == []
    assert check_answer("string_order 0.5", []) == []


@pytest.mark.parametrize(
    "place", ["at depth 6:", "at size 16, depth 6:", "at system_size=16 is", "for seed 3 and depth 6 about"]
)
def test_settings_between_a_name_and_its_number_are_no_value(run, place):
    truth = run["features"]["string_order"]
    (check,) = check_answer(f"spt_cluster: string_order {place} {truth:.2f}; zz_long at depth 7: 0.90.", [run])
    assert (check.quantity, check.right) == ("string_order", True)
    assert not check_answer(f"string_order {place} {truth + 0.1:.2f}", [run])[0].right


def test_a_number_of_another_setting_is_not_judged(run):
    assert check_answer("string_order at depth 16: 0.60; string_order at size 8, depth 6: 0.60", [run]) == []


def test_a_number_belongs_to_the_run_named_before_it(run):
    other = simulator.run_now("run_phase", phase_type="trivial_product", system_size=16, depth=6, seed=3)
    text = "\n".join(f"{r['experiment_id']}: transverse {r['features']['transverse']:.3f}" for r in (run, other))
    assert [check.right for check in check_answer(text, [run, other])] == [True, True]
    swapped = text.replace(run["experiment_id"], "#").replace(other["experiment_id"], run["experiment_id"])
    assert not all(check.right for check in check_answer(swapped.replace("#", other["experiment_id"]), [run, other]))


def test_tri_is_checked_too():
    tri = simulator.run_now("tri", phase_type="ising_symmetry_breaking", system_size=8, depth=4, bias=0.9)
    assert check_answer(f"TRI is {tri['TRI']:.3f}", [tri])[0].right
    assert not check_answer(f"TRI is {tri['TRI'] + 1:.3f}", [tri])[0].right


def test_the_experiment_that_a_question_spells_out_is_run():
    found = run_in_words("Explain spt_cluster, system_size 8, depth 4, seed=7.")
    assert found is not None
    assert found["experiment"] == "run_phase"
    assert (found["params"]["system_size"], found["params"]["depth"], found["params"]["seed"]) == (8, 4, 7)
    tri = run_in_words("What is the TRI of ising_symmetry_breaking with bias 0.9 and system_size 8?")
    assert tri is not None
    assert tri["TRI"] > 0
    for text in ("What is TRI?", "What is spt_cluster?", "spt_cluster with system_size 3", "depth 4"):
        assert run_in_words(text) is None
