"""Jobs: found again, cancelled as a group, and never a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from pipeline import jobs
from pipeline.errors import LabError
from pipeline.lab import Lab, find_lab
from simulator.events import Failed, Note, Progress, Result

ROOT = Path(__file__).resolve().parents[2]
LONG = {"name": "discovery", "params": {"num_per_phase": 100, "system_size": 256, "depth": 32}}
SHORT = {"name": "run_phase", "params": {"phase_type": "trivial_product", "system_size": 8, "depth": 2}}


async def test_a_job_ends_with_its_result_and_is_found_again(lab: Lab) -> None:
    job = jobs.start(lab, "experiment", SHORT)
    events = [event async for event in jobs.follow(job)]
    assert isinstance(events[-1], Result)
    assert len(events[-1].value["features"]) == 13
    found = jobs.find(lab)
    assert [(one.id, one.state()) for one in found] == [(job.id, "done")]


async def test_cancel_ends_the_child_and_says_so(lab: Lab) -> None:
    job = jobs.start(lab, "experiment", LONG)
    while not job.events_path.stat().st_size and job.alive():
        await asyncio.sleep(0.05)
    await jobs.cancel(job)
    assert not job.alive()
    assert job.state() in ("cancelled", "interrupted")


async def test_a_killed_job_is_interrupted_not_running(lab: Lab) -> None:
    job = jobs.start(lab, "experiment", LONG)
    os.killpg(job.pid, signal.SIGKILL)
    events = [event async for event in jobs.follow(job)]
    assert isinstance(events[-1], Failed)
    assert "job.log" in events[-1].error
    assert jobs.load(job.folder).state() == "interrupted"


async def test_bad_parameters_of_a_stage_fail_in_one_sentence(lab: Lab) -> None:
    job = jobs.start(lab, "experiment", {"name": "run_phase", "params": {"system_size": 3}})
    events = [event async for event in jobs.follow(job)]
    assert isinstance(events[-1], Failed)
    assert "\n" not in events[-1].error


def test_broken_event_lines_are_left_out(lab: Lab) -> None:
    folder = lab.new_run("test")
    path = folder / "events.jsonl"
    path.write_bytes(
        b'{"event": "progress", "stage": "a", "done": 1}\n\xff\xfe\n[]\n{"event": "nope"}\n{"event": "resu'
    )
    assert jobs.read_events(path) == [Progress("a", 1)]


def test_the_lab_is_the_options_or_the_environments(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BENLAB_HOME", str(tmp_path / "home"))
    assert find_lab().root == tmp_path / "home"
    assert find_lab(str(tmp_path / "chosen")).root == tmp_path / "chosen"
    with pytest.raises(LabError, match="empty"):
        find_lab("")


def test_a_broken_config_is_one_sentence(lab: Lab) -> None:
    lab.config_path.write_text("a = [")
    with pytest.raises(LabError, match=r"benlab\.toml"):
        lab.config()


async def test_a_secret_stands_neither_on_the_command_line_nor_in_the_run_folder(lab: Lab) -> None:
    secret = "a-long-secret-word-0001"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = jobs.start(lab, "serve", {"port": port, "token": secret})
    command_line = psutil.Process(job.pid).cmdline()
    async with aclosing(jobs.follow(job)) as events:
        assert isinstance(await anext(events), Note)
    await jobs.cancel(job)
    assert job.state() == "cancelled"
    assert secret not in " ".join(command_line)
    assert all(secret not in file.read_text() for file in job.folder.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"pid": "abc"},
        {"pid": -5},
        {"born": None},
        {"started": float("nan")},
        {"started": 1e300},
        {"params": []},
        {"id": 1},
    ],
)
def test_a_broken_job_file_is_no_job(lab: Lab, change: dict[str, object]) -> None:
    folder = lab.new_run("train")
    record = {"id": "a", "kind": "train", "params": {}, "pid": 99_999_999, "born": 0.0, "started": 0.0}
    (folder / "job.json").write_text(json.dumps(record))
    assert [job.state() for job in jobs.find(lab)] == ["interrupted"]
    (folder / "job.json").write_text(json.dumps({**record, **change}))
    assert jobs.find(lab) == []


def test_lines_of_brackets_and_odd_events_are_left_out(lab: Lab) -> None:
    path = lab.new_run("test") / "events.jsonl"
    path.write_bytes(b"[" * 200_000 + b'\n{"event": ["x"]}\n{"event": "progress", "stage": "a", "done": 1}\n')
    assert jobs.read_events(path) == [Progress("a", 1)]


def test_a_lab_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("~nosuchuser/x", str(tmp_path / "loop" / "x"), "a\0b"):
        with pytest.raises(LabError, match="cannot be made"):
            find_lab(name)


def test_a_config_that_is_a_folder_is_one_sentence(lab: Lab) -> None:
    lab.config_path.unlink()
    lab.config_path.mkdir()
    with pytest.raises(LabError, match="cannot be read"):
        lab.config()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_events_that_find_the_disk_full_end_no_work(lab: Lab) -> None:
    counts = {"guide_only": True, "n_per_phase": 1, "n_tri": 0, "n_discovery": 0, "n_replay_drift": 0}
    command = [sys.executable, "-m", "pipeline", "generate", "--lab", str(lab.root), "--params", json.dumps(counts)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=ROOT, text=True, timeout=120)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert len(lab.data.read_text(encoding="utf-8").splitlines()) == 4
