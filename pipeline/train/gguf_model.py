"""Loads a GGUF file as a dense transformers model.

Traps that are dealt with here (each has a test):
- transformers flags such a model as quantized, and then refuses to train it: it is built from its config alone;
- `rope_freqs.weight` (Llama 3.1 and 3.2) is dropped: the frequencies are divided by it, as llama.cpp does;
- so is a scaling of the positions: a linear one is taken over, another refused;
- tensors without a place in the model are passed over: here they are an error, as the file is then another model;
- its reader knows fewer types than the gguf package: not Q5_0, which files have whose rows are no multiple of 256.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipeline.bases.base import Base
from pipeline.errors import BadInput, BaseError, ExportError
from pipeline.gguf_head import GgufHead, TensorInfo, read_head
from pipeline.lab import Lab
from pipeline.train.gguf_config import prepared, short

if TYPE_CHECKING:
    import torch


def load_gguf(lab: Lab, base: Base, dtype: torch.dtype, in_4bit: bool) -> Any:
    """Builds the model from the kept config and fills it with the file's tensors, dequantized one by one."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if in_4bit:
        raise BadInput(
            f"load_in_4bit needs a base from the hub and {base.name} is a GGUF file: pull it with --source hub"
        )
    config = AutoConfig.from_pretrained(prepared(lab, base), local_files_only=True, trust_remote_code=False)
    head = _head(base)
    _scale_positions(config, head)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
    missing = {name for name, _ in model.named_parameters()}
    rope_factors: torch.Tensor | None = None
    for name, tensor in _tensors(model, head):
        if name == "rope_freqs.weight":
            rope_factors = tensor
            continue
        owner, _, leaf = name.rpartition(".")
        wanted = getattr(model.get_submodule(owner), leaf).shape
        if tensor.shape != wanted:
            raise BaseError(
                f"{name} is {tuple(tensor.shape)} in {base.path.name} and {tuple(wanted)} by its settings: it is no "
                "whole model, fetch it again"
            )
        setattr(model.get_submodule(owner), leaf, torch.nn.Parameter(tensor.to(dtype), requires_grad=False))
        missing.discard(name)
    model.tie_weights()
    if config.tie_word_embeddings:
        missing.discard("lm_head.weight")
    if missing:
        raise BaseError(f"{base.path} lacks {', '.join(sorted(missing)[:3])}: it is not a whole model, fetch it again")
    _fill_buffers(model, rope_factors)
    return model


def _head(base: Base) -> GgufHead:
    try:
        return read_head(base.path)
    except ExportError as error:
        raise BaseError(str(error)) from error


def _scale_positions(config: Any, head: GgufHead) -> None:
    """Takes over the file's scaling of rotary positions, which transformers' readers drop. Raises BaseError."""
    key = f"{head.architecture}.rope.scaling"
    kind = str(head.settings.get(f"{key}.type", "linear"))
    factor = head.settings.get(f"{key}.factor", head.settings.get(f"{head.architecture}.rope.scale_linear", 0.0))
    if kind == "none" or (kind == "linear" and factor in (0.0, 1.0)):  # as llama.cpp reads them
        return
    if isinstance(factor, str) or not 0 < float(factor) < math.inf:
        raise BaseError(f"{head.path.name} scales its positions by {factor!r}, which is no factor: take another file")
    if kind != "linear":
        raise BaseError(
            f"{head.path.name} stretches its positions by {kind}, which is read from the hub's weights alone: "
            "`benlab pull ORG/NAME --source hub`, or take another base"
        )
    config.rope_parameters = {**config.rope_parameters, "rope_type": "linear", "factor": float(factor)}


