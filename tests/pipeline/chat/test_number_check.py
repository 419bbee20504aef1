"""Numbers of an answer about a known run are right or wrong as the simulator says, and nothing else is judged."""

from __future__ import annotations

import time

import pytest

import simulator
from pipeline.chat.known_numbers import Known
from pipeline.chat.number_check import Scanner, check_answer, run_in_words, scan
from pipeline.chat.result_text import result_text
from simulator.number_text import figure


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


@pytest.fixture(scope="module")
def pair():
    """A chain of 16 sites and the same with 32."""
    return [
        simulator.run_now("run_phase", phase_type="spt_cluster", system_size=size, depth=6, seed=3) for size in (16, 32)
    ]


def marks(answer, known):
    """Each number that is marked, and whether it is right."""
    return [(check.text, check.right) for check in scan(answer, known)]


def test_an_explanation_that_compares_two_runs_is_right_throughout(pair):
    """Old value, new value, difference and ratio, as the tool message has them."""
    known = Known.of(pair, ["a cluster chain of 16 sites", "the same with 32"])
    for line in result_text(pair[1], pair[0]).splitlines():
        for check in scan(line, known):
            assert check.right, (line, check)
    old, new = (figure(run["features"]["string_order"]) for run in pair)
    answer = f"With 32 sites the string_order falls from {old} to {new}; 16 sites have {old}."
    assert marks(answer, known) == [(old, True), (new, True)]


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("The string_order is 0.31.", ["0.31"]),
        ("It lies near 12.34 in most cases.", ["12.34"]),
        ("There are 77 of them in the run.", ["77"]),
        ("The magnetization is 0.42 bits, and TRI is 3.3.", ["0.42", "3.3"]),
        ("It fell by 61 %.", ["61 %"]),
        ("1. string_order\n2. zz_long\n3) entropy", []),
        ("```\nx = 55.5\n```\nThat is all.", []),
        ("The chain has 32 sites, 6 layers and seed 3; the sizes go from 4 up.", []),
        ("All 13 features of the 4 phases lie between 0 and 1.", []),
        ("system_size 16 and 32.", []),
    ],
)
def test_a_number_from_nowhere_is_marked(pair, answer, wrong):
    """It stands in no result, setting or question; code and list numbers do not count."""
    known = Known.of(pair, ["a cluster chain of 16 sites", "the same with 32"])
    assert [text for text, right in marks(answer, known) if not right] == wrong


@pytest.mark.parametrize(
    ("question", "answer", "wrong"),
    [
        ("What is 12 times 12?", "12 times 12 is 144.", []),
        ("Tell me about Rome.", "Rome was founded in 753 BC.", []),
        ("What is the string order of the cluster phase?", "It is 0.83.", ["0.83"]),
        ("And then?", "The entropy is 2.31 bits.", ["2.31"]),
        ("And then?", "About 2.31. That is the entropy.", ["2.31"]),
        ("Is string_order 0.83?", "You said 0.83.", []),
    ],
)
def test_general_chat_has_numbers_of_its_own(question, answer, wrong):
    """Without a run, only a chat with a word of the lab is looked at, as soon as the word is there."""
    assert [text for text, right in marks(answer, Known.of([], [question])) if not right] == wrong


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_an_answer_in_pieces_has_the_checks_of_the_whole(pair, size):
    """However the pieces fall."""
    old, new = (figure(run["features"]["string_order"]) for run in pair)
    answer = (
        f"The string order fell from {old} to {new}; zz_long is 0.99.\n\n- entropy_final: 7.77 bits\n"
        "```python\nx = 1234.5\n```\nSo 42.5 is new."
    )
    known = Known.of(pair, ["what changed?"])
    scanner = Scanner(known)
    pieces = [answer[place : place + size] for place in range(0, len(answer), size)]
    found = [check for piece in pieces for check in scanner.feed(piece)]
    assert [*found, *scanner.end()] == scan(answer, known)
    assert [text for text, right in marks(answer, known) if not right] == ["0.99", "7.77", "42.5"]


def test_marks_come_while_the_answer_does(pair):
    """A number is judged at the end of its part of the sentence, not at the end of the answer."""
    scanner = Scanner(Known.of(pair, ["what changed?"]))
    assert list(scanner.feed("The string order is 0.1")) == []
    assert [check.right for check in scanner.feed("1. And the")] == [False]


def test_looking_at_a_long_answer_is_quick(pair):
    """A thousand tokens, one by one, in a small part of the time that they take to come."""
    known = Known.of(pair, ["what changed?"])
    scanner, start = Scanner(known), time.perf_counter()
    for _ in range(150):
        for piece in ("The string", "_order", " is", " 0.", "755", ", and", " more."):
            list(scanner.feed(piece + " "))
    assert time.perf_counter() - start < 0.5


def test_an_answer_that_repeats_a_setting_costs_no_more_for_each(run):
    scanner, start = Scanner(Known.of([run])), time.process_time()
    for piece in ["entropy_mean ", *["depth 6 "] * 8000]:
        list(scanner.feed(piece))
    assert list(scanner.end()) == [] and time.process_time() - start < 3
