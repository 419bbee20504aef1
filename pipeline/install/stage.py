"""The stage `install`: a new version of ben-lab, embedded and in Ollama, each with its proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

from pipeline.export.sources import adapter_and_base
from pipeline.install.embedded import Job, install_embedded
from pipeline.install.params import InstallParams
from pipeline.install.registry import Registry, Version
from pipeline.install.scores import newest_scores, warning
from pipeline.lab import Lab, current_run
from pipeline.modelfile import load
from simulator import PHYSICS_VERSION
from simulator.events import Event, Note, Progress, Result


def run(lab: Lab, params: InstallParams) -> Iterator[Event]:
    """Progress and notes, then a Result with the version, its receipt, and whether it is current now.

    Raises ExportError, BaseError, InstallError, ChatError, LabError or NetworkError; the version that
    answered before then still does.
    """
    adapter, base = adapter_and_base(lab, params.adapter, params.base)
    job = Job(lab, params.name, adapter, base, load(lab), current_run(lab, "install"))
    version = yield from install_embedded(job)
    version = replace(version, scores=newest_scores(lab, adapter))
    if version.physics_version and version.physics_version != PHYSICS_VERSION:
        yield Note(
            f"{version.version} was trained on physics {version.physics_version} and the simulator is at "
            f"{PHYSICS_VERSION}: generate and train again for answers that match it"
        )
    registry = Registry(lab, params.name)
    worse = "" if params.force else warning(version.scores)
    current = not worse or registry.current() is None
    if worse:
        yield Note(f"{worse}: {'it is used all the same, as there is no other' if current else _keep(version)}")
    registry.add(version, make_current=current)
    yield Progress("install", 3, 3, version.version)
    value = {**asdict(version), "current": current, "warning": worse}
    yield Result(value)


def _keep(version: Version) -> str:
    return f"the version in use stays; `benlab use {version.version}` or --force takes this one"
