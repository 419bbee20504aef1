"""The training loop, top to bottom: batches, loss, gradients, step, validation, checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator

import torch
from torch import nn

from pipeline.errors import Interrupted, LabError
from pipeline.train import checkpoint, gradients, validation
from pipeline.train.checkpoint import State
from pipeline.train.clock import Clock
from pipeline.train.identity import changes
from pipeline.train.job import Training
from pipeline.train.memory import Heap
from pipeline.train.metrics import MetricsLog
from pipeline.train.model import dropout_of_adapters
from pipeline.train.optimizer import new_optimizer, set_rate
from simulator.events import Event, Metric, Note, Progress


def train(job: Training) -> Generator[Event, None, State]:
    """Trains to the end and leaves the best adapter in `job.adapters`. Returns the final state.

    Raises TrainError on a loss that is no number or memory that is too small, Interrupted when cancelled.
    """
    recipe, schedule = job.schedule.recipe, job.schedule
    optimizer = new_optimizer(job.adapters, recipe)
    yield from _resume(job, optimizer)
    # Only placed and given its number format: the processes meet in gradients.py, all at one place.
    loss = job.accelerator.prepare_model(job.loss, evaluation_mode=True)
    dropout_of_adapters(loss, on=True)
    state, clock = job.state, Clock(job.threads)
    heap = Heap()
    log = MetricsLog(job.run, state.step, job.tensorboard) if job.accelerator.is_main_process else None
    if validation.is_pending(job):
        held_out = yield from validation.validate(job, loss)
        values = {"loss": state.last_loss or 0.0, "validation_loss": held_out}
        if log:
            log.write(state.step, values)
        yield Metric("train", state.step, values)

    for step, batches in schedule.steps(state.step):
        # 0. Stop where it no longer gets better, wait where somebody asks for it.
        if recipe.patience and state.bad_validations >= recipe.patience:
            yield Note(f"no better validation loss {recipe.patience} times in a row: stopping at step {state.step}")
            break
        yield from _pause(job, optimizer)

        # 1. Forward, backward, clip and step.
        clock.start()
        values = yield from _step(job, loss, optimizer, step, batches)
        clock.stop(batches, schedule.tokens)
        state.seconds += clock.last

        # 2. Say how it goes.
        left = clock.seconds_a_step * (schedule.total_steps - state.step)
        values |= {**clock.speeds(), "eta_seconds": left, "memory_mb": heap.after_step()}
        values["threads"] = torch.get_num_threads()
        yield Progress("train", state.step, schedule.total_steps, f"loss {values['loss']:.3f} · {_minutes(left)} left")

        # 3. Validate, and keep the best.
        if validation.is_due(job):
            yield from _checkpoint(job, optimizer, clock)  # it can take minutes, and a kill in it is to cost no steps
            values["validation_loss"] = yield from validation.validate(job, loss)
            yield from _checkpoint(job, optimizer, clock)
        if log:
            log.write(state.step, values)
        yield Metric("train", state.step, values)

        # 4. Checkpoint, so that a kill costs less than a minute.
        if clock.since_checkpoint >= recipe.checkpoint_seconds:
            yield from _checkpoint(job, optimizer, clock)

    if log:
        log.close()
    yield from validation.restore_best(job)
    return state


def _resume(job: Training, optimizer: torch.optim.Optimizer) -> Iterator[Event]:
    """Takes over adapters, optimizer and position of the checkpoint, where the run goes on with one."""
    if job.resume_from is None:
        return
    micro, identity = job.state.micro, job.state.identity
    job.state = checkpoint.load(job.resume_from, job.adapters, optimizer)
    job.state.micro = min(micro, job.state.micro)
    yield Note(f"going on with {job.resume_from.name} at step {job.state.step} of {job.schedule.total_steps}")
    for change in changes(job.state, identity):
        job.state.changes.append(change)
        yield Note(change)
    job.state.identity = identity


def _step(
    job: Training, loss: nn.Module, optimizer: torch.optim.Optimizer, step: int, batches: list[list[int]]
) -> Generator[Event, None, dict[str, float]]:
    """One optimizer step; returns loss, learning rate and gradient norm. Memory that runs out halves the micro-batch.

    A loss or gradient that is no number stops the run before it spoils the adapter.
    """
    rate, random = job.schedule.learning_rate(step), checkpoint.random_states()
    set_rate(optimizer, rate)
    try:
        while (value := gradients.add_up(job, loss, batches)) is None:
            optimizer.zero_grad(set_to_none=True)
            yield job.halve()
    except Interrupted:
        checkpoint.restore_random(random)  # the step is taken anew, with the dropout it began with
        _save_quietly(job, optimizer)
        raise
    norm = float(torch.nn.utils.clip_grad_norm_(list(job.adapters.values()), job.schedule.recipe.max_grad_norm))
    if not (math.isfinite(value) and math.isfinite(norm)):
        raise job.not_a_number(step)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    state = job.state
    state.step, state.last_loss = step + 1, value
    state.first_loss = value if state.first_loss is None else state.first_loss
    return {"loss": value, "learning_rate": rate, "gradient_norm": norm}


def _checkpoint(job: Training, optimizer: torch.optim.Optimizer, clock: Clock) -> Iterator[Event]:
    """One process of all writes, and every clock starts anew."""
    if job.accelerator.is_main_process:
        yield from _save(job, optimizer)
    clock.checkpointed()


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
    """Waits while the pause file is there; what was learned is on the disk meanwhile. Processes wait together."""
    if not job.anywhere(job.control.paused):
        return
    _save_quietly(job, optimizer)
    yield Note(f"paused at step {job.state.step}")
    yield Progress("train", job.state.step, job.schedule.total_steps, "paused")
    while job.anywhere(job.control.paused) and not job.anywhere(job.control.cancelled):
        time.sleep(0.2)
    yield Note("going on" if not job.control.cancelled else "cancelled while paused")


def _minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
