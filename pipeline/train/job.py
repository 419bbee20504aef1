"""What a training run consists of, and how much of a batch is computed at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from pipeline.errors import Interrupted, TrainError
from pipeline.train import checkpoint
from pipeline.train.batches import pieces
from pipeline.train.checkpoint import State
from pipeline.train.control import Control
from pipeline.train.memory import free
from pipeline.train.samples import TokenSet
from pipeline.train.schedule import Schedule
from pipeline.train.threads import Threads
from simulator.events import Note


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
    precision: str = "fp32"

    def parts(self, tokens: TokenSet, numbers: list[int]) -> list[list[int]]:
        """The samples of those numbers in parts that are computed at once, of `state.micro` samples at most.

        A CPU is as fast with 1,500 rows as with 10,000, and keeps under 3 GB; a GPU wants few large parts. The rows
        shrink with the micro-batch: where they bound a part, fewer samples alone would change nothing.
        """
        most, overhead = (1536, 64) if self.accelerator.device.type == "cpu" else (1 << 30, 4096)
        most = most * self.state.micro // self.schedule.recipe.per_device_train_batch_size
        return pieces(tokens, numbers, self.state.micro, most, overhead)

    def anywhere(self, flag: bool) -> bool:
        """Whether the flag is up on any of the processes, which all have to ask."""
        if self.accelerator.num_processes == 1:
            return flag
        return bool(self.summed(torch.tensor(float(flag))) > 0)

    def summed(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, which all have to ask; on the device that it came from."""
        if self.accelerator.num_processes == 1:
            return tensor
        total: torch.Tensor = self.accelerator.reduce(tensor.to(self.accelerator.device), reduction="sum")
        return total.to(tensor.device)

    def halve(self) -> Note:
        """Halves the micro-batch after memory ran out, on all processes at once. Raises TrainError at one sample."""
        free()
        size = self.state.micro
        if size == 1:
            longest = max(len(sample.tokens) for sample in self.schedule.tokens.samples)
            raise TrainError(
                f"memory ran out with {size} sample at a time (the longest has {longest} tokens): "
                "lower --max-length, take a smaller base, or close other programs"
            )
        self.state.micro = size // 2
        accumulation = self.schedule.recipe.per_device_train_batch_size // self.state.micro
        return Note(
            f"memory ran out with {size} samples at a time: going on with {self.state.micro} "
            f"and {accumulation} times as many passes a step, the result is the same"
        )

    def interrupted(self) -> Interrupted:
        """The error of a run that was cancelled."""
        return Interrupted(f"training was cancelled at step {self.state.step}: --resume goes on from there")

    def not_a_number(self, step: int) -> TrainError:
        """The error for a loss or gradient of step `step` (from 0) that is infinite or no number."""
        kept, rate = checkpoint.peek(self.run), self.schedule.learning_rate(step)
        what = (
            f"the last good checkpoint is step {kept.step} in runs/{self.run.name}; go on with --resume and a lower "
            "--learning-rate, or start anew with one"
            if kept
            else "nothing was saved yet; start anew with a lower --learning-rate"
        )
        return TrainError(f"the loss is not a number at step {step + 1} (learning rate {rate:g}): {what}")
