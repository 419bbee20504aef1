"""A LoRA adapter for the default base, with small seeded weights instead of trained ones."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.bases import Base
from pipeline.lab import Lab

if TYPE_CHECKING:
    from pipeline.install.reference import Reference


def write_small_adapter(folder: Path, base: Base, scale: float = 0.03, seed: int = 7) -> Path:
    """Rank 4 on every linear layer; `scale` is B's standard deviation, so that answers change and stay sane."""
    from safetensors.numpy import save_file

    shapes = {
        "self_attn.q_proj": (576, 576),
        "self_attn.k_proj": (192, 576),
        "self_attn.v_proj": (192, 576),
        "self_attn.o_proj": (576, 576),
        "mlp.gate_proj": (1536, 576),
        "mlp.up_proj": (1536, 576),
        "mlp.down_proj": (576, 1536),
    }
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(30):
        for name, (rows, columns) in shapes.items():
            key = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{key}.lora_A.weight"] = rng.standard_normal((4, columns), dtype=np.float32) / 24
            tensors[f"{key}.lora_B.weight"] = rng.standard_normal((rows, 4), dtype=np.float32) * np.float32(scale)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": sorted({name.split(".")[1] for name in shapes}),
        "base_model_name_or_path": base.name,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    manifest = {
        "base": {"name": base.name, "sha256": base.sha256, "kind": "gguf"},
        "run": "runs/20260101-000000-train-test",
        "recipe_name": "smollm2",
        "data_sha256": "d" * 64,
        "physics_version": "test",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def small_adapter(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter's folder, as peft would save it."""
    return write_small_adapter(tmp_path_factory.mktemp("adapter") / "ben-lab-lora", base)


@pytest.fixture(scope="session")
def small_adapter_gguf(small_adapter: Path, base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same adapter as GGUF."""
    from pipeline.export.adapter import convert_adapter

    out = tmp_path_factory.mktemp("gguf") / "adapter.gguf"
    convert_adapter(small_adapter, base.path, out)
    return out


@pytest.fixture(scope="session")
def other_adapter(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another run's adapter: the same shapes and sizes, other numbers."""
    return write_small_adapter(tmp_path_factory.mktemp("other") / "ben-lab-lora", base, seed=8)


@pytest.fixture(scope="session")
def reference(cache_lab: Lab, base: Base, small_adapter: Path) -> Reference:
    """Training's own model with the adapter; loaded once, because that takes seconds."""
    from pipeline.install.reference import Reference

    return Reference(cache_lab, base, small_adapter)


@pytest.fixture
def contract(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts contract servers: `contract(version="0.33.0", engine=False)`."""
    spec = importlib.util.spec_from_file_location("ollama_contract", Path(__file__).parent / "ollama_contract.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    servers: list[Any] = []

    def start(**options: Any) -> Any:
        servers.append(module.ContractServer(tmp_path / f"ollama{len(servers)}", **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
