"""The frozen layers below the first adapter. What they make of a sample never changes: it is computed once and kept.

From the second epoch on a batch costs the upper layers alone. A sample's states do not depend on the batch that it
stands in, since attention is causal and every sample follows the same prefix.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from pipeline.train.batches import Batch

MOST_BYTES = 1_000_000_000
"""States beyond it are computed anew each time."""


class Trunk:
    """Embedding and frozen layers: a batch → its states (rows × width), as the first layer with adapters reads them.

    `run(ids)` computes them. With `keeps` they are kept sample by sample; `drop` gives that memory back for good.
    """

    def __init__(self, keeps: bool, most_bytes: int = MOST_BYTES) -> None:
        self._keeps = keeps
        self._left = most_bytes
        self._prefix: Tensor | None = None
        self._samples: dict[bytes, Tensor] = {}

    def states(self, batch: Batch, run: Callable[[], Tensor]) -> Tensor:
        """The states of the batch; padding holds zeros or whatever `run` makes of it, and nothing reads it."""
        if not self._keeps:
            return run()
        width = batch.ids.shape[1]
        keys = [row[:length].numpy().tobytes() for row, length in zip(batch.ids, batch.lengths, strict=True)]
        if self._prefix is not None and all(key in self._samples for key in keys):
            x = self._prefix.new_zeros(len(batch.prefix) + len(keys) * width, self._prefix.shape[1])
            x[: len(batch.prefix)] = self._prefix
            for i, key in enumerate(keys):
                start = len(batch.prefix) + i * width
                x[start : start + batch.lengths[i]] = self._samples[key]
            return x
        x = run()
        if self._prefix is None:
            self._prefix = x[: len(batch.prefix)].clone()
        for i, key in enumerate(keys):
            self._keep(key, x[len(batch.prefix) + i * width :][: batch.lengths[i]])
        return x

    def drop(self) -> None:
        """Forgets all states and keeps none from now on: the memory is needed."""
        self._keeps, self._prefix = False, None
        self._samples.clear()

    def _keep(self, key: bytes, states: Tensor) -> None:
        size = states.numel() * states.element_size()
        if key not in self._samples and size <= self._left:
            self._samples[key] = states.clone()
            self._left -= size
