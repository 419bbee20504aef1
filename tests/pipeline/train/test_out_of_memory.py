"""Memory that runs out: the micro-batch is halved, the run goes on, and the result is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.bases import locate
from pipeline.errors import TrainError
from pipeline.lab import Lab
from pipeline.train import run as training
from pipeline.train.loop import train
from pipeline.train.model import load_tokenizer
from pipeline.train.params import TrainParams
from simulator.events import Event, Metric, Note

Files = Callable[[str, str], Path]


class Scarce(torch.nn.Module):
    """The loss on a machine whose allocator refuses parts of more than `most` samples, in the allocator's own words."""

    def __init__(self, inner: torch.nn.Module, most: int) -> None:
        super().__init__()
        self.inner, self.most = inner, most

    def forward(self, batch: Any) -> torch.Tensor:
        if len(batch.lengths) > self.most:
            torch.empty(1 << 55)
        return self.inner(batch)


def _run(lab: Lab, files: Files, most: int) -> list[Event]:
    values = {"recipe": "smollm2-quick", "base": str(files("llama", "gguf")), "precision": "fp32", "threads": 1}
    sizes = {"per_device_train_batch_size": 8, "max_steps": 3, "evals_per_epoch": 0, "eval_samples": 0}
    params = TrainParams.model_validate({**values, **sizes})
    recipe, base = params.settle(), locate(lab, values["base"])
    tokens, _ = training._token_sets(base, load_tokenizer(lab, base), lab.data, None, recipe, 0, "Be brief.")
    work = training._prepare(lab, lab.new_run("train"), base, tokens, None, params, recipe)
    seen: list[Event] = []
    try:
        while True:
            seen.append(next(work))
    except StopIteration as end:
        job = end.value
    job.loss = Scarce(job.loss, most)
    return seen + list(train(job))


def _losses(events: list[Event]) -> list[float]:
    return [event.values["loss"] for event in events if isinstance(event, Metric)]


def test_the_batch_is_halved_until_it_fits_and_the_losses_are_the_same(data_lab: Lab, tiny_files: Files) -> None:
    plenty, scarce = (_run(data_lab, tiny_files, most) for most in (8, 2))
    said = [event.text for event in scarce if isinstance(event, Note) and "memory ran out" in event.text]
    assert [text.split(" samples")[0] for text in said] == ["memory ran out with 8", "memory ran out with 4"]
    assert len(_losses(plenty)) == 3
    assert _losses(scarce) == pytest.approx(_losses(plenty), abs=1e-4)


def test_at_one_sample_it_says_what_to_change(data_lab: Lab, tiny_files: Files) -> None:
    with pytest.raises(TrainError, match=r"1 sample at a time .* lower --max-length"):
        _run(data_lab, tiny_files, 0)
