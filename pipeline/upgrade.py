"""A lab from an earlier physics version: what it keeps, and the stage `rerun`, which runs its experiments again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

import simulator
from pipeline.lab import Lab
from simulator.errors import NotebookError, SimulatorError
from simulator.events import Event, Note, Progress, Result, last_result
from simulator.notebook import Notebook
from simulator.params import RunPhase
from simulator.runner import experiment_named

_TOGETHER = 50
_MOST_NOTES = 20
# These read the lab's runs or its detector; of the others only the answer is kept, for the notebook has their runs
# as experiments of their own.
_READS_THE_LAB = frozenset(["classify", "sweep", "scientist"])


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


@dataclass(frozen=True, slots=True)
class _Again:
    """An old experiment with the parameters that it has now and the id of its new result."""

    former: str
    name: str
    params: BaseModel
    key: str


def run(lab: Lab, params: RerunParams) -> Iterator[Event]:
    """Runs every experiment of another physics version that has no result of this one; the old results stay.

    Raises NotebookError.
    """
    with lab.notebook() as notebook:
        old = notebook.other_physics()
        total, counts = len(old), Counter[str]()
        yield Progress("rerun", 0, total)
        asked, failed = _asked(old)
        have = notebook.known(one.key for one in asked)
        fresh = {one.key: one for one in asked if one.key not in have}
        counts["known"] = len(asked) - len(fresh)
        counts["skipped"] = len(failed)
        yield from (Note(text) for text in failed[:_MOST_NOTES])
        yield Progress("rerun", counts.total(), total)
        for name, made, note in _made(list(fresh.values()), notebook):
            counts["made" if made else "skipped"] += max(made, 1)
            if note and counts["skipped"] <= _MOST_NOTES:
                yield Note(note)
            yield Progress("rerun", counts.total(), total, name)
    found = {name: counts[name] for name in ("made", "known", "skipped")}
    yield Result({"old": total, **found, "summary": _summary(total, **found)})


def _summary(total: int, made: int, known: int, skipped: int) -> str:
    if not total:
        return f"every experiment of this lab is of physics {simulator.PHYSICS_VERSION}"
    told = [f"{made:,} run again with physics {simulator.PHYSICS_VERSION}"]
    told += [f"{known:,} already {'has a result' if known == 1 else 'have results'} of it"] if known else []
    told += [f"{skipped:,} could not be"] if skipped else []
    return f"{total:,} old experiment{'' if total == 1 else 's'}: {', '.join(told)}; the old results are kept"


def _asked(old: list[tuple[str, str, dict[str, Any]]]) -> tuple[list[_Again], list[str]]:
    """The experiments to have again, and a sentence for each that this version refuses.

    What others refer to comes first: runs, then what is made of runs, then classifications.
    """
    from simulator.batch import experiment_id

    asked, failed = [], []
    renewed: dict[str, str] = {}
    for former, name, values in sorted(old, key=lambda one: (one[1] != "run_phase", one[1] == "classify")):
        try:
            params = simulator.validate(experiment_named(name).params, _renamed(values, renewed))
        except SimulatorError as error:
            failed.append(_refused(name, former, error))
            continue
        renewed[former] = experiment_id(name, params)
        asked.append(_Again(former, name, params, renewed[former]))
    return asked, failed


def _made(fresh: list[_Again], notebook: Notebook) -> Iterator[tuple[str, int, str]]:
    """Run and keep each; yield its name, how many results were kept, and a sentence if it was not run."""
    runs = [(one, one.params) for one in fresh if isinstance(one.params, RunPhase) and one.name == "run_phase"]
    # Those of one phase and size are followed together.
    runs.sort(key=lambda pair: (pair[1].phase_type, pair[1].system_size))
    for begin in range(0, len(runs), _TOGETHER):
        part = [params for _, params in runs[begin : begin + _TOGETHER]]
        notebook.put_many(simulator.run_many(part))
        yield "run_phase", len(part), ""
    for one in fresh:
        if one.name == "run_phase":
            continue
        try:
            answer = last_result(
                simulator.run(one.name, one.params, notebook=notebook if one.name in _READS_THE_LAB else None)
            )
            notebook.put(answer)
        except NotebookError:
            raise
        except SimulatorError as error:
            yield one.name, 0, _refused(one.name, one.former, error)
        else:
            yield one.name, 1, ""


def _refused(name: str, former: str, error: SimulatorError) -> str:
    return f"{name} {former} was not run again: {error}"


def _renamed(values: dict[str, Any], renewed: dict[str, str]) -> dict[str, Any]:
    """The parameters with the renewed run's id, and without the cluster that a sweep ran on then."""
    kept = {name: value for name, value in values.items() if name != "cluster"}
    former = kept.get("experiment_id")
    if isinstance(former, str) and former in renewed:
        kept["experiment_id"] = renewed[former]
    return kept
