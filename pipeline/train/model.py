"""Loads a base for training: a dense transformers model, its tokenizer, and LoRA adapters on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.bases.base import Base
from pipeline.errors import BadInput, BaseError, MissingExtra
from pipeline.lab import Lab
from pipeline.train.gguf_config import prepared, short
from pipeline.train.gguf_model import load_gguf
from pipeline.train.memory import is_out_of_memory
from simulator.extras import install_line

if TYPE_CHECKING:
    import torch
    from torch import nn


def load_tokenizer(lab: Lab, base: Base) -> Any:
    """The base's tokenizer. Raises BaseError."""
    from transformers import AutoTokenizer

    folder = base.path if base.kind == "hf" else prepared(lab, base)
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise BaseError(
            f"the tokenizer of {base.name} cannot be loaded ({short(error)}): fetch the base again"
        ) from error


def load_model(lab: Lab, base: Base, dtype: torch.dtype, in_4bit: bool = False) -> Any:
    """The base's model with frozen weights. Raises BaseError where it cannot be loaded."""
    model = _load_folder(base, dtype, in_4bit) if base.kind == "hf" else load_gguf(lab, base, dtype, in_4bit)
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


def dropout_of_adapters(loss: nn.Module, on: bool) -> None:
    """Turns the adapters' dropout (`lora_dropout`) on or off; the base's own, where it has any, stays off.

    A base comes without it from transformers, and the written-out loss has none.
    """
    loss.eval()
    for name, module in loss.named_modules():
        if "lora_dropout" in name:
            module.train(on)


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
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        if is_out_of_memory(error):
            raise
        raise BaseError(
            f"{base.path} cannot be loaded ({short(error)}): fetch the base again or choose another"
        ) from error


def _four_bit(dtype: torch.dtype) -> Any:
    import torch
    from transformers import BitsAndBytesConfig
    from transformers.utils import is_bitsandbytes_available

    if not torch.cuda.is_available():
        raise BadInput("load_in_4bit needs a CUDA device and there is none: leave it out")
    if not is_bitsandbytes_available():
        raise MissingExtra(f"load_in_4bit needs bitsandbytes: run `{install_line('cuda')}`")
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
