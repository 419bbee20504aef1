"""`data check` reads the words beside a claim: a number behind another name is another statement."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.data.bindings import misplaced
from pipeline.data.check import check_samples
from pipeline.data.duplicates import Seen
from pipeline.data.line import Sample
from pipeline.data.regions import TRAIN
from pipeline.data.samples import make
from pipeline.data.source import InProcess


def swapped(one: str, other: str) -> Callable[[str], str]:
    """A change of text that puts each of two words in the other's place."""
    return lambda text: text.replace(one, "\0").replace(other, one).replace("\0", other)


CHANGES = {
    "phase": (swapped("transverse", "zz_nearest"), "it stands behind"),
    "numeric": (swapped("zz_nearest", "string_order"), "it stands behind"),
    "comparison": (lambda text: text.replace("is larger with", "is smaller with"), "it stands behind 'smaller'"),
    "ordering": (lambda text: text.replace(text.split()[0], "zz_long", 1), "it stands behind 'zz_long'"),
    "tri": (swapped("forward", "in reverse"), "it stands before"),
    "replay_drift": (swapped("Replay sensitivity index", "growth exponent"), "it stands behind"),
    "discovery": (swapped("purity", "adjusted Rand index"), "it stands behind"),
}


def told_again(sample: Sample, change: Callable[[str], str]) -> Sample | None:
    """The sample with a changed output, its spans moved along; None where the change leaves it as it is."""
    output = change(sample.output)
    claims, start = [], 0
    for claim in sample.meta["claims"]:
        place = output.find(claim["text"], start)
        if place < 0:
            return None
        start = place + len(claim["text"])
        claims.append({**claim, "span": [place, start]})
    if output == sample.output:
        return None
    return Sample(sample.instruction, sample.input, output, {**sample.meta, "claims": claims})


@pytest.mark.parametrize("kind", CHANGES)
def test_words_that_say_it_of_something_else_are_found(kind: str) -> None:
    change, said = CHANGES[kind]
    made = list(make(kind, 3 if kind == "discovery" else 12, 0, TRAIN, InProcess(), Seen()))
    assert not check_samples(list(enumerate(made)))
    changed = [(number, other) for number, sample in enumerate(made) if (other := told_again(sample, change))]
    assert changed
    found = check_samples(changed)
    assert {number for number, _ in changed} == {failure.line for failure in found if said in failure.found}


def test_a_drift_belongs_to_its_factor() -> None:
    claim = {"quantity": "runs.2.drift", "experiment": "replay_drift", "params": {"depth_factors": [1, 2, 4]}}
    assert misplaced("0.52 at factor 4", claim, (0, 4)) is None
    assert misplaced("0.52 at factor 2", claim, (0, 4)) == "it stands before 'at factor 2'"


@pytest.mark.parametrize(
    "said",
    ["equals", "is about", "was", "is", "=", "(", "**", ",", "at size 32:", "at size 32, depth 4:", "at depth 4 is"],
)
def test_a_name_may_be_parted_from_its_number(said: str) -> None:
    text = f"zz_nearest{said} 0.52" if said == "**" else f"zz_nearest {said} 0.52"
    claim = {"quantity": "features.zz_long", "experiment": "run_phase", "params": {}}
    assert misplaced(text, claim, (len(text) - 4, len(text))) == "it stands behind 'zz_nearest'"


@pytest.mark.parametrize(
    "claim",
    [
        {"quantity": "runs.0.drift", "experiment": "replay_drift", "params": {"depth_factors": 5}},
        {"quantity": "runs.0.drift", "experiment": "replay_drift", "params": {"depth_factors": None}},
        {"quantity": "runs.0.drift", "runs": []},
        {"quantity": f"runs.{'9' * 5000}.drift", "experiment": "replay_drift", "params": {}},
    ],
)
def test_claims_that_are_none_are_left_to_the_other_checks(claim: dict) -> None:
    assert misplaced("0.50 at factor 4 is it", claim, (0, 4)) is None


