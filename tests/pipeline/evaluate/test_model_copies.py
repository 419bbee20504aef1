"""The copies that an evaluation asks hold the base's weights with the adapter added."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, dequantize, quantize

from pipeline.errors import ExportError
from pipeline.evaluate.model_copies import copies, gains_by_copies, remove_copies
from simulator.events import Event

ROWS, COLUMNS, RANK = 64, 96, 2


def base(path: Path, kind: GGMLQuantizationType = GGMLQuantizationType.Q4_1) -> dict[str, np.ndarray]:
    """A file with one projection and one embedding; returns what the engine reads from it."""
    rng = np.random.default_rng(0)
    writer = GGUFWriter(path, "llama")
    weights = {}
    for name in ("blk.0.attn_q.weight", "token_embd.weight"):
        packed = quantize(rng.normal(size=(ROWS, COLUMNS)).astype(np.float32), kind)
        weights[name] = dequantize(packed, kind)
        writer.add_tensor(name, packed, raw_dtype=kind)
    finish(writer)
    return weights


def adapter(path: Path, *, columns: int = COLUMNS, alpha: bool = True) -> dict[str, np.ndarray]:
    """An adapter over both tensors; returns what it adds."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(RANK, columns)).astype(np.float32), rng.normal(size=(ROWS, RANK)).astype(np.float32)
    words, width = rng.normal(size=(ROWS, RANK)).astype(np.float32), rng.normal(size=(COLUMNS, RANK)).astype(np.float32)
    writer = GGUFWriter(path, "llama")
    if alpha:
        writer.add_float32("adapter.lora.alpha", 3.0)
    writer.add_tensor("blk.0.attn_q.weight.lora_a", a)
    writer.add_tensor("blk.0.attn_q.weight.lora_b", b)
    writer.add_tensor("token_embd.weight.lora_a", words)
    writer.add_tensor("token_embd.weight.lora_b", width)
    finish(writer)
    scale = 3.0 / RANK
    return {"blk.0.attn_q.weight": scale * b @ a, "token_embd.weight": scale * words @ width.T}


def finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path: Path) -> dict[str, np.ndarray]:
    return {t.name: dequantize(t.data, t.tensor_type) for t in GGUFReader(path).tensors}


def drain(events) -> dict:
    """What the generator returns; all it yields are events."""
    while True:
        try:
            assert isinstance(next(events), Event)
        except StopIteration as end:
            return end.value


def test_copies_are_the_sum_within_half_a_step(tmp_path: Path) -> None:
    weights, delta = base(tmp_path / "base.gguf"), adapter(tmp_path / "adapter.gguf")
    files = drain(copies(tmp_path / "base.gguf", tmp_path / "adapter.gguf", tmp_path))
    for model, added in (("base", 0.0), ("tuned", 1.0)):
        found = read(files[model].gguf)
        for name, weight in weights.items():
            wanted = weight + added * delta[name]
            largest = np.abs(wanted.reshape(-1, 32)).max(1).repeat(32).reshape(wanted.shape)
            # Half a step, and the scale itself is kept in F16.
            assert np.all(np.abs(found[name] - wanted) <= largest * (0.5 / 127 + 1e-3)), (model, name)
    remove_copies(tmp_path)
    assert not files["base"].gguf.exists() and not files["tuned"].gguf.exists()


def test_a_base_of_fast_kinds_is_asked_as_it_is(tmp_path: Path) -> None:
    base(tmp_path / "slow.gguf")
    base(tmp_path / "fast.gguf", GGMLQuantizationType.Q8_0)
    assert gains_by_copies(tmp_path / "slow.gguf") and not gains_by_copies(tmp_path / "fast.gguf")


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    base(tmp_path / "base.gguf")
    adapter(tmp_path / "wide.gguf", columns=COLUMNS + 32)
    adapter(tmp_path / "plain.gguf", alpha=False)
    for name, said in (("wide", "does not fit the base base.gguf at blk.0.attn_q"), ("plain", "no LoRA adapter")):
        with pytest.raises(ExportError, match=said):
            drain(copies(tmp_path / "base.gguf", tmp_path / f"{name}.gguf", tmp_path))
    assert not list(tmp_path.glob("engine-*"))
