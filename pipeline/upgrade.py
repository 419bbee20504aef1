"""A lab from an earlier physics version: what it keeps, and the stage `rerun`, which runs its experiments again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

import simulator
from pipeline.lab import Lab
from simulator.errors import BadParameter, SimulatorError, UnknownExperiment, UnknownName
from simulator.events import Event, Note, Progress, Result

_TOGETHER = 50
_MOST_NOTES = 20


class RerunParams(BaseModel):
    """There is nothing to choose: every experiment of an earlier physics version runs again."""

    model_config = ConfigDict(extra="forbid")


def upgrade_note(lab: Lab) -> str:
    """Return what an upgraded lab keeps of earlier physics versions and the commands that renew it; "" if nothing.

    Raises simulator.errors.NotebookError.
    """
    from pipeline.data.writer import read_manifest

    told = []
    if older := older_experiments(lab):
        count = sum(older.values())
        told.append(
            f"{count:,} experiment{'s' if count > 1 else ''} of this lab: kept, marked, and never averaged or compared "
            "with new ones. `benlab rerun` runs them again and keeps both."
        )
    data = read_manifest(lab.data).get("physics_version", simulator.PHYSICS_VERSION)
    if data != simulator.PHYSICS_VERSION:
        told.append(
            f"{lab.data.name}: `benlab generate` makes it again and keeps the old lines beside it; then `benlab train` "
            "and `benlab install` renew ben-lab."
        )
    if not told:
        return ""
    versions = ", ".join(dict.fromkeys([*older, *([data] if data != simulator.PHYSICS_VERSION else [])]))
    return "\n".join([f"The physics is now version {simulator.PHYSICS_VERSION}. From version {versions}:", *told])


def older_experiments(lab: Lab) -> dict[str, int]:
    """Return how many experiments the notebook holds of each other physics version."""
    if not lab.database.exists():
        return {}
    with lab.notebook() as notebook:
        return {name: count for name, count in notebook.versions().items() if name != simulator.PHYSICS_VERSION}


def run(lab: Lab, params: RerunParams) -> Iterator[Event]:
    """Runs every experiment of another physics version again; the old results stay. Raises NotebookError."""
    notebook = lab.notebook()
    old = notebook.other_physics()
    total, made, known, skipped = len(old), 0, 0, 0
    yield Progress("rerun", 0, total)
    renewed: dict[str, str] = {}
    for part in _batches([one for one in old if one[1] == "run_phase"]):
        fresh, failed = _runs_again(part)
        have = notebook.known(result["experiment_id"] for _, result in fresh)
        notebook.put_many(result for _, result in fresh if result["experiment_id"] not in have)
        renewed |= {key: result["experiment_id"] for key, result in fresh}
        known += sum(result["experiment_id"] in have for _, result in fresh)
        made += sum(result["experiment_id"] not in have for _, result in fresh)
        skipped += len(failed)
        yield from (Note(text) for text in failed[:_MOST_NOTES])
        yield Progress("rerun", made + known + skipped, total)
    for key, name, values in (one for one in old if one[1] != "run_phase"):
        try:
            simulator.run_now(name, notebook, **_renamed(values, renewed))
            made += 1
        except (BadParameter, UnknownName, UnknownExperiment) as error:
            skipped += 1
            yield Note(f"{name} {key} was not run again: {error}")
        yield Progress("rerun", made + known + skipped, total, name)
    told = [f"{made:,} run again with physics {simulator.PHYSICS_VERSION}"]
    told += [f"{known:,} had been before"] if known else []
    told += [f"{skipped:,} could not be"] if skipped else []
    summary = f"{total:,} old experiment{'' if total == 1 else 's'}: {', '.join(told)}; the old results are kept"
    if not total:
        summary = f"every experiment of this lab is of physics {simulator.PHYSICS_VERSION}"
    yield Result({"old": total, "made": made, "known": known, "skipped": skipped, "summary": summary})


def _batches(rows: list[tuple[str, str, dict[str, Any]]]) -> Iterator[list[tuple[str, str, dict[str, Any]]]]:
    """Some runs at a time, those of one phase and size together."""
    rows = sorted(rows, key=lambda one: (str(one[2].get("phase_type")), one[2].get("system_size", 0)))
    for begin in range(0, len(rows), _TOGETHER):
        yield rows[begin : begin + _TOGETHER]


def _runs_again(
    part: list[tuple[str, str, dict[str, Any]]],
) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """The new results with the old ids, and a sentence for each run that this version refuses."""
    good, failed = [], []
    for key, _, values in part:
        try:
            good.append((key, simulator.validate(simulator.EXPERIMENTS["run_phase"].params, values)))
        except SimulatorError as error:
            failed.append(f"run_phase {key} was not run again: {error}")
    results = simulator.run_many(params for _, params in good)  # type: ignore[misc]
    return [(key, result) for (key, _), result in zip(good, results, strict=True)], failed


def _renamed(values: dict[str, Any], renewed: dict[str, str]) -> dict[str, Any]:
    """The parameters with the renewed run's id, and without the cluster that a sweep ran on then."""
    kept = {name: value for name, value in values.items() if name != "cluster"}
    if (former := kept.get("experiment_id")) in renewed:
        kept["experiment_id"] = renewed[str(former)]
    return kept
