"""The gradients of one optimizer step, part by part and process by process."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.train.batches import collate
from pipeline.train.job import Training
from pipeline.train.memory import is_out_of_memory


def add_up(job: Training, loss: nn.Module, batches: list[list[int]]) -> float | None:
    """Adds up the gradients of one step; returns the mean loss an answer token, or None where memory ran out.

    The mean is over all answer tokens of the step, so that neither the micro-batch nor the number of
    processes changes it. Processes meet once, when all have their share: so all know where memory ran out on one of
    them, or where one was cancelled, and none waits for gradients that never come. Raises Interrupted when cancelled.
    """
    world, rank = job.accelerator.num_processes, job.accelerator.process_index
    tokens = job.schedule.tokens
    answers = sum(tokens.samples[i].answer_tokens for batch in batches for i in batch)
    mine = batches[rank::world] or [batches[0]]
    weight = (1.0 if batches[rank::world] else 0.0) / answers
    total = torch.zeros((), dtype=torch.float64)
    ran_out = False
    try:
        for part in [part for numbers in mine for part in job.parts(tokens, numbers)]:
            if job.control.cancelled:
                break
            value = loss(collate(tokens, part))
            job.accelerator.backward(value * weight)
            total += value.detach().cpu().double() * weight
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        ran_out = True
    if job.anywhere(job.control.cancelled):
        raise job.interrupted()
    if job.anywhere(ran_out):
        return None
    _sum_gradients(job)
    return float(job.summed(total))


def _sum_gradients(job: Training) -> None:
    """Each adapter's gradient becomes the sum over all processes."""
    if job.accelerator.num_processes == 1:
        return
    gradients = [parameter.grad for parameter in job.adapters.values() if parameter.grad is not None]
    whole = job.summed(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    for gradient, part in zip(gradients, whole.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
