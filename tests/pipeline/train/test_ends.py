"""How runs end: validations that are cut off, disks that are full at the wrong moment, places that are taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadInput, Interrupted, LabError, TrainError
from pipeline.lab import Lab
from pipeline.train import checkpoint, publish
from pipeline.train.control import Control
from pipeline.train.params import TrainParams
from pipeline.train.run import run_training
from pipeline.train.stage import resumable
from simulator.events import Event, Metric, Note, Progress, Result

Files = Callable[[str, str], Path]
Train = Callable[..., Iterator[Event]]
RUN = "20260101-000000-train-abcd"


@pytest.fixture
def train(data_lab: Lab, tiny_files: Files) -> Train:
    """Trains the tiny llama in this process; two epochs of five steps, validated after each."""
    folder = data_lab.runs / RUN
    folder.mkdir(parents=True)

    def start(control: Control | None = None, **given: Any) -> Iterator[Event]:
        values = {
            "recipe": "smollm2-quick",
            "base": str(tiny_files("llama", "gguf")),
            "precision": "fp32",
            "threads": 1,
            "learning_rate": 0.01,
            "evals_per_epoch": 1,
            "checkpoint_seconds": 3600,
            **given,
        }
        params = TrainParams.model_validate(values)
        (folder / "train.json").write_text(params.model_dump_json(exclude_unset=True))
        return run_training(data_lab, folder, params, control or Control(folder), 0)

    return start


def losses(events: list[Event]) -> dict[int, dict[str, float]]:
    """Loss and validation loss by step."""
    kept = ("loss", "validation_loss")
    return {
        event.step: {name: event.values[name] for name in kept if name in event.values}
        for event in events
        if isinstance(event, Metric)
    }


def test_a_run_that_was_stopped_in_a_validation_goes_on_with_it(data_lab: Lab, train: Train) -> None:
    whole = losses(list(train()))
    validated = [step for step, values in whole.items() if "validation_loss" in values]
    stopped_at, folder = validated[0], data_lab.runs / RUN
    (folder / "adapter").rename(folder / "former")
    (folder / "best.safetensors").unlink()
    control = Control(folder)
    with pytest.raises(Interrupted, match=f"cancelled at step {stopped_at}"):
        for event in train(control):
            control.cancelled = isinstance(event, Progress) and event.done == stopped_at
    kept = checkpoint.peek(folder)
    assert kept is not None and kept.step == stopped_at and not kept.validations
    rest = list(train(resume=True))
    assert losses(rest) == {step: values for step, values in whole.items() if step >= stopped_at}
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    told = {row["step"]: row["validation_loss"] for row in rows if "validation_loss" in row}
    assert told == {step: whole[step]["validation_loss"] for step in validated}


def test_the_best_adapter_is_one_that_could_be_kept(
    data_lab: Lab, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the second, better validation."""
    real, calls = checkpoint.snapshot, []

    def full(adapters: dict[str, Any], target: Path) -> None:
        calls.append(target)
        if len(calls) > 1:
            raise LabError("the disk is full")
        real(adapters, target)

    monkeypatch.setattr(checkpoint, "snapshot", full)
    seen = list(train())
    assert len(calls) > 1
    assert any("the one before it stays" in event.text for event in seen if isinstance(event, Note))
    validated = [step for step, values in losses(seen).items() if "validation_loss" in values]
    assert isinstance(seen[-1], Result) and seen[-1].value["kept_step"] == validated[0]
    assert any(f"keeping the adapter of step {validated[0]}" in e.text for e in seen if isinstance(e, Note))


def test_a_run_that_could_not_publish_is_taken_up_again(
    data_lab: Lab, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = publish._copy

    def full(source: Path, target: Path) -> None:
        raise LabError(f"{target} could not be written")

    monkeypatch.setattr(publish, "_copy", full)
    with pytest.raises(LabError, match="could not be written"):
        list(train(checkpoint_seconds=0))
    folder = data_lab.runs / RUN
    assert not data_lab.adapter_dir.exists() and resumable(folder)
    monkeypatch.setattr(publish, "_copy", real)
    assert isinstance(list(train(checkpoint_seconds=0, resume=True))[-1], Result)
    assert (data_lab.adapter_dir / "adapter_model.safetensors").is_file() and not resumable(folder)


def test_a_place_that_was_taken_meanwhile_is_left_alone(data_lab: Lab, train: Train) -> None:
    target = data_lab.root / "results"
    target.mkdir()
    with pytest.raises(TrainError, match=r"was filled by something else .* the adapter is .*adapter"):
        for event in train(out=str(target)):
            if isinstance(event, Metric):
                (target / "thesis.txt").write_text("mine")
    assert [file.name for file in target.iterdir()] == ["thesis.txt"]
    assert (data_lab.runs / RUN / "adapter" / "adapter_model.safetensors").is_file()


def test_a_link_in_the_adapters_place_is_refused(data_lab: Lab, tiny_files: Files) -> None:
    from pipeline.train.stage import run

    (data_lab.root / "elsewhere").mkdir()
    data_lab.adapter_dir.symlink_to(data_lab.root / "elsewhere")
    with pytest.raises(BadInput, match="is a link"):
        list(run(data_lab, TrainParams(base=str(tiny_files("llama", "gguf")))))


def test_a_run_goes_on_in_the_format_it_was_started_with(
    data_lab: Lab, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.train import precision

    def cut_off(**given: Any) -> list[Event]:
        control, seen = Control(data_lab.runs / RUN), []
        with pytest.raises(Interrupted):
            for event in train(control, **given):
                seen.append(event)
                control.cancelled = isinstance(event, Metric) and event.step == 2
        return seen

    monkeypatch.setattr(precision, "gemm_speed", lambda dtype: 1.0)
    cut_off(precision="auto")
    monkeypatch.setattr(precision, "gemm_speed", lambda dtype: 9.0 if "bfloat16" in str(dtype) else 1.0)
    rest = list(train(precision="auto", resume=True))
    assert any("computing on cpu in fp32, as asked for" in event.text for event in rest if isinstance(event, Note))
    assert isinstance(rest[-1], Result)


def test_a_run_of_other_devices_is_not_gone_on_with(data_lab: Lab, train: Train) -> None:
    control, folder = Control(data_lab.runs / RUN), data_lab.runs / RUN
    with pytest.raises(Interrupted):
        for event in train(control):
            control.cancelled = isinstance(event, Metric) and event.step == 2
    state = folder / "checkpoint" / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "processes": 2}))
    with pytest.raises(TrainError, match="was started on 2 devices and this is 1"):
        list(train(resume=True))
