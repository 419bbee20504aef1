"""The tool message: every number in it is the result's, and its arithmetic is right as read."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

import simulator
from pipeline.chat import EmbeddedServer
from pipeline.chat.number_check import check_answer
from pipeline.chat.result_forms import FORMS
from pipeline.chat.result_text import LONGEST, compared, result_text
from simulator.fingerprint import FEATURE_NAMES
from simulator.number_text import figure

_CHANGE = re.compile(r"(\w+) (\S+) → (\S+) \(([+-][\d.]+|unchanged)(?:, ×([\d.]+))?\)")
_RUNS = [
    ("run_phase", {"phase_type": phase, "system_size": size, "depth": depth, "bias": bias})
    for phase in simulator.PHASES
    for size, depth, bias in ((8, 3, 0.65), (48, 10, 0.9), (96, 30, 0.5))
]
_OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("tri", {"phase_type": "ising_symmetry_breaking", "bias": 0.9, "system_size": 12}),
    ("tri", {"phase_type": "spt_cluster"}),
    ("echo", {"phase_type": "pseudorandom", "system_size": 12}),
    ("replay_drift", {"phase_type": "spt_cluster", "system_size": 16}),
    ("replay_drift", {"phase_type": "trivial_product", "depth_factors": [1]}),
    ("discovery", {"num_per_phase": 5, "system_size": 8, "depth": 2}),
    ("sweep", {"seeds": 1, "system_sizes": [8], "depths": [2], "workers": 1}),
    ("scientist", {"budget": 10, "trials": 1}),
]


@cache
def _run(name: str, *items: Any) -> dict[str, Any]:
    return simulator.run_now(name, **dict(items))


def run(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result, made once."""
    hashable = tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in params.items())
    return _run(name, *hashable)


@pytest.mark.parametrize(("name", "params"), _RUNS)
def test_a_run_shows_all_features_as_rounded(name: str, params: dict[str, Any]) -> None:
    """The thirteen names in order, each with a number that the verifier calls right."""
    result = run(name, params)
    measured = next(line for line in result_text(result).splitlines() if line.startswith("Measured: "))
    pairs = [part.split(" ") for part in measured.removeprefix("Measured: ").split(", ")]
    assert [name for name, _ in pairs] == list(FEATURE_NAMES)
    for feature, text in pairs:
        decimals = len(text.partition(".")[2])
        assert abs(float(text) - result["features"][feature]) <= 0.5 * 10**-decimals + 1e-12, feature
        assert len(text.lstrip("-0.").replace(".", "")) <= 3
    checks = check_answer(measured, [result])
    assert len(checks) == len(FEATURE_NAMES)
    assert all(check.right for check in checks)


@pytest.mark.parametrize(("name", "params"), _RUNS + _OTHERS)
@pytest.mark.parametrize("former", [0, 4, 7])
def test_differences_and_ratios_are_right_as_read(name: str, params: dict[str, Any], former: int) -> None:
    """The reader who subtracts and divides the numbers shown gets the numbers shown."""
    before = run(*_RUNS[former]) if name == "run_phase" else run(name, params)
    text = result_text(run(name, params), before)
    for _, old, new, difference, ratio in _CHANGE.findall(text):
        told = Decimal(0) if difference == "unchanged" else Decimal(difference)
        assert Decimal(new) - Decimal(old) == told
        if ratio:
            assert ratio == figure(float(Decimal(new) / Decimal(old)))


def test_a_follow_up_says_what_changed() -> None:
    """The changed setting first, then the phase's own order, then the largest change."""
    before, result = (
        run("run_phase", {"phase_type": "spt_cluster", "system_size": size, "depth": 10}) for size in (48, 96)
    )
    change = result_text(result, before).splitlines()[-1]
    assert change.startswith("Change: system_size 48 → 96; string_order ")
    assert len(_CHANGE.findall(change)) == 2
    assert result_text(result, result).endswith("Change: none, the same run as before")
    older = {**before, "physics_version": "1"}
    assert "Change" not in result_text(result, older), "runs of two physics versions are not compared"
    assert "Change" not in result_text(result, run(*_OTHERS[0])), "a run and a TRI are not compared"


