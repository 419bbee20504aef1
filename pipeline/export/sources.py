"""Which adapter, and which base, an export or install works with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ExportError
from simulator.private_files import read_text

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.lab import Lab


def adapter_and_base(lab: Lab, adapter: str | None, base: str | None) -> tuple[Path, Base]:
    """The adapter's folder (the lab's newest unless named) and its base (the one it was trained on unless named).

    Raises ExportError where either cannot be told; BaseError where the base, or its GGUF, is not here.
    """
    from pipeline.bases import locate_gguf

    folder = Path(adapter).expanduser() if adapter else lab.adapter_dir
    if not folder.is_dir():
        raise ExportError(f"{folder} is not there: train first (`benlab train`) or name an adapter folder")
    name = base or trained_on(folder).get("name")
    if not name:
        raise ExportError(f"{folder} does not say which base it was trained on: name it with --base")
    return folder, locate_gguf(lab, str(name))


def trained_on(adapter: Path) -> dict[str, Any]:
    """The manifest's `base` entry; empty where there is none."""
    entry = manifest_of(adapter).get("base")
    return entry if isinstance(entry, dict) else {}


def manifest_of(adapter: Path) -> dict[str, Any]:
    """The adapter's manifest.json; empty where it has none or it is broken."""
    try:
        value = json.loads(read_text(adapter / "manifest.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
