"""How many steps a run has, which batches each takes, and the learning rate at each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.train.batches import epoch_order
from pipeline.train.params import Recipe
from pipeline.train.samples import TokenSet


@dataclass(frozen=True, slots=True)
class Schedule:
    """The plan of a run; it depends on nothing but the data, the recipe, the seed and the number of processes."""

    tokens: TokenSet
    recipe: Recipe
    seed: int
    processes: int = 1

    @property
    def batches_per_epoch(self) -> int:
        """Batches of `per_device_train_batch_size` samples."""
        return math.ceil(len(self.tokens.samples) / self.recipe.per_device_train_batch_size)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the data."""
        return math.ceil(self.batches_per_epoch / (self.recipe.gradient_accumulation_steps * self.processes))

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the run, `max_steps` applied."""
        wanted = max(1, math.ceil(self.steps_per_epoch * self.recipe.num_train_epochs))
        return min(wanted, self.recipe.max_steps) if self.recipe.max_steps > 0 else wanted

    @property
    def evaluate_every(self) -> int:
        """Steps between validations; 0 is never."""
        per_epoch = self.recipe.evals_per_epoch
        return max(1, round(self.steps_per_epoch / per_epoch)) if per_epoch else 0

    def steps(self, start: int) -> Iterator[tuple[int, list[list[int]]]]:
        """(step, its batches as lists of sample numbers) from step `start` to the last."""
        taken = self.recipe.gradient_accumulation_steps * self.processes
        size = self.recipe.per_device_train_batch_size
        epoch, order = -1, []
        for step in range(start, self.total_steps):
            if step // self.steps_per_epoch != epoch:
                epoch = step // self.steps_per_epoch
                order = epoch_order(self.tokens, size, self.seed, epoch)
            first = (step % self.steps_per_epoch) * taken
            yield step, order[first : first + taken]

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to zero, which the step after the last would reach."""
        warmup = math.ceil(self.recipe.warmup_ratio * self.total_steps)
        if step < warmup:
            return self.recipe.learning_rate * (step + 1) / warmup
        done = (step - warmup) / max(1, self.total_steps - warmup)
        return self.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
