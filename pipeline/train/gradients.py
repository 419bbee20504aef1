"""The gradients of one optimizer step, part by part and process by process."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import nn

from pipeline.train.batches import collate
from pipeline.train.job import Training
from pipeline.train.memory import is_out_of_memory


def add_up(job: Training, loss: nn.Module, batches: list[list[int]]) -> float | None:
    """Adds up the gradients of one step; returns the mean loss an answer token, or None where memory ran out.

    The mean is over all answer tokens of the step, so that neither the micro-batch nor the number of
    processes changes it. Raises Interrupted when cancelled.
    """
    world, rank = job.accelerator.num_processes, job.accelerator.process_index
    tokens = job.schedule.tokens
    answers = sum(tokens.samples[i].answer for batch in batches for i in batch)
    mine = batches[rank::world] or [batches[0]]
    weight = 1.0 if batches[rank::world] else 0.0
    parts = [part for numbers in mine for part in job.parts(tokens, numbers)]
    total = torch.zeros((), dtype=torch.float64)
    try:
        for i, part in enumerate(parts):
            if job.control.cancelled:
                raise job.interrupted()
            # Processes meet once a step, at the last part; they average gradients, so each share is multiplied.
            with nullcontext() if i == len(parts) - 1 else job.accelerator.no_sync(loss):
                value = loss(collate(tokens, part))
                job.accelerator.backward(value * (weight * world / answers))
            total += value.detach().double().cpu() * weight / answers
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    if world > 1:
        total = job.accelerator.reduce(total.to(job.accelerator.device), reduction="sum").cpu()
    return float(total)
