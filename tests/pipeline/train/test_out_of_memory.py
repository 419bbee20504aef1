"""Memory that runs out: the micro-batch is halved, the run goes on, and the result is the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from pipeline.bases import locate
from pipeline.errors import BadInput, TrainError
from pipeline.lab import Lab
from pipeline.train import run as training
from pipeline.train.job import Training
from pipeline.train.loop import train
from pipeline.train.memory import limit
from pipeline.train.model import load_tokenizer
from pipeline.train.params import TrainParams
from pipeline.train.samples import Encoded, TokenSet
from pipeline.train.stage import run
from simulator.events import Event, Metric, Note, Result

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


def _job(lab: Lab, files: Files) -> Training:
    """A run that is about to start, with eight samples at a time."""
    values = {"recipe": "smollm2-quick", "base": str(files("llama", "gguf")), "precision": "fp32", "threads": 1}
    sizes = {"per_device_train_batch_size": 8, "max_steps": 3, "evals_per_epoch": 0, "eval_samples": 0}
    params = TrainParams.model_validate({**values, **sizes})
    recipe, base = params.settle(), locate(lab, values["base"])
    tokens, _ = training._token_sets(base, load_tokenizer(lab, base), lab.data, None, recipe, 0, "Be brief.")
    work = training._prepare(lab, lab.new_run("train"), base, tokens, None, params, recipe)
    try:
        while True:
            next(work)
    except StopIteration as end:
        found: Training = end.value
    return found


def _run(lab: Lab, files: Files, most: int) -> list[Event]:
    job = _job(lab, files)
    job.loss = Scarce(job.loss, most)
    return list(train(job))


def _losses(events: list[Event]) -> list[float]:
    return [event.values["loss"] for event in events if isinstance(event, Metric)]


def test_the_batch_is_halved_until_it_fits_and_the_losses_are_the_same(data_lab: Lab, tiny_files: Files) -> None:
    plenty, scarce = (_run(data_lab, tiny_files, most) for most in (8, 2))
    said = [event.text for event in scarce if isinstance(event, Note) and "memory ran out" in event.text]
    assert [text.split(" samples")[0] for text in said] == ["memory ran out with 8", "memory ran out with 4"]
    assert len(_losses(plenty)) == 3
    assert _losses(scarce) == pytest.approx(_losses(plenty), abs=1e-4)


def test_half_the_samples_at_a_time_are_half_the_rows(data_lab: Lab, tiny_files: Files) -> None:
    """Where rows bound a part, fewer samples alone would leave it as it is."""
    job = _job(data_lab, tiny_files)
    tokens = TokenSet([1] * 60, [Encoded([5] * 400, ((399, 400),))] * 8, 0)
    sizes = []
    while job.state.micro > 1:
        sizes.append([len(part) for part in job.parts(tokens, list(range(8)))])
        job.halve()
    assert [max(size) for size in sizes] == [3, 1, 1] and all(sum(size) == 8 for size in sizes)


def test_at_one_sample_it_says_what_to_change(data_lab: Lab, tiny_files: Files) -> None:
    with pytest.raises(TrainError, match=r"1 sample at a time .* lower --max-length"):
        _run(data_lab, tiny_files, 0)


@pytest.fixture
def hungry(lab: Lab, tiny_files: Files) -> Callable[[int], Iterator[Event]]:
    """Trains with a limit (MB) on a base whose 40,000 words make four samples' logits take hundreds of megabytes."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source, folder = tiny_files("gemma", "hf"), lab.root / "wide"
    config = AutoConfig.from_pretrained(source)
    config.vocab_size = 40_000
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    (lab.root / "Modelfile").write_text('FROM wide\nSYSTEM """Be brief."""\n')
    words = ["phase", "energy", "depth", "order", "field"]
    answers = (" ".join(words[(i + j) % 5] for j in range(250)) for i in range(4))
    lines = [{"instruction": f"depth {i}?", "output": f"{answer}."} for i, answer in enumerate(answers)]
    lab.data.parent.mkdir(exist_ok=True)
    lab.data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    values = {"recipe": "smollm2-quick", "base": str(folder), "precision": "fp32", "threads": 1, "max_steps": 2}
    sizes = {"per_device_train_batch_size": 4, "eval_samples": 0}

    def start(most: int) -> Iterator[Event]:
        return run(lab, TrainParams.model_validate({**values, **sizes, "memory_limit_mb": most}))

    return start


def _most_of_children() -> float:
    """The most memory that a process started from here has held at once (MB): the kernel's own count."""
    held = [0]
    for child in psutil.Process().children(recursive=True):
        with suppress(OSError):
            status = Path(f"/proc/{child.pid}/status").read_text()
            held += [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")]
    return max(held) / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory")
def test_under_a_real_limit_the_batch_is_halved_and_the_run_goes_on(hungry: Callable[[int], Iterator[Event]]) -> None:
    """The kernel refuses what passes the limit; it is set when the base is loaded, at what a free run needed."""
    free, loaded, peak = [], 0.0, 0.0
    for event in hungry(1_000_000):
        free.append(event)
        if isinstance(event, Note) and "MB in use" in event.text:
            loaded = float(event.text.split()[0])
        if isinstance(event, Metric):
            peak = max(peak, _most_of_children())
    assert peak - loaded > 400, "the whole batch has to need far more than half of it"
    scarce = list(hungry(round(loaded + 0.65 * (peak - loaded))))
    said = "\n".join(event.text for event in scarce if isinstance(event, Note))
    assert "memory ran out with 4 samples at a time: going on with 2 and 2 times as many passes" in said
    assert isinstance(scarce[-1], Result) and len(_losses(scarce)) == 2
    assert _losses(scarce) == pytest.approx(_losses(free), abs=1e-4)
    with pytest.raises(TrainError, match=r"memory ran out with 1 sample at a time .* lower --max-length"):
        list(hungry(round(loaded) + 40))


def test_a_limit_below_what_is_in_use_is_refused() -> None:
    with pytest.raises(BadInput, match=r"memory_limit_mb is 64, and the base alone takes \d+: allow more"):
        limit(64, torch.device("cpu"))
    with pytest.raises(BadInput, match="bounds a training on a Linux CPU alone"):
        limit(1_000_000, torch.device("cuda"))
