"""Runs that go on: after a kill, with their own settings, from another folder, with a lower rate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import BadInput, TrainError
from pipeline.lab import Lab
from pipeline.train.control import set_pause
from pipeline.train.params import TrainParams
from pipeline.train.stage import run
from simulator.events import Event, Metric, Progress, Result
from tests.pipeline.train.training import kill_now, losses, notes, only_run


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
    with pytest.raises(TrainError, match=r"lora_r is 8, and .* was started with 16: go on with the same"):
        list(run(data_lab, TrainParams(resume=True, lora_r=8)))
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


def test_a_run_goes_on_with_a_lower_rate(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    """It is said, it stands in the manifest, and it holds when the run goes on once more."""
    work = train(max_steps=9)
    next(event for event in work if isinstance(event, Metric) and event.step == 2)
    work.close()
    again, seen = run(data_lab, TrainParams(resume=True, learning_rate=0.002)), []
    for event in again:
        seen.append(event)
        if isinstance(event, Metric) and event.step >= 5:
            break
    again.close()
    assert "on learning_rate is 0.002, it was 0.01" in notes(seen)
    rest = list(run(data_lab, TrainParams(resume=True)))
    assert "learning_rate is" not in notes(rest) and isinstance(rest[-1], Result)
    assert max(event.values["learning_rate"] for event in [*seen, *rest] if isinstance(event, Metric)) <= 0.002
    manifest = json.loads((data_lab.adapter_dir / "manifest.json").read_text())
    (change,) = manifest["changes"]
    assert "learning_rate is 0.002" in change and manifest["recipe"]["learning_rate"] == 0.002


def test_what_cannot_be_read_is_left_alone(data_lab: Lab, train: Callable[..., Iterator[Event]]) -> None:
    work = train(num_train_epochs=100)
    next(event for event in work if isinstance(event, Metric) and event.step == 2)
    work.close()
    folder = only_run(data_lab)
    whole = (folder / "checkpoint" / "state.json").read_bytes()
    state = json.loads(whole)
    newer, other = json.dumps({**state, "newer": 1}), json.dumps({**state, "step": "a"})
    for name, text in (
        ("state.json", newer),
        ("state.json", other),
        ("optimizer.safetensors", ""),
        ("../train.json", "[1]"),
    ):
        file = folder / "checkpoint" / name
        before = file.read_bytes()
        file.write_text(text)
        with pytest.raises(TrainError, match="cannot be read"):
            list(run(data_lab, TrainParams(resume=True)))
        assert file.read_text() == text
        file.write_bytes(before)
    with pytest.raises(BadInput, match="the run nope is not there"):
        list(run(data_lab, TrainParams(resume_run="nope")))


def test_a_base_by_its_path_is_found_from_another_folder(
    data_lab: Lab,
    train: Callable[..., Iterator[Event]],
    tiny_files: Callable[[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(tiny_files("llama", "gguf"), tmp_path / "own.gguf")
    monkeypatch.chdir(tmp_path)
    work = train(base="./own.gguf", max_steps=6)
    next(event for event in work if isinstance(event, Metric) and event.step == 2)
    work.close()
    monkeypatch.chdir("/")
    named = run(data_lab, TrainParams(resume=True, base=str(tmp_path / "own.gguf")))
    next(event for event in named if isinstance(event, Metric) and event.step >= 3)
    named.close()
    assert isinstance(list(run(data_lab, TrainParams(resume=True)))[-1], Result)


def test_a_base_s_own_dropout_stays_off(
    data_lab: Lab, tiny_files: Callable[[str, str], Path], train: Callable[..., Iterator[Event]], tmp_path: Path
) -> None:
    """A validation between the steps changes none of them."""
    shutil.copytree(tiny_files("phi", "hf"), tmp_path / "phi")
    config = json.loads((tmp_path / "phi" / "config.json").read_text()) | {"resid_pdrop": 0.5}
    (tmp_path / "phi" / "config.json").write_text(json.dumps(config))
    given = {"base": str(tmp_path / "phi"), "max_steps": 6, "patience": 0}
    once, often = (losses(list(train(evals_per_epoch=n, **given))) for n in (1, 3))
    assert len(once) == 6 and once == often