def _tensors(model: Any, head: GgufHead) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor of the file as float32 under its transformers name, and `rope_freqs.weight` under its own.

    Raises BaseError for one that cannot be read, or that the model has no place for: it would be another model.
    """
    import numpy as np
    import torch
    from gguf import GGMLQuantizationType
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor

    processor = TENSOR_PROCESSORS.get(head.architecture, TensorProcessor)(config=model.config.to_dict())
    try:
        names = _names(model, processor)
    except NotImplementedError as error:
        raise BaseError(
            f"transformers has no names for the tensors of a {head.architecture} GGUF file ({short(error)}): "
            "take the hub's weights (`benlab pull ORG/NAME --source hub`) or another base"
        ) from error
    raw = np.memmap(head.path, mode="r", dtype=np.uint8)
    for info in head.tensors.values():
        values = _values(raw[info.offset : info.offset + info.size], GGMLQuantizationType(info.kind), info)
        if info.name == "rope_freqs.weight":
            yield info.name, torch.from_numpy(values)
            continue
        processed = processor.process(weights=values, name=info.name, tensor_key_mapping=names, parsed_parameters={})
        if processed.name not in names:
            raise BaseError(
                f"{head.path.name} holds {info.name}, which transformers' {model.config.model_type} has no place for: "
                "take the hub's weights (`benlab pull ORG/NAME --source hub`) or another base"
            )
        yield names[processed.name], torch.from_numpy(np.ascontiguousarray(processed.weights))


def _values(packed: Any, kind: Any, info: TensorInfo) -> Any:
    """A tensor's numbers as float32, in its shape. Raises BaseError for a type that cannot be dequantized."""
    import numpy as np
    from gguf import GGMLQuantizationType, dequantize
    from gguf.quants import quant_shape_to_byte_shape

    plain = {GGMLQuantizationType.F32: np.float32, GGMLQuantizationType.F16: np.float16}
    try:
        if kind in plain:
            values = packed.view(plain[kind])
        else:
            values = dequantize(packed.reshape(quant_shape_to_byte_shape(info.shape, kind)), kind)
    except NotImplementedError as error:
        raise BaseError(
            f"{info.name} is stored as {kind.name}, which cannot be dequantized here: take the base in Q4_K_M or Q8_0"
        ) from error
    return values.astype(np.float32).reshape(info.shape)


def _names(model: Any, processor: Any) -> dict[str, str]:
    """The file's name of each of the model's tensors → the model's.

    transformers asks every submodule, too, and each time builds the table of all names: two thirds of the time of
    loading. Where the model's own names say it all, that adds nothing.
    """
    from transformers.modeling_gguf_pytorch_utils import get_gguf_hf_weights_map

    alone = SimpleNamespace(config=model.config, state_dict=model.state_dict, named_children=list)
    names: dict[str, str] = get_gguf_hf_weights_map(alone, processor)
    if {name for name, _ in model.named_parameters()} <= set(names.values()):
        return names
    return dict(get_gguf_hf_weights_map(model, processor))


def _fill_buffers(model: Any, rope_factors: torch.Tensor | None) -> None:
    """Makes the rotary tables, which are computed and not stored, and applies the file's own factors."""
    import torch

    for module in model.modules():
        if hasattr(module, "inv_freq"):
            fresh = (
                type(module)(config=model.config, device=None) if _takes_device(module) else type(module)(model.config)
            )
            frequencies = fresh.inv_freq.to(torch.float32)
            if rope_factors is not None:
                if rope_factors.numel() < frequencies.numel() or not bool((rope_factors > 0).all()):
                    raise BaseError(
                        f"rope_freqs.weight holds {rope_factors.numel()} factors and {frequencies.numel()} above 0 are "
                        "wanted: it is no whole model, fetch it again"
                    )
                frequencies = frequencies / rope_factors[: frequencies.numel()]
            module.inv_freq = frequencies
            module.original_inv_freq = frequencies.clone()
            module.attention_scaling = fresh.attention_scaling
    left = [name for name, buffer in model.named_buffers() if buffer.is_meta]
    for name in left:
        owner, _, leaf = name.rpartition(".")
        if leaf != "embed_scale":
            raise BaseError(
                f"the architecture {model.config.model_type} keeps {name}, which a GGUF file does not hold: "
                "use the hub's weights"
            )
        setattr(model.get_submodule(owner), leaf, torch.tensor(model.config.hidden_size**0.5))


def _takes_device(module: Any) -> bool:
    import inspect

    return "device" in inspect.signature(type(module).__init__).parameters
