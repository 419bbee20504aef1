"""Whole runs on tiny bases, in the processes that a user's run has."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.errors import BadInput, BaseError, DataError, LabError, PipelineError, TrainError
from pipeline.files import sha256_of
from pipeline.lab import Lab
from pipeline.train.control import set_pause
from simulator.events import Event, Metric, Progress, Result
from tests.pipeline.train.training import losses, notes, only_run, worker

Files = Callable[[str, str], Path]


def test_a_run_from_start_to_adapter(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    events = list(train(num_train_epochs=4, tensorboard=True))
    result = events[-1]
    assert isinstance(result, Result) and result.value["steps"] == 24
    curve = losses(events)
    assert curve[24] < 0.8 * curve[1]
    metric = next(event for event in events if isinstance(event, Metric))
    assert {"loss", "learning_rate", "samples_per_second", "tokens_per_second", "eta_seconds", "memory_mb"} <= set(
        metric.values
    )
    assert [e.done for e in events if isinstance(e, Progress) and e.total] == list(range(1, 25))
    run_folder = only_run(data_lab)
    lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 25)) and "validation_loss" in lines[-1]
    assert list((run_folder / "tensorboard").iterdir())
    check_adapter(data_lab, result.value)


def check_adapter(lab: Lab, result: dict[str, Any]) -> None:
    """The published folder is whole, names where it comes from, and holds no pickle."""
    names = {path.name for path in lab.adapter_dir.iterdir()}
    wanted = {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "README.md", "manifest.json"}
    assert wanted <= names and not [n for n in names if n.endswith((".bin", ".pt", ".pkl"))]
    manifest = json.loads((lab.adapter_dir / "manifest.json").read_text())
    assert manifest["run"] == result["run"] and manifest["seed"] == 0
    assert len(manifest["base"]["sha256"]) == len(manifest["data_sha256"]) == 64
    assert manifest["physics_version"] and manifest["versions"]["torch"] and manifest["recipe"]["lora_r"] == 16
    assert manifest["computed"] == {"device": "cpu", "precision": "fp32"}
    assert manifest["losses"]["best_validation"] == result["validation_loss"]
    assert [p.name for p in lab.root.iterdir() if p.name.startswith(".")] == []


def test_the_same_seed_gives_the_same_bytes(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    adapters = []
    for seed in (0, 0):
        list(train(max_steps=3, seed=seed))
        adapters.append((data_lab.adapter_dir / "adapter_model.safetensors").read_bytes())
    assert adapters[0] == adapters[1]


def test_cancelling_keeps_what_was_learned(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    work = train(num_train_epochs=100, checkpoint_seconds=3600)
    step = next(event.step for event in work if isinstance(event, Metric))
    child = worker()
    work.close()
    assert not child.is_running()
    state = json.loads((only_run(data_lab) / "checkpoint" / "state.json").read_text())
    assert state["step"] >= step and not data_lab.adapter_dir.exists()


def test_pause_and_go_on(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    seen: list[Event] = []
    paused = False
    for event in train(max_steps=6):
        seen.append(event)
        if isinstance(event, Metric) and event.step == 2:
            set_pause(only_run(data_lab), True)
        if isinstance(event, Progress) and event.note == "paused":
            paused = True
            set_pause(only_run(data_lab), False)
    assert paused and isinstance(seen[-1], Result) and "going on" in notes(seen)


def test_a_full_disk_keeps_the_last_good_checkpoint(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    """From step 2 on the kernel refuses the worker every file of more than 200 bytes."""
    seen: list[Event] = []
    with pytest.raises(LabError, match=r"could not be written .*File too large"):
        for event in train(num_train_epochs=10, evals_per_epoch=0):
            seen.append(event)
            if isinstance(event, Metric) and event.step == 2:
                worker().rlimit(psutil.RLIMIT_FSIZE, (200, -1))
    assert "the last good one stays" in notes(seen)
    assert max(losses(seen)) == 60 and not data_lab.adapter_dir.exists()
    kept = json.loads((only_run(data_lab) / "checkpoint" / "state.json").read_text())
    assert 1 <= kept["step"] < 60
    assert isinstance(list(train(num_train_epochs=10, evals_per_epoch=0, resume=True))[-1], Result)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"data": "/no/such/file.jsonl"}, DataError, "is not there: run `benlab generate`"),
        ({"max_length": 16}, DataError, "longer than max_length 16.*raise it with --max-length"),
        ({"base": "nothing"}, BaseError, "no known base"),
        ({"target_modules": "q_proj,banana"}, BadInput, "names banana, which .* does not have: use down_proj"),
        ({"recipe": "banana"}, BadInput, "'banana' is no recipe: use one of guide, smollm2, smollm2-quick"),
        ({"load_in_4bit": True}, BadInput, "4bit needs"),
        ({"resume": True}, BadInput, "no training in .* has a checkpoint"),
        ({"resume": True, "resume_run": "../../etc"}, BadInput, "give the name of a folder"),
    ],
)
def test_bad_input_is_one_sentence(
    data_lab: Lab,
    train: Callable[..., Iterator[Event]],
    given: dict[str, Any],
    error: type[PipelineError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        list(train(**given))
    assert not data_lab.adapter_dir.exists()


def test_what_is_not_ours_is_not_overwritten(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    """The folder of a script of the user's own, and the adapter of another run."""
    data_lab.adapter_dir.mkdir()
    weights = data_lab.adapter_dir / "adapter_model.safetensors"
    weights.write_bytes(b"mine")
    with pytest.raises(BadInput, match="did not train: move it away"):
        list(train())
    (data_lab.adapter_dir / "manifest.json").write_text('{"run": "20260101-000000-train-abcd"}')
    with pytest.raises(BadInput, match="belongs to the run 20260101-000000-train-abcd"):
        list(train(out=str(data_lab.adapter_dir)))
    assert weights.read_bytes() == b"mine"


