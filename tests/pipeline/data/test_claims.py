"""Every number and verdict of every kind is a claim that the simulator confirms; `data check` finds what is wrong."""

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import simulator
from pipeline.data.check import check_samples, run
from pipeline.data.duplicates import Seen
from pipeline.data.kinds import KINDS
from pipeline.data.line import Sample, parse
from pipeline.data.params import CheckParams
from pipeline.data.paths import manifest_path
from pipeline.data.regions import DEPTHS, PHASES, REGIONS, SIZES, TRAIN
from pipeline.data.samples import make
from pipeline.data.source import InProcess
from pipeline.errors import DataError
from pipeline.evaluate.graders import tolerance
from pipeline.lab import Lab
from simulator.events import last_result
from simulator.number_text import foretold, half_step, measured, numbers_in
from simulator.verdicts import is_of_the_seed


def some(kind: str, count: int, region: str = "train") -> list[Sample]:
    return list(make(kind, count, 11, REGIONS[region], InProcess(), Seen()))


@pytest.mark.parametrize("region", ["train", "extrapolation"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_line_of_every_kind_checks(kind: str, region: str) -> None:
    samples = some(kind, 6 if kind == "discovery" else 40, region)
    assert samples
    assert check_samples(list(enumerate(samples, 1))) == []


def from_elsewhere(sample: Sample, **changed: Any) -> Sample:
    """The sample as a line that was not generated here: its claims are all that can be checked."""
    meta = {name: value for name, value in sample.meta.items() if name not in ("seed", "region", "index")}
    return replace(sample, meta={**meta, **changed})


def test_the_checker_finds_what_differs_from_its_claims(tmp_path: Path) -> None:
    good = from_elsewhere(some("phase", 1)[0])
    number = next(claim for claim in good.meta["claims"] if claim["quantity"] == "features.transverse")
    wrong = {**number, "value": number["value"] + 0.5, "text": measured(number["value"] + 0.5)}
    swapped = [wrong if claim == number else claim for claim in good.meta["claims"]]
    text = good.output.replace(f"transverse {number['text']}", f"transverse {wrong['text']}")
    lied = Sample(good.instruction, "", text, {**good.meta, "claims": swapped})
    verdict = next(claim for claim in good.meta["claims"] if claim["quantity"] == "verdict.phase")
    other = {**verdict, "text": "spt_cluster", "span": None}
    named = Sample(good.instruction, "", good.output + " spt_cluster", {**good.meta, "claims": [other]})
    unsaid = replace(good, output=good.output.replace(number["text"], "9.99"))
    file = tmp_path / "own.jsonl"
    rows = [
        good.to_line(),
        lied.to_line(),
        unsaid.to_line(),
        named.to_line(),
        "{",
        '{"instruction": "a", "output": "b"}',
    ]
    file.write_text("\n".join(rows), encoding="utf-8")
    value = last_result(run(Lab(tmp_path), CheckParams(file=str(file))))
    found = {(failure["line"], failure["claim"].split(" ")[0]): failure for failure in value["failures"]}
    assert not any(line == 1 for line, _ in found)
    assert found[2, "features.transverse"]["expected"] == wrong["text"]
    assert found[2, "features.transverse"]["found"] == number["text"]
    assert "9.99" in found[3, "features.transverse"]["found"]
    assert found[4, "verdict.phase"]["found"] == good.meta["params"]["phase_type"]
    assert (5, "line") in found
    assert (value["lines"], value["bad_lines"], value["lines_without_claims"], value["ok"]) == (6, 1, 1, False)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_any_change_of_a_generated_line_is_found(kind: str) -> None:
    """One word of a question, one digit of an answer, another seed: the line is no longer what its place makes."""
    sample = some(kind, 1)[0]
    line = json.loads(sample.to_line())
    turns = line.get("messages") or [line]
    key = "content" if "messages" in line else "output"
    for place, name in ((turns[0], "content" if "messages" in line else "instruction"), (turns[-1], key)):
        kept = place[name]
        place[name] = kept + " Indeed."
        changed = parse(json.dumps(line))
        place[name] = kept
        (failure,) = check_samples([(7, changed)])
        assert failure.line == 7 and failure.claim.startswith(kind) and "Indeed" in failure.expected
    assert check_samples([(7, parse(json.dumps(line)))]) == []
    (failure,) = check_samples([(7, replace(sample, meta={**sample.meta, "index": sample.meta["index"] + 1}))])
    assert failure.line == 7


def test_a_file_of_another_physics_version_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text(some("definitions", 1)[0].to_line(), encoding="utf-8")
    manifest_path(file).write_text('{"physics_version": "0"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"generated with physics version 0 and this is .*: generate it again"):
        last_result(run(Lab(tmp_path), CheckParams(file=str(file))))


def within_tolerance(phase: str, seeds: int = 12) -> dict[str, float]:
    """For each feature, the share of runs that the middle one of their size and depth foretells well enough."""
    model = simulator.EXPERIMENTS["run_phase"].params
    places = [{"phase_type": phase, "system_size": size, "depth": depth} for size in SIZES for depth in DEPTHS]
    runs = [simulator.validate(model, {**place, "seed": seed}) for place in places for seed in range(seeds)]
    found = [result["features"] for result in simulator.run_many(runs)]
    shares = {}
    for name in simulator.FEATURE_NAMES:
        near = 0
        for start in range(0, len(found), seeds):
            values = [features[name] for features in found[start : start + seeds]]
            near += sum(abs(value - statistics.median(values)) <= tolerance(name) for value in values)
        shares[name] = near / len(found)
    return shares


@pytest.mark.parametrize("phase", PHASES)
def test_what_is_said_to_depend_on_the_seed_does(phase: str) -> None:
    for feature, share in within_tolerance(phase).items():
        assert is_of_the_seed({"phase_type": phase, "depth": 8}, feature) == (share < 0.6), (feature, share)


def test_a_comparison_names_the_setting_that_wins() -> None:
    for sample in some("comparison", 30):
        runs, answer = sample.meta["params"]["runs"], sample.output
        if "equal" in answer:
            assert "larger with neither of them. A = B" in answer
            continue
        winner = runs["AB".index(answer.split("is larger with ")[1].split(". ")[1][0])]["params"]
        told = answer.split("is larger with ")[1].split(". ")[0]
        name, _, value = told.rpartition(" ")
        assert str(winner[name or "phase_type"]) in (value, f"{float(value) if name == 'bias' else value}")


SPT = {"experiment": "run_phase", "params": {"phase_type": "spt_cluster"}}


@pytest.mark.parametrize(
    "claim",
    [
        7,
        {"quantity": "features.transverse", "text": "0.5"},
        {"quantity": "features.nothing", "experiment": "run_phase", "params": {"phase_type": "spt_cluster"}},
        {"quantity": "features.transverse", "experiment": "run_phase", "params": {"phase_type": "x"}},
        {"quantity": "features.transverse", "experiment": "no", "params": {}},
        {"quantity": "features", "experiment": "run_phase", "params": {"phase_type": "spt_cluster"}},
        {"quantity": "verdict.nothing", "runs": []},
        {"quantity": "verdict.higher", "runs": []},
        {"quantity": "verdict.trend", "runs": []},
        {"quantity": "verdict.order", "runs": [SPT] * 2},
        {"quantity": "verdict.stage", "runs": [{"experiment": "discovery", "params": {}}], "text": 7},
        {"quantity": "features.transverse", **SPT, "params": [["phase_type", "spt_cluster"], [1, 2]]},
        {"quantity": "features.transverse", **SPT, "value": 0.56, "text": 10**400},
        {"quantity": "glossary.nothing", "runs": []},
        {"quantity": "tool", "runs": []},
        {"quantity": "num_samples", "experiment": "sweep", "params": {"seeds": 50_000, "cluster": "tcp://10.0.0.1:1"}},
        {"quantity": "echo", "experiment": "echo", "params": {"phase_type": "spt_cluster", "name": "x"}},
        {"quantity": "echo", "experiment": "echo", "params": {"phase_type": "spt_cluster", "notebook": 1}},
    ],
)
def test_a_strangers_claims_never_break_the_checker(claim: object) -> None:
    filled = {"value": 0.5, "tolerance": 0.01, "text": "0.5", **claim} if isinstance(claim, dict) else claim
    sample = Sample("a", "", "0.5", {"claims": [filled]})
    assert [failure.line for failure in check_samples([(4, sample)])][:1] == [4]


@pytest.mark.parametrize("size", [256, "256"])
def test_a_claim_that_would_take_long_is_not_run(size: object) -> None:
    large = {"num_per_phase": 100, "system_size": size, "depth": 32, "seed": 1}
    claim = {"quantity": "purity", "experiment": "discovery", "params": large, "value": 1, "tolerance": 0, "text": "1"}
    (failure, *_) = check_samples([(1, Sample("a", "", "1", {"claims": [claim]}))])
    assert "too large to re-run" in failure.found


@pytest.mark.parametrize("kind", ["replay_drift", "discovery", "fingerprint"])
def test_a_changed_meaning_is_found(kind: str) -> None:
    sample = from_elsewhere(next(iter(make(kind, 1, 3, TRAIN, InProcess(), Seen()))))
    assert not check_samples([(1, sample)])
    claim = sample.meta["claims"][-1]
    assert claim["quantity"] in ("verdict.drift_meaning", "verdict.grouping_meaning", "verdict.evidence")
    other = "since it is so" if kind == "fingerprint" else "It means nothing."
    changed = replace(sample, output=sample.output.replace(claim["text"], other))
    assert [failure.claim for failure in check_samples([(1, changed)])] == [claim["quantity"]]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        last_result(run(Lab(tmp_path), CheckParams(file=str(tmp_path / "no.jsonl"))))


@pytest.mark.parametrize(
    "value, text", [(0.6, "0.60"), (-0.004, "0.00"), (0.125, "0.12"), (0.135, "0.14"), (12, "12.00"), (-1.255, "-1.26")]
)
def test_the_rounding_rule(value: float, text: str) -> None:
    assert measured(value) == text


@pytest.mark.parametrize(
    "feature, value, text",
    [
        ("transverse", 0.62, "0.60"),
        ("transverse", 0.63, "0.65"),
        ("magnetization", -0.02, "0.00"),
        ("magnetization", -0.976, "-1.00"),
        ("entropy_max", 1.3, "1.2"),
        ("entropy_max", 1.31, "1.4"),
        ("correlation_range", 3.4, "3"),
        ("operator_spread", 0.009, "0.00"),
        ("operator_spread", 0.03, "0.04"),
    ],
)
def test_what_is_foretold_comes_in_steps(feature: str, value: float, text: str) -> None:
    assert foretold(feature, value) == text


@pytest.mark.parametrize("feature", simulator.FEATURE_NAMES)
def test_a_foretold_value_is_a_right_answer(feature: str) -> None:
    assert 2 * half_step(feature) <= simulator.FEATURE_SCALES[feature] / 5
    assert half_step(feature) < tolerance(feature)


def test_numbers_are_found_only_where_they_stand_alone() -> None:
    assert numbers_in("Jarvis-2v at 1-bias: zz2 -0.50, 8, 1/2/4 and 1e-3.") == ["-0.50", "8", "1", "2", "4", "1e-3"]
    assert numbers_in("7bits, 0.5Bit, but 1.5x, 2.5-fold, 12sites, 3.25e, 1.42nats and 10.5bitsy") == ["7", "0.5"]


@pytest.mark.parametrize(
    "line, words",
    [
        ("[]", "a JSON array: write one object a line"),
        ("{", "not JSON"),
        ('{"instruction": 3, "output": "x"}', "instruction is int"),
        ('{"instruction": " ", "output": "x"}', "instruction is empty"),
        ('{"instruction": "x", "output": ""}', "output is empty"),
        ('{"instruction": "x"}', "no output"),
        ('{"instruction": "x", "output": "y", "meta": 3}', "meta is int"),
        ('{"instruction": "x", "output": "y", "meta": {"claims": 3}}', "claims is not a list"),
        ('{"instruction": "x", "output": NaN}', "NaN"),
        ('{"messages": 3}', "not a list"),
        (
            '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], '
            '"meta": {"claims": 5}}',
            "claims is not a list",
        ),
        ('{"messages": [{"role": "user", "content": "x"}]}', "no user message"),
        ('{"messages": [{"role": "user", "content": 1}, {"role": "assistant", "content": "y"}]}', "not text"),
        ('{"instruction": "\\ud800", "output": "y"}', "surrogate"),
        (json.dumps({"instruction": "x", "output": "y" * 70_000}), "above the largest"),
        ("[" * 100_000, "nested"),
    ],
)
def test_bad_lines_say_what_is_wrong(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(line)


def test_duplicates_are_told_apart() -> None:
    seen = Seen()
    text = "Explain the behaviour of a long chain of spins with many words in it"
    assert seen.take(Sample(text, "", "yes"))
    assert not seen.take(Sample(text.upper() + "!", "", "no"))
    assert not seen.take(Sample(text + " please", "", "Yes."))
    assert seen.take(Sample(text + " please", "", "another answer"))
    assert seen.take(Sample("Quite another question", "", "yes"))
    assert (seen.exact, seen.near) == (1, 1)
