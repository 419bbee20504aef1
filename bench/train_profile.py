"""Which share of the machine's GEMM peak a training step reaches, and where the rest of its time goes."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

from bench.train_setup import ALPHA, RANK, SEED, parts


def profile(options: argparse.Namespace) -> None:
    """Share of the GEMM peak that our step reaches, and where its time goes."""
    import torch

    from pipeline.train.batches import collate, epoch_order, pieces
    from pipeline.train.fused import FusedLoss
    from pipeline.train.model import add_adapters, load_model
    from pipeline.train.samples import encode, read_lines

    lab, base, tokenizer, system = parts()
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    tokens = encode(read_lines(lab.data), base, tokenizer, system, 1024)
    model = add_adapters(load_model(lab, base, dtype), RANK, ALPHA, 0.0, "all-linear", base)
    loss = FusedLoss(model, dtype)
    numbers = epoch_order(tokens, options.batch, SEED, 0)[0]
    batches = [collate(tokens, part) for part in pieces(tokens, numbers, options.batch, 1536, 64)]

    def step() -> None:
        for batch in batches:
            loss(batch).backward()

    print(json.dumps({"report": report(step, step_work(model.config, batches), peak_speed(model.config, dtype))}))


def report(step: Callable[[], None], work: float, peak: float) -> str:
    """The step's speed beside the peak (floating-point operations a second), and its dearest operations."""
    import torch

    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    usual = statistics.median(seconds[1:])
    with torch.profiler.profile() as seen:
        step()
    times = sorted(((e.key, e.self_cpu_time_total) for e in seen.key_averages()), key=lambda item: -item[1])
    whole = sum(spent for _, spent in times)
    lines = [
        f"step: {work / 1e9:,.0f} GFLOP of real tokens in {usual:.2f} s, {work / usual / 1e9:,.0f} GFLOP/s",
        f"share of the GEMM peak at the model's shapes ({peak / 1e9:,.0f} GFLOP/s): {work / usual / peak:.0%}",
        *[f"  {spent / whole:6.1%} {name}" for name, spent in times[:12]],
    ]
    return "\n".join(lines)


def step_work(config, batches) -> float:
    """Floating-point operations that one step needs; the prefix once, padding and recomputation not counted."""
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    size = width // config.num_attention_heads
    wide = width + 2 * config.num_key_value_heads * size
    lengths = [length for batch in batches for length in batch.lengths]
    answers = sum(batch.answer_tokens for batch in batches)
    prefix = len(batches[0].prefix)
    rows = sum(lengths) + prefix
    linear = width * wide + width * width + 3 * width * inner
    low = RANK * (3 * width + wide + 2 * width + 2 * (width + inner) + inner + width)
    pairs = prefix * prefix / 2 + sum(n * (prefix + n / 2) for n in lengths)
    attention = 6 * 2 * pairs * width
    head = 2 * 2 * answers * width * config.vocab_size
    return layers * (rows * (2 * 2 * linear + 3 * 2 * low) + attention) + head


def peak_speed(config, dtype) -> float:
    """Floating-point operations a second over one layer's four products, each at its best of eight."""
    import torch

    width, inner, rows = config.hidden_size, config.intermediate_size, 2048
    wide = width + 2 * config.num_key_value_heads * (width // config.num_attention_heads)
    work = spent = 0.0
    for inputs, outputs in ((width, wide), (width, width), (width, 2 * inner), (inner, width)):
        x, weight = torch.randn(rows, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype)
        best = float("inf")
        for _ in range(8):
            start = time.perf_counter()
            x @ weight.t()
            best = min(best, time.perf_counter() - start)
        work, spent = work + 2 * rows * inputs * outputs, spent + best
    return work / spent
