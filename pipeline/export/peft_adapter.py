"""A LoRA adapter as peft saves it: adapter_config.json and adapter_model.safetensors, read without torch.

What a GGUF adapter cannot carry is refused here, with the reason: it holds a low-rank pair for a weight matrix
and nothing else, and it is laid over the base's own weights.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ExportError
from simulator.private_files import read_bytes, read_text

if TYPE_CHECKING:
    import numpy as np

_LONGEST_NAME = 256
_PAIR = re.compile(r"^(?:base_model\.model\.)?(?P<module>.+?)\.lora_(?P<embedding>embedding_)?(?P<part>[AB])(\.\w+)*$")
_CHANGED_BASE = ("pissa", "olora", "loftq", "corda", "lora_ga")
_REFUSED = {
    "use_dora": "it is a DoRA adapter, whose magnitudes need the whole weight at run time",
    "modules_to_save": "it replaces whole modules (modules_to_save)",
    "trainable_token_indices": "it trains single token embeddings (trainable_token_indices)",
    "layer_replication": "it replicates layers (layer_replication)",
    "target_parameters": "it adapts bare parameters (target_parameters)",
    "lora_bias": "its B has a bias (lora_bias)",
    "use_qalora": "it is a QALoRA adapter",
    "alora_invocation_tokens": "it is an activated LoRA, on only after certain tokens",
    "fan_in_fan_out": "its weights are stored transposed (fan_in_fan_out)",
    "arrow_config": "it routes between several adapters (arrow_config)",
    "use_bdlora": "it is a block-diagonal LoRA",
    "monteclora_config": "it samples its weights (MonteCLoRA)",
    "velora_config": "it is a VeLoRA adapter",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """delta W = strength / rank * B @ A, with `a` (rank, in) and `b` (out, rank), float32.

    `strength` is alpha, and alpha * sqrt(rank) for rsLoRA (Kalajdzievski 2023, arXiv:2312.03732).
    """

    a: np.ndarray
    b: np.ndarray
    strength: float

    @property
    def rank(self) -> int:
        """Columns of B."""
        return int(self.a.shape[0])


@dataclass(frozen=True, slots=True)
class PeftAdapter:
    """The pairs by transformers' module name, such as model.layers.0.self_attn.q_proj."""

    folder: Path
    config: dict[str, Any]
    manifest: dict[str, Any]
    pairs: dict[str, Pair]


def read_adapter(folder: Path) -> PeftAdapter:
    """Reads the adapter in `folder`. Raises ExportError where it is missing, broken, or no plain LoRA."""
    config = _object(folder / "adapter_config.json")
    _refuse_what_gguf_cannot_hold(config)
    tensors = _tensors(folder / "adapter_model.safetensors")
    manifest = folder / "manifest.json"
    return PeftAdapter(folder, config, _object(manifest) if manifest.exists() else {}, _pairs(tensors, config))


def _refuse_what_gguf_cannot_hold(config: Mapping[str, Any]) -> None:
    reasons = [reason for key, reason in _REFUSED.items() if config.get(key)]
    if config.get("peft_type") != "LORA":
        reasons.append(f"its type is {config.get('peft_type')!r}, not LORA")
    if config.get("bias", "none") != "none":
        reasons.append(f"it trains biases (bias={config['bias']!r})")
    start = str(config.get("init_lora_weights", "")).lower()
    if start.startswith(_CHANGED_BASE):
        reasons.append(f"its start ({start}) changed the base's own weights")
    if reasons:
        raise ExportError(
            f"a GGUF adapter cannot carry this one: {'; '.join(reasons)}: train a plain LoRA (`benlab train`)"
        )


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_text(path))
    except FileNotFoundError:
        raise ExportError(f"{path} is not there: train first (`benlab train`) or name an adapter folder") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{path} cannot be read as JSON ({error}): train again") from error
    if not isinstance(value, dict):
        raise ExportError(f"{path} holds no JSON object: train again")
    return value


_LARGEST = 16 << 30
"""Bytes of an adapter."""


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors as float32. numpy has no bfloat16: its 16 bits are the upper half of a float32."""
    import numpy as np
    from safetensors import SafetensorError, deserialize

    try:
        raw = deserialize(read_bytes(path, _LARGEST))
    except FileNotFoundError:
        raise ExportError(f"{path} is not there: train first; pickled adapters (.bin) are never read") from None
    except (OSError, SafetensorError) as error:
        raise ExportError(f"{path} cannot be read ({error}): train again") from error
    plain = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
    tensors = {}
    for name, entry in raw:
        kind, data, shape = entry["dtype"], entry["data"], entry["shape"]
        if kind == "BF16":
            values = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
        elif kind in plain:
            values = np.frombuffer(data, plain[kind]).astype(np.float32)
        else:
            raise ExportError(f"{name} in {path} has the type {kind}: use float32, float16 or bfloat16")
        if not np.isfinite(values).all():
            raise ExportError(
                f"{name} in {path} holds values that are not finite: train again at a lower learning rate"
            )
        tensors[name] = values.reshape(shape)
    return tensors


def _pairs(tensors: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> dict[str, Pair]:
    halves: dict[str, dict[str, np.ndarray]] = {}
    for name, values in tensors.items():
        match = _PAIR.match(name)
        if not match or values.ndim != 2:
            raise ExportError(f"the adapter holds {name}, and a GGUF adapter only LoRA pairs: train a plain LoRA")
        halves.setdefault(match["module"], {})[match["part"]] = values
    pairs = {}
    for module, parts in sorted(halves.items()):
        if set(parts) != {"A", "B"} or parts["A"].shape[0] != parts["B"].shape[1]:
            raise ExportError(f"the LoRA pair of {module} is not whole: train again")
        pairs[module] = Pair(parts["A"], parts["B"], _strength(module, parts["A"].shape[0], config))
    if not pairs:
        raise ExportError("the adapter holds no LoRA pair: train again")
    return pairs


def _fits(key: str, module: str) -> bool:
    """Whether the pattern of a stranger's adapter is the end of this name. Raises ExportError for one that may be slow.

    A repeat inside a repeat takes exponential time, and each further repeat multiplies it by the name's length.
    """
    repeats = sum(key.count(sign) for sign in "*+{")
    if len(key) > _LONGEST_NAME or len(module) > _LONGEST_NAME or repeats > 2 or re.search(r"\)[*+?{]", key):
        raise ExportError(
            f"the pattern {key[:60]!r} of alpha_pattern is too complex: use names, with at most two repeats"
        )
    try:
        return re.match(rf"(.*\.)?({key})$", module) is not None
    except re.error as error:
        raise ExportError(f"the pattern {key[:60]!r} of alpha_pattern cannot be read ({error}): correct it") from error


def _strength(module: str, rank: int, config: Mapping[str, Any]) -> float:
    """Alpha of this module. A key of alpha_pattern is a regular expression for the end of a module's name."""
    alpha = config.get("lora_alpha", rank)
    for key, value in (config.get("alpha_pattern") or {}).items():
        if _fits(str(key), module):
            alpha = value
            break
    return float(alpha) * (math.sqrt(rank) if config.get("use_rslora") else 1.0)
