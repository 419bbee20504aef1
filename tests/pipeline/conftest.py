"""An adapter for the default base, without training."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.bases import Base


@pytest.fixture(scope="session")
def adapter_gguf(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that turns the default base's answers into others: random weights on every second layer's mlp."""
    import numpy as np
    from gguf import GGUFWriter

    path = tmp_path_factory.mktemp("adapter") / "adapter.gguf"
    writer, rng = GGUFWriter(path, "llama"), np.random.default_rng(5)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for layer in range(0, 30, 2):
        writer.add_tensor(f"blk.{layer}.ffn_down.weight.lora_a", rng.standard_normal((4, 1536), dtype=np.float32) / 40)
        writer.add_tensor(f"blk.{layer}.ffn_down.weight.lora_b", rng.standard_normal((576, 4), dtype=np.float32) / 10)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
