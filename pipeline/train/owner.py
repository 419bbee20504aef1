"""Whose adapter a folder holds. Light: the supervisor asks before torch is loaded."""

from __future__ import annotations

import json
from pathlib import Path


def owner(folder: Path) -> str | None:
    """The run whose adapter lies there; None where it is no adapter of ours."""
    try:
        return str(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
