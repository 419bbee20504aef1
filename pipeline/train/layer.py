"""One decoder layer of a Llama-like model, forward and backward, over the rows of one batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.train.attention import Attention, Heads
from pipeline.train.norm import normalize, normalize_backward
from pipeline.train.projection import Projection


class Layer:
    """One decoder layer: x + O(attention(QKV(norm x))), then x + Down(silu(Gate) * Up)(norm x)."""

    def __init__(self, layer: Any, heads: Heads, eps: float, dtype: torch.dtype) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.heads, self.eps = heads, eps
        scale = heads.size**-0.5
        self.qkv = Projection(
            [attention.q_proj, attention.k_proj, attention.v_proj],
            dtype,
            layer.input_layernorm.weight,
            [scale, 1.0, 1.0],
        )
        self.out = Projection([attention.o_proj], dtype)
        self.gate_up = Projection([mlp.gate_proj, mlp.up_proj], dtype, layer.post_attention_layernorm.weight)
        self.down = Projection([mlp.down_proj], dtype)
        self.inner = mlp.gate_proj.out_features
        self.kept: tuple[Any, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether any of its linear layers has an adapter."""
        return any(projection.rank for projection in (self.qkv, self.out, self.gate_up, self.down))

    def refresh(self) -> None:
        """Takes over the adapters' present values."""
        for projection in (self.qkv, self.out, self.gate_up, self.down):
            projection.refresh()

    def forward(self, x: Tensor, attention: Attention, keep: bool, rows: Tensor | None = None) -> Tensor:
        """The layer's output, a new tensor (rows × width): of all rows, or of those numbers alone, in their order."""
        normed, inverse = normalize(x, self.eps)
        qkv, low_qkv = self.qkv.forward(normed)
        mixed, attended = attention.forward(qkv, self.heads, keep)
        if rows is not None:
            mixed, x = mixed[rows], x[rows]
        out, low_out = self.out.forward(mixed)
        x = x + out
        normed_mlp, inverse_mlp = normalize(x, self.eps)
        gate_up, low_gate_up = self.gate_up.forward(normed_mlp)
        gate, up = gate_up[:, : self.inner], gate_up[:, self.inner :]
        down, low_down = self.down.forward(nn.functional.silu(gate).mul_(up))
        if keep:
            self.kept = (
                (normed, inverse, low_qkv, attended, mixed, low_out, rows),
                (normed_mlp, inverse_mlp, gate_up, low_gate_up, low_down),
            )
        return x.add_(down)

    def backward(self, dx: Tensor, attention: Attention, gradients: dict[int, Tensor], lowest: bool) -> Tensor:
        """The gradient of the layer's input (`dx` is changed in place); adds the adapters' to `gradients`.

        `dx` has the rows that `forward` gave out.
        """
        (normed, inverse, low_qkv, attended, mixed, low_out, rows), mlp = self.kept
        self.kept = ()
        self._mlp_backward(dx, mlp, gradients)
        d_mixed = self.out.backward(self.out.filled(dx), mixed, low_out, gradients)
        if rows is not None:
            dx, d_mixed = (_scattered(part, rows, len(normed)) for part in (dx, d_mixed))
        d_qkv = attention.backward(d_mixed, attended, self.heads, self.qkv.buffer(len(dx)))
        d_normed = self.qkv.backward(d_qkv, normed, low_qkv, gradients, with_input=not lowest)
        return dx if lowest else dx.add_(normalize_backward(d_normed, normed, inverse))

    def _mlp_backward(self, dx: Tensor, kept: tuple[Any, ...], gradients: dict[int, Tensor]) -> None:
        """Adds the gradient through the MLP to `dx`. silu(gate) is computed again: cheaper than keeping it."""
        normed, inverse, gate_up, low_gate_up, low_down = kept
        gate, up = gate_up[:, : self.inner], gate_up[:, self.inner :]
        swished = nn.functional.silu(gate)
        d_product = self.down.backward(self.down.filled(dx), swished * up, low_down, gradients)
        d_gate_up = self.gate_up.buffer(len(dx))
        torch.mul(d_product, swished, out=d_gate_up[:, self.inner : 2 * self.inner])
        torch.ops.aten.silu_backward.grad_input(d_product.mul_(up), gate, grad_input=d_gate_up[:, : self.inner])
        d_normed = self.gate_up.backward(d_gate_up, normed, low_gate_up, gradients)
        dx.add_(normalize_backward(d_normed, normed, inverse))


def _scattered(part: Tensor, rows: Tensor, count: int) -> Tensor:
    """`part` at its rows of a matrix that is zero elsewhere (count × width)."""
    whole = part.new_zeros(count, part.shape[1])
    whole[rows] = part
    return whole