def test_the_only_copy_of_a_former_adapter_is_kept(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    list(train(max_steps=1))
    first = only_run(data_lab)
    weights = (first / "adapter" / "adapter_model.safetensors").read_bytes()
    shutil.rmtree(first / "adapter")
    list(train(max_steps=1, seed=1))
    assert (first / "adapter" / "adapter_model.safetensors").read_bytes() == weights
    assert (data_lab.adapter_dir / "adapter_model.safetensors").read_bytes() != weights


def test_lines_beyond_the_base_s_context(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    long = json.dumps({"instruction": "phase " * 600, "output": "order"})
    good = data_lab.data.read_text()
    data_lab.data.write_text(long + "\n")
    with pytest.raises(DataError, match=r"longer than .* can read, 512 tokens .*: shorten them"):
        list(train())
    data_lab.data.write_text(good)
    data_lab.data.with_name("lab_validation.jsonl").write_text(long + "\n")
    held = data_lab.data.with_name("lab_validation.jsonl")
    manifest = {"train": {"sha256": sha256_of(data_lab.data)}, "validation": {"sha256": sha256_of(held)}}
    data_lab.data.with_name("manifest.json").write_text(json.dumps(manifest))
    events = list(train(max_steps=1))
    assert isinstance(events[-1], Result)
    assert "0 for validation, from lab_validation.jsonl" in notes(events)


def test_broken_lines_are_numbered_and_left_out(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    lines = data_lab.data.read_text().splitlines()
    bad = ['{"instruction": "x"'] * 7
    data_lab.data.write_text("\n".join([*lines[:4], *bad, *lines[4:]]))
    said = notes(list(train(max_steps=1)))
    assert "lab_instructions.jsonl:5: not JSON" in said and "2 more lines that are no samples" in said
    assert json.loads((data_lab.adapter_dir / "manifest.json").read_text())["steps"] == 1
    data_lab.data.write_text("\n".join(bad))
    with pytest.raises(DataError, match=r"holds no samples .*jsonl:1: not JSON"):
        list(train())
    data_lab.data.write_text("\n\n")
    with pytest.raises(DataError, match="holds no samples"):
        list(train())


def test_a_loss_that_is_no_number_stops_the_run(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    """A checkpoint whose adapter has overflowed stands for a run that diverged."""
    from safetensors.torch import load_file, save_file

    work = train(num_train_epochs=100)
    next(event for event in work if isinstance(event, Metric) and event.step == 2)
    work.close()
    file = only_run(data_lab) / "checkpoint" / "adapter.safetensors"
    save_file({name: values.fill_(1e30) for name, values in load_file(file).items()}, file)
    said = "not a number at step .* the last good checkpoint .* go on with --resume and a lower --learning-rate"
    with pytest.raises(TrainError, match=said):
        list(train(num_train_epochs=100, resume=True))
    assert not data_lab.adapter_dir.exists()


def test_another_run_s_checkpoint_is_not_used(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    work = train(num_train_epochs=100)
    next(event for event in work if isinstance(event, Metric) and event.step == 2)
    work.close()
    data_lab.data.write_text(data_lab.data.read_text() + data_lab.data.read_text().splitlines()[0] + "\n")
    with pytest.raises(TrainError, match="started with another data"):
        list(train(num_train_epochs=100, resume=True))


def test_signals_end_the_worker_with_its_parent(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    work = train(num_train_epochs=100)
    next(event for event in work if isinstance(event, Metric))
    child = worker()
    child.send_signal(signal.SIGTERM)
    with pytest.raises(PipelineError, match="training was cancelled at step"), contextlib.closing(work):
        list(work)
    assert not child.is_running()
