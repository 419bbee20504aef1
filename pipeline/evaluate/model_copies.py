"""The files that an evaluation's engine loads: the served ones, or copies that it computes faster with."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ExportError
from pipeline.export.merged import rewrite
from pipeline.export.peft_adapter import Pair
from pipeline.export.placement import EMBEDDING, expected_shape
from pipeline.gguf_head import GgufHead, read_head
from simulator.events import Event

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFReader

SLOW_KINDS = {3: "Q4_1", 7: "Q5_1"}
"""ggml types that llama.cpp multiplies by one column at a time on x86; Q8_0 goes in tiles of several."""
LARGEST_COPY = 2 << 30
"""Bytes of a base beyond which its copies would cost more disk than their speed is worth."""


@dataclass(frozen=True)
class EngineFiles:
    """One model as the engine loads it: `gguf`, and over it `adapters`."""

    gguf: Path
    adapters: tuple[Path, ...] = ()


def served(base_gguf: Path, adapter: Path) -> dict[str, EngineFiles]:
    """Base and tuned as the chat loads them."""
    tuned = EngineFiles(base_gguf, (adapter,))
    return {"base": EngineFiles(base_gguf), "tuned": tuned, "retrieval": tuned}


def gains_by_copies(base_gguf: Path) -> bool:
    """Whether the base is small enough, and stored so that copies in Q8_0 answer faster. Raises ExportError."""
    head = read_head(base_gguf)
    return base_gguf.stat().st_size <= LARGEST_COPY and any(t.kind in SLOW_KINDS for t in head.tensors.values())


def copies(
    base_gguf: Path, adapter: Path, folder: Path, *, base: bool = True
) -> Generator[Event, None, dict[str, EngineFiles]]:
    """Writes the tuned model (adapter added) and, where asked, the base into `folder`, slow tensors as Q8_0.

    A weight then differs from the served one by at most half a step of Q8_0, 1/254 of the largest of its 32.
    Raises ExportError where the adapter is no LoRA for this base, LabError where the disk is full.
    """
    head = read_head(base_gguf)
    tuned = EngineFiles(folder / "engine-tuned.gguf")
    yield from rewrite(head, pairs_of(adapter, head), tuned.gguf, quantize="q8_0", recast=SLOW_KINDS)
    files = {"tuned": tuned, "retrieval": tuned}
    if base:
        files["base"] = EngineFiles(folder / "engine-base.gguf")
        yield from rewrite(head, {}, files["base"].gguf, quantize="q8_0", recast=SLOW_KINDS)
    return files


def remove_copies(folder: Path) -> None:
    """Deletes what `copies` wrote."""
    for name in ("engine-tuned.gguf", "engine-base.gguf"):
        (folder / name).unlink(missing_ok=True)


def pairs_of(adapter: Path, head: GgufHead) -> dict[str, Pair]:
    """The pairs of a GGUF adapter by the base's tensor names. Raises ExportError where it does not fit."""
    from gguf import GGUFReader, Keys

    read_head(adapter)  # A broken file is one sentence there; the reader of the gguf package would raise anything.
    reader = GGUFReader(adapter)
    strength = reader.fields.get(Keys.Adapter.LORA_ALPHA)
    if strength is None:
        raise ExportError(
            f"{adapter} is no LoRA adapter in GGUF (it has no {Keys.Adapter.LORA_ALPHA}): convert it anew"
        )
    tensors = _tensors(reader)
    pairs = {}
    for name in (key.removesuffix(".lora_a") for key in tensors if key.endswith(".lora_a")):
        a, b = tensors[f"{name}.lora_a"], tensors.get(f"{name}.lora_b")
        a = a.T if name == EMBEDDING else a
        source = head.tensors.get(name)
        if source is None or b is None or expected_shape(Pair(a, b, 1.0), name) != source.shape:
            raise ExportError(
                f"{adapter} does not fit the base {head.path.name} at {name}: evaluate it with its own base"
            )
        pairs[name] = Pair(a, b, float(strength.contents()))
    return pairs


def _tensors(reader: GGUFReader) -> dict[str, np.ndarray]:
    import numpy as np
    from gguf import dequantize

    return {t.name: dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}
