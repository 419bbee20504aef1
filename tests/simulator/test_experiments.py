"""The experiments by their definitions, their events, ids and the notebook."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import simulator
from simulator.batch import Run, experiment_id, measure_runs
from simulator.errors import BadParameter, NotebookError, UnknownExperiment
from simulator.events import Progress, Result, from_line
from simulator.experiments.replay_drift import growth_exponent
from simulator.params import PHASES, RunPhase


def test_run_phase_answers_with_names_vector_and_layers() -> None:
    result = simulator.run_now("run_phase", phase_type="ising_symmetry_breaking", depth=6, seed=3, bias=0.7)
    assert tuple(result["features"]) == simulator.FEATURE_NAMES
    assert list(result["features"].values()) == result["feature_vector"]
    assert len(result["entropy_by_layer"]) == 6
    layers = np.array(result["entropy_by_layer"])
    assert result["features"]["entropy_mean"] == pytest.approx(layers.mean(), abs=2e-9)
    assert result["features"]["entropy_slope"] == pytest.approx(np.polyfit(np.arange(6), layers, 1)[0], abs=1e-8)
    assert json.loads(json.dumps(result)) == result
    assert simulator.run_now("run_phase", **result["params"]) == result


def test_run_many_equals_single_runs() -> None:
    params = [{"phase_type": phase, "system_size": 6 + seed, "seed": seed} for phase in PHASES for seed in range(3)]
    assert simulator.run_many(params) == [simulator.run_now("run_phase", **one) for one in params]
    assert simulator.run_many([]) == []


def test_tri_is_the_distance_of_its_fingerprints() -> None:
    for phase in PHASES:
        result = simulator.run_now("tri", phase_type=phase, system_size=8, depth=1, seed=5, bias=0.9)
        forward, reverse = (list(result[key].values()) for key in ("forward_features", "reverse_features"))
        assert result["TRI"] == pytest.approx(simulator.distance(forward, reverse), abs=1e-8)
        parts = np.array(list(result["contributions"].values()))
        assert result["TRI"] == pytest.approx(np.sqrt((parts**2).sum()), abs=1e-7)


def test_replay_drift_by_its_definition() -> None:
    factors = [1, 2, 4, 8]
    result = simulator.run_now("replay_drift", phase_type="pseudorandom", base_depth=3, depth_factors=factors, seed=2)
    first = result["runs"][0]
    assert [run["depth"] for run in result["runs"]] == [3, 6, 12, 24]
    assert first["drift"] == 0.0
    for run, factor in zip(result["runs"], factors, strict=True):
        alone = simulator.run_now("run_phase", phase_type="pseudorandom", depth=3 * factor, seed=2)
        assert run["features"] == alone["features"] and run["id"] == alone["experiment_id"]
        apart = simulator.distance(list(first["features"].values()), list(run["features"].values()))
        assert run["drift"] == pytest.approx(apart, abs=1e-8)
    drifts = [run["drift"] for run in result["runs"]]
    slope = np.polyfit(np.log(factors[1:]), np.log(drifts[1:]), 1)[0]
    assert result["growth_exponent"] == pytest.approx(slope, abs=1e-6)
    index = np.mean([drift / (factor - 1) for drift, factor in zip(drifts[1:], factors[1:], strict=True)])
    assert result["replay_sensitivity_index"] == pytest.approx(index, abs=1e-8)


def test_growth_exponent_needs_two_factors() -> None:
    assert growth_exponent([1, 2, 4], [0.0, 3.0, 6.0]) == pytest.approx(1.0)
    assert growth_exponent([1, 2], [0.0, 3.0]) is None
    assert growth_exponent([2, 2], [1.0, 3.0]) is None
    assert growth_exponent([1, 2, 4], [0.0, 0.0, 0.0]) is None
    alone = simulator.run_now("replay_drift", phase_type="spt_cluster", system_size=4, depth_factors=[1])
    assert alone["growth_exponent"] is None and alone["replay_sensitivity_index"] is None


def test_replay_reaches_a_thousand_layers() -> None:
    result = simulator.run_now(
        "replay_drift", phase_type="trivial_product", system_size=6, base_depth=32, depth_factors=[1, 32]
    )
    assert result["runs"][1]["depth"] == 1024


def test_discovery_finds_the_phases() -> None:
    result = simulator.run_now("discovery", num_per_phase=10, seed=1)
    assert result["num_samples"] == 40 and result["num_clusters"] == 4
    assert result["purity"] == 1.0 and result["adjusted_rand_index"] == 1.0
    assert {point["seed"] for point in result["points"]} == set(range(1000, 1010))
    assert sum(row["size"] for row in result["clusters"]) == 40
    assert result["points"][3]["id"] == simulator.run_now("run_phase", **_point(result["points"][3]))["experiment_id"]
    assert simulator.run_now("discovery", num_per_phase=10, seed=1) == result


def test_discovery_reads_the_sector_that_is_asked_for(tmp_path: Path) -> None:
    """The bit of the broken symmetry is in the entropies of the mixture alone; each point names the run it was."""
    asked = {"phases": "ising", "num_per_phase": 5, "k": 2, "system_size": 6, "depth": 2}
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        both = simulator.run_now("discovery", notebook, **asked)
        alone = simulator.run_now("discovery", notebook, **asked, sector="up")
        assert both["experiment_id"] != alone["experiment_id"]
        for one, other in zip(both["points"], alone["points"], strict=True):
            whole, own = notebook.get(one["id"]), notebook.get(other["id"])
            assert own["params"] == {**whole["params"], "sector": "up"}
            assert 0.5 < whole["features"]["entropy_final"] - own["features"]["entropy_final"] <= 1
            assert whole["features"]["zz_nearest"] == own["features"]["zz_nearest"]


def test_cluster_label_stats_are_counts_by_phase() -> None:
    result = simulator.run_now("discovery", phases="ising,trivial,random", num_per_phase=8, k=2, system_size=6, depth=2)
    stats, points = result["cluster_label_stats"], result["points"]
    assert len(stats) == len(result["clusters"]) == result["num_clusters"] == 2
    for index, counts in enumerate(stats):
        inside = [point["phase_type"] for point in points if point["cluster"] == index]
        assert counts == {phase: inside.count(phase) for phase in sorted(set(inside))}
        row = result["clusters"][index]
        assert (row["cluster"], row["phases"], row["size"]) == (index, counts, len(inside))
        assert row["majority_count"] == counts[row["majority"]] == max(counts.values())
        assert row["purity"] == pytest.approx(row["majority_count"] / row["size"], abs=1e-9)
        assert len(row["centre"]) == 13
    assert any(len(counts) > 1 for counts in stats), "three phases in two clusters must share one"


def _point(point: dict) -> dict:
    return {"phase_type": point["phase_type"], "seed": point["seed"]}


def test_discovery_of_few_distinct_runs() -> None:
    result = simulator.run_now("discovery", phases=["pseudorandom"], num_per_phase=5, k=5, system_size=4, depth=1)
    assert 1 <= result["num_clusters"] <= 5


def test_shots_add_seeded_noise_of_the_right_size() -> None:
    exact = measure_runs([Run("ising_symmetry_breaking", 8, 4, 1)])[0].named
    noisy = [
        measure_runs([Run("ising_symmetry_breaking", 8, 4, 1, 0.65, 1000, stream)])[0].named for stream in range(200)
    ]
    values = np.array([one["transverse"] for one in noisy])
    # Eight sites, each with variance (1 - <X>**2)/shots.
    expected = np.sqrt((1 - exact["transverse"] ** 2) / 1000 / 8)
    assert values.mean() == pytest.approx(exact["transverse"], abs=4 * expected / np.sqrt(200))
    assert values.std() == pytest.approx(expected, rel=0.35)
    assert all(one["entropy_mean"] == exact["entropy_mean"] for one in noisy)
    run = Run("ising_symmetry_breaking", 8, 4, 1, 0.65, 1000)
    assert measure_runs([run]) == measure_runs([run]) != measure_runs([replace(run, stream=1)])
    assert simulator.run_now("tri", phase_type="spt_cluster", system_size=8, shots=100)["TRI"] > 0


def test_ids_name_parameters_and_physics() -> None:
    first = RunPhase(phase_type="spt_cluster", seed=1)
    assert experiment_id("run_phase", first) == experiment_id("run_phase", first.model_dump())
    others = [experiment_id("run_phase", RunPhase(phase_type="spt_cluster", seed=2)), experiment_id("tri", first)]
    assert experiment_id("run_phase", first) not in others


def test_notebook_keeps_results(tmp_path: Path) -> None:
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        first = simulator.run_now("run_phase", notebook, phase_type="spt_cluster", system_size=6)
        second = simulator.run_now("tri", notebook, phase_type="spt_cluster", system_size=6)
        simulator.run_now("run_phase", notebook, phase_type="spt_cluster", system_size=6)
        assert notebook.count() == 2 and notebook.count("tri") == 1
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        assert notebook.get(first["experiment_id"]) == first
        assert notebook.recent(1, "tri") == [second]
        assert notebook.known([first["experiment_id"], "none"]) == {first["experiment_id"]}
        with pytest.raises(UnknownExperiment, match="no experiment 'none'"):
            notebook.get("none")


def test_notebook_says_what_is_wrong_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "lab.db").write_text("not a database, but long enough to be read as one" * 50)
    with pytest.raises(NotebookError, match="not a usable SQLite database"):
        simulator.Notebook(tmp_path / "lab.db")
    with pytest.raises(NotebookError, match=r"cannot be opened|not a usable"):
        simulator.Notebook(tmp_path)


def test_a_full_disk_is_no_reason_to_move_the_notebook_away(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with simulator.Notebook(path) as notebook:
        first = simulator.run_now("run_phase", notebook, phase_type="spt_cluster", system_size=6)
        pages = notebook._conn.execute("PRAGMA page_count").fetchone()[0]
        notebook._conn.execute(f"PRAGMA max_page_count = {pages}")
        large = [first | {"experiment_id": f"x{n}", "summary": "x" * 4000} for n in range(20)]
        with pytest.raises(NotebookError, match=r"cannot be written because the disk is full .*: make room") as caught:
            notebook.put_many(large)
        assert "move it away" not in str(caught.value)
        assert notebook.count() == 1 and notebook.get(first["experiment_id"]) == first
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(NotebookError) as caught:
            simulator.Notebook(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "the disk is full or cannot be written" in str(caught.value) and "move it away" not in str(caught.value)
    with simulator.Notebook(path) as notebook:
        assert notebook.get(first["experiment_id"]) == first


def test_migrations_run_once_and_refuse_newer_files(tmp_path: Path) -> None:
    from simulator.sqlite import migrate, open_database

    conn = open_database(tmp_path / "lab.db")
    steps = ["CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);", "INSERT INTO a VALUES (2)"]
    assert migrate(conn, "part", steps[:1]) == 1
    assert migrate(conn, "part", steps) == 2 and migrate(conn, "part", steps) == 2
    assert [row[0] for row in conn.execute("SELECT x FROM a")] == [1, 2]
    with pytest.raises(NotebookError, match="newer"):
        migrate(conn, "part", steps[:1])
    with pytest.raises(NotebookError, match="cannot be prepared"):
        migrate(conn, "part", [*steps, "INSERT INTO a VALUES (3); nonsense"])
    assert conn.execute("SELECT count(*) FROM a").fetchone()[0] == 2


def run_module(*arguments: str) -> tuple[int, list]:
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, [from_line(line) for line in done.stdout.splitlines()]


def test_module_prints_events(tmp_path: Path) -> None:
    values = '{"phase_type": "trivial_product", "system_size": 5}'
    code, events = run_module("run_phase", "--lab", str(tmp_path), "--params", values)
    assert code == 0 and isinstance(events[-1], Result)
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        assert notebook.get(events[-1].value["experiment_id"]) == events[-1].value
    assert run_module("run_phase", "--params", '{"depth": 99')[0] == 2
    code, events = run_module("run_phase", "--params", '{"phase_type": "spt_cluster", "depth": 1999}')
    assert code == 2 and "depth is 1999" in events[-1].error


def test_a_reader_that_goes_away_ends_the_work(tmp_path: Path) -> None:
    values = json.dumps({"system_sizes": [6], "depths": [1], "seeds": 500, "workers": 1})
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "sweep", "--lab", str(tmp_path), "--params", values],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 1
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_noise_is_a_runs_own() -> None:
    """Runs at one seed share no shot noise, and no exact number shows through it."""
    base = Run("ising_symmetry_breaking", 8, 4, 1, 0.5, 100)
    assert measure_runs([base])[0].named["magnetization"] != 0.0
    assert measure_runs([replace(base, phase="spt_cluster")])[0].named["magnetization"] != 0.0
    noise = []
    for depth in (4, 5):
        noisy = measure_runs([replace(base, depth=depth, seed=seed) for seed in range(150)])
        exact = measure_runs([replace(base, depth=depth, seed=seed, shots=0) for seed in range(150)])
        noise.append([a.named["transverse"] - b.named["transverse"] for a, b in zip(noisy, exact, strict=True)])
    assert abs(np.corrcoef(noise)[0, 1]) < 0.3
    half = measure_runs([replace(base, seed=seed) for seed in range(200)])
    assert np.mean([one.named["magnetization"] for one in half]) == pytest.approx(0.0, abs=0.015)


def test_runs_of_other_experiments_are_found_by_their_ids(tmp_path: Path) -> None:
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        shots = {"phase_type": "spt_cluster", "system_size": 6, "shots": 50}
        drift = simulator.run_now("replay_drift", notebook, **shots, depth_factors=[1, 2, 2, 16])
        for row in (drift["runs"][0], drift["runs"][1], drift["runs"][3]):
            assert notebook.get(row["id"])["features"] == row["features"]
        first, again = drift["runs"][1:3]
        assert first["id"] != again["id"] and first["features"] != again["features"]
        alone = simulator.run_now("run_phase", **shots, depth=8)
        assert alone["features"] == first["features"] and alone["experiment_id"] == first["id"]
        found = simulator.run_now("discovery", notebook, num_per_phase=5, system_size=6)
        assert all(notebook.get(point["id"])["phase_type"] == point["phase_type"] for point in found["points"])


def test_equal_experiments_have_equal_ids() -> None:
    def named(name: str, **values: object) -> str:
        return experiment_id(name, simulator.validate(simulator.EXPERIMENTS[name].params, values))

    for name, field in (("run_phase", "bias"), ("echo", "delta")):
        ids = {named(name, phase_type="spt_cluster", **{field: value}) for value in (0.0, -0.0, "-0")}
        assert len(ids) == 1
    assert named("sweep", workers=1) == named("sweep", workers=2, cluster="tcp://127.0.0.1:1")
    assert named("sweep", seeds=1) != named("sweep", seeds=2)
    phases = ["spt_cluster", "pseudorandom"]
    assert named("discovery", phases=phases) == named("discovery", phases=phases[::-1])


def test_a_parameter_that_does_nothing_is_not_in_the_id() -> None:
    def named(name: str, **values: object) -> str:
        return experiment_id(name, simulator.validate(simulator.EXPERIMENTS[name].params, values))

    for phase in ("spt_cluster", "trivial_product"):
        for name in ("run_phase", "tri", "replay_drift"):
            assert len({named(name, phase_type=phase, bias=bias) for bias in (0.0, 0.65, 1.0)}) == 1
            assert named(name, phase_type=phase, sector="up") == named(name, phase_type=phase)
        values = {"phase_type": phase, "system_size": 6, "shots": 50}
        one, other = (simulator.run_now("run_phase", **values, bias=bias) for bias in (0.1, 0.9))
        assert one["experiment_id"] == other["experiment_id"] and one["features"] == other["features"]
    for phase in ("ising_symmetry_breaking", "pseudorandom"):
        assert named("run_phase", phase_type=phase, bias=0.1) != named("run_phase", phase_type=phase, bias=0.2)
        assert named("run_phase", phase_type=phase, sector="up") != named("run_phase", phase_type=phase)
        assert named("echo", phase_type=phase, bias=0.1) == named("echo", phase_type=phase, bias=0.2)
    without = ["spt_cluster", "trivial_product"]
    assert named("discovery", phases=without, bias=0.1) == named("discovery", phases=without, bias=0.2)
    assert named("discovery", bias=0.1) != named("discovery", bias=0.2)


def test_a_sweep_runs_a_phase_without_sectors_at_one_bias(tmp_path: Path) -> None:
    values = {"system_sizes": [6], "depths": [2], "seeds": 3, "biases": [0.2, 0.5, 0.9], "workers": 1}
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        result = simulator.run_now("sweep", notebook, **values)
        assert {phase: row["runs"] for phase, row in result["phases"].items()} == {
            "ising_symmetry_breaking": 9,
            "pseudorandom": 9,
            "spt_cluster": 3,
            "trivial_product": 3,
        }
        assert result["num_samples"] == notebook.count("run_phase") == 24


def test_the_correlation_length_stands_beside_the_fingerprint() -> None:
    result = simulator.run_now("run_phase", phase_type="ising_symmetry_breaking", system_size=64, depth=4)
    assert len(result["feature_vector"]) == 13 and "correlation_length" not in result["features"]
    # With long-range order the unconnected range measures the chain; the connected length does not.
    assert result["features"]["correlation_range"] > 20 and 0 < result["correlation_length"] < 3
    assert simulator.run_now("run_phase", phase_type="spt_cluster", shots=10)["correlation_length"] is None


def test_every_expectation_value_is_noisy_with_shots() -> None:
    """One shot of each Pauli gives +-1: no exact value is left, in any phase and at any bias."""
    for phase in PHASES:
        for bias in (0.0, 0.5, 1.0):
            noisy = measure_runs([Run(phase, 9, 3, seed, bias, 1) for seed in range(40)])
            exact = measure_runs([Run(phase, 9, 3, seed, bias) for seed in range(40)])
            for name, sites in (("magnetization", 9), ("transverse", 9), ("zz_nearest", 8)):
                pairs = [(a.named[name], b.named[name]) for a, b in zip(noisy, exact, strict=True)]
                assert all(
                    abs(a * sites - round(a * sites)) < 1e-6 and round(a * sites) % 2 == sites % 2 for a, _ in pairs
                )
                assert np.mean([a - b for a, b in pairs]) == pytest.approx(0.0, abs=0.25)
            assert {one.named["zz_long"] for one in noisy} <= {1.0} and {
                one.named["string_order"] for one in noisy
            } <= {1.0}


def test_tri_reports_its_noise_floor_with_shots() -> None:
    spt = simulator.run_now("tri", phase_type="spt_cluster", system_size=8, depth=3, bias=0.9, shots=200)
    # Without sectors the two runs measure one state: TRI is noise alone, and so is the floor.
    levels = [
        simulator.run_now("tri", phase_type="spt_cluster", system_size=8, depth=3, bias=0.9, shots=200, seed=seed)
        for seed in range(30)
    ]
    floors = np.mean([one["noise_floor"] for one in levels])
    assert floors == pytest.approx(np.mean([one["TRI"] for one in levels]), rel=0.2) and floors > 0
    assert "noise floor" in spt["summary"] and spt["noise_floor"] > 0
    more = simulator.run_now("tri", phase_type="spt_cluster", system_size=8, depth=3, bias=0.9, shots=20_000)
    assert more["noise_floor"] == pytest.approx(spt["noise_floor"] / 10, rel=0.35)
    exact = simulator.run_now("tri", phase_type="spt_cluster", system_size=8, depth=3, bias=0.9)
    assert exact["noise_floor"] == 0.0 and "noise floor" not in exact["summary"]
    forward = simulator.run_now("tri", phase_type="ising_symmetry_breaking", system_size=8, bias=0.5, shots=100)
    assert forward["forward_features"] != forward["reverse_features"]


def test_results_of_another_physics_version_are_kept_and_refused(tmp_path: Path) -> None:
    with simulator.Notebook(tmp_path / "lab.db") as notebook:
        fresh = simulator.run_now("run_phase", notebook, phase_type="pseudorandom", system_size=6, seed=3)
        old = fresh | {"experiment_id": "00ff00ff00ff00ff", "physics_version": "b28584fa"}
        notebook.put(old)
        assert notebook.versions() == {simulator.PHYSICS_VERSION: 1, "b28584fa": 1}
        assert [one[0] for one in notebook.other_physics()] == ["00ff00ff00ff00ff"]
        assert notebook.get("00ff00ff00ff00ff") == old
        with pytest.raises(BadParameter) as caught:
            simulator.run_now("classify", notebook, experiment_id="00ff00ff00ff00ff")
        said = str(caught.value)
        assert (
            "b28584fa" in said and "`benlab experiment run_phase phase_type=pseudorandom system_size=6 seed=3`" in said
        )
        # A result that came with a sweep's own id, from a worker or a restored notebook, is refused too.
        notebook.put(fresh | {"physics_version": "b28584fa"})
        grid = {"phases": ["pseudorandom"], "system_sizes": [6], "depths": [8], "seeds": 1, "first_seed": 3}
        with pytest.raises(BadParameter, match="made with physics version b28584fa and this is"):
            simulator.run_now("sweep", notebook, **grid)


def test_long_runs_are_estimated_before_they_run() -> None:
    from simulator.cost import experiment_seconds, run_seconds

    assert run_seconds("ising_symmetry_breaking", 32, 8) < 0.02
    for phase in PHASES:
        assert run_seconds(phase, 64, 8) < run_seconds(phase, 128, 8) < run_seconds(phase, 128, 64)
    discovery = simulator.EXPERIMENTS["discovery"].params
    assert experiment_seconds(discovery()) == pytest.approx(20 * sum(run_seconds(phase, 32, 8) for phase in PHASES))
    events = simulator.run("sweep", {"system_sizes": [256], "depths": [32], "seeds": 100, "workers": 1})
    first = next(iter(events))
    events.close()  # type: ignore[attr-defined]
    assert isinstance(first, Progress) and "of compute" in first.note


def test_a_wide_run_is_as_exact_as_a_small_one() -> None:
    deep = simulator.run_now("run_phase", phase_type="trivial_product", system_size=8, depth=1024, seed=1)
    wide = simulator.run_now("run_phase", phase_type="ising_symmetry_breaking", system_size=1024, depth=2, seed=1)
    assert len(deep["entropy_by_layer"]) == 1024 and deep["params"]["depth"] == 1024
    assert 0.9 < wide["features"]["zz_nearest"] < 1 and wide["features"]["entropy_final"] >= 1
