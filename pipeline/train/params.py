"""What the stage `train` takes, and the recipes that fill in what is not given."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from pipeline.errors import BadInput
from simulator.private_files import read_text

Precision = Literal["auto", "fp32", "bf16"]

Epochs = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=1e-8, le=0.1, allow_inf_nan=False)]
"""AdamW moves each weight by about the rate: 0.1 is a hundred times what the recipes take, and 1 diverges."""

Ratio = Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)]


class Recipe(BaseModel):
    """Every number of a training run. A recipe file gives them; options override them one by one."""

    model_config = ConfigDict(extra="forbid")

    base: str = Field(default="smollm2", description="the base that the recipe was made for")
    num_train_epochs: Epochs = 1
    per_device_train_batch_size: int = Field(default=2, ge=1, le=1024)
    gradient_accumulation_steps: int = Field(default=4, ge=1, le=1024)
    learning_rate: Rate = 2e-4
    loraplus_lr_ratio: Ratio = 1
    warmup_ratio: float = Field(default=0.03, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    max_grad_norm: float = Field(default=1.0, gt=0, le=1000)
    lora_r: int = Field(default=16, ge=1, le=512)
    lora_alpha: int = Field(default=32, ge=1, le=4096)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    lora_layers: int | None = Field(default=None, ge=1)
    target_modules: str = Field(default="all-linear")
    max_length: int = Field(default=1024, ge=16, le=131072)
    max_steps: int = Field(default=-1, ge=-1)
    eval_samples: int = Field(default=64, ge=0)
    evals_per_epoch: int = Field(default=2, ge=0, le=1000)
    patience: int = Field(default=3, ge=0)
    precision: Precision = "auto"
    checkpoint_seconds: float = Field(default=30.0, ge=0, le=3600)

    @property
    def validates(self) -> bool:
        """Whether the run ever looks at validation samples."""
        return self.eval_samples > 0 and self.evals_per_epoch > 0

    def __str__(self) -> str:
        """The values that decide most, in words."""
        ratio = f" (B x {self.loraplus_lr_ratio:g})" if self.loraplus_lr_ratio > 1 else ""
        where = f"{self.lora_layers} layers" if self.lora_layers else "all layers"
        return (
            f"{self.num_train_epochs:g} epochs, {self.per_device_train_batch_size} x "
            f"{self.gradient_accumulation_steps} samples a step, learning rate {self.learning_rate:g}{ratio}, "
            f"rank {self.lora_r}, alpha {self.lora_alpha}, adapters on {where}"
        )


class TrainParams(BaseModel):
    """Fine-tune the base on the lab's data with LoRA. What is not given comes from the recipe."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    recipe: str | None = Field(
        default=None,
        description="smollm2-quick, smollm2, guide, or the path of a .toml file; the base's own where not given",
        examples=["smollm2-quick", "smollm2", "guide"],
    )
    base: str | None = Field(
        default=None,
        description="the base to fine-tune, as `benlab bases` lists it; the recipe's where not given",
        examples=["smollm2", "llama3.2-1b"],
    )
    data: str | None = Field(
        default=None, description="training data, a JSON object a line; the lab's own file if not given"
    )
    out: str | None = Field(default=None, description="where the adapter goes; the lab's ben-lab-lora/ if not given")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="order of the samples and first adapter weights")
    resume: bool = Field(default=False, description="go on with the newest run that did not end")
    resume_run: str | None = Field(default=None, description="with resume: the run's id")
    num_train_epochs: Epochs | None = Field(
        default=None,
        validation_alias=AliasChoices("num_train_epochs", "epochs"),
        description="passes over the data (guide: 1)",
    )
    per_device_train_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        validation_alias=AliasChoices("per_device_train_batch_size", "batch_size"),
        description="samples that are computed together; smaller needs less memory (guide: 2)",
    )
    learning_rate: Rate | None = Field(
        default=None,
        validation_alias=AliasChoices("learning_rate", "lr"),
        description="the largest step size, above 0 (guide: 2e-4)",
    )
    loraplus_lr_ratio: Ratio | None = Field(
        default=None,
        description="LoRA+: the B matrices' learning rate is so many times the A matrices' (1: the same)",
    )
    gradient_accumulation_steps: int | None = Field(
        default=None, ge=1, le=1024, description="batches summed up before one step of the optimizer (guide: 4)"
    )
    lora_r: int | None = Field(default=None, ge=1, le=512, description="rank of the adapter")
    lora_alpha: int | None = Field(default=None, ge=1, le=4096, description="the adapter is scaled by alpha / rank")
    lora_dropout: float | None = Field(
        default=None, ge=0, lt=1, description="dropout in front of the adapter; above 0 a CPU goes without its fast way"
    )
    lora_layers: int | None = Field(
        default=None,
        ge=1,
        description="adapters on so many of the uppermost layers, those below computed once (smollm2: 15; else all)",
    )
    target_modules: str | None = Field(
        default=None,
        description="all-linear, or the names of linear layers with commas between them",
        examples=["all-linear", "q_proj,v_proj"],
    )
    max_steps: int | None = Field(default=None, ge=-1, description="end after so many steps; 0 or -1 is no limit")
    max_length: int | None = Field(default=None, ge=16, le=131072, description="longer samples are left out (tokens)")
    warmup_ratio: float | None = Field(default=None, ge=0, le=1, description="share of the steps with a rising rate")
    weight_decay: float | None = Field(default=None, ge=0, le=1, description="AdamW's decay of the adapter's weights")
    max_grad_norm: float | None = Field(default=None, gt=0, le=1000, description="gradients are clipped to this norm")
    eval_samples: int | None = Field(
        default=None, ge=0, description="validation samples a validation looks at; an eighth of the data's at most"
    )
    evals_per_epoch: int | None = Field(default=None, ge=0, le=1000, description="validations in one epoch; 0 is none")
    patience: int | None = Field(
        default=None, ge=0, description="stop after so many validations without a better loss; 0 never stops early"
    )
    precision: Precision | None = Field(default=None, description="auto measures whether bf16 is faster than fp32 here")
    checkpoint_seconds: float | None = Field(
        default=None, ge=0, le=3600, description="seconds between checkpoints; 0 writes one after every step"
    )
    threads: int | None = Field(default=None, ge=1, le=512, description="CPU threads; all cores where not given")
    memory_limit_mb: int | None = Field(
        default=None,
        ge=64,
        le=10_000_000,
        description="memory that the training may take on a CPU (MB); the micro-batch is halved until it fits",
    )
    tensorboard: bool = Field(default=False, description="write TensorBoard files, too, into the run's folder")
    load_in_4bit: bool = Field(default=False, description="4-bit base weights by bitsandbytes (CUDA only)")

    @property
    def recipe_name(self) -> str:
        """The recipe asked for, else the base's own."""
        return self.recipe or _recipe_of(self.base)

    def settle(self) -> Recipe:
        """The recipe with this call's overrides. Raises BadInput for an unknown recipe."""
        given = self.model_dump(exclude_none=True, include=set(Recipe.model_fields))
        needed = {name for name, field in Recipe.model_fields.items() if field.default is not None}
        if needed <= set(given):  # as a run's own settings: its recipe's file may have changed or gone since
            return Recipe.model_validate(given)
        recipe = load_recipe(self.recipe_name)
        return Recipe.model_validate({**recipe.model_dump(), **given})


