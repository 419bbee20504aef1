"""Writes a data set: training file, validation file and manifest, each whole or not at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import simulator
from pipeline.chat import lab_tools
from pipeline.data.line import Sample
from pipeline.data.paths import manifest_path, validation_path
from pipeline.data.regions import REGIONS
from pipeline.files import replacing, sha256_of, write_text_atomic
from simulator.private_files import read_text


def _write(path: Path, samples: Iterable[Sample]) -> None:
    """One sample a line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(sample.to_line() + "\n" for sample in samples)


def write_dataset(path: Path, train: list[Sample], validation: list[Sample], facts: dict[str, Any]) -> dict[str, Any]:
    """Writes the three files and returns the manifest. The manifest comes last and names the others by sha256."""
    held = validation_path(path)
    # Both are written before either takes its place: a full disk leaves the former data set as it was.
    with replacing(held) as other, replacing(path) as own:
        _write(other, validation)
        _write(own, train)
    manifest = {
        "format": 1,
        "physics_version": simulator.PHYSICS_VERSION,
        **facts,
        **({"tools": sorted(lab_tools.names())} if any(sample.tools for sample in train) else {}),
        "regions": {name: [region.first, region.last] for name, region in REGIONS.items()},
        "train": _part(path, train),
        "validation": _part(held, validation),
    }
    write_text_atomic(manifest_path(path), json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _part(path: Path, samples: list[Sample]) -> dict[str, Any]:
    kinds = Counter(str(sample.meta.get("kind", "own")) for sample in samples)
    return {"file": path.name, "lines": len(samples), "kinds": dict(sorted(kinds.items())), "sha256": sha256_of(path)}


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a training file, {} where there is none or it cannot be read."""
    try:
        manifest = json.loads(read_text(manifest_path(path)))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}
