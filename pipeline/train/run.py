"""One training run in this process: data, base, adapters, loop, adapter folder."""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator, PartialState
from torch import nn

from pipeline.bases.base import Base, locate
from pipeline.data.paths import given_path
from pipeline.errors import TrainError
from pipeline.lab import Lab
from pipeline.modelfile import load
from pipeline.train import checkpoint, precision, settings
from pipeline.train.checkpoint import State
from pipeline.train.control import Control
from pipeline.train.forward import SharedPrefixLoss, check_head
from pipeline.train.fused import FusedLoss, fits, obstacle
from pipeline.train.heldout import hold_out, validation_file, why_not
from pipeline.train.identity import check_resume, identity_of
from pipeline.train.job import Training
from pipeline.train.loop import train
from pipeline.train.memory import is_out_of_memory, limit, resident_megabytes
from pipeline.train.model import add_adapters, load_model, load_tokenizer, trainable
from pipeline.train.params import Recipe, TrainParams
from pipeline.train.publish import FINISHED, manifest, physics_version, publish, tool_names, write_adapter
from pipeline.train.samples import TokenSet, encode, read_lines, read_with_bad
from pipeline.train.schedule import Schedule
from pipeline.train.threads import adaptive
from simulator.events import Event, Note, Progress, Result

if TYPE_CHECKING:
    from pipeline.data.line import Sample

LEAST_VALIDATION = 8
"""Validation samples that even the smallest data set is judged by, where it has them."""


def run_training(lab: Lab, run: Path, params: TrainParams, control: Control, micro: int) -> Iterator[Event]:
    """Trains and publishes the adapter; the last event is the Result. Raises the pipeline's errors."""
    recipe = params.settle()
    yield Progress("train", 0, None, "reading the data")
    data = given_path(params.data) if params.data else lab.data
    base = locate(lab, params.base or recipe.base)
    system = load(lab).system.strip()
    held = validation_file(data) if recipe.validates else None
    identity = identity_of(base, data, held, recipe, params.seed, system)
    check_resume(run, params, identity)
    tokenizer = load_tokenizer(lab, base)
    tokens, validation = _token_sets(base, tokenizer, data, held, recipe, params.seed, system)
    yield Note(f"recipe {params.recipe_name}: {recipe}")
    yield from _about(tokens, validation, recipe, held)
    if not held and recipe.validates and (reason := why_not(data)):
        yield Note(reason)
    yield Progress("train", 0, None, "loading the base")
    job = yield from _prepare(lab, run, base, tokens, validation, params, recipe)
    job.control = control
    job.state.identity = identity
    if job.resume_from and job.accelerator.is_main_process:
        settings.change(run, recipe)  # before the first step, so that a kill goes on with the new rate
    if micro:
        job.state.micro = min(micro, job.state.micro)
    if (micro or params.memory_limit_mb) and isinstance(job.loss, FusedLoss):
        job.loss.trunk.drop()  # memory is short: nothing is kept from epoch to epoch
    if params.memory_limit_mb:
        yield Note(f"{resident_megabytes():.0f} MB in use, {params.memory_limit_mb} allowed")
        limit(params.memory_limit_mb, job.accelerator.device)
    state = yield from train(job)
    state.identity = identity
    if not job.accelerator.is_main_process:
        return
    facts = {
        "run": run.name,
        "seed": params.seed,
        "recipe_name": params.recipe_name,
        "data": {
            "file": lab.relative(data),
            "samples": len(tokens.samples),
            "left_out": tokens.left_out,
            "bad_lines": tokens.bad_lines,
        },
        "validation": {"file": lab.relative(held) if held else None, "samples": _count(validation)},
        "data_sha256": identity["data_sha256"],
        "system": system,
        "computed": {"device": job.accelerator.device.type, "precision": job.precision},
        "physics_version": physics_version(lab, data),
        "tools": tool_names(data),
    }
    target = given_path(params.out) if params.out else lab.adapter_dir
    write_adapter(run / FINISHED, job.loss.model, tokenizer, manifest(base, recipe, state, facts))
    publish(lab, run, target)
    yield Result(_summary(job, base) | {"adapter": lab.relative(target)})


def _summary(job: Training, base: Base) -> dict[str, Any]:
    """What the run came to."""
    state = job.state
    return {
        "run": job.run.name,
        "base": base.name,
        "steps": state.step,
        "samples": len(job.schedule.tokens.samples),
        "seconds": round(state.seconds, 1),
        "samples_per_second": round(state.step and _trained(job) / max(state.seconds, 1e-9), 3),
        "loss": state.last_loss,
        "validation_loss": state.best_loss,
        "kept_step": state.best_step or state.step,
    }


