"""Validation between steps: the held-out loss, and the best adapter so far."""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path

import torch
from torch import nn

from pipeline.errors import LabError
from pipeline.train import checkpoint
from pipeline.train.batches import collate
from pipeline.train.job import Training
from pipeline.train.memory import is_out_of_memory
from pipeline.train.model import dropout_of_adapters
from simulator.events import Event, Note


def is_due(job: Training) -> bool:
    """Whether the step that has just ended is one to validate after."""
    step, every = job.state.step, job.schedule.evaluate_every
    last = step == job.schedule.total_steps
    return job.validation is not None and every > 0 and (step % every == 0 or last)


def is_pending(job: Training) -> bool:
    """Whether a run that goes on was stopped in the validation of its last step."""
    done = job.state.validations
    return job.state.step > 0 and is_due(job) and (not done or done[-1][0] != job.state.step)


def validate(job: Training, loss: nn.Module) -> Generator[Event, None, float]:
    """Mean loss an answer token on the validation samples; keeps the adapter where it is the best so far.

    Raises TrainError on a loss that is no number, Interrupted when cancelled.
    """
    state = job.state
    while (value := _held_out_loss(job, loss)) is None:
        yield job.halve()
    if not math.isfinite(value):
        raise job.not_a_number(state.step - 1)
    state.validations.append((state.step, value))
    if state.best_loss is None or value < state.best_loss:
        state.bad_validations, lost = 0, False
        try:
            if job.accelerator.is_main_process:
                checkpoint.snapshot(job.adapters, _best(job))
        except LabError as error:
            lost = True
            yield Note(f"the best adapter so far could not be kept, the one before it stays: {error}")
        if not job.anywhere(lost):
            state.best_loss, state.best_step = value, state.step
    else:
        state.bad_validations += 1
    best = "" if state.best_loss is None else f", the best is {state.best_loss:.4f}"
    yield Note(f"step {state.step}: validation loss {value:.4f}{best}")
    return value


def restore_best(job: Training) -> Generator[Event, None, None]:
    """Puts the adapter of the best validation back, where it is not the last step's."""
    if _best(job).exists() and job.state.best_step != job.state.step:
        checkpoint.restore_snapshot(job.adapters, _best(job))
        yield Note(f"keeping the adapter of step {job.state.best_step}, which has the best validation loss")


def _best(job: Training) -> Path:
    return job.run / "best.safetensors"


def _held_out_loss(job: Training, loss: nn.Module) -> float | None:
    """Mean loss an answer token on the validation samples, which processes share; None where memory ran out."""
    assert job.validation is not None
    world, rank = job.accelerator.num_processes, job.accelerator.process_index
    total, ran_out = torch.zeros((), dtype=torch.float64), False
    dropout_of_adapters(loss, on=False)
    try:
        with torch.no_grad():
            for part in job.parts(job.validation, list(range(len(job.validation.samples))))[rank::world]:
                if job.control.cancelled:
                    break
                total += float(loss(collate(job.validation, part)))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        ran_out = True
    finally:
        dropout_of_adapters(loss, on=True)
    if job.anywhere(job.control.cancelled):
        raise job.interrupted()
    return None if job.anywhere(ran_out) else float(job.summed(total)) / job.validation.answer_tokens
