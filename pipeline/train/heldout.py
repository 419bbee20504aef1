"""What a training is validated on: the file that was made with its data, else a share of the data itself.

Lines about one experiment, or with one question, are never on both sides: the model would be asked what it was told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.paths import manifest_path, validation_path
from pipeline.data.writer import read_manifest
from pipeline.files import sha256_of

if TYPE_CHECKING:
    from pipeline.data.line import Sample

_SHARE = 0.05
_FEWEST = 20
"""Lines below which nothing is held out."""


def validation_file(data: Path) -> Path | None:
    """The validation file beside `data` where it has lines and their manifest names both by sha256, else None."""
    held = validation_path(data)
    if not held.is_file() or not held.stat().st_size:
        return None
    manifest = read_manifest(data)
    for path, part in ((data, manifest.get("train")), (held, manifest.get("validation"))):
        if not isinstance(part, dict) or part.get("sha256") != sha256_of(path):
            return None
    return held


def why_not(data: Path) -> str:
    """Why the file beside `data`, which `validation_file` refused, is not used; empty where there is none."""
    held = validation_path(data)
    if not held.is_file() or not held.stat().st_size:
        return ""
    return f"{held.name} is not used: {manifest_path(data).name} does not name it and {data.name} as they are now"


def hold_out(samples: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """(training, held out): whole groups of lines by chance, together a twentieth of the lines at most.

    Nothing is held out of fewer than 20 lines, or where all lines belong together.
    """
    from datasets import Dataset

    if len(samples) < _FEWEST:
        return list(samples), []
    groups = Dataset.from_dict({"lines": related(samples)}).shuffle(seed=seed)["lines"]
    most, held = math.ceil(_SHARE * len(samples)), set[int]()
    for lines in groups:
        if len(held) + len(lines) <= most:
            held.update(lines)
    return [s for i, s in enumerate(samples) if i not in held], [s for i, s in enumerate(samples) if i in held]


def related(samples: Sequence[Sample]) -> list[list[int]]:
    """Numbers of the lines that share an experiment or a question, directly or over other lines."""
    leader = list(range(len(samples)))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = i = leader[leader[i]]
        return i

    first: dict[tuple[str, str], int] = {}
    for i, sample in enumerate(samples):
        ids = sample.meta.get("experiment_ids")
        keys = [("experiment", str(name)) for name in ids] if isinstance(ids, list) else []
        for key in [*keys, ("question", sample.context)]:
            leader[find(i)] = find(first.setdefault(key, i))
    groups: dict[int, list[int]] = {}
    for i in range(len(samples)):
        groups.setdefault(find(i), []).append(i)
    return list(groups.values())
