"""The newest evaluation of an adapter: what it scored beside its base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.files import sha256_of

if TYPE_CHECKING:
    from pipeline.lab import Lab

_KINDS = ("phase_identification", "numeric", "ordering", "definitions", "tools")


def newest_scores(lab: Lab, adapter: Path) -> dict[str, Any]:
    """`{kind: {"base": {"score", "n", "interval"}, "tuned": …}}` of the last evaluation of these very weights.

    A report names the weights by their sha256 (`adapter_sha256`): folders are written anew by every training.
    """
    weights = adapter / "adapter_model.safetensors"
    if not weights.exists():
        return {}
    digest = sha256_of(weights)
    for path in sorted(lab.runs.glob("*/eval.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            if report["adapter_sha256"] == digest:
                return _summary(report)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}


def _summary(report: dict[str, Any]) -> dict[str, Any]:
    kinds = {kind: report[kind] for kind in _KINDS if isinstance(report.get(kind), dict)}
    return {
        kind: {model: _score(models[model]) for model in ("base", "tuned") if models.get(model)}
        for kind, models in kinds.items()
        if models.get("tuned")
    }


def _score(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("score", "n", "interval") if key in entry}


def warning(scores: dict[str, Any]) -> str:
    """One sentence that names every kind in which the tuned model does not beat its base, else an empty text."""
    rows = []
    for kind, models in scores.items():
        base, tuned = (models.get(model, {}).get("score") for model in ("base", "tuned"))
        if base is not None and tuned is not None and (tuned < base or tuned == base < 1):
            rows.append(f"{kind} {tuned:.2f} against {base:.2f}")
    return f"the tuned model does not beat its base in {', '.join(rows)}" if rows else ""