@pytest.mark.parametrize(("name", "params"), _RUNS + _OTHERS)
def test_every_experiment_has_a_short_message(name: str, params: dict[str, Any]) -> None:
    """Name and settings, then what was found; long lists and vectors stay out."""
    text = result_text(run(name, params), run(name, params))
    assert text.startswith(f"{name}: ")
    assert len(text) <= LONGEST
    assert "feature_vector" not in text
    assert "0000000" not in text
    assert text.count("\n") <= 4


def test_all_experiments_of_the_catalogue_are_known() -> None:
    """An experiment is added with its own form, or is listed here as one that the general form serves."""
    assert set(simulator.EXPERIMENTS) - set(FORMS) <= {"scan", "circuit", "notebook"}


def test_an_unknown_experiment_gets_the_general_form() -> None:
    """Settings, short values with their names, and the summary as its meaning."""
    result = {
        "experiment": "scan",
        "params": {"axis": "coupling", "values": [i / 200 for i in range(200)]},
        "g_c": 1.00123,
        "exponents": {"nu": 1.0, "beta": 0.125},
        "points": [{"x": 1}] * 100,
        "summary": "The transition is at 1.",
    }
    text = result_text(result)
    assert "scan: axis coupling, values [0, 0.005," in text
    assert "… 200 values]" in text
    assert "g_c 1, exponents.nu 1, exponents.beta 0.125" in text
    assert text.endswith("Meaning: The transition is at 1.")


@pytest.mark.parametrize(
    "result",
    [
        {"experiment": "scan", "params": {"values": list(range(10**6))}, "blob": "x" * 10_000_000},
        {"experiment": "scan", "params": {f"p{i}": "y" * 1000 for i in range(10_000)}},
        {"experiment": "scan", **{f"value_{i}": i / 7 for i in range(200_000)}},
        {"experiment": "x" * 10_000_000, "summary": "z" * 10_000_000},
        {"experiment": "notebook", "text": "row\n" * 2_500_000},
    ],
)
def test_a_result_of_ten_megabytes_is_cut(result: dict[str, Any]) -> None:
    """The message stays short, and writing it takes no time."""
    start = time.perf_counter()
    assert len(result_text(result, result)) <= LONGEST
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"experiment": "run_phase"},
        {"experiment": "run_phase", "features": 3, "params": 4},
        {"experiment": "tri", "params": {"bias": None}, "contributions": []},
        {"experiment": None, "params": {"a": None, "b": {"c": {"d": {"e": [1]}}}}},
        {"experiment": "run_phase", "phase_type": "a new phase", "features": dict.fromkeys(FEATURE_NAMES, 0.5)},
    ],
)
def test_a_broken_or_strange_result_still_has_a_message(broken: dict[str, Any]) -> None:
    """A stored card of another version is no reason to fail."""
    assert result_text(broken, run(*_RUNS[0]))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("0.755", "0.61", "(-0.145, ×0.808)"),
        ("0", "0.913", "(+0.913)"),
        ("0.4", "-0.4", "(-0.8)"),
        ("2.5", "2.5", "(unchanged)"),
        ("0.0016", "0.594", "(+0.5924)"),
        ("-0.2", "-0.1", "(+0.1, ×0.5)"),
    ],
)
def test_a_ratio_is_told_if_it_says_something(old: str, new: str, told: str) -> None:
    """Not across zero, not of values of different size."""
    assert compared("zz_long", old, new) == f"zz_long {old} → {new} {told}"


def test_a_compared_run_fits_a_small_context(server: EmbeddedServer) -> None:
    """About 250 tokens of the default base with one setting changed, 300 at most with all."""
    before = run("run_phase", {"phase_type": "spt_cluster", "system_size": 48, "depth": 10})
    result = run("run_phase", {"phase_type": "spt_cluster", "system_size": 96, "depth": 10})
    assert len(server.tokenize(result_text(result, before))) <= 265
    for name, params in _RUNS:
        assert len(server.tokenize(result_text(run(name, params), before))) <= 300
