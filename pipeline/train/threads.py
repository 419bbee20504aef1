"""How many threads to compute with: all cores of an idle machine, fewer where others need them.

The threads of a matrix product wait for the slowest. On a busy machine one of them is always waiting for a
core: there, two threads on two cores were measured to take twice as long as one, for twice the CPU time.
"""

from __future__ import annotations

import time
from typing import Protocol

import psutil
import torch

_STARVED = 0.6
"""Share of its cores' time below which a step counts as starved."""

_IDLE = 0.7
"""Idle cores, as a share of the threads in use, that let them double."""

_PATIENCE_SECONDS = 20.0
"""After a step back, so long no step forward."""


class Clocks(Protocol):
    """Where the times come from (seconds)."""

    def wall(self) -> float: ...
    def own(self) -> float: ...
    def idle(self) -> float: ...


class SystemClocks:
    """This process and this machine. `idle` adds up over all cores, and counts those of lower-priority work."""

    def __init__(self) -> None:
        # What runs at a lower priority gives way to this process, unless it is such work itself.
        self._first = psutil.Process().nice() <= 0

    def wall(self) -> float:
        return time.monotonic()

    def own(self) -> float:
        return time.process_time()

    def idle(self) -> float:
        times = psutil.cpu_times()
        return float(times.idle + (getattr(times, "nice", 0.0) if self._first else 0.0))


class Threads:
    """Halves the threads after a starved step and doubles them, up to `most`, where cores lie idle."""

    def __init__(self, most: int, clocks: Clocks | None = None) -> None:
        self.most = self.now = most
        self._clocks = clocks or SystemClocks()
        self._lowered = float("-inf")
        self._before = self._read()

    def start(self) -> None:
        """A step begins."""
        self._before = self._read()

    def stop(self) -> int:
        """A step has ended; returns the threads that the next one should take."""
        wall, own, idle = (after - before for after, before in zip(self._read(), self._before, strict=True))
        if self.now > 1 and own < _STARVED * wall * self.now:
            self.now = max(1, self.now // 2)
            self._lowered = self._clocks.wall()
        elif self.now < self.most and idle > _IDLE * wall * self.now and self._rested():
            self.now = min(self.most, self.now * 2)
        return self.now

    def _rested(self) -> bool:
        return self._clocks.wall() - self._lowered > _PATIENCE_SECONDS

    def _read(self) -> tuple[float, float, float]:
        return self._clocks.wall(), self._clocks.own(), self._clocks.idle()


def adaptive(wanted: int | None, device: torch.device) -> Threads | None:
    """Adaptive threads on a CPU, unless a number was asked for or there is one core alone."""
    if wanted:
        torch.set_num_threads(wanted)
        return None
    most = torch.get_num_threads()
    return Threads(most) if device.type == "cpu" and most > 1 else None
