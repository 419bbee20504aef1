"""Loads a base for training: a dense transformers model, its tokenizer, and LoRA adapters on it.

Traps of GGUF files that are dealt with here (each has a test):
- transformers flags such a model as quantized, and then refuses to train it: the flag is taken off;
- `rope_freqs.weight` (Llama 3.1 and 3.2) is dropped: the frequencies are divided by it, as llama.cpp does;
- its readers parse the file once each for config, tokenizer and weights: config and tokenizer are kept (gguf_config).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipeline.bases.base import Base, base_folder
from pipeline.errors import BadInput, BaseError, MissingExtra
from pipeline.files import replacing_folder
from pipeline.lab import Lab
from simulator.extras import install_line

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, slots=True)
class Loaded:
    """A base that is ready for adapters: transformers model (on the CPU, frozen) and tokenizer."""

    model: Any
    tokenizer: Any


def load_tokenizer(lab: Lab, base: Base) -> Any:
    """The base's tokenizer. Raises BaseError."""
    from transformers import AutoTokenizer

    folder = base.path if base.kind == "hf" else _prepared(lab, base)
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise BaseError(
            f"the tokenizer of {base.name} cannot be loaded ({_short(error)}): fetch the base again"
        ) from error


def load_model(lab: Lab, base: Base, dtype: torch.dtype, in_4bit: bool = False) -> Any:
    """The base's model with frozen weights. Raises BaseError where it cannot be loaded."""
    model = _load_folder(base, dtype, in_4bit) if base.kind == "hf" else _load_gguf(lab, base, dtype, in_4bit)
    model.config.use_cache = False
    model.name_or_path = model.config._name_or_path = base.entry.hf_id if base.entry else base.name
    model.requires_grad_(False)
    return model


def add_adapters(
    model: Any, rank: int, alpha: int, dropout: float, modules: str, base: Base, upper: int | None = None
) -> Any:
    """A peft model with fresh adapters (float32) on the chosen linear layers of the `upper` last blocks (None: of all).

    Raises BadInput for linear layers that the base does not have.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    head = model.get_output_embeddings()
    linear = {
        name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module is not head
    }
    kinds = sorted({name.rsplit(".", 1)[-1] for name in linear})
    wanted = kinds if modules == "all-linear" else [name.strip() for name in modules.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in kinds] or (["(none)"] if not wanted else []):
        raise BadInput(
            f"target_modules names {', '.join(unknown)}, which {base.name} does not have: use {', '.join(kinds)}"
        )
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=wanted,
        exclude_modules=["lm_head", "output"],
        layers_to_transform=None if upper is None else _uppermost(int(model.config.num_hidden_layers), upper),
        bias="none",
        task_type="CAUSAL_LM",
        base_model_name_or_path=base.entry.hf_id if base.entry else base.name,
    )
    return get_peft_model(model, config)


def _uppermost(blocks: int, upper: int) -> list[int] | None:
    """The numbers of the `upper` last of so many blocks; None where that is all of them."""
    return list(range(blocks - upper, blocks)) if upper < blocks else None


def trainable(model: nn.Module) -> dict[str, torch.nn.Parameter]:
    """The adapters' parameters by name, in the model's order."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _load_folder(base: Base, dtype: torch.dtype, in_4bit: bool) -> Any:
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True, "use_safetensors": True}
    if in_4bit:
        options["quantization_config"] = _four_bit(dtype)
    try:
        return AutoModelForCausalLM.from_pretrained(base.path, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise BaseError(
            f"{base.path} cannot be loaded ({_short(error)}): fetch the base again or choose another"
        ) from error


def _load_gguf(lab: Lab, base: Base, dtype: torch.dtype, in_4bit: bool) -> Any:
    """Builds the model from the kept config and fills it with the file's tensors, dequantized one by one."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if in_4bit:
        raise BadInput(
            f"load_in_4bit needs a base from the hub and {base.name} is a GGUF file: pull it with --source hub"
        )
    config = AutoConfig.from_pretrained(_prepared(lab, base), local_files_only=True)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    missing = {name for name, _ in model.named_parameters()}
    rope_factors: torch.Tensor | None = None
    for name, tensor in _tensors(model, base.path):
        if name == "rope_freqs.weight":
            rope_factors = tensor
            continue
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, torch.nn.Parameter(tensor.to(dtype), requires_grad=False))
        missing.discard(name)
    model.tie_weights()
    if config.tie_word_embeddings:
        missing.discard("lm_head.weight")
    if missing:
        raise BaseError(f"{base.path} lacks {', '.join(sorted(missing)[:3])}: it is not a whole model, fetch it again")
    _fill_buffers(model, rope_factors)
    return model


def _tensors(model: Any, path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor of the file as float32 under its transformers name, and `rope_freqs.weight` under its own."""
    import numpy as np
    import torch
    from gguf import GGMLQuantizationType, dequantize
    from gguf.quants import quant_shape_to_byte_shape
    from transformers.integrations.gguf.reader import GgufHeader
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor

    header = GgufHeader.from_file(str(path))
    processor = TENSOR_PROCESSORS.get(header.architecture, TensorProcessor)(config=model.config.to_dict())
    names = _names(model, processor)
    raw = np.memmap(path, mode="r", dtype=np.uint8)
    for info in header.tensors:
        kind = GGMLQuantizationType(info.ggml_type)
        start = header.data_start + info.offset
        packed = raw[start : start + info.nbytes]
        if kind in (GGMLQuantizationType.F32, GGMLQuantizationType.F16):
            values = packed.view(np.float32 if kind == GGMLQuantizationType.F32 else np.float16).reshape(info.shape)
        else:
            values = dequantize(packed.reshape(quant_shape_to_byte_shape(info.shape, kind)), kind)
        values = values.astype(np.float32).reshape(info.shape)
        if info.name == "rope_freqs.weight":
            yield info.name, torch.from_numpy(values)
            continue
        processed = processor.process(weights=values, name=info.name, tensor_key_mapping=names, parsed_parameters={})
        if processed.name in names:
            yield names[processed.name], torch.from_numpy(np.ascontiguousarray(processed.weights))


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


def _prepared(lab: Lab, base: Base) -> Path:
    """Config and tokenizer of a GGUF base as transformers saves them, written once a file."""
    from pipeline.train.gguf_config import read_config, read_tokenizer

    folder = base_folder(lab, base.name) / f"prepared-{base.sha256[:12]}"
    if (folder / "config.json").is_file():
        return folder
    try:
        config = read_config(base.path)
        tokenizer = read_tokenizer(base.path, config.model_type)
    except (OSError, ValueError, KeyError, NotImplementedError, struct.error) as error:
        raise BaseError(
            f"transformers cannot read the {base.architecture} model in {base.path.name} ({_short(error)}): "
            "take the hub's weights (`benlab pull ORG/NAME --source hub`) or another base"
        ) from error
    config.architectures = None
    if getattr(config, "quantization_config", None) is not None:
        del config.quantization_config
    with replacing_folder(folder) as fresh:
        tokenizer.save_pretrained(fresh)
        config.save_pretrained(fresh)
    return folder


def _four_bit(dtype: torch.dtype) -> Any:
    import torch
    from transformers import BitsAndBytesConfig
    from transformers.utils import is_bitsandbytes_available

    if not torch.cuda.is_available():
        raise BadInput("load_in_4bit needs a CUDA device and there is none: leave it out")
    if not is_bitsandbytes_available():
        raise MissingExtra(f"load_in_4bit needs bitsandbytes: run `{install_line('cuda')}`")
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
