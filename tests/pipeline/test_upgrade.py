"""A lab of an earlier physics version: its results are kept and marked, and `rerun` makes them again beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import simulator
from pipeline import upgrade
from pipeline.data import generate
from pipeline.data.params import GenerateParams
from pipeline.data.paths import manifest_path
from pipeline.errors import DataError
from pipeline.lab import Lab
from simulator.detector import PhaseDetector
from simulator.detector_training import train
from simulator.events import Note, Progress, last_result
from simulator.experiments.classify import DETECTOR_FILE

OLD = "b28584fa"
FEW = {"guide_only": True, "n_per_phase": 2, "n_tri": 2, "n_discovery": 1, "n_replay_drift": 2, "n_validation": 2}


def age(lab: Lab, name: str, key: str, **params: Any) -> dict[str, Any]:
    """A result as an earlier version left it: its own id, its physics, its numbers."""
    with lab.notebook() as notebook:
        fresh = simulator.run_now(name, notebook if name == "classify" else None, **params)
        old = fresh | {"experiment_id": key, "physics_version": OLD, "summary": "as it was"}
        # Parameters that came later are not in it.
        old["params"] = {name: value for name, value in fresh["params"].items() if name != "sector"}
        notebook.put(old)
    return old


@pytest.fixture
def old_lab(tmp_path: Path) -> Lab:
    lab = Lab.at(tmp_path)
    age(lab, "run_phase", "a" * 16, phase_type="pseudorandom", system_size=4, depth=1, bias=1.0)
    age(lab, "run_phase", "b" * 16, phase_type="spt_cluster", system_size=6, seed=4)
    age(lab, "tri", "c" * 16, phase_type="pseudorandom", system_size=6, depth=1, bias=1.0)
    age(lab, "echo", "d" * 16, phase_type="ising_symmetry_breaking", system_size=6)
    return lab


def test_an_upgraded_lab_says_what_is_kept_and_what_runs_it_again(old_lab: Lab) -> None:
    note = upgrade.upgrade_note(old_lab)
    assert OLD in note and simulator.PHYSICS_VERSION in note
    assert "4 experiments of this lab: kept, marked" in note and "`benlab rerun`" in note
    assert "generate" not in note
    fresh = Lab.at(old_lab.root / "fresh")
    assert upgrade.upgrade_note(fresh) == ""


def test_rerun_keeps_the_old_results_and_makes_each_once(old_lab: Lab) -> None:
    with old_lab.notebook() as notebook:
        before = {key: notebook.get(key) for key, _, _ in notebook.other_physics()}
    first = last_result(upgrade.run(old_lab, upgrade.RerunParams()))
    assert (first["old"], first["made"], first["known"], first["skipped"]) == (4, 4, 0, 0)
    with old_lab.notebook() as notebook:
        assert {key: notebook.get(key) for key in before} == before
        assert notebook.versions() == {OLD: 4, simulator.PHYSICS_VERSION: 4}
        [fresh] = [one for one in notebook.recent(10, "run_phase") if one["phase_type"] == "pseudorandom"][:1]
    assert fresh["physics_version"] == simulator.PHYSICS_VERSION
    assert fresh["features"]["magnetization"] == -0.75


def test_a_second_rerun_runs_nothing_and_adds_nothing(old_lab: Lab) -> None:
    age(old_lab, "replay_drift", "e" * 16, phase_type="trivial_product", system_size=6, base_depth=1)
    age(old_lab, "discovery", "f" * 16, num_per_phase=5, system_size=4, depth=1)
    # Two old runs that differ in a bias which does nothing are one experiment now.
    age(old_lab, "run_phase", "1" * 16, phase_type="spt_cluster", system_size=6, seed=4, bias=0.9)
    first = last_result(upgrade.run(old_lab, upgrade.RerunParams()))
    assert (first["old"], first["made"], first["known"], first["skipped"]) == (7, 6, 1, 0)
    with old_lab.notebook() as notebook:
        assert notebook.versions() == {OLD: 7, simulator.PHYSICS_VERSION: 6}
        fresh = notebook.find("physics_version = ?", [simulator.PHYSICS_VERSION])[1]
    again = last_result(upgrade.run(old_lab, upgrade.RerunParams()))
    assert (again["old"], again["made"], again["known"], again["skipped"]) == (7, 0, 7, 0)
    assert "0 run again" in again["summary"] and "7 already have results of it" in again["summary"]
    with old_lab.notebook() as notebook:
        assert notebook.find("physics_version = ?", [simulator.PHYSICS_VERSION])[1] == fresh


def test_a_rerun_that_was_stopped_goes_on_where_it_was(old_lab: Lab) -> None:
    events = upgrade.run(old_lab, upgrade.RerunParams())
    while not any(done.done for done in [next(events)] if isinstance(done, Progress)):
        pass
    events.close()
    again = last_result(upgrade.run(old_lab, upgrade.RerunParams()))
    assert again["known"] >= 1 and again["made"] + again["known"] == 4


def test_a_classification_of_another_experiment_follows_it_too(old_lab: Lab) -> None:
    [*_, detector] = train(200)
    assert isinstance(detector, PhaseDetector)
    detector.save(old_lab.root / DETECTOR_FILE)
    age(old_lab, "classify", "e" * 16, phase_type="spt_cluster", system_size=6)
    with old_lab.notebook() as notebook:
        row = notebook.get("e" * 16)
        notebook.put({**row, "params": {"experiment_id": "c" * 16}})
    result = last_result(upgrade.run(old_lab, upgrade.RerunParams()))
    assert (result["made"], result["skipped"]) == (5, 0)
    with old_lab.notebook() as notebook:
        [made] = notebook.recent(1, "classify")
        [compared] = notebook.recent(1, "tri")
    assert made["physics_version"] == simulator.PHYSICS_VERSION
    assert made["params"]["experiment_id"] == compared["experiment_id"]


def test_a_classification_of_an_old_run_follows_it_to_the_new_one(old_lab: Lab) -> None:
    with old_lab.notebook() as notebook:
        result = {
            "experiment": "classify",
            "experiment_id": "e" * 16,
            "params": {"experiment_id": "gone"},
            "physics_version": OLD,
            "summary": "",
        }
        notebook.put(result)
    events = list(upgrade.run(old_lab, upgrade.RerunParams()))
    assert events[-1].value["skipped"] == 1  # type: ignore[union-attr]
    [note] = [event.text for event in events if isinstance(event, Note)]
    assert note.startswith("classify eeeeeeeeeeeeeeee was not run again") and "'gone'" in note


def test_data_of_two_physics_versions_are_not_mixed(old_lab: Lab, tmp_path: Path) -> None:
    lines = list(generate.run(old_lab, GenerateParams(**FEW)))
    assert lines
    manifest = manifest_path(old_lab.data)
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "physics_version": OLD}))
    former = old_lab.data.read_bytes()
    said = f"was made with physics version {OLD} and this is {simulator.PHYSICS_VERSION}"
    with pytest.raises(DataError, match=f"{said}: generate it again"):
        list(generate.run(old_lab, GenerateParams(**FEW, append=True)))
    other = Lab.at(tmp_path / "other")
    with pytest.raises(DataError, match=f"{said}: leave it out of mix"):
        list(generate.run(other, GenerateParams(**FEW, mix=[str(old_lab.data)])))
    note = upgrade.upgrade_note(old_lab)
    assert "`benlab generate` makes it again and keeps the old lines" in note
    events = list(generate.run(old_lab, GenerateParams(**FEW)))
    assert any(isinstance(event, Note) and f"since they are of physics {OLD}" in event.text for event in events)
    assert (old_lab.data.parent / "lab_instructions.former.jsonl").read_bytes() == former
