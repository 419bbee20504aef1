"""The frozen layers below the first adapter. What they make of a sample never changes: it is computed once and kept.

From the second epoch on a batch costs the upper layers alone. A sample's states do not depend on the batch that it
stands in, since attention is causal and every sample of a set follows the same prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from mmap import mmap

import torch
from torch import Tensor

from pipeline.train.batches import Batch

MOST_BYTES = 1_000_000_000
"""Sets whose states take more keep none: of a batch that is kept in part, nothing is saved."""
_BLOCK_BYTES = 64 << 20
"""States lie together in blocks of this size, outside the heap: kept one by one they fill the holes between a step's
short-lived parts, and the heap grows around them."""


class Trunk:
    """States of prefixes and samples (tokens × width) as the first layer with adapters reads them."""

    def __init__(self, keeps: bool, most_bytes: int = MOST_BYTES) -> None:
        self._keeps = keeps
        self._left = most_bytes
        self._kept: dict[tuple[bytes, bytes], Tensor] = {}
        self._block: Tensor | None = None

    def states(self, batch: Batch, run: Callable[[], Tensor]) -> Tensor:
        """The states of the batch (rows × width), from what was kept where all of it was, else by `run`.

        Padding holds zeros or whatever `run` makes of it: nothing reads it.
        """
        if not self._keeps:
            return run()
        places = _places(batch)
        if all(key in self._kept for key, _ in places):
            width = batch.ids.shape[1]
            first = self._kept[places[0][0]]
            x = first.new_zeros(len(batch.prefix) + len(batch.lengths) * width, first.shape[1])
            for key, rows in places:
                x[rows] = self._kept[key]
            return x
        x = run()
        for key, rows in places:
            self._keep(key, x[rows])
        return x

    def drop(self) -> bool:
        """Forgets all states and keeps none from now on; whether that freed anything."""
        held, self._keeps = bool(self._kept), False
        self._kept.clear()
        self._block = None
        return held

    def _keep(self, key: tuple[bytes, bytes], states: Tensor) -> None:
        if not self._keeps or key in self._kept:
            return
        self._left -= states.numel() * states.element_size()
        if self._left < 0:
            self.drop()
        else:
            self._kept[key] = self._stored(states)

    def _stored(self, states: Tensor) -> Tensor:
        """A copy of the states in the block, or in a new one where they no longer fit."""
        if self._block is None or len(self._block) < len(states):
            size = states.shape[1] * states.element_size()
            rows = max(len(states), _BLOCK_BYTES // size)
            self._block = torch.frombuffer(_memory(rows * size), dtype=states.dtype).view(rows, states.shape[1])
        stored, self._block = self._block[: len(states)], self._block[len(states) :]
        return stored.copy_(states)


def _memory(size: int) -> mmap:
    """So many bytes from the system itself. Raises MemoryError."""
    try:
        return mmap(-1, size)
    except OSError as error:
        raise MemoryError(str(error)) from error


def _places(batch: Batch) -> list[tuple[tuple[bytes, bytes], slice]]:
    """(key, rows) of the prefix and of each sample: which tokens they are, behind which prefix."""
    size, width = len(batch.prefix), batch.ids.shape[1]
    before = repr(batch.prefix).encode()
    places = [((before, b""), slice(0, size))]
    for i, length in enumerate(batch.lengths):
        start = size + i * width
        places.append(((before, batch.ids[i, :length].numpy().tobytes()), slice(start, start + length)))
    return places
