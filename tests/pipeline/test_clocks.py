"""Clocks that jump, writers that were killed, and rows of lab.db that are no objects."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benlab_tui.headless import run_command
from benlab_tui.options import Options
from pipeline import disk, jobs
from pipeline.backup import backup
from pipeline.chats import Chats
from pipeline.files import remove_leftovers
from pipeline.lab import Lab
from pipeline.retrieval import augment
from simulator import process_clock, run_now
from simulator.errors import NotebookError
from simulator.events import last_result
from simulator.notebook_search import NotebookSearch, search

LONG = {"name": "discovery", "params": {"num_per_phase": 100, "system_size": 256, "depth": 32}}


@pytest.mark.parametrize("jump", [-86_400.0, -3.0, 3.0, 3600.0, 1e9])
async def test_a_clock_that_jumps_loses_no_job(lab: Lab, jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil counts a start from the time of day, so it moves with the clock; another console reads the job's file."""
    job = jobs.start(lab, "experiment", LONG)
    monkeypatch.setattr(jobs, "_children", {})
    told = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: told(self) + jump)
    try:
        found = jobs.load(job.folder)
        assert found is not None and found.alive() and found.state() == "running"
        await jobs.cancel(found)
        assert not found.alive() and found.state() in ("cancelled", "interrupted")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)


