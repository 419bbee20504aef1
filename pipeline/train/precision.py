"""Which number format is faster on this device: measured, not guessed."""

from __future__ import annotations

import time

import torch


def choose(wanted: str, device: torch.device) -> tuple[torch.dtype, str]:
    """The compute type and a sentence that says why."""
    if wanted != "auto":
        return (torch.bfloat16 if wanted == "bf16" else torch.float32), f"{wanted}, as asked for"
    if device.type == "cuda":
        can = torch.cuda.is_bf16_supported(including_emulation=False)
        return (torch.bfloat16, "bf16, the GPU has it") if can else (torch.float32, "fp32, the GPU has no bf16")
    if device.type != "cpu":
        return torch.float32, f"fp32 on {device.type}"
    slow, fast = (gemm_speed(dtype) for dtype in (torch.float32, torch.bfloat16))
    said = f"{fast / 1e9:,.0f} GFLOP/s in bf16, {slow / 1e9:,.0f} in fp32"
    # bf16 costs conversions elsewhere in the step: it has to win clearly in the matrix products.
    return (torch.bfloat16, f"bf16 ({said})") if fast > 1.3 * slow else (torch.float32, f"fp32 ({said})")


def gemm_speed(dtype: torch.dtype, width: int = 576, inner: int = 1536, rows: int = 1024) -> float:
    """Floating-point operations a second of a (rows × width) by (width × inner) product, best of six."""
    left, right = torch.ones(rows, width, dtype=dtype), torch.ones(inner, width, dtype=dtype)
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        left @ right.t()
        best = min(best, time.perf_counter() - start)
    return 2 * rows * width * inner / best
