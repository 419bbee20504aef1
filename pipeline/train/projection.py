"""Linear layers that read the same input, and their adapters, as one matrix product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

_Adapter = tuple[torch.nn.Parameter, torch.nn.Parameter, float]
"""A, B and the scale."""


class Projection:
    """y = [W1; W2; …] x + B A x for a few linear layers side by side, with frozen W.

    `together` (outputs + ranks × inputs) stacks the frozen weights and, below them, the adapters' A. Each adapter's
    s B (its outputs × its rank) is a product of its own: of one matrix with them as blocks, most would be zeros.
    A layer without adapter has no rank.
    """

    def __init__(
        self,
        layers: Sequence[Any],
        dtype: torch.dtype,
        norm: Tensor | None = None,
        scales: Sequence[float] | None = None,
    ) -> None:
        """`norm` is the weight of the norm in front, `scales` a factor a layer: both are folded in."""
        self._scales = list(scales or [1.0] * len(layers))
        self._norm = None if norm is None else norm.detach().float()
        bases = [layer.base_layer if hasattr(layer, "lora_A") else layer for layer in layers]
        self._adapters: list[_Adapter | None] = [
            (layer.lora_A["default"].weight, layer.lora_B["default"].weight, float(layer.scaling["default"]))
            if hasattr(layer, "lora_A")
            else None
            for layer in layers
        ]
        sizes = [base.weight.shape[0] for base in bases]
        self._starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self.outputs = sum(sizes)
        self._ranks = [0 if adapter is None else adapter[0].shape[0] for adapter in self._adapters]
        self.rank = sum(self._ranks)
        self._dtype = dtype
        self.together = torch.zeros(self.outputs + self.rank, bases[0].weight.shape[1], dtype=dtype)
        self._spread: list[tuple[slice, slice, Tensor]] = []
        for base, start, size, scale in zip(bases, self._starts, sizes, self._scales, strict=True):
            weight = base.weight.detach().float() * scale
            self.together[start : start + size] = weight if self._norm is None else weight * self._norm
        biases = [base.bias for base in bases]
        self._bias = self._stacked_bias(biases, sizes, dtype) if any(b is not None for b in biases) else None

    def refresh(self) -> None:
        """Copies the adapters' present values into the matrices."""
        self._spread = []
        for (a, b, scale), outputs, low, factor in self._placed():
            self.together[self.outputs + low.start : self.outputs + low.stop] = (
                a if self._norm is None else a * self._norm
            )
            self._spread.append((outputs, low, (b * (scale * factor)).to(self._dtype)))

    def _placed(self) -> Iterator[tuple[_Adapter, slice, slice, float]]:
        """(adapter, its columns among the outputs, its columns among the ranks, its layer's factor)."""
        low = 0
        for adapter, start, rank, factor in zip(self._adapters, self._starts, self._ranks, self._scales, strict=True):
            if adapter is not None:
                yield adapter, slice(start, start + len(adapter[1])), slice(low, low + rank), factor
            low += rank

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(outputs, A x), rows × outputs and rows × rank; the outputs are a view with a longer stride."""
        whole = x @ self.together.t()
        y, low = whole[:, : self.outputs], whole[:, self.outputs :].contiguous()
        for outputs, columns, spread in self._spread:
            y[:, outputs].addmm_(low[:, columns], spread.t())
        if self._bias is not None:
            y += self._bias
        return y, low

    def buffer(self, rows: int) -> Tensor:
        """Room for the outputs' gradient with the low-rank gradient beside it."""
        return torch.empty(rows, self.outputs + self.rank, dtype=self._dtype)

    def filled(self, dy: Tensor) -> Tensor:
        """A buffer that holds `dy`."""
        room = self.buffer(len(dy))
        room[:, : self.outputs] = dy
        return room

    def backward(
        self, room: Tensor, x: Tensor, low: Tensor, gradients: dict[int, Tensor], with_input: bool = True
    ) -> Tensor:
        """The gradient of x; those of the adapters go into `gradients`. `room` is a buffer with dy in it."""
        dy, d_low = room[:, : self.outputs], room[:, self.outputs :]
        for outputs, columns, spread in self._spread:
            torch.mm(dy[:, outputs], spread, out=d_low[:, columns])
        if self.rank:
            self._collect((d_low.t() @ x).float(), dy, low, gradients)
        return room @ self.together if with_input else room

    def _collect(self, d_a: Tensor, dy: Tensor, low: Tensor, gradients: dict[int, Tensor]) -> None:
        """The gradients of each adapter from the stacked one of A, the folded factors taken back."""
        if self._norm is not None:
            d_a *= self._norm
        for (a, b, scale), outputs, columns, factor in self._placed():
            gradients[id(a)] = d_a[columns].clone()
            d_b = low[:, columns].t() @ dy[:, outputs]  # its transpose takes a third longer
            gradients[id(b)] = d_b.t().float().contiguous().mul_(scale * factor)

    def _stacked_bias(self, biases: list[Tensor | None], sizes: list[int], dtype: torch.dtype) -> Tensor:
        parts = [
            torch.zeros(size) if bias is None else bias.detach().float() * scale
            for bias, size, scale in zip(biases, sizes, self._scales, strict=True)
        ]
        return torch.cat(parts).to(dtype)
