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
from pipeline.train.params import TrainParams
from pipeline.train.stage import run
from simulator.events import Event, Metric, Note, Progress, Result

Files = Callable[[str, str], Path]
RECIPE: dict[str, Any] = {
    "recipe": "smollm2-quick",
    "precision": "fp32",
    "threads": 1,
    "per_device_train_batch_size": 4,
    "learning_rate": 0.01,
    "evals_per_epoch": 1,
    "checkpoint_seconds": 0,
}


@pytest.fixture
def train(data_lab: Lab, tiny_files: Files) -> Callable[..., Iterator[Event]]:
    """Starts the stage on the tiny llama with the given parameters."""

    def start(**given: Any) -> Iterator[Event]:
        values = {**RECIPE, "base": str(tiny_files("llama", "gguf")), **given}
        return run(data_lab, TrainParams.model_validate(values))

    return start


def worker() -> psutil.Process:
    """The process that trains."""
    return next(p for p in psutil.Process().children(recursive=True) if "pipeline.train.worker" in p.cmdline())


def notes(events: list[Event]) -> str:
    """What the run said."""
    return "\n".join(event.text for event in events if isinstance(event, Note))


def losses(events: list[Event]) -> dict[int, float]:
    """Loss by step; a step that was done again counts as it was last."""
    return {event.step: event.values["loss"] for event in events if isinstance(event, Metric)}


def only_run(lab: Lab) -> Path:
    """The lab's one run folder."""
    (folder,) = lab.runs.iterdir()
    return folder


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


def test_a_killed_run_goes_on_to_the_same_loss(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    whole = losses(list(train(num_train_epochs=10)))
    shutil.rmtree(data_lab.runs)
    shutil.rmtree(data_lab.adapter_dir)
    seen, first = [], train(num_train_epochs=10)
    with pytest.raises(TrainError, match="killed twice"):
        for event in first:
            seen.append(event)
            if isinstance(event, Metric):
                kill_now(event.step == 3 or event.step == 20)
    assert "killed, most likely for lack of memory: going on once with 2 samples" in notes(seen)
    rest = list(train(num_train_epochs=10, resume=True))
    both = losses(seen) | losses(rest)
    assert isinstance(rest[-1], Result) and set(both) == set(whole)
    for step, loss in whole.items():
        assert both[step] == pytest.approx(loss, abs=1e-4), step
    lines = (only_run(data_lab) / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 61))


def test_resume_needs_nothing_but_the_word(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    """The run's own parameters come back, a stale pause does not hold it, and a run at work is not taken over."""
    work = train(max_steps=12)
    next(event for event in work if isinstance(event, Metric) and event.step == 2)
    with pytest.raises(BadInput, match="is being trained at this moment"):
        list(run(data_lab, TrainParams(resume=True)))
    work.close()
    set_pause(only_run(data_lab), True)
    settings = (only_run(data_lab) / "train.json").read_text()
    with pytest.raises(TrainError, match="started with another settings"):
        list(run(data_lab, TrainParams(resume=True, learning_rate=0.02)))
    assert (only_run(data_lab) / "train.json").read_text() == settings
    assert max(losses(list(run(data_lab, TrainParams(resume=True))))) == 12
    assert json.loads(settings)["lora_r"] == 16


def test_a_run_goes_on_with_its_recipe_as_it_was(
    data_lab: Lab, train: Callable[..., Iterator[Event]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was edited for the next experiment, and the console was started elsewhere."""
    (tmp_path / "mine.toml").write_text("lora_r = 8\nmax_length = 512\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    work = train(recipe="mine.toml", num_train_epochs=20, patience=0)
    next(event for event in work if isinstance(event, Metric) and event.step == 2)
    work.close()
    (tmp_path / "mine.toml").write_text("lora_r = 4\n", encoding="utf-8")
    monkeypatch.chdir("/")
    with pytest.raises(BadInput, match=r"goes on with its own, 'mine\.toml'"):
        list(run(data_lab, TrainParams(resume=True, recipe="guide")))
    end = list(run(data_lab, TrainParams(resume_run=only_run(data_lab).name)))[-1]
    assert isinstance(end, Result) and end.value["steps"] == 40
    manifest = json.loads((data_lab.adapter_dir / "manifest.json").read_text())
    assert manifest["recipe"]["lora_r"] == 8


def test_a_resumed_run_pauses_by_its_job_s_folder_too(
    data_lab: Lab, train: Callable[..., Iterator[Event]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = train(max_steps=8)
    next(event for event in work if isinstance(event, Metric) and event.step == 2)
    work.close()
    job = tmp_path / "job"
    job.mkdir()
    monkeypatch.setenv("BENLAB_RUN_DIR", str(job))
    set_pause(job, True)
    seen = []
    for event in run(data_lab, TrainParams(resume=True)):
        seen.append(event)
        if isinstance(event, Progress) and event.note == "paused":
            set_pause(job, False)
    assert "going on" in notes(seen) and isinstance(seen[-1], Result)


def kill_now(now: bool) -> None:
    """kill -9 to the process that trains."""
    if now:
        worker().kill()


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
    with pytest.raises(TrainError, match=r"not a number at step .* lower --learning-rate; the last good checkpoint"):
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
