"""The newest evaluation of an adapter: what it scored beside its base, and beside the version in use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.files import sha256_of
from simulator.private_files import read_text

if TYPE_CHECKING:
    from pipeline.install.registry import Version
    from pipeline.lab import Lab

_KINDS = ("conversation", "phase_identification", "numeric", "ordering", "definitions", "general")
_AS_THEY_ARE = ("perplexity", "set")
_FORGOTTEN = 0.005
"""By how much the ratio of perplexities may grow before it is told: less is rounding."""


def newest_scores(lab: Lab, adapter: Path) -> dict[str, Any]:
    """Return the scores of the last evaluation of these very weights; {} if there is none.

    `{kind: {"base": {"score", "n", "interval"}, "tuned": …}}`, and what was forgotten under `perplexity`. A report
    names the weights by their sha256 (`adapter_sha256`): every training writes its folder again.
    """
    weights = adapter / "adapter_model.safetensors"
    if not weights.exists():
        return {}
    digest = sha256_of(weights)
    for path in sorted(lab.runs.glob("*/eval.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            report = json.loads(read_text(path))
            if report["adapter_sha256"] == digest:
                return _summary(report)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return {}


def _summary(report: dict[str, Any]) -> dict[str, Any]:
    kinds = {kind: report[kind] for kind in _KINDS if isinstance(report.get(kind), dict)}
    scores = {
        kind: {model: _score(models[model]) for model in ("base", "tuned") if models.get(model)}
        for kind, models in kinds.items()
        if models.get("tuned")
    }
    return {**scores, **{name: report[name] for name in _AS_THEY_ARE if name in report}} if scores else {}


def _score(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("score", "n", "interval") if key in entry}


def warning(scores: Mapping[str, Any], in_use: Version | None = None) -> str:
    """Return why a version should not answer without a question, as one sentence; empty if nothing speaks against it.

    That is a kind in which it does not beat its base, or less conversation or more forgetting than the version in use.
    """
    rows = []
    for kind, models in scores.items():
        if kind not in _AS_THEY_ARE and _not_better(kind, models.get("base") or {}, models.get("tuned") or {}):
            base, tuned = models["base"], models["tuned"]
            rows.append(f"{kind} {tuned['score']:.2f} against {base['score']:.2f}")
    said = [f"the tuned model does not beat its base in {', '.join(rows)}"] if rows else []
    if in_use is not None and in_use.scores.get("set") == scores.get("set"):
        said += _worse_than(scores, in_use)
    return "; ".join(said)


def _not_better(kind: str, base: Mapping[str, Any], tuned: Mapping[str, Any]) -> bool:
    before, after = base.get("score"), tuned.get("score")
    if before is None or after is None:
        return False
    if kind == "general":  # nothing is to be won there: only what lies outside the base's interval was lost
        return bool(after < base["interval"][0])
    return bool(after < before or after == before < 1)


def _worse_than(scores: Mapping[str, Any], in_use: Version) -> list[str]:
    """What got worse since the version in use, on the same evaluation set."""
    said = []
    former, now = (found.get("conversation", {}).get("tuned", {}).get("score") for found in (in_use.scores, scores))
    if former is not None and now is not None and now < former:
        said.append(f"it is worse at conversation than {in_use.version} ({now:.2f} against {former:.2f})")
    former, now = (found.get("perplexity", {}).get("ratio") for found in (in_use.scores, scores))
    if former is not None and now is not None and now > former + _FORGOTTEN:
        said.append(
            f"it has forgotten more than {in_use.version} (perplexity on neutral text {now:.2f} times its base's "
            f"against {former:.2f})"
        )
    return said
