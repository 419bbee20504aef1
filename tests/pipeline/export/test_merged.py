"""Merged export: changed tensors are base + delta in F16, all other bytes are the base's own."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ExportError, LabError
from pipeline.export.adapter import convert_adapter
from pipeline.export.merged import merge
from pipeline.gguf_head import read_head
from simulator.events import Progress


def finish(steps: Any) -> tuple[list[Any], dict[str, Any]]:
    """The events of a generator and what it returns."""
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return events, stop.value


def test_changed_tensors_are_base_plus_delta_and_the_rest_is_untouched(
    tiny_base: Any, tiny_adapter: Any, tensors_of: Any, tmp_path: Path
) -> None:
    base, adapter = tiny_base("llama"), tiny_adapter("llama", ranks={"k_proj": 2}, use_rslora=True)
    events, facts = finish(merge(adapter, base, tmp_path / "merged.gguf"))
    convert_adapter(adapter, base, tmp_path / "adapter.gguf")
    before, after, pairs = (tensors_of(path) for path in (base, tmp_path / "merged.gguf", tmp_path / "adapter.gguf"))
    alpha = read_head(tmp_path / "adapter.gguf").settings["adapter.lora.alpha"]
    for name, values in before.items():
        if f"{name}.lora_a" not in pairs:
            assert after[name].dtype == np.float32 and after[name].tobytes() == values.tobytes()
            continue
        a, b = pairs[f"{name}.lora_a"], pairs[f"{name}.lora_b"]
        assert after[name].dtype == np.float16
        np.testing.assert_allclose(after[name], values + alpha / a.shape[0] * (b @ a), rtol=1e-3, atol=2e-3)
    assert facts["changed"] == 14 and facts["kept"] == 2
    assert [event.done for event in events if isinstance(event, Progress)][-1] == events[-1].total


def test_settings_are_copied_byte_for_byte(tiny_base: Any, tiny_adapter: Any, tmp_path: Path) -> None:
    base = tiny_base("qwen2")
    finish(merge(tiny_adapter("qwen2"), base, tmp_path / "merged.gguf"))
    end = read_head(base).settings_end
    assert (tmp_path / "merged.gguf").read_bytes()[24:end] == base.read_bytes()[24:end]


def test_a_tied_head_gets_its_own_tensor(tiny_base: Any, tiny_adapter: Any, tensors_of: Any, tmp_path: Path) -> None:
    base, adapter = tiny_base("llama", tied=True), tiny_adapter("llama", extra={"lm_head": (128, 64)})
    finish(merge(adapter, base, tmp_path / "merged.gguf"))
    after = tensors_of(tmp_path / "merged.gguf")
    assert after["token_embd.weight"].tobytes() == tensors_of(base)["token_embd.weight"].tobytes()
    assert not np.allclose(after["output.weight"], after["token_embd.weight"], atol=0.1)


@pytest.mark.parametrize("kind", ["Q4_K", "Q5_K", "Q6_K", "Q8_0", "Q4_0", "F16"])
def test_quantised_bases_are_dequantised_as_ggml_does(
    kind: str, tiny_adapter: Any, tensors_of: Any, tmp_path: Path
) -> None:
    """K-quants come in blocks of 256, so this base is as wide as that; its bytes are random and finite."""
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, dequantize
    from gguf.quants import quant_shape_to_byte_shape
    from safetensors.numpy import save_file

    ggml, rng = GGMLQuantizationType[kind], np.random.default_rng(0)
    writer = GGUFWriter(tmp_path / "base.gguf", "qwen2")
    writer.add_block_count(1)
    writer.add_head_count(4)
    width = 256
    raw = rng.integers(0, 60, quant_shape_to_byte_shape((width, width), ggml), dtype=np.uint8)
    writer.add_tensor("blk.0.ffn_up.weight", raw, raw_dtype=ggml)
    writer.add_tensor("token_embd.weight", np.ones((8, width), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    adapter = tiny_adapter("qwen2")
    a, b = rng.standard_normal((2, 4, width), dtype=np.float32)
    name = "base_model.model.model.layers.0.mlp.up_proj"
    save_file({f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b.T.copy()}, adapter / "adapter_model.safetensors")
    finish(merge(adapter, tmp_path / "base.gguf", tmp_path / "merged.gguf"))
    source = next(t for t in GGUFReader(tmp_path / "base.gguf").tensors if t.name == "blk.0.ffn_up.weight")
    wanted = dequantize(np.array(source.data), ggml).reshape(width, width).astype(np.float32) + 2 * b.T @ a
    np.testing.assert_allclose(
        tensors_of(tmp_path / "merged.gguf")["blk.0.ffn_up.weight"], wanted, rtol=2e-3, atol=2e-3
    )


def test_q8_0_stays_within_its_step(tiny_base: Any, tiny_adapter: Any, tmp_path: Path) -> None:
    from gguf import GGUFReader, dequantize

    base, adapter = tiny_base("llama"), tiny_adapter("llama")
    finish(merge(adapter, base, tmp_path / "f16.gguf"))
    _, facts = finish(merge(adapter, base, tmp_path / "q8.gguf", quantize="q8_0"))
    assert facts["precision"] == "Q8_0"
    exact = {t.name: dequantize(t.data, t.tensor_type) for t in GGUFReader(tmp_path / "f16.gguf").tensors}
    for tensor in GGUFReader(tmp_path / "q8.gguf").tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        step = np.abs(exact[tensor.name]).max() / 127
        assert np.abs(values - exact[tensor.name]).max() <= step


def test_the_small_base_is_merged_in_little_memory(base_gguf: Path, tmp_path: Path) -> None:
    """A tensor at a time: the peak grows by far less than the 245 MB that are written."""
    from safetensors.numpy import save_file

    rng, tensors = np.random.default_rng(3), {}
    for layer in range(30):
        name = f"base_model.model.model.layers.{layer}.mlp.down_proj"
        tensors[f"{name}.lora_A.weight"] = rng.standard_normal((8, 1536), dtype=np.float32)
        tensors[f"{name}.lora_B.weight"] = rng.standard_normal((576, 8), dtype=np.float32) / 100
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    save_file(tensors, adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8, "lora_alpha": 8}')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, facts = finish(merge(adapter, base_gguf, tmp_path / "merged.gguf"))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert facts["changed"] == 30 and grown < 200


def test_a_cancelled_merge_leaves_the_last_good_file(tiny_base: Any, tiny_adapter: Any, tmp_path: Path) -> None:
    out = tmp_path / "merged.gguf"
    out.write_bytes(b"the last good one")
    steps: Iterator[Any] = merge(tiny_adapter("llama"), tiny_base("llama"), out)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert out.read_bytes() == b"the last good one"
    assert not list(tmp_path.glob(".*tmp"))


def test_no_space_is_said_before_anything_is_written(
    tiny_base: Any, tiny_adapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    with pytest.raises(LabError, match="MB free"):
        finish(merge(tiny_adapter("llama"), tiny_base("llama"), tmp_path / "out" / "merged.gguf"))


def test_numbers_beyond_f16_are_refused(tiny_base: Any, tiny_adapter: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="65504"):
        finish(merge(tiny_adapter("llama", lora_alpha=1e6), tiny_base("llama"), tmp_path / "merged.gguf"))