@cache
def recipe_names() -> tuple[str, ...]:
    """The recipes that ship with Ben Lab."""
    folder = files("pipeline.train") / "recipes"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def load_recipe(name: str) -> Recipe:
    """The recipe of that name, or of that .toml file. Raises BadInput."""
    if name in recipe_names():
        text = (files("pipeline.train") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    elif name.endswith(".toml"):
        text = _own_recipe(name)
    else:
        raise BadInput(f"{name!r} is no recipe: use one of {', '.join(recipe_names())}, or the path of a .toml file")
    from simulator import validate
    from simulator.errors import BadParameter

    try:
        values: dict[str, Any] = tomllib.loads(text)
        named = [_long_name(key) for key in values]
        if twice := [key for key, name in zip(values, named, strict=True) if named.count(name) > 1]:
            raise BadInput(f"the recipe {name} gives {' and '.join(twice)}, which are one parameter: leave one out")
        return validate(Recipe, dict(zip(named, values.values(), strict=True)))
    except BadParameter as error:  # a ValueError, too
        raise BadInput(f"the recipe {name}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the recipe {name} is not valid TOML ({error}): mend that line") from error


def _long_name(key: str) -> str:
    """A parameter's own name where `key` is its short form, as on the command line."""
    for name, known in TrainParams.model_fields.items():
        if isinstance(known.validation_alias, AliasChoices) and key in known.validation_alias.choices:
            return name
    return key


def _own_recipe(name: str) -> str:
    from pathlib import Path

    try:
        return read_text(Path(name).expanduser(), encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the recipe {name} cannot be read ({error}): give the path of a .toml file") from error


def _recipe_of(base: str | None) -> str:
    from pipeline.bases.catalogue import find_entry

    if base is None:
        return "smollm2"
    entry = find_entry(base)
    return entry.recipe if entry else "guide"