async def test_a_pid_that_is_used_again_is_another_process(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as other:
        try:
            ticks = process_clock.started_at(other.pid)
            assert ticks is not None
            job = jobs.Job(
                "a", "train", lab.new_run("train"), {}, other.pid, psutil.Process(other.pid).create_time(), 0.0
            )
            mine = replace(job, boot=process_clock.boot_id(), ticks=ticks)
            assert mine.alive() and job.alive()  # a file of before has no boot in it
            assert not replace(mine, ticks=ticks - 1).alive()
            assert not replace(mine, boot="another-boot").alive()
            await jobs.cancel(replace(mine, ticks=ticks + 1))
            assert other.poll() is None
        finally:
            other.kill()
    assert not mine.alive()


@pytest.mark.parametrize("change", [{"boot": 3}, {"ticks": "1"}, {"ticks": None}, {"boot": None}])
def test_a_broken_place_in_a_boot_is_no_job(lab: Lab, change: dict[str, object]) -> None:
    folder = lab.new_run("train")
    record = {"id": "a", "kind": "train", "params": {}, "pid": 99_999_999, "born": 0.0, "started": 0.0}
    (folder / "job.json").write_text(json.dumps({**record, "boot": "b", "ticks": 1, **change}))
    assert jobs.load(folder) is None


async def test_a_job_from_before_the_clock_was_set_is_found(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.start(lab, "experiment", LONG)
    monkeypatch.setattr(jobs, "_children", {})
    try:
        earlier = lab.runs / f"19990101-000000-{job.id[16:]}"
        job.folder.rename(earlier)
        record = {"id": "a", "kind": "train", "params": {}, "pid": 99_999_999, "born": 0.0, "started": 0.0}
        for number in range(30):
            (folder := lab.runs / f"20260101-0000{number:02}-train-0000").mkdir()
            (folder / "job.json").write_text(json.dumps(record))
        assert earlier in [found.folder for found in jobs.find(lab, 12)]
    finally:
        os.killpg(job.pid, signal.SIGKILL)


def test_odd_process_names_are_read_past(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "30"]) as child:
        time.sleep(0.2)
        assert process_clock.started_at(child.pid) == process_clock.started_at(child.pid) is not None
        child.kill()
    assert process_clock.started_at(child.pid) is None


def test_disk_finds_what_a_killed_restore_left(lab: Lab, tmp_path: Path) -> None:
    """The restore is killed while it writes; the next look at that lab finds it, and only that."""
    (lab.root / "big").write_bytes(os.urandom(30 << 20))
    last_result(backup(lab, tmp_path / "x.tgz"))
    target = tmp_path / "re[st]ored"
    code = (
        "import sys, os, signal, pipeline.backup as b\nfrom pathlib import Path\n"
        "real = os.utime\nos.utime = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "list(b.restore(Path(sys.argv[1]), Path(sys.argv[2])))"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "x.tgz"), str(target)]
    assert subprocess.run(argv, timeout=60, check=False).returncode == -signal.SIGKILL
    left = [path for path in tmp_path.iterdir() if path.name.startswith(".re[st]ored.")]
    assert len(left) == 1 and not target.exists()
    alive = tmp_path / f".re[st]ored.{os.getpid()}-00000000.tmp"
    other = tmp_path / ".reXored.99999999-00000000.tmp"
    link = tmp_path / ".re[st]ored.99999998-00000000.tmp"
    alive.mkdir()
    other.mkdir()
    link.symlink_to(other)
    for path in (alive, other):
        os.utime(path, (1, 1))
    again = Lab.at(target)
    assert [item.path for item in disk.removable(again)] == left
    disk.clean(again)
    assert not left[0].exists() and alive.exists() and other.exists() and link.is_symlink()
    remove_leftovers(tmp_path, target.name)
    assert alive.exists()


@pytest.mark.parametrize("age", [-1e6, 0.0, 1e9])
def test_the_time_of_day_takes_no_file_from_a_live_writer(lab: Lab, age: float) -> None:
    mine, dead = lab.root / f".a.{os.getpid()}-0f.tmp", lab.root / ".a.99999999-0f.tmp"
    for path in (mine, dead):
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    assert [item.path for item in disk.removable(lab)] == [dead]


BROKEN = [
    "[]",
    "3",
    "null",
    '"text"',
    "{",
    "",
    "\0",
    "[" * 50_000,
    '{"experiment_id": 3, "experiment": []}',
]
BROKEN += [b"\xff\xfe", 5, 1.5, "9" * 10_000, '{"experiment_id": "x", "experiment": "y", "params": []}']


@pytest.mark.parametrize("row", BROKEN, ids=lambda row: repr(row)[:20])
def test_a_row_that_is_no_object_is_skipped_and_counted(
    lab: Lab, row: object, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_now("run_phase", phase_type="spt_cluster", system_size=8, depth=2)
    with lab.notebook() as notebook:
        notebook.put(result)
    with closing(sqlite3.connect(lab.database)) as conn, conn:
        conn.execute("INSERT INTO experiments VALUES ('bad', 'run_phase', ?, ?, '2', '2999-01-01')", (row, row))
    with lab.notebook() as notebook:
        assert notebook.recent(5) == [result] and notebook.skipped == 1
        with pytest.raises(NotebookError, match="is not a result"):
            notebook.get("bad")
        for asked in ({}, {"phase_type": "spt_cluster"}, {"number": "entropy_final", "order": "largest"}):
            found = search(notebook, NotebookSearch(**asked))
            assert [run["result"] for run in found["runs"]] == [result] and found["matching"] == 1
    assert run_command(Options(words=["notebook"], lab=str(lab.root))) == 0
    assert "1 row of lab.db skipped" in capsys.readouterr().out
    augment(lab, "entropy of the cluster phase")
    assert run_command(Options(words=["notebook", "bad", "delete=yes"], lab=str(lab.root), yes=True)) == 0
    with lab.notebook() as notebook:
        assert notebook.known(["bad"]) == set()


@pytest.mark.parametrize("meta", BROKEN, ids=lambda row: repr(row)[:20])
def test_a_message_whose_meta_is_no_object_is_still_read(lab: Lab, meta: object) -> None:
    chats = Chats(lab.database)
    session = chats.start()
    kept = chats.add(session.id, "assistant", "an answer")
    broken = chats.add(session.id, "assistant", "another")
    chats.remember("theme", "x")
    with closing(sqlite3.connect(lab.database)) as conn, conn:
        conn.execute("UPDATE chat_messages SET meta = ? WHERE id = ?", (meta, broken.id))
        conn.execute("UPDATE console_state SET value = ?", (meta,))
    assert [message.content for message in chats.messages(session.id)] == ["an answer", "another"]
    assert chats.newest_answer() is not None and chats.newest_answer().id in (kept.id, broken.id)
    chats.change(broken.id, "changed", partial=True)
    assert chats.message(broken.id).meta.get("partial") is True
    chats.recall("theme", "default")


@pytest.mark.parametrize("row", ["{}", '{"a": 1}', '{"experiment_id": "x", "summary": []}'])
def test_an_object_that_says_little_is_listed(lab: Lab, row: str, capsys: pytest.CaptureFixture[str]) -> None:
    lab.notebook().close()
    with closing(sqlite3.connect(lab.database)) as conn, conn:
        conn.execute("INSERT INTO experiments VALUES ('x', 'run_phase', '{}', ?, '2', 'no time')", (row,))
    assert run_command(Options(words=["notebook"], lab=str(lab.root))) == 0
    assert "skipped" not in capsys.readouterr().out