@pytest.mark.parametrize(("gap", "found"), [(10, "it stands behind 'purity'"), (300_000, None)])
def test_a_name_far_away_is_not_read(gap: int, found: str | None) -> None:
    """So that a line of nothing but spaces costs no search through all of them."""
    text = f"purity{' ' * gap}0.50"
    assert misplaced(text, {"quantity": "features.zz_long", "runs": []}, (len(text) - 4, len(text))) == found


EDITS = {
    "comparison": [
        lambda s: replace(s, instruction=re.sub(r"A: (.*)\nB: (.*)", r"A: \2\nB: \1", s.instruction)),
        lambda s: told_again(s, lambda text: text.replace("is larger with", "is weakest with")),
    ],
    "ordering": [
        lambda s: replace(s, instruction=s.instruction.replace(s.output.split()[0], "zz_long")),
        lambda s: told_again(s, lambda text: text.replace("Order:", "From smallest to largest:")),
    ],
    "design": [
        lambda s: replace(s, instruction=re.sub(r"\b\d+ (qubits|sites)|chain of \d+", "7 qubits", s.instruction)),
    ],
    "discovery": [lambda s: told_again(s, lambda text: text.replace("grouping is", "grouping is far from"))],
    "tools": [lambda s: replace(s, instruction=s.instruction.replace("the Ising phase", "the SPT phase"))],
}


@pytest.mark.parametrize(("kind", "change"), [(kind, change) for kind, some in EDITS.items() for change in some])
def test_a_question_or_a_verdict_that_was_turned_around_is_found(kind: str, change: Callable) -> None:
    made = list(make(kind, 4 if kind == "discovery" else 60, 0, TRAIN, InProcess(), Seen()))
    changed = [(n, new) for n, old in enumerate(made) if (new := change(old)) and new != old]
    changed = [(n, new) for n, new in changed if kind != "ordering" or "zz_long" not in made[n].output]
    assert changed
    assert {number for number, _ in changed} == {failure.line for failure in check_samples(changed)}


def test_a_wide_tolerance_is_for_steps_alone_and_a_claim_needs_its_place() -> None:
    sample = next(iter(make("phase", 1, 0, TRAIN, InProcess(), Seen())))
    claims = sample.meta["claims"]
    place = next(n for n, claim in enumerate(claims) if claim["quantity"] == "features.zz_nearest")
    value = claims[place]["value"] + 0.02
    wide = {**claims[place], "value": value, "tolerance": 0.025}
    output = sample.output[: wide["span"][0]] + f"{value:.2f}" + sample.output[wide["span"][1] :]
    told = {**wide, "text": f"{value:.2f}"}
    edited = replace(
        sample, output=output, meta={**sample.meta, "claims": [*claims[:place], told, *claims[place + 1 :]]}
    )
    assert any("in steps of its feature" in failure.found for failure in check_samples([(1, edited)]))
    bare = [{key: value for key, value in claims[0].items() if key != "span"}, *claims[1:]]
    loose = replace(sample, meta={**sample.meta, "claims": bare})
    assert any("no span" in failure.found for failure in check_samples([(1, loose)]))


@pytest.mark.parametrize("factors", [5, None, "1/2", {}, [1, "x"], [[1]]])
def test_settings_of_a_crafted_claim_end_in_a_failure(factors: object) -> None:
    params = {"phase_type": "spt_cluster", "depth_factors": factors}
    run = {"experiment": "replay_drift", "params": params}
    for claim in (
        {"quantity": "param.depth_factors", **run, "value": 1, "tolerance": 0, "text": "1"},
        {"quantity": "verdict.higher", "runs": [run, run], "text": "1", "feature": ["x"]},
    ):
        sample = Sample("Replay with depth_factors 1/2.\nA: depth_factors 1/2", "", "1", {"claims": [claim]})
        assert check_samples([(1, sample)])
