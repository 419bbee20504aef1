"""Whose adapter a folder holds. Light: the supervisor asks before torch is loaded."""

from __future__ import annotations

import json
from pathlib import Path

from simulator.private_files import read_text


def owner(folder: Path) -> str | None:
    """The run whose adapter lies there; None where it is no adapter of ours."""
    try:
        return str(json.loads(read_text(folder / "manifest.json"))["run"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
