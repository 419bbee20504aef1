"""The table behind `benlab bases`: the known bases, and whatever else the lab has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.bases.base import Base, load_record
from pipeline.bases.catalogue import BaseEntry, catalogue
from pipeline.lab import Lab


def listing(lab: Lab) -> list[dict[str, Any]]:
    """One row a base: name, title, licence, size (bytes), sources, recipe, here, path, sha256, gated."""
    rows = [_known(entry, load_record(lab, entry.name)) for entry in catalogue().values()]
    return rows + [_own(lab, base) for base in _others(lab)]


def _known(entry: BaseEntry, base: Base | None) -> dict[str, Any]:
    sources = [
        f"pip {entry.wheel.requirement}" if entry.wheel else None,
        f"hub {entry.hf_id}" if entry.hf_id else None,
        f"ollama {entry.ollama_tag}" if entry.ollama_tag else None,
    ]
    return {
        "name": entry.name,
        "title": entry.title,
        "licence": entry.licence,
        "size": base.size if base else entry.size,
        "sources": [source for source in sources if source],
        "recipe": entry.recipe,
        "gated": entry.gated,
        **_where(base),
    }


def _own(lab: Lab, base: Base) -> dict[str, Any]:
    return {
        "name": base.name,
        "title": base.path.name,
        "licence": "unknown: see the model's own page",
        "size": base.size,
        "sources": [base.source],
        "recipe": "guide",
        "gated": False,
        **_where(base),
    }


def _where(base: Base | None) -> dict[str, Any]:
    return {
        "here": base is not None,
        "path": str(base.path) if base else None,
        "sha256": base.sha256 if base else None,
        "source": base.source if base else None,
    }


def _others(lab: Lab) -> list[Base]:
    """Bases of this lab that the catalogue does not know."""
    folder: Path = lab.models / "bases"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found = (load_record(lab, name) for name in names if name not in catalogue())
    return [base for base in found if base is not None]
