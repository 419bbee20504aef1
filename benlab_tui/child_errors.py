"""A child's last word as an exception of this process."""

from __future__ import annotations

from typing import NoReturn

from benlab_tui.errors import Cancelled
from pipeline import errors as pipeline_errors
from pipeline.errors import BadInput, PipelineError
from simulator.events import Failed

_USAGE = ("BadInput", "BadParameter", "UnknownName")


def raise_failure(event: Failed) -> NoReturn:
    """Raises what the event tells: Cancelled, BadInput, or the pipeline's error of that name."""
    if event.kind == "Interrupted":
        raise Cancelled(event.error)
    if event.kind in _USAGE:
        raise BadInput(event.error)
    kind = getattr(pipeline_errors, event.kind, PipelineError)
    raise (kind if isinstance(kind, type) and issubclass(kind, PipelineError) else PipelineError)(event.error)