def _token_sets(
    base: Base, tokenizer: Any, data: Path, held: Path | None, recipe: Recipe, seed: int, system: str
) -> tuple[TokenSet, TokenSet | None]:
    """Training and validation samples as tokens. Without a validation file a twentieth of the data is held out."""
    (samples, bad), validation = read_with_bad(data), read_lines(held) if held else []
    if not held and recipe.validates:
        samples, validation = hold_out(samples, seed)
    # An eighth of the training lines at most, so that validating takes no large part of a small data set's training.
    most = min(recipe.eval_samples, max(LEAST_VALIDATION, len(samples) // 8))
    if len(validation) > most:
        validation = random.Random(seed).sample(validation, most)
    limit = min(recipe.max_length, base.context_length)
    tokens = replace(encode(samples, base, tokenizer, system, limit), bad_lines=len(bad))
    return tokens, _validation(validation, base, tokenizer, system, limit)


def _validation(samples: list[Sample], base: Base, tokenizer: Any, system: str, limit: int) -> TokenSet | None:
    """The validation samples as tokens; None where there are none, or all are too long."""
    from pipeline.errors import DataError

    try:
        return encode(samples, base, tokenizer, system, limit) if samples else None
    except DataError:
        return None


def _count(tokens: TokenSet | None) -> int:
    return len(tokens.samples) if tokens else 0


def _about(tokens: TokenSet, validation: TokenSet | None, recipe: Recipe, held: Path | None) -> Iterator[Event]:
    mean = sum(len(sample.tokens) for sample in tokens.samples) / len(tokens.samples)
    yield Note(
        f"{len(tokens.samples)} samples of {len(tokens.prefix)} shared + {mean:.0f} own tokens on average, "
        f"{tokens.answer_tokens / len(tokens.samples):.0f} of them answer; "
        f"{_count(validation)} for validation{f', from {held.name}' if held else ', held out' if validation else ''}"
    )
    if tokens.left_out:
        yield Note(
            f"{tokens.left_out} samples are longer than {recipe.max_length} tokens and were left out (--max-length)"
        )


def _prepare(
    lab: Lab,
    run: Path,
    base: Base,
    tokens: TokenSet,
    validation: TokenSet | None,
    params: TrainParams,
    recipe: Recipe,
) -> Generator[Event, None, Training]:
    """Model, adapters, device and precision."""
    torch.manual_seed(params.seed)
    # Several processes without a GPU, as clusters start them, is something accelerate has to be told.
    device = PartialState(cpu="RANK" in os.environ and not torch.cuda.is_available()).device
    kept = checkpoint.peek(run) if params.resume else None
    # What was measured once holds for the whole run: another format in the middle would be another run.
    dtype, why = precision.choose((kept.precision if kept else "") or recipe.precision, device)
    yield Note(f"computing on {device} in {why}")
    peft_model, loss = _model(lab, base, dtype, device, params, recipe)
    by_hand = isinstance(loss, FusedLoss)
    if not by_hand and device.type == "cpu":
        yield Note(f"without the fast way for llama-like models on a CPU: {obstacle(peft_model)}")
    accelerator = Accelerator(mixed_precision="bf16" if dtype == torch.bfloat16 and not by_hand else "no")
    if kept and kept.processes != accelerator.num_processes:
        raise TrainError(
            f"{run.name} was started on {kept.processes} devices and this is {accelerator.num_processes}: go on with "
            "as many, or start anew without --resume"
        )
    name = "bf16" if dtype == torch.bfloat16 else "fp32"
    adapters = trainable(peft_model)
    state = State(micro=recipe.per_device_train_batch_size, precision=name, processes=accelerator.num_processes)
    return Training(
        run=run,
        schedule=Schedule(tokens, recipe, params.seed, accelerator.num_processes),
        validation=validation,
        loss=loss,
        adapters=adapters,
        accelerator=accelerator,
        control=Control(run),
        state=state,
        resume_from=run if kept else None,
        tensorboard=params.tensorboard,
        threads=adaptive(params.threads, device),
        precision=name,
    )


def _model(
    lab: Lab, base: Base, dtype: torch.dtype, device: torch.device, params: TrainParams, recipe: Recipe
) -> tuple[Any, nn.Module]:
    """The base with adapters, and its loss. Raises TrainError where memory is too small for it."""
    try:
        model = load_model(lab, base, dtype, params.load_in_4bit).to(device)
        peft_model = add_adapters(
            model,
            recipe.lora_r,
            recipe.lora_alpha,
            recipe.lora_dropout,
            recipe.target_modules,
            base,
            recipe.lora_layers,
        )
        by_hand = fits(peft_model) and not params.load_in_4bit
        if not by_hand:
            check_head(peft_model.get_base_model(), base.name)
        return peft_model, FusedLoss(peft_model, dtype) if by_hand else SharedPrefixLoss(peft_model)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainError(
            f"{base.name} does not fit into the memory that is free on {device}: close other programs, try "
            "--precision bf16 (or --load-in-4bit on a CUDA device), or take a smaller base"
        ) from error


def _trained(job: Training) -> int:
    """Samples that the steps so far have seen."""
    return sum(len(batch) for step, batches in job.schedule.steps(0) if step < job.state.step for batch in batches)
