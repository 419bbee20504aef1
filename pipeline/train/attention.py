"""Causal attention with rotary positions over [prefix][samples], forward and backward, as matrix products.

Query heads that share a key head (grouped-query attention, Ainslie et al. 2023) are stacked along the tokens, so
that keys and values are never repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Heads:
    """Query heads, key and value heads, and the size of each."""

    queries: int
    keys: int
    size: int

    @property
    def group(self) -> int:
        """Query heads that share one key head."""
        return self.queries // self.keys


class Rotary:
    """Tables of the rotary embedding: pairs (x_i, x_{i + size/2}) turn by position × frequency_i."""

    def __init__(self, module: Any, dtype: torch.dtype) -> None:
        self._frequencies = module.inv_freq.detach().float()
        self._scaling = float(module.attention_scaling)
        self._dtype = dtype

    def tables(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """(cosines, sines), each count × size/2, of the positions from `first` on."""
        angles = torch.arange(first, first + count, dtype=torch.float32)[:, None] * self._frequencies
        return (angles.cos() * self._scaling).to(self._dtype), (angles.sin() * self._scaling).to(self._dtype)


@dataclass(slots=True)
class _Block:
    """Queries of some samples against their keys: what the backward pass needs of it."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    probabilities: Tensor


class Attention:
    """The attention of one batch: its shape, its masks, its rotary tables."""

    def __init__(self, prefix: int, samples: int, width: int, rotary: Rotary, dtype: torch.dtype) -> None:
        self.prefix, self.samples, self.width = prefix, samples, width
        self._tables = rotary.tables(0, prefix), rotary.tables(prefix, width)
        self._masks = _causal(prefix, prefix, dtype), _causal(width, prefix + width, dtype)

    def forward(self, qkv: Tensor, heads: Heads, keep: bool) -> tuple[Tensor, tuple[_Block, ...]]:
        """(mixed values, rows × (queries·size); what `backward` needs). `qkv` is rows × all heads, scaled."""
        mixed = torch.empty(len(qkv), heads.queries * heads.size, dtype=qkv.dtype)
        blocks, before = [], None
        for part, rows, samples, width in self._parts():
            q, k, v = self._split(qkv[rows], heads, samples, width)
            q, k = rotate(q, *self._tables[part]), rotate(k, *self._tables[part])
            if before is not None:
                k, v = (
                    torch.cat([old.expand(samples, -1, -1, -1), new], 2)
                    for old, new in zip(before, (k, v), strict=True)
                )
            before = (k, v)
            block = self._attend(q, k, v, part)
            _merge(torch.bmm(block.probabilities, block.values), mixed[rows], heads, samples, width)
            blocks.append(block)
        return mixed, tuple(blocks) if keep else ()

    def backward(self, d_mixed: Tensor, blocks: tuple[_Block, ...], heads: Heads, room: Tensor) -> Tensor:
        """Fills the first columns of `room` with the gradient of qkv, rows × all heads, and returns it."""
        from_samples: tuple[Tensor, Tensor] | None = None
        for (part, rows, samples, width), block in reversed(list(zip(self._parts(), blocks, strict=True))):
            shape = samples, heads.keys, -1, heads.size
            d_out = self._grouped(d_mixed[rows], heads, samples, width)
            d_values = torch.bmm(block.probabilities.transpose(1, 2), d_out)
            d_scores = torch.bmm(d_out, block.values.transpose(1, 2))
            p = block.probabilities
            d_scores = torch._softmax_backward_data(d_scores, p, -1, p.dtype)
            d_queries = torch.bmm(d_scores, block.keys).view(samples, heads.queries, width, heads.size)
            d_keys = torch.bmm(d_scores.transpose(1, 2), block.queries).view(shape)
            d_values = d_values.view(shape)
            if part == 1 and self.prefix:
                # What the samples' queries want of the shared prefix adds up over the samples.
                from_samples = tuple(d[:, :, : self.prefix].sum(0, keepdim=True) for d in (d_keys, d_values))
                d_keys, d_values = d_keys[:, :, self.prefix :], d_values[:, :, self.prefix :]
            elif from_samples is not None:
                d_keys, d_values = d_keys + from_samples[0], d_values + from_samples[1]
            cos, sin = self._tables[part]
            self._join(
                room[rows], (rotate(d_queries, cos, -sin), rotate(d_keys, cos, -sin), d_values), heads, samples, width
            )
        return room

    def _parts(self) -> list[tuple[int, slice, int, int]]:
        """(0 prefix or 1 samples, rows, samples, tokens each)."""
        whole = (1, slice(self.prefix, None), self.samples, self.width)
        return [(0, slice(0, self.prefix), 1, self.prefix), whole] if self.prefix else [whole]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, part: int) -> _Block:
        """Probabilities of (samples·key heads) × (group·tokens) × keys."""
        samples, heads, keys, size = k.shape
        q = q.view(samples * heads, -1, size)
        k, v = k.reshape(samples * heads, keys, size), v.reshape(samples * heads, keys, size)
        mask = self._masks[part]
        scores = torch.baddbmm(mask.repeat(q.shape[1] // len(mask), 1), q, k.transpose(1, 2))
        return _Block(q, k, v, torch.softmax(scores, dim=-1, out=scores))

    def _split(self, qkv: Tensor, heads: Heads, samples: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Rows to (samples, heads, tokens, size) for queries, keys and values (views)."""
        table = qkv.unflatten(0, (samples, width)).unflatten(2, (-1, heads.size)).transpose(1, 2)
        return table.split([heads.queries, heads.keys, heads.keys], dim=1)  # type: ignore[return-value]

    def _join(self, room: Tensor, parts: tuple[Tensor, ...], heads: Heads, samples: int, width: int) -> None:
        """The reverse of `_split`, into the first columns of `room`."""
        columns = (heads.queries + 2 * heads.keys) * heads.size
        views = self._split(room[:, :columns], heads, samples, width)
        for view, part in zip(views, parts, strict=True):
            view.copy_(part)

    def _grouped(self, rows: Tensor, heads: Heads, samples: int, width: int) -> Tensor:
        """Rows × (queries·size) to (samples·key heads) × (group·tokens) × size."""
        table = rows.view(samples, width, heads.queries, heads.size).transpose(1, 2)
        return table.reshape(samples * heads.keys, heads.group * width, heads.size)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (samples, heads, tokens, size) turned by the tables' angles, as a new contiguous tensor."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    out = torch.empty(x.shape, dtype=x.dtype)
    torch.mul(first, cos, out=out[..., :half])
    out[..., :half].addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=out[..., half:])
    out[..., half:].addcmul_(first, sin)
    return out


def _merge(out: Tensor, rows: Tensor, heads: Heads, samples: int, width: int) -> None:
    """(samples·key heads) × (group·tokens) × size into rows × (queries·size)."""
    table = out.view(samples, heads.queries, width, heads.size)
    rows.view(samples, width, heads.queries, heads.size).copy_(table.transpose(1, 2))


def _causal(tokens: int, keys: int, dtype: torch.dtype) -> Tensor:
    """0 where query t may look (all keys up to its own), minus infinity elsewhere."""
    hidden = torch.ones(tokens, keys, dtype=torch.bool).triu(keys - tokens + 1)
    return torch.zeros(tokens, keys, dtype=dtype).masked_fill_(hidden, float("-inf"))
