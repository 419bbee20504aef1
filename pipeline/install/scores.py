"""The newest evaluation of an adapter: what it scored beside its base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.lab import Lab

_KINDS = ("phase_identification", "numeric", "ordering", "definitions", "tools")


def newest_scores(lab: Lab, adapter: Path) -> dict[str, Any]:
    """`{kind: {"base": score, "tuned": score, "n": n}}` of the last evaluation since this adapter was written."""
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
        kind: {
            "base": models.get("base", {}).get("score"),
            "tuned": models["tuned"]["score"],
            "n": models["tuned"]["n"],
        }
        for kind, models in kinds.items()
        if "tuned" in models
    }


def warning(scores: dict[str, Any]) -> str:
    """One sentence where the tuned model does not beat its base, else an empty text."""
    pairs = [(s["tuned"], s["base"]) for s in scores.values() if s["tuned"] is not None and s["base"] is not None]
    if not pairs or sum(tuned for tuned, _ in pairs) > sum(base for _, base in pairs):
        return ""
    rows = ", ".join(
        f"{kind} {s['tuned']:.2f} against {s['base']:.2f}" for kind, s in scores.items() if s["base"] is not None
    )
    return f"the tuned model does not beat its base ({rows})"
