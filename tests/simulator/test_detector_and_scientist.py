"""The PhaseDetector's accuracy and file, and the scientist's world, environment and agents."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import simulator
from simulator.batch import Run, measure_runs
from simulator.detector import UNKNOWN, PhaseDetector
from simulator.detector_training import REGIONS, fit, train, training_runs
from simulator.errors import BadParameter, MissingExtra, UnknownExperiment
from simulator.experiments import classify
from simulator.params import PHASES
from simulator.phase_names import full_name
from simulator.scientist import make_env
from simulator.scientist.agents import AGENTS
from simulator.scientist.world import Laboratory, Trial


@pytest.fixture(scope="session")
def detector() -> PhaseDetector:
    *_, made = train(800)
    assert isinstance(made, PhaseDetector)
    return made


@pytest.fixture(scope="session")
def laboratory() -> Laboratory:
    return Laboratory(0)


@pytest.fixture
def trained(detector: PhaseDetector, tmp_path: Path) -> Path:
    """A lab folder whose detector is trained already."""
    detector.save(tmp_path / classify.DETECTOR_FILE)
    return tmp_path


def test_accuracy_on_exact_held_out_runs(detector: PhaseDetector) -> None:
    assert detector.report["exact"]["accuracy"] >= 0.99
    assert detector.report["shots_1000"]["accuracy"] >= 0.99
    assert detector.report["shots_100"]["accuracy"] >= 0.98
    assert np.sum(detector.report["exact"]["confusion"]) == detector.report["exact"]["n"]
    fresh = [Run(phase, size, depth, 77 + size, 0.9) for phase in PHASES for size in (9, 21, 50) for depth in (3, 12)]
    chances = detector.probabilities([one.features for one in measure_runs(fresh)])
    assert [PHASES[one] for one in chances.argmax(axis=1)] == [run.phase for run in fresh]


def test_probabilities_are_calibrated(detector: PhaseDetector) -> None:
    for part in ("exact", "shots_1000", "shots_100"):
        assert detector.report[part]["calibration_error"] < 0.02
        assert detector.report[part]["log_loss"] < 0.05 and detector.report[part]["brier"] < 0.03
    chances = detector.probabilities(np.random.default_rng(0).normal(size=(50, 13)) * 1e300)
    assert np.isfinite(chances).all()
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)


def test_training_covers_what_the_parameters_admit() -> None:
    runs = training_runs()
    assert min(run.size for run in runs) == 4 and max(run.size for run in runs) > 256
    assert min(run.depth for run in runs) == 1 and max(run.depth for run in runs) > 256
    assert min(run.bias for run in runs) < 0.01 and max(run.bias for run in runs) > 0.99
    assert len({run.seed for run in runs}) == len(runs) and runs == training_runs()
    assert all(any(inside(run) for run in runs) for inside in REGIONS.values())


def test_accuracy_is_told_by_region_beside_the_baselines(detector: PhaseDetector) -> None:
    table = detector.report["by_region"]
    assert set(table) == {"all", *REGIONS} and table["all"]["n"] == detector.report["test"]
    for row in table.values():
        assert row["n"] > 0 and row["accuracy"] >= 0.95 and row[UNKNOWN] <= 0.2
        assert 0 <= row["depth_3_tree"] <= 1 and 0 <= row["six_measurable_features_at_100_shots"] <= 1
    assert table["all"]["accuracy"] >= max(table["all"]["depth_3_tree"], 0.98)


def test_what_is_unlike_every_phase_is_unknown(detector: PhaseDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "_in_memory", [detector])
    rng = np.random.default_rng(5)
    strange = [np.zeros((1, 13)), np.ones((1, 13)), rng.normal(size=(50, 13)), rng.uniform(size=(50, 13))]
    for table in strange:
        assert np.mean([name == UNKNOWN for name in detector.read(table)]) >= 0.98
    assert detector.read(np.full((1, 13), 1e300)) == [UNKNOWN]
    with pytest.raises(BadParameter, match="finite"):
        detector.read(np.full((1, 13), np.nan))
    assert detector.report["exact"][UNKNOWN] <= 0.05
    answer = simulator.run_now("classify", None, features=[0.0] * 13)
    assert answer["phase_type"] == UNKNOWN and answer["novelty"] > 1 and "unlike every phase" in answer["summary"]


@pytest.mark.parametrize(("phase", "least"), [("ising", 0.9), ("spt", 0.6), ("trivial", 0.9), ("random", 0.7)])
def test_a_phase_that_training_never_saw_is_mostly_unknown(phase: str, least: float) -> None:
    runs = [run for run in training_runs(600, seed=7) if run.size <= 64 and run.depth <= 64]
    table = np.array([one.features for one in measure_runs(runs)])
    labels = np.array([PHASES.index(run.phase) for run in runs])
    left_out = labels == PHASES.index(full_name(phase))
    place = np.arange(len(runs)) % 10
    known, held, test = (~left_out & part for part in (place < 6, (place == 6) | (place == 7), place > 7))
    narrow = fit(table[known], labels[known], table[held], labels[held])
    assert (narrow.novelty(table[left_out]) > 1).mean() >= least
    assert (narrow.novelty(table[test]) > 1).mean() <= 0.08


def test_detector_survives_its_file(detector: PhaseDetector, tmp_path: Path) -> None:
    detector.save(tmp_path / "detector.json")
    loaded = PhaseDetector.load(tmp_path / "detector.json")
    table = np.random.default_rng(1).normal(size=(20, 13))
    np.testing.assert_array_equal(loaded.probabilities(table), detector.probabilities(table))
    assert loaded.report == detector.report
    assert [path.name for path in tmp_path.iterdir()] == ["detector.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"physics_version": "other"},
        {"weights": [[1.0]]},
        {"temperature": 0},
        {"spread": [0.0] * 13},
        {"centre": ["x"] * 13},
        {"offsets": None},
        {"features": []},
        {"reach": [0.0] * 4},
        {"whiten": [[1.0]]},
        {"labels": [7]},
        {"known": []},
    ],
)
def test_damaged_detectors_are_refused(detector: PhaseDetector, tmp_path: Path, change: dict) -> None:
    path = tmp_path / "detector.json"
    detector.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BadParameter, match="train it again"):
        PhaseDetector.load(path)
    path.write_text("{")
    with pytest.raises(BadParameter, match="no phase detector"):
        PhaseDetector.load(path)


def test_classify_takes_an_id_features_or_parameters(trained: Path) -> None:
    with simulator.Notebook(trained / "lab.db") as notebook:
        run = simulator.run_now("run_phase", notebook, phase_type="spt_cluster", system_size=12)
        by_id = simulator.run_now("classify", notebook, experiment_id=run["experiment_id"])
        by_features = simulator.run_now("classify", notebook, features=run["feature_vector"])
        by_parameters = simulator.run_now("classify", notebook, phase_type="spt_cluster", system_size=12)
        assert by_id["phase_type"] == "spt_cluster" and by_id["probability"] > 0.99
        assert by_id["probabilities"] == by_features["probabilities"] == by_parameters["probabilities"]
        again = simulator.run_now("classify", notebook, experiment_id=by_features["experiment_id"])
        assert again["true_phase"] is None
        assert by_features["true_phase"] is None and by_id["true_phase"] == "spt_cluster"
        with pytest.raises(UnknownExperiment):
            simulator.run_now("classify", notebook, experiment_id="none")
        with pytest.raises(BadParameter, match="which has no fingerprint"):
            simulator.run_now("classify", notebook, experiment_id=_sweep_id(notebook))
        alone = simulator.run_now("tri", notebook, phase_type="ising", system_size=12, sector="down")
        with pytest.raises(BadParameter, match=r"entropies of the down sector alone, .* again with sector=mixture"):
            simulator.run_now("classify", notebook, experiment_id=alone["experiment_id"])
        same = simulator.run_now("run_phase", notebook, phase_type="spt_cluster", system_size=12, sector="up")
        assert simulator.run_now("classify", notebook, experiment_id=same["experiment_id"])["true_phase"]
    with pytest.raises(BadParameter, match="depth would change nothing beside features"):
        simulator.run_now("classify", features=[0.0] * 13, depth=3)
    with pytest.raises(UnknownExperiment, match="without a lab"):
        simulator.run_now("classify", experiment_id="none")


def _sweep_id(notebook: simulator.Notebook) -> str:
    result = {"experiment": "sweep", "experiment_id": "abc", "params": {}, "physics_version": "0"}
    notebook.put(result)
    return "abc"


def test_a_broken_detector_file_is_trained_again(
    detector: PhaseDetector, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trained / classify.DETECTOR_FILE).write_text("broken")
    monkeypatch.setattr(classify, "_in_memory", [detector])
    with simulator.Notebook(trained / "lab.db") as notebook:
        assert simulator.run_now("classify", notebook, phase_type="pseudorandom")["phase_type"] == "pseudorandom"
    assert PhaseDetector.load(trained / classify.DETECTOR_FILE).report == detector.report


def test_environment_passes_the_checker(laboratory: Laboratory) -> None:
    pytest.importorskip("gymnasium")
    from gymnasium.utils.env_checker import check_env

    from simulator.scientist.env import LabEnv

    for reward in ("tri", "divergence"):
        check_env(LabEnv(Trial(laboratory, reward, 20, 1, None)), skip_render_check=True)


def test_rewards_by_their_definition(laboratory: Laboratory, detector: PhaseDetector) -> None:
    trial = Trial(laboratory, "tri", 5, 0, None)
    outcome = trial.step((0, 1, 2, 4))
    run = outcome.run
    tri = simulator.run_now(
        "tri", phase_type=run.phase, system_size=run.size, depth=run.depth, seed=run.seed, bias=run.bias
    )
    assert outcome.reward == pytest.approx(tri["TRI"], abs=1e-8)
    trial = Trial(laboratory, "divergence", 5, 0, None)
    first, second = trial.step((0, 1, 2, 4)), trial.step((3, 1, 2, 4))
    assert first.reward == 0.0
    assert second.reward == pytest.approx(simulator.distance(first.features, second.features))
    trial = Trial(laboratory, "uncertainty", 5, 0, detector)
    outcome = trial.step((0, 0, 0, 2))
    chances = detector.probabilities([outcome.features])[0]
    entropy = -sum(chance * math.log2(chance) for chance in chances if chance > 0)
    assert outcome.reward == pytest.approx(entropy)


@pytest.mark.parametrize("reward", ["tri", "uncertainty", "divergence"])
def test_the_bandit_beats_random_search(laboratory: Laboratory, detector: PhaseDetector, reward: str) -> None:
    means: dict[str, list[float]] = {"bandit": [], "random": []}
    for seed in range(10):
        for name, values in means.items():
            trial = Trial(laboratory, reward, 80, seed, detector)
            AGENTS[name](trial, seed)
            assert len(trial.outcomes) == 80
            values.append(float(np.mean([one.reward for one in trial.outcomes])))
    wins = sum(bandit > chance for bandit, chance in zip(means["bandit"], means["random"], strict=True))
    assert np.mean(means["bandit"]) > np.mean(means["random"]) and wins >= 8


def test_the_policy_gradient_beats_random_search(laboratory: Laboratory) -> None:
    pytest.importorskip("stable_baselines3")
    gains = []
    for seed in range(3):
        trials = {name: Trial(laboratory, "tri", 120, seed, None) for name in ("ppo", "random")}
        for name, trial in trials.items():
            AGENTS[name](trial, seed)
        means = {name: np.mean([one.reward for one in trial.outcomes[:120]]) for name, trial in trials.items()}
        gains.append(means["ppo"] - means["random"])
    assert min(gains) > 0


def test_scientist_compares_at_equal_budget(trained: Path) -> None:
    with simulator.Notebook(trained / "lab.db") as notebook:
        alone = simulator.run_now("scientist", notebook, budget=10, trials=1)
        assert alone["gain_interval"] is None and "one trial gives no interval" in alone["comparison"]
        result = simulator.run_now("scientist", notebook, reward="uncertainty", budget=30, trials=2)
        assert notebook.get(result["best"]["experiment_id"])["feature_vector"] == result["best"]["feature_vector"]
    assert result["curve"]["experiments"][-1] == 30
    assert len(result["curve"]["bandit"]) == len(result["curve"]["random"]) == len(result["curve"]["experiments"])
    assert result["curve"]["bandit"][-1] == pytest.approx(result["mean_reward"]["bandit"], abs=1e-8)
    best = result["best_curve"]["bandit"]
    assert best == sorted(best) and best[-1] == pytest.approx(result["mean_best"]["bandit"], abs=1e-8)
    assert "best single experiment" in result["comparison"]
    again = simulator.run_now("run_phase", **result["best"]["params"])
    assert again["feature_vector"] == result["best"]["feature_vector"]
    assert again["experiment_id"] == result["best"]["experiment_id"]
    assert "random search" in result["comparison"]


def test_missing_extras_are_said_in_words(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[scientist\]"):
        AGENTS["ppo"](Trial(laboratory, "tri", 10, 0, None), 0)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "simulator.scientist.env", raising=False)
    with pytest.raises(MissingExtra, match="gymnasium"):
        make_env()
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match="Dask"):
        simulator.run_now("sweep", seeds=1, cluster="tcp://127.0.0.1:9")


@pytest.mark.parametrize("values", [{"reward": "fame"}, {"reward": "uncertainty"}, {"budget": 0}, {"seed": -1}])
def test_environments_have_bounds(values: dict) -> None:
    with pytest.raises(BadParameter):
        make_env(**values)
