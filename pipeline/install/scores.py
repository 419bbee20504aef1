"""The newest evaluation of an adapter: what it scored beside its base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.lab import Lab

_KINDS = ("phase_identification", "numeric", "ordering", "definitions", "tools")


def newest_scores(lab: Lab, adapter: Path) -> dict[str, Any]:
    """`{kind: {"base": {"score", "n", "interval"}, "tuned": …}}` of the last evaluation of this adapter."""
    weights = adapter / "adapter_model.safetensors"
    if not weights.exists():
        return {}
    written = weights.stat().st_mtime
    reports = [path for path in lab.runs.glob("*/eval.json") if path.stat().st_mtime >= written]
    for path in sorted(reports, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            if (lab.root / str(report["adapter"])).resolve() == adapter.resolve():
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
    """One sentence where the tuned model does not beat its base, else an empty text."""
    pairs = {
        kind: (models["tuned"]["score"], models["base"]["score"])
        for kind, models in scores.items()
        if models.get("base") and None not in (models["tuned"].get("score"), models["base"].get("score"))
    }
    if not pairs or sum(tuned for tuned, _ in pairs.values()) > sum(base for _, base in pairs.values()):
        return ""
    rows = ", ".join(f"{kind} {tuned:.2f} against {base:.2f}" for kind, (tuned, base) in pairs.items())
    return f"the tuned model does not beat its base ({rows})"
