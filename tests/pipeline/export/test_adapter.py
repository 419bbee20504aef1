"""The adapter converter against llama.cpp's own, pair by pair, and on what llama.cpp's cannot do."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ExportError
from pipeline.export.adapter import convert_adapter

Tensors = dict[str, np.ndarray]

# sha256 over name, shape and float32 bytes of what llama.cpp's convert_lora_to_gguf.py (of llama-cpp-python 0.3.36)
# writes for these seeded adapters, as float32 and as bfloat16.
LLAMA_CPP = {
    ("llama", False): "1389593914a11741dc989394a885f928162a293629cd87a900fbad2085348c40",
    ("llama", True): "34e5f5ab50f020f165861ea4715edd6930e093db69a5bc91990b24faa0baecee",
    ("mistral", False): "1389593914a11741dc989394a885f928162a293629cd87a900fbad2085348c40",
    ("mistral", True): "34e5f5ab50f020f165861ea4715edd6930e093db69a5bc91990b24faa0baecee",
    ("qwen2", False): "ad6023ba4ce8bf3c4eb911d4528aa14f6edfd62d7455304050a430dc01a361c5",
    ("qwen2", True): "fe896558a7d2979c50c9f819b7106b1bc6d2b8aa1df15f6db2a768dab0c7c601",
    ("phi2", False): "193dc06f9201a1dd456f991e8d032aa19e129cbdf76bf77a4f37273ae02f8d48",
    ("phi2", True): "563f35cbdafeb776462ac8622314d6f6990768f01486d5954c7fd7295e920938",
    ("phi3", False): "45a91dd5f6eb838f4d3d36d12ec7a496d1f3ec64b2a1aa3c77bf440c4564ff49",
    ("phi3", True): "ddc15006d92daeee3575fe02a71a1547c20041d7f21cb4d0e7c0d65b144cd826",
    ("gemma", False): "181ce3e36af62f9061fd0cecd8d59c1a73f6aa2103f919e1be345d173f65a540",
    ("gemma", True): "90b1f7b979f01f4ad8001058742fbb231510df5633ce2596cc9bbd57a8e2c0cb",
}
HEAD = {"lm_head": (128, 64)}
HF_NAMES = {
    "llama": ("LlamaForCausalLM", "llama"),
    "mistral": ("MistralForCausalLM", "mistral"),
    "qwen2": ("Qwen2ForCausalLM", "qwen2"),
    "phi2": ("PhiForCausalLM", "phi"),
    "phi3": ("Phi3ForCausalLM", "phi3"),
    "gemma": ("GemmaForCausalLM", "gemma"),
}


def digest(tensors: Tensors) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode() + str(tensors[name].shape).encode())
        total.update(np.ascontiguousarray(tensors[name], dtype=np.float32).tobytes())
    return total.hexdigest()


def delta(tensors: Tensors, name: str, alpha: float) -> np.ndarray:
    """What llama.cpp adds to the weight: alpha / rank * B @ A."""
    a, b = tensors[f"{name}.lora_a"], tensors[f"{name}.lora_b"]
    return alpha / a.shape[0] * (b @ a)


def pair(folder: Path, module: str) -> tuple[np.ndarray, np.ndarray]:
    from safetensors.numpy import load_file

    tensors = load_file(folder / "adapter_model.safetensors")
    name = f"base_model.model.{module}"
    return tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"]


def alpha_of(path: Path) -> float:
    from gguf import GGUFReader

    field = GGUFReader(path).get_field("adapter.lora.alpha")
    assert field is not None
    return float(field.contents())


@pytest.mark.parametrize(("architecture", "bf16"), sorted(LLAMA_CPP))
def test_tensors_equal_llama_cpps(
    architecture: str, bf16: bool, tiny_base: Any, tiny_adapter: Any, tensors_of: Any, tmp_path: Path
) -> None:
    extra = HEAD if architecture in ("llama", "mistral", "qwen2") else {}
    adapter = tiny_adapter(architecture, bf16=bf16, extra=extra)
    facts = convert_adapter(adapter, tiny_base(architecture), tmp_path / "out.gguf")
    assert digest(tensors_of(tmp_path / "out.gguf")) == LLAMA_CPP[architecture, bf16]
    assert facts["alpha"] == alpha_of(tmp_path / "out.gguf") == 8.0


@pytest.mark.skipif("BENLAB_LLAMA_CPP" not in os.environ, reason="BENLAB_LLAMA_CPP names no llama.cpp folder")
@pytest.mark.parametrize("architecture", sorted(HF_NAMES))
def test_llama_cpp_itself_writes_the_same(
    architecture: str, tiny_base: Any, tiny_adapter: Any, tensors_of: Any, tmp_path: Path
) -> None:
    base, adapter = tiny_base(architecture), tiny_adapter(architecture, ranks={"q_proj": 2})
    name, kind = HF_NAMES[architecture]
    config = {
        "architectures": [name],
        "model_type": kind,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 4 if architecture == "phi2" else 2,
        "num_hidden_layers": 2,
        "intermediate_size": 96,
        "vocab_size": 128,
        "head_dim": 16,
        "rms_norm_eps": 1e-6,
        "layer_norm_eps": 1e-5,
        "partial_rotary_factor": 0.5,
        "max_position_embeddings": 128,
        "original_max_position_embeddings": 128,
    }
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    script = Path(os.environ["BENLAB_LLAMA_CPP"]) / "convert_lora_to_gguf.py"
    theirs = tmp_path / "theirs.gguf"
    subprocess.run([sys.executable, script, "--base", tmp_path / "hf", "--outfile", theirs, adapter], check=True)
    convert_adapter(adapter, base, tmp_path / "ours.gguf")
    assert digest(tensors_of(tmp_path / "ours.gguf")) == digest(tensors_of(theirs))


def test_rslora_gets_its_own_scale(tiny_base: Any, tiny_adapter: Any, tensors_of: Any, tmp_path: Path) -> None:
    adapter = tiny_adapter("qwen2", use_rslora=True)
    convert_adapter(adapter, tiny_base("qwen2"), tmp_path / "out.gguf")
    a, b = pair(adapter, "model.layers.1.mlp.up_proj")
    got = delta(tensors_of(tmp_path / "out.gguf"), "blk.1.ffn_up.weight", alpha_of(tmp_path / "out.gguf"))
    np.testing.assert_allclose(got, 8 / math.sqrt(4) * (b @ a), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rslora", [False, True])
def test_rank_and_alpha_patterns(
    rslora: bool, tiny_base: Any, tiny_adapter: Any, tensors_of: Any, tmp_path: Path
) -> None:
    adapter = tiny_adapter(
        "qwen2", ranks={"v_proj": 2}, alpha_pattern={"up_proj": 3, "0.mlp.down_proj": 5}, use_rslora=rslora
    )
    convert_adapter(adapter, tiny_base("qwen2"), tmp_path / "out.gguf")
    tensors, alpha = tensors_of(tmp_path / "out.gguf"), alpha_of(tmp_path / "out.gguf")
    cases = [
        ("model.layers.0.self_attn.v_proj", "blk.0.attn_v.weight", 8, 2),
        ("model.layers.1.mlp.up_proj", "blk.1.ffn_up.weight", 3, 4),
        ("model.layers.0.mlp.down_proj", "blk.0.ffn_down.weight", 5, 4),
        ("model.layers.1.mlp.down_proj", "blk.1.ffn_down.weight", 8, 4),
    ]
    for module, name, strength, rank in cases:
        a, b = pair(adapter, module)
        wanted = strength / (math.sqrt(rank) if rslora else rank) * (b @ a)
        np.testing.assert_allclose(delta(tensors, name, alpha), wanted, rtol=1e-5, atol=1e-5)


def test_separate_qkv_go_on_a_fused_base(tiny_base: Any, tiny_adapter: Any, tensors_of: Any, tmp_path: Path) -> None:
    adapter = tiny_adapter("phi2", ranks={"k_proj": 2})
    convert_adapter(adapter, tiny_base("phi2", fused_qkv=True), tmp_path / "out.gguf")
    tensors = tensors_of(tmp_path / "out.gguf")
    assert not [name for name in tensors if "attn_q." in name]
    got = delta(tensors, "blk.0.attn_qkv.weight", alpha_of(tmp_path / "out.gguf"))
    parts = [pair(adapter, f"model.layers.0.self_attn.{part}_proj") for part in "qkv"]
    wanted = np.concatenate([8 / a.shape[0] * (b @ a) for a, b in parts])
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_fused_qkv_goes_on_a_base_that_keeps_them_apart(
    tiny_base: Any, tiny_adapter: Any, tensors_of: Any, tmp_path: Path
) -> None:
    adapter = tiny_adapter("phi2", fused=True)
    convert_adapter(adapter, tiny_base("phi2"), tmp_path / "out.gguf")
    tensors, alpha = tensors_of(tmp_path / "out.gguf"), alpha_of(tmp_path / "out.gguf")
    a, b = pair(adapter, "model.layers.1.self_attn.qkv_proj")
    got = np.concatenate([delta(tensors, f"blk.1.attn_{part}.weight", alpha) for part in "qkv"])
    np.testing.assert_allclose(got, 8 / 4 * (b @ a), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "biases"),
        ({"lora_bias": True}, "bias"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"init_lora_weights": "pissa_niter_4"}, "changed the base"),
        ({"trainable_token_indices": [1]}, "token embeddings"),
        ({"layer_replication": [[0, 2]]}, "replicates"),
    ],
)
def test_what_gguf_cannot_carry_is_refused_with_the_reason(
    config: dict[str, Any], reason: str, tiny_base: Any, tiny_adapter: Any, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=reason):
        convert_adapter(tiny_adapter("llama", **config), tiny_base("llama"), tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    ("base", "options", "adapter", "extra", "words"),
    [
        ("llama", {"layers": 1}, "llama", {}, "another base"),
        ("phi2", {}, "llama", {}, "another base"),
        ("llama", {}, "llama", {"model.layers.0.mlp.sigmoid": (8, 64)}, "no layer model.layers.0.mlp.sigmoid"),
        ("llama", {}, "llama", {"lm_head": (100, 64)}, "output.weight is 128×64 in the base and 100×64"),
        ("llama", {"tied": True}, "llama", HEAD, "ties"),
        ("gemma", {}, "gemma", HEAD, "ties"),
    ],
)
def test_an_adapter_of_another_base_is_refused_in_one_sentence(
    base: str, options: Any, adapter: str, extra: Any, words: str, tiny_base: Any, tiny_adapter: Any, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=words) as raised:
        convert_adapter(tiny_adapter(adapter, extra=extra), tiny_base(base, **options), tmp_path / "out.gguf")
    assert "\n" not in str(raised.value)


def test_the_manifest_decides_which_base_it_is(tiny_base: Any, tiny_adapter: Any, tmp_path: Path) -> None:
    adapter = tiny_adapter("llama")
    (adapter / "manifest.json").write_text(json.dumps({"base": {"name": "other", "sha256": "a" * 64}}))
    with pytest.raises(ExportError, match="trained on other"):
        convert_adapter(adapter, tiny_base("llama"), tmp_path / "out.gguf", base_sha256="b" * 64)
    convert_adapter(adapter, tiny_base("llama"), tmp_path / "out.gguf", base_sha256="a" * 64)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def _not_a_number(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-4] + np.float32("nan").tobytes())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "is not there"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "is not there"),
        (lambda folder: _cut(folder / "adapter_model.safetensors"), "cannot be read"),
        (lambda folder: _not_a_number(folder / "adapter_model.safetensors"), "not finite"),
    ],
)
def test_a_broken_adapter_is_named(
    spoil: Callable[[Path], object], words: str, tiny_base: Any, tiny_adapter: Any, tmp_path: Path
) -> None:
    adapter = tiny_adapter("llama")
    spoil(adapter)
    (tmp_path / "out.gguf").write_bytes(b"the last good one")
    with pytest.raises(ExportError, match=words):
        convert_adapter(adapter, tiny_base("llama"), tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == b"the last good one"


@pytest.mark.parametrize("size", [0, 3, 20, 300, 2000, 20000])
def test_a_cut_base_is_named(size: int, tiny_base: Any, tiny_adapter: Any, tmp_path: Path) -> None:
    base = tiny_base("llama")
    base.write_bytes(base.read_bytes()[:size])
    with pytest.raises(ExportError, match="no whole GGUF file"):
        convert_adapter(tiny_adapter("llama"), base, tmp_path / "out.gguf")


def test_the_head_reads_as_the_gguf_package_reads_it(base_gguf: Path) -> None:
    from gguf import GGUFReader

    from pipeline.gguf_head import read_head

    ours, theirs = read_head(base_gguf), GGUFReader(base_gguf)
    assert {t.name: (t.shape, t.kind, t.offset, t.size) for t in ours.tensors.values()} == {
        t.name: (tuple(int(n) for n in t.shape[::-1]), t.tensor_type.value, t.data_offset, t.n_bytes)
        for t in theirs.tensors
    }
    scalars = {key: value for key, value in ours.settings.items() if value is not None}
    assert scalars == {key: theirs.get_field(key).contents() for key in scalars}
