"""How fast the steps are, and how long ago the last checkpoint was."""

from __future__ import annotations

import time
from collections import deque

import torch

from pipeline.train.samples import TokenSet
from pipeline.train.threads import Threads

_WINDOW = 8
"""Steps over which the speed is averaged."""


class Clock:
    """Speed over the last steps, validation and checkpoints left out; and the time since the last checkpoint.

    The threads of the next step follow from how the last one went.
    """

    def __init__(self, threads: Threads | None) -> None:
        self._threads = threads
        self._steps: deque[tuple[float, int, int]] = deque(maxlen=_WINDOW)
        self._started = 0.0
        self._saved = time.monotonic()

    def start(self) -> None:
        """A step begins."""
        if self._threads:
            torch.set_num_threads(self._threads.now)
            self._threads.start()
        self._started = time.monotonic()

    def stop(self, batches: list[list[int]], tokens: TokenSet) -> None:
        """A step over the samples of those numbers has ended."""
        samples = sum(len(batch) for batch in batches)
        count = sum(len(tokens.samples[i].tokens) + len(tokens.prefix) for batch in batches for i in batch)
        self._steps.append((time.monotonic() - self._started, samples, count))
        if self._threads:
            self._threads.stop()

    @property
    def last(self) -> float:
        """Seconds of the last step."""
        return self._steps[-1][0]

    @property
    def seconds_a_step(self) -> float:
        """Mean of the last steps."""
        return sum(seconds for seconds, _, _ in self._steps) / len(self._steps)

    def speeds(self) -> dict[str, float]:
        """Samples and tokens (prefix counted in each sample) a second."""
        seconds = sum(step[0] for step in self._steps)
        return {
            "samples_per_second": sum(step[1] for step in self._steps) / seconds,
            "tokens_per_second": sum(step[2] for step in self._steps) / seconds,
        }

    @property
    def since_checkpoint(self) -> float:
        """Seconds since the last checkpoint, or the start."""
        return time.monotonic() - self._saved

    def checkpointed(self) -> None:
        """A checkpoint was written."""
        self._saved = time.monotonic()
