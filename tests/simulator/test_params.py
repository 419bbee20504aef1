"""Bad input: one sentence with the field, the value, the bound and the mend, whatever comes in."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator
from simulator.errors import BadParameter, SimulatorError, UnknownName
from simulator.params import Classify, Discovery, Echo, ReplayDrift, RunPhase, Tri
from simulator.study_params import PersonalSweep, Scientist, Sweep

GOOD = {"phase_type": "spt_cluster"}

CASES: list[tuple[type, dict[str, Any], str, list[str]]] = [
    (RunPhase, {**GOOD, "system_size": 3}, "system_size", ["3", "below the smallest, 4", "choose 4 to 1024"]),
    (RunPhase, {**GOOD, "system_size": 1025}, "system_size", ["1025", "above the largest, 1024"]),
    (
        RunPhase,
        {**GOOD, "system_size": 1024, "depth": 1024},
        "system_size",
        ["1024", "estimated to take", "limit of 10 min"],
    ),
    (Echo, {**GOOD, "system_size": 1024, "depth": 1024}, "system_size", ["estimated to take"]),
    (
        Discovery,
        {"system_size": 1024, "depth": 256, "num_per_phase": 100},
        "system_size",
        ["estimated to take", "fewer runs"],
    ),
    (Sweep, {"system_sizes": [8, 1024], "depths": [1024]}, "", ["estimated to take"]),
    (RunPhase, {**GOOD, "sector": "left"}, "sector", ["'left'", "mixture, up, down"]),
    (RunPhase, {**GOOD, "depth": 0}, "depth", ["0", "1", "choose 1 to 1024"]),
    (RunPhase, {**GOOD, "depth": 1025}, "depth", ["1025", "1024"]),
    (RunPhase, {**GOOD, "bias": 1.2}, "bias", ["1.2", "above the largest, 1"]),
    (RunPhase, {**GOOD, "bias": -0.1}, "bias", ["-0.1", "choose 0 to 1"]),
    (RunPhase, {**GOOD, "bias": math.nan}, "bias", ["nan", "finite"]),
    (RunPhase, {**GOOD, "bias": math.inf}, "bias", ["inf"]),
    (RunPhase, {**GOOD, "bias": "many"}, "bias", ["'many'", "not a number"]),
    (RunPhase, {**GOOD, "seed": -1}, "seed", ["-1", "4294967295"]),
    (RunPhase, {**GOOD, "seed": 2**32}, "seed", ["4294967296", "above the largest"]),
    (RunPhase, {**GOOD, "seed": 10**500}, "seed", ["more than 30 digits"]),
    (RunPhase, {**GOOD, "seed": 1.5}, "seed", ["1.5", "not a whole number"]),
    (RunPhase, {**GOOD, "seed": True}, "seed", ["True", "not numbers"]),
    (RunPhase, {**GOOD, "seed": None}, "seed", ["None"]),
    (RunPhase, {**GOOD, "seed": [1]}, "seed", ["[1]"]),
    (RunPhase, {**GOOD, "shots": -5}, "shots", ["-5"]),
    (RunPhase, {**GOOD, "layers": 5}, "layers", ["not a parameter of run_phase", "depth"]),
    (RunPhase, {"phase_type": "superfluid"}, "phase_type", ["'superfluid'", "pseudorandom"]),
    (RunPhase, {}, "phase_type", ["missing", "choose one of"]),
    (Tri, {**GOOD, "bias": 2}, "bias", ["2", "choose 0 to 1"]),
    (Echo, {**GOOD, "delta": 1.5}, "delta", ["1.5"]),
    (ReplayDrift, {**GOOD, "depth_factors": []}, "depth_factors", ["0 items", "1 to 16"]),
    (ReplayDrift, {**GOOD, "depth_factors": [1] * 17}, "depth_factors", ["17 items"]),
    (ReplayDrift, {**GOOD, "depth_factors": [1, 0]}, "depth_factors", ["depth_factors[1]", "0"]),
    (ReplayDrift, {**GOOD, "base_depth": 8, "depth_factors": [129]}, "depth_factors", ["129", "1024", "up to 128"]),
    (ReplayDrift, {**GOOD, "depth_factors": [1.5]}, "depth_factors", ["1.5"]),
    (Discovery, {"phases": []}, "phases", ["0 items"]),
    (Discovery, {"phases": ["spt_cluster", "spt_cluster"]}, "phases", ["once"]),
    (Discovery, {"phases": ["ice"]}, "phases", ["phases[0]", "'ice'"]),
    (Discovery, {"phases": ["spt", "Cluster"]}, "phases", ["once"]),
    (RunPhase, {**GOOD, "layers": 5, "backend": "gpu"}, "layers", ["'layers' and 'backend' are not parameters of"]),
    (Discovery, {"phases": ["spt_cluster"], "num_per_phase": 5, "k": 6}, "k", ["6", "samples, 5", "up to 5"]),
    (Discovery, {"num_per_phase": 4}, "num_per_phase", ["4", "choose 5 to 100"]),
    (Discovery, {"k": 11}, "k", ["11", "choose 2 to 10"]),
    (Discovery, {"iterations": 9}, "iterations", ["9", "choose 10 to 100"]),
    (Classify, {}, "", ["exactly one source"]),
    (Classify, {"experiment_id": "a", "phase_type": "spt_cluster"}, "experiment_id", ["experiment_id and phase_type"]),
    (Classify, {"features": [0.0] * 12}, "features", ["12 items", "13"]),
    (Classify, {"features": [math.nan] * 13}, "features", ["features[0]", "nan"]),
    (Sweep, {"seeds": 100_000}, "seeds", ["200000"]),
    (Sweep, {"first_seed": 2**32 - 1}, "first_seed", ["4294967295"]),
    (PersonalSweep, {"cluster": "not an address"}, "cluster", ["tcp://127.0.0.1:8786"]),
    (Scientist, {"budget": 1}, "budget", ["1", "choose 10 to 2000"]),
    (Scientist, {"reward": "fame"}, "reward", ["'fame'", "divergence"]),
]


@pytest.mark.parametrize(("model", "values", "field", "parts"), CASES)
def test_bad_values_are_refused_in_words(model: Any, values: dict[str, Any], field: str, parts: list[str]) -> None:
    with pytest.raises(BadParameter) as caught:
        simulator.validate(model, values)
    message = str(caught.value)
    assert caught.value.field == field
    assert "\n" not in message and len(message) < 400
    assert ": " in message, "the mend follows a colon"
    for part in parts:
        assert part in message


def test_text_is_read_as_the_value_it_spells() -> None:
    typed = simulator.validate(ReplayDrift, {**GOOD, "depth_factors": "1, 2,4", "seed": "7", "bias": "0.5"})
    assert typed.depth_factors == [1, 2, 4] and typed.seed == 7 and typed.bias == 0.5
    assert simulator.validate(Discovery, {"phases": "spt_cluster,pseudorandom"}).phases == [
        "spt_cluster",
        "pseudorandom",
    ]
    assert simulator.validate(RunPhase, {**GOOD, "bias": None}).bias == 0.65


NAMES = {
    "ising_symmetry_breaking": ["ising", "Ising", " ISING ", "ising-symmetry-breaking", "Ising Symmetry Breaking"],
    "spt_cluster": ["spt", "SPT", "cluster", "spt-cluster", "SPT cluster", "cluster phase"],
    "trivial_product": ["trivial", "product", "Trivial-Product", "trivial product"],
    "pseudorandom": ["random", "Random", "pseudo-random", "pseudo random", "PSEUDORANDOM"],
}
TYPED = [(name, phase) for phase, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("name", "phase"), TYPED)
def test_a_phase_may_be_typed_by_a_shorter_name(name: str, phase: str) -> None:
    for entry in simulator.EXPERIMENTS.values():
        if "phase_type" in entry.params.model_fields:
            assert simulator.validate(entry.params, {"phase_type": name}).phase_type == phase  # type: ignore[attr-defined]
        if "phases" in entry.params.model_fields:
            for values in ([name], name):
                made = simulator.validate(entry.params, {"phases": values})
                assert made.phases == [phase]  # type: ignore[attr-defined]
    assert simulator.measure(name, 4, 1) == simulator.measure(phase, 4, 1)


@pytest.mark.parametrize("name", ["", " ", "phase", "i", "isin", "spin", "cluster,product", "randomly", "x" * 100])
def test_what_only_resembles_a_phase_is_refused(name: str) -> None:
    with pytest.raises(BadParameter, match="choose one of ising_symmetry_breaking"):
        simulator.validate(RunPhase, {"phase_type": name})


def test_results_keep_the_full_name_and_its_id() -> None:
    short = simulator.run_now("run_phase", phase_type="Ising", system_size=4, depth=1)
    full = simulator.run_now("run_phase", phase_type="ising_symmetry_breaking", system_size=4, depth=1)
    assert short == full and short["phase_type"] == short["params"]["phase_type"] == "ising_symmetry_breaking"
    found = simulator.run_now("discovery", phases="random,spt", num_per_phase=5, k=2, system_size=4, depth=1)
    assert found["params"]["phases"] == ["spt_cluster", "pseudorandom"]


def test_unknown_experiments_are_named() -> None:
    for name in ("tree", "", None, 3):
        with pytest.raises(UnknownName, match="choose one of run_phase"):
            simulator.run(name, {})  # type: ignore[arg-type]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(name=st.sampled_from(sorted(simulator.EXPERIMENTS)), data=st.data())
def test_no_input_is_a_traceback(name: str, data: st.DataObject) -> None:
    model = simulator.EXPERIMENTS[name].params
    keys = st.sampled_from([*model.model_fields, "other"])
    values = data.draw(st.dictionaries(keys, anything, max_size=4))
    try:
        simulator.validate(model, values)
    except BadParameter as error:
        assert "\n" not in str(error) and ": " in str(error)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"phase_type": "ice"}, "'ice'"),
        ({"phase_type": "spt_cluster", "system_size": 1025}, "1025"),
        ({"phase_type": "spt_cluster", "depth": 0}, "depth is 0"),
        ({"phase_type": "spt_cluster", "depth": 2.5}, "2.5"),
        ({"phase_type": "spt_cluster", "bias": math.nan}, "nan"),
        ({"phase_type": "spt_cluster", "step": 0}, "step is 0"),
        ({"phase_type": "spt_cluster", "seed": True}, "True"),
    ],
)
def test_the_python_entry_has_bounds_too(arguments: dict[str, Any], part: str) -> None:
    with pytest.raises(BadParameter) as caught:
        simulator.measure(**arguments)
    assert part in str(caught.value)


def test_every_field_is_documented() -> None:
    for experiment in simulator.EXPERIMENTS.values():
        for name, known in experiment.params.model_json_schema()["properties"].items():
            assert known.get("description"), f"{experiment.name}.{name}"
            assert known.get("examples"), f"{experiment.name}.{name}"


def test_import_is_light() -> None:
    code = (
        "import sys, simulator, simulator.params, simulator.study_params\n"
        "simulator.EXPERIMENTS, simulator.validate, simulator.run, simulator.Notebook, simulator.FEATURE_NAMES\n"
        "heavy = {'numpy', 'scipy', 'stim', 'sklearn', 'torch', 'gymnasium'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_errors_share_one_root() -> None:
    from simulator import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    assert all(issubclass(kind, SimulatorError) for kind in kinds)
