"""The training loop, top to bottom: batches, loss, gradients, step, validation, checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from pipeline.errors import Interrupted, LabError, TrainError
from pipeline.train import checkpoint
from pipeline.train.batches import collate, pieces
from pipeline.train.checkpoint import State
from pipeline.train.clock import Clock
from pipeline.train.control import Control
from pipeline.train.memory import free, is_out_of_memory, resident_megabytes
from pipeline.train.metrics import MetricsLog
from pipeline.train.samples import TokenSet
from pipeline.train.schedule import Schedule
from pipeline.train.threads import Threads
from simulator.events import Event, Metric, Note, Progress


@dataclass
class Training:
    """One run's parts. `loss` maps a batch to its summed cross entropy; `adapters` are what is trained."""

    run: Path
    schedule: Schedule
    validation: TokenSet | None
    loss: nn.Module
    adapters: dict[str, torch.nn.Parameter]
    accelerator: Accelerator
    control: Control
    state: State
    resume_from: Path | None = None
    tensorboard: bool = False
    threads: Threads | None = None


def train(job: Training) -> Generator[Event, None, State]:
    """Trains to the end and leaves the best adapter in `job.adapters`. Returns the final state.

    Raises TrainError on a loss that is no number or memory that is too small, Interrupted when cancelled.
    """
    recipe, schedule, state, main = job.schedule.recipe, job.schedule, job.state, job.accelerator.is_main_process
    # Fused AdamW: one pass over each adapter instead of ten. Betas and epsilon are those of Loshchilov & Hutter.
    optimizer = torch.optim.AdamW(job.adapters.values(), lr=0.0, weight_decay=recipe.weight_decay, fused=True)
    if job.resume_from is not None:
        micro = state.micro
        job.state = state = checkpoint.load(job.resume_from, job.adapters, optimizer)
        state.micro = min(micro, state.micro)
        yield Note(f"going on with {job.resume_from.name} at step {state.step} of {schedule.total_steps}")
    loss = job.accelerator.prepare(job.loss)
    log = MetricsLog(job.run, state.step, job.tensorboard) if main else None
    clock = Clock(job.threads)

    for step, batches in schedule.steps(state.step):
        yield from _pause(job, optimizer)

        # 1. Forward and backward, micro-batch by micro-batch; memory that runs out halves them.
        rate = schedule.learning_rate(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        clock.start()
        while (value := _gradients(job, loss, optimizer, batches)) is None:
            yield _halve(job)

        # 2. Clip and step. A loss or gradient that is no number stops the run before it spoils the adapter.
        norm = float(torch.nn.utils.clip_grad_norm_(list(job.adapters.values()), recipe.max_grad_norm))
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise TrainError(_not_a_number(job, step, rate))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        state.step, state.last_loss = step + 1, value
        state.first_loss = value if state.first_loss is None else state.first_loss
        clock.stop(batches, schedule.tokens)
        state.seconds += clock.last

        # 3. Say how it goes.
        left = clock.seconds_a_step * (schedule.total_steps - state.step)
        values = {"loss": value, "learning_rate": rate, "gradient_norm": norm, **clock.speeds(), "eta_seconds": left}
        values |= {"memory_mb": resident_megabytes(), "threads": torch.get_num_threads()}
        yield Progress("train", state.step, schedule.total_steps, f"loss {value:.3f} · {_minutes(left)} left")

        # 4. Validate, keep the best, stop where it no longer gets better.
        if _is_due(schedule, state.step) and job.validation is not None:
            values["validation_loss"] = yield from _validate(job, loss)
        if log:
            log.write(state.step, values)
        yield Metric("train", state.step, values)
        if recipe.patience and state.bad_validations >= recipe.patience:
            yield Note(f"no better validation loss {recipe.patience} times in a row: stopping at step {state.step}")
            break

        # 5. Checkpoint, so that a kill costs less than a minute.
        if main and clock.since_checkpoint >= recipe.checkpoint_seconds:
            yield from _save(job, optimizer)
            clock.checkpointed()

    if log:
        log.close()
    if (job.run / _BEST).exists() and state.best_step != state.step:
        checkpoint.restore_snapshot(job.adapters, job.run / _BEST)
        yield Note(f"keeping the adapter of step {state.best_step}, which has the best validation loss")
    return state


_BEST = "best.safetensors"


def _gradients(
    job: Training, loss: nn.Module, optimizer: torch.optim.Optimizer, batches: list[list[int]]
) -> float | None:
    """Adds up the gradients of one step; returns the mean loss an answer token, or None where memory ran out.

    The mean is over all answer tokens of the step, so that neither the micro-batch nor the number of
    processes changes it.
    """
    world, rank = job.accelerator.num_processes, job.accelerator.process_index
    samples = job.schedule.tokens.samples
    answers = sum(samples[i].answer for batch in batches for i in batch)
    mine = batches[rank::world] or [batches[0]]
    weight = 1.0 if batches[rank::world] else 0.0
    tokens, limits = job.schedule.tokens, _limits(job)
    parts = [part for numbers in mine for part in pieces(tokens, numbers, job.state.micro, *limits)]
    total = torch.zeros((), dtype=torch.float64)
    try:
        for i, part in enumerate(parts):
            if job.control.cancelled:
                optimizer.zero_grad(set_to_none=True)
                _save_quietly(job, optimizer)
                raise Interrupted(f"training was cancelled at step {job.state.step}: --resume goes on from there")
            # Processes meet once a step, at the last part; they average gradients, so each share is multiplied.
            with nullcontext() if i == len(parts) - 1 else job.accelerator.no_sync(loss):
                value = loss(collate(tokens, part))
                job.accelerator.backward(value * (weight * world / answers))
            total += value.detach().double().cpu() * weight / answers
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        optimizer.zero_grad(set_to_none=True)
        return None
    if world > 1:
        total = job.accelerator.reduce(total.to(job.accelerator.device), reduction="sum").cpu()
    return float(total)


def _limits(job: Training) -> tuple[int, int]:
    """(most tokens of a part, what a part costs beside its tokens, in tokens).

    A CPU is as fast with 1,500 rows as with 10,000, and keeps under 3 GB; a GPU wants few large parts.
    """
    return (1536, 64) if job.accelerator.device.type == "cpu" else (1 << 30, 4096)


def _halve(job: Training) -> Note:
    """Halves the micro-batch after memory ran out. Raises TrainError at one sample."""
    free()
    size = job.state.micro
    if size == 1 or job.accelerator.num_processes > 1:
        longest = max(len(sample.tokens) for sample in job.schedule.tokens.samples)
        raise TrainError(
            f"memory ran out with {size} sample at a time (the longest has {longest} tokens): "
            "lower --max-length, take a smaller base, or close other programs"
        )
    job.state.micro = size // 2
    accumulation = job.schedule.recipe.per_device_train_batch_size // job.state.micro
    return Note(
        f"memory ran out with {size} samples at a time: going on with {job.state.micro} "
        f"and {accumulation} times as many passes a step, the result is the same"
    )


def _validate(job: Training, loss: nn.Module) -> Generator[Event, None, float]:
    """Mean loss an answer token on the validation samples; keeps the adapter where it is the best so far."""
    state = job.state
    while (value := _held_out_loss(job, loss)) is None:
        yield _halve(job)
    if not math.isfinite(value):
        raise TrainError(_not_a_number(job, state.step - 1, job.schedule.learning_rate(state.step - 1)))
    state.validations.append((state.step, value))
    if state.best_loss is None or value < state.best_loss:
        state.best_loss, state.best_step, state.bad_validations = value, state.step, 0
        if job.accelerator.is_main_process:
            try:
                checkpoint.snapshot(job.adapters, job.run / _BEST)
            except LabError as error:
                yield Note(f"the best adapter so far could not be kept: {error}")
    else:
        state.bad_validations += 1
    yield Note(f"step {state.step}: validation loss {value:.4f}, the best is {state.best_loss:.4f}")
    return value


def _held_out_loss(job: Training, loss: nn.Module) -> float | None:
    """Mean loss an answer token on the validation samples; None where memory ran out."""
    assert job.validation is not None
    everything, total = list(range(len(job.validation.samples))), 0.0
    loss.eval()
    try:
        with torch.no_grad():
            for part in pieces(job.validation, everything, job.state.micro, *_limits(job)):
                total += float(loss(collate(job.validation, part)))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    finally:
        loss.train()
    return total / job.validation.answer_tokens


def _save(job: Training, optimizer: torch.optim.Optimizer) -> Iterator[Event]:
    """Writes a checkpoint; a full disk is said, and the last good checkpoint stays."""
    try:
        checkpoint.save(job.run, job.state, job.adapters, optimizer)
    except LabError as error:
        yield Note(f"no checkpoint at step {job.state.step}, the last good one stays: {error}")


def _save_quietly(job: Training, optimizer: torch.optim.Optimizer) -> None:
    if job.accelerator.is_main_process and job.state.step:
        for _ in _save(job, optimizer):
            pass


def _pause(job: Training, optimizer: torch.optim.Optimizer) -> Iterator[Event]:
    """Waits while the pause file is there; what was learned is on the disk meanwhile."""
    if not job.control.paused:
        return
    _save_quietly(job, optimizer)
    yield Note(f"paused at step {job.state.step}")
    yield Progress("train", job.state.step, job.schedule.total_steps, "paused")
    while job.control.paused and not job.control.cancelled:
        time.sleep(0.2)
    yield Note("going on" if not job.control.cancelled else "cancelled while paused")


def _is_due(schedule: Schedule, step: int) -> bool:
    every = schedule.evaluate_every
    return bool(every) and (step % every == 0 or step == schedule.total_steps)


def _not_a_number(job: Training, step: int, rate: float) -> str:
    kept = checkpoint.peek(job.run)
    where = f"the last good checkpoint is step {kept.step} in runs/{job.run.name}" if kept else "nothing was saved yet"
    return f"the loss is not a number at step {step + 1} (learning rate {rate:g}): lower --learning-rate; {where}"


def _minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
