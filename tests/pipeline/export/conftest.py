"""Tiny bases and adapters of each architecture, made from seeded random numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LAYERS, WIDTH, HEADS, KV_HEADS, HIDDEN, WORDS = 2, 64, 4, 2, 96, 128
KV_WIDTH = WIDTH // HEADS * KV_HEADS

_GATED = {"gate_proj": (HIDDEN, WIDTH), "up_proj": (HIDDEN, WIDTH), "down_proj": (WIDTH, HIDDEN)}
_SPLIT = {"q_proj": (WIDTH, WIDTH), "k_proj": (KV_WIDTH, WIDTH), "v_proj": (KV_WIDTH, WIDTH), "o_proj": (WIDTH, WIDTH)}
_LLAMA = {f"self_attn.{n}": s for n, s in _SPLIT.items()} | {f"mlp.{n}": s for n, s in _GATED.items()}
_PHI2 = {f"self_attn.{n}": (WIDTH, WIDTH) for n in ("q_proj", "k_proj", "v_proj", "dense")} | {
    "mlp.fc1": (4 * WIDTH, WIDTH),
    "mlp.fc2": (WIDTH, 4 * WIDTH),
}
_PHI3 = {
    "self_attn.qkv_proj": (WIDTH + 2 * KV_WIDTH, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
    "mlp.gate_up_proj": (2 * HIDDEN, WIDTH),
    "mlp.down_proj": (WIDTH, HIDDEN),
}
MODULES = {"llama": _LLAMA, "mistral": _LLAMA, "qwen2": _LLAMA, "phi2": _PHI2, "phi3": _PHI3, "gemma": _LLAMA}
GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "self_attn.dense": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.fc1": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.fc2": "ffn_down",
}


def write_base(
    path: Path, architecture: str, *, fused_qkv: bool = False, tied: bool = False, layers: int = LAYERS
) -> Path:
    """A GGUF file with the settings and weights that a converter looks at."""
    from gguf import GGUFWriter

    kind = "llama" if architecture == "mistral" else architecture
    writer = GGUFWriter(path, kind)
    writer.add_name(f"tiny {architecture}")
    writer.add_block_count(layers)
    writer.add_embedding_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS if architecture == "phi2" else KV_HEADS)
    writer.add_token_list([f"word {i}" for i in range(WORDS)])
    rng = np.random.default_rng(1)
    weights: dict[str, tuple[int, int]] = {"token_embd": (WORDS, WIDTH)}
    if not tied and architecture != "gemma":
        weights["output"] = (WORDS, WIDTH)
    for layer in range(layers):
        for module, shape in MODULES[architecture].items():
            name = GGUF_NAMES[module]
            if fused_qkv and name in ("attn_q", "attn_k", "attn_v"):
                name, shape = "attn_qkv", (3 * WIDTH, WIDTH)
            weights[f"blk.{layer}.{name}"] = shape
    for name, shape in weights.items():
        writer.add_tensor(f"{name}.weight", rng.standard_normal(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_adapter(folder: Path, architecture: str, *, rank: int = 4, bf16: bool = False, **config: Any) -> Path:
    """A peft adapter on every linear layer; `extra` adds modules {name: shape}, `ranks` sets ranks by name."""
    extra, ranks, fused = config.pop("extra", {}), config.pop("ranks", {}), config.pop("fused", False)
    modules = dict(MODULES[architecture])
    if fused:
        modules = {n: s for n, s in modules.items() if n.split(".")[1] not in ("q_proj", "k_proj", "v_proj")}
        modules["self_attn.qkv_proj"] = (3 * WIDTH, WIDTH)
    shapes = {f"model.layers.{i}.{name}": shape for i in range(LAYERS) for name, shape in modules.items()} | extra
    rng = np.random.default_rng(2)
    tensors = {}
    for name, (rows, columns) in shapes.items():
        r = next((value for key, value in ranks.items() if name.endswith(key)), rank)
        tensors[f"base_model.model.{name}.lora_A.weight"] = rng.standard_normal((r, columns), dtype=np.float32)
        tensors[f"base_model.model.{name}.lora_B.weight"] = rng.standard_normal((rows, r), dtype=np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    save_safetensors(folder / "adapter_model.safetensors", tensors, bf16)
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "bias": "none", "target_modules": [], **config}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


def save_safetensors(path: Path, tensors: dict[str, np.ndarray], bf16: bool = False) -> None:
    """Saves float32, or the upper 16 bits of each number as bfloat16 (numpy has no such type)."""
    header: dict[str, Any] = {}
    body = b""
    for name, values in tensors.items():
        data = ((values.view(np.uint32) >> 16).astype(np.uint16) if bf16 else values).tobytes()
        kind = "BF16" if bf16 else "F32"
        header[name] = {"dtype": kind, "shape": values.shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The float32 tensors of a GGUF file by name."""
    from gguf import GGUFReader

    return {tensor.name: np.array(tensor.data) for tensor in GGUFReader(path).tensors}


@pytest.fixture
def tiny_base(tmp_path: Path) -> Callable[..., Path]:
    """Makes a tiny base in the test's folder."""
    return lambda architecture, **options: write_base(tmp_path / f"{architecture}.gguf", architecture, **options)


@pytest.fixture
def tiny_adapter(tmp_path: Path) -> Callable[..., Path]:
    """Makes a tiny adapter in the test's folder."""
    return lambda architecture, **options: write_adapter(tmp_path / "adapter", architecture, **options)


@pytest.fixture
def tensors_of() -> Callable[[Path], dict[str, np.ndarray]]:
    """Reads the tensors of a GGUF file."""
    return read_tensors
