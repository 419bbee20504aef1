"""RMSNorm without its weight, forward and backward (Zhang & Sennrich 2019)."""

from __future__ import annotations

import torch
from torch import Tensor


def normalize(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(x / rms(x) by rows in x's type, 1 / rms(x) as float32 column). RMSNorm without its weight."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    inverse = torch.rsqrt(norm.square_().div_(x.shape[-1]).add_(eps))
    return torch.mul(x, inverse, out=torch.empty_like(x)), inverse


def normalize_backward(upward: Tensor, normed: Tensor, inverse: Tensor) -> Tensor:
    """Gradient of `normalize`'s input: (g - y mean(g y)) / rms. Changes `upward`."""
    mean = (upward * normed).sum(-1, keepdim=True, dtype=torch.float32).div_(-upward.shape[-1])
    return torch.addcmul(upward, normed, mean.to(upward.dtype), out=upward).mul_(inverse.to(upward.dtype))
