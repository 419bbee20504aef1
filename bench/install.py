"""Speed of export, install and the embedded engine: `python bench/install.py [--base GGUF] [--adapter DIR]`.

Each line is a median of some runs with its goal; where there is another way to the same end it is measured in
turn with ours, and the ratio is printed. Needs the default base (`benlab pull smollm2`). Without --adapter a
rank-16 adapter on all linear layers is made. BENLAB_LLAMA_CPP=DIR measures llama.cpp's own converter beside ours;
it reads its model settings from HF_BASE=DIR (config.json).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.bases import Base, locate
from pipeline.chat import EmbeddedServer
from pipeline.lab import find_lab

PROMPT = [
    {"role": "system", "content": "You are Ben's Lab AI."},
    {"role": "user", "content": "What are the four phase types in Ben Lab?"},
]


def make_adapter(folder: Path, base: Path, rank: int = 16) -> Path:
    """A seeded adapter on every two-dimensional weight of the base's layers."""
    from safetensors.numpy import save_file

    from pipeline.gguf_head import read_head

    names = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_down": "mlp.down_proj"}  # fmt: skip
    rng, tensors = np.random.default_rng(0), {}
    for tensor in read_head(base).tensors.values():
        block, _, rest = tensor.name.removeprefix("blk.").partition(".")
        module = names.get(rest.removesuffix(".weight"))
        if module:
            rows, columns = tensor.shape
            key = f"base_model.model.model.layers.{block}.{module}"
            tensors[f"{key}.lora_A.weight"] = rng.standard_normal((rank, columns), dtype=np.float32) / 24
            tensors[f"{key}.lora_B.weight"] = rng.standard_normal((rows, rank), dtype=np.float32) / 50
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "bias": "none", "target_modules": []}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def show(what: str, value: float, goal: float | None, note: str = "") -> None:
    verdict = "" if goal is None else f"  goal < {goal:g} s: {'ok' if value < goal else 'NOT MET'}"
    print(f"{what:46s} {value:8.3f} s{verdict}{'  ' + note if note else ''}", flush=True)


def converter(code: str) -> float:
    """A whole process, imports included: what a person waits for."""
    return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL))


def bench_export(base: Base, adapter: Path, folder: Path, runs: int) -> Path:
    out = folder / "adapter.gguf"
    code = (
        "from pathlib import Path; from pipeline.export.adapter import convert_adapter;"
        f"convert_adapter(Path({str(adapter)!r}), Path({str(base.path)!r}), Path({str(out)!r}))"
    )
    theirs = os.environ.get("BENLAB_LLAMA_CPP")
    ours, other = [], []
    for _ in range(runs):
        ours.append(converter(code))
        if theirs:
            script = [sys.executable, f"{theirs}/convert_lora_to_gguf.py", "--base", os.environ["HF_BASE"]]
            command = [*script, "--outfile", str(folder / "theirs.gguf"), str(adapter)]
            other.append(seconds(lambda command=command: subprocess.run(command, check=True, capture_output=True)))
    mine = statistics.median(ours)
    note = (
        f"llama.cpp's converter {statistics.median(other):.2f} s, {statistics.median(other) / mine:.1f} x ours"
        if other
        else ""
    )
    show("adapter -> GGUF, process start included", mine, 1.0, note)
    merged = (
        "from pathlib import Path; from pipeline.export.merged import merge;"
        f"list(merge(Path({str(adapter)!r}), Path({str(base.path)!r}), Path({str(folder / 'm.gguf')!r})))"
    )
    show("merged GGUF, process start included", statistics.median(converter(merged) for _ in range(runs)), 6.0)
    (folder / "m.gguf").unlink()
    return out


def bench_engine(base: Base, adapter: Path, runs: int) -> None:
    first = []
    for _ in range(runs):
        began = time.perf_counter()
        with EmbeddedServer.start(base, [adapter], parallel=2, context=2048) as server:
            server.complete(PROMPT, n_predict=1)
            first.append(time.perf_counter() - began)
    show("engine start -> first token (prompt included)", statistics.median(first), 2.5)
    with EmbeddedServer.start(base, [adapter], parallel=2, context=2048) as server:
        for on in (True, False):
            server.complete(PROMPT, n_predict=1, adapter=on)
        toggles = [
            seconds(lambda on=on: server.complete(PROMPT, n_predict=1, adapter=on)) for on in (True, False) * runs
        ]
        toggle = statistics.median(toggles)
        show(
            "base <-> tuned, first token, no reload",
            toggle,
            None,
            f"a restart takes {statistics.median(first) / toggle:.0f} x as long",
        )
        for on, name in ((True, "tuned"), (False, "base")):
            speeds = []
            for _ in range(runs):
                answer = server.complete(PROMPT, n_predict=48, adapter=on, ignore_eos=True)
                speeds.append(answer["timings"]["predicted_per_second"])
            print(f"{name + ', tokens a second':46s} {statistics.median(speeds):8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab", default=None)
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--adapter", type=Path, default=None)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    base = locate(find_lab(options.lab), options.base)
    with tempfile.TemporaryDirectory() as name:
        adapter = options.adapter or make_adapter(Path(name) / "adapter", base.path)
        gguf = bench_export(base, adapter, Path(name), options.runs)
        bench_engine(base, gguf, options.runs)


if __name__ == "__main__":
    main()
