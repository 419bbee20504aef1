"""The kinds of training sample, one file each; importing this package registers them all."""

from pipeline.data.kinds import (
    comparison,
    definitions,
    design,
    discovery,
    fingerprint,
    numeric,
    ordering,
    phase,
    replay_drift,
    tools,
    tri,
)
from pipeline.data.kinds.base import KINDS, Case, Kind, kind_named

__all__ = [
    "KINDS",
    "Case",
    "Kind",
    "comparison",
    "definitions",
    "design",
    "discovery",
    "fingerprint",
    "kind_named",
    "numeric",
    "ordering",
    "phase",
    "replay_drift",
    "tools",
    "tri",
]
