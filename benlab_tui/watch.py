"""What a job's events add up to: stage, share, numbers, losses, time left, and how it ended. No screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulator.events import Event, Failed, Metric, Note, Progress, Result

MOST_POINTS = 2_000
_WINDOW = 30.0
_MARKS = {"past": "·", "running": "▶", "done": "✓", "failed": "✗", "cancelled": "■", "interrupted": "‖"}


@dataclass
class JobView:
    """One job as it looks now. `started` is a Unix time, `losses` are in step order."""

    id: str
    kind: str
    started: float = field(default_factory=time.time)
    state: str = "running"
    stage: str = ""
    done: float = 0.0
    total: float | None = None
    note: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    ended: float | None = None
    paused: bool = False
    watchers: list[Callable[[], None]] = field(default_factory=list, compare=False, repr=False)
    """Called by whoever changes the view; cards add themselves while they are mounted."""
    _marks: list[tuple[float, float]] = field(default_factory=list)

    def take(self, event: Event, now: float | None = None) -> None:
        """Adds one event."""
        now = time.monotonic() if now is None else now
        if isinstance(event, Progress):
            self._progress(event, now)
        elif isinstance(event, Metric):
            self.stage = self.stage or event.stage
            self.numbers = {**self.numbers, **event.values}
            if (loss := event.values.get("loss")) is not None:
                self.losses.append(loss)
                del self.losses[:-MOST_POINTS]
        elif isinstance(event, Note):
            self.note = event.text
        elif isinstance(event, Failed):
            self._end("cancelled" if event.kind == "Interrupted" else "failed", event.error)
        elif isinstance(event, Result):
            self.result = event.value
            self.done = self.total or self.done
            self._end("done", "")

    def _progress(self, event: Progress, now: float) -> None:
        if event.stage != self.stage or event.done < self.done:
            self._marks.clear()
        self.stage, self.done, self.total = event.stage, event.done, event.total
        self.note = event.note or self.note
        self._marks.append((now, event.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > _WINDOW:
            self._marks.pop(0)

    def _end(self, state: str, note: str) -> None:
        self.state, self.note, self.ended = state, note, time.time()

    @property
    def mark(self) -> str:
        """A sign of the state that needs no colour."""
        return _MARKS.get(self.state, "?")

    @property
    def share(self) -> float | None:
        """The done part of this stage, 0 to 1; None where its length is not known."""
        return max(0.0, min(1.0, self.done / self.total)) if self.total else None

    @property
    def seconds_left(self) -> float | None:
        """What the last half minute's speed says of the rest of this stage."""
        if self.total is None or len(self._marks) < 2:
            return None
        (start, first), (end, last) = self._marks[0], self._marks[-1]
        return (self.total - last) * (end - start) / (last - first) if last > first and end > start else None


def bar(share: float | None, width: int) -> str:
    """A bar of `width` cells; an unknown share is a row of dots."""
    if share is None:
        return "·" * width
    full = round(share * width)
    return "█" * full + "░" * (width - full)
