"""Jobs: stages in child processes that outlive the console and are found again.

A child's events go to `runs/<id>/events.jsonl` and its log to `job.log`, both files, so that neither a
closed terminal nor an unread pipe stops it. `job.json` says who it is; the state is read off the events
and the process, never remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import LabError
from pipeline.files import write_text_atomic
from pipeline.lab import Lab
from simulator.events import Event, Failed, Result, from_line
from simulator.masking import masked
from simulator.private_files import opener, read_bytes, read_text, regular
from simulator.process_clock import boot_id, started_at
from simulator.python_child import command, environment

SECRETS = "BENLAB_SECRET_PARAMS"
"""Parameters that are secrets go by this variable: other users can read a command line, and job.json stays."""

_LATEST = 1e11
_POLL = 0.05
_CHUNK = 1 << 20
_LOOKED_AT = 1000
_GRACE = 8.0
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Job:
    """One child process and its run folder.

    `boot` and `ticks` (`simulator.process_clock`) tell the process from a later one of the same pid, and no clock that
    is set changes them. `born` is its start by the time of day, for systems without the two.
    """

    id: str
    kind: str
    folder: Path
    params: dict[str, Any]
    pid: int
    born: float
    started: float
    boot: str = ""
    ticks: int = 0

    @property
    def events_path(self) -> Path:
        """The child's stdout: one event a line."""
        return self.folder / "events.jsonl"

    @property
    def log_path(self) -> Path:
        """The child's stderr."""
        return self.folder / "job.log"

    def alive(self) -> bool:
        """Whether the very process that was started still runs."""
        child = _children.get(self.pid)
        if child is not None:
            return child.poll() is None
        if self.boot:
            return self.boot == boot_id() and self.ticks == started_at(self.pid)
        import psutil

        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.born) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def last_event(self) -> Event | None:
        """The last whole event line, or None."""
        events = read_events(self.events_path)
        return events[-1] if events else None

    def state(self) -> str:
        """running, done, failed, cancelled, or interrupted (it died without a word)."""
        alive = self.alive()
        last = self.last_event()
        if isinstance(last, Result):
            return "done"
        if isinstance(last, Failed):
            return "cancelled" if last.kind == "Interrupted" else "failed"
        return "running" if alive else "interrupted"


def start(lab: Lab, kind: str, params: Mapping[str, Any]) -> Job:
    """Starts a stage in a process group of its own and returns at once. Raises LabError."""
    folder = lab.new_run(kind)
    shown = masked(params)
    secret = {name: value for name, value in params.items() if shown.get(name) != value}
    argv = command("pipeline", kind, "--lab", str(lab.root), "--params", json.dumps(shown))
    more = {"BENLAB_RUN_DIR": str(folder), "PYTHONUNBUFFERED": "1", SECRETS: json.dumps(secret)}
    try:
        with (
            open(folder / "events.jsonl", "wb", opener=opener) as events,
            open(folder / "job.log", "wb", opener=opener) as log,
        ):
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=events,
                stderr=log,
                env=environment(more),
                start_new_session=True,
            )
    except OSError as error:
        raise LabError(
            f"{kind} could not be started ({error.strerror or error}): free memory or disk and retry"
        ) from error
    _children[child.pid] = child
    job = Job(folder.name, kind, folder, shown, child.pid, _birth(child.pid), time.time(), *_place_in_boot(child.pid))
    record = {key: getattr(job, key) for key in ("id", "kind", "params", "pid", "born", "started", "boot", "ticks")}
    try:
        write_text_atomic(folder / "job.json", json.dumps(record, indent=1))
    except LabError:
        # A job that no list would show must not run unseen.
        _signal_group(job, signal.SIGKILL)
        child.wait()
        raise
    return job


def load(folder: Path) -> Job | None:
    """The job of a run folder, or None where there is none or its file is broken."""
    try:
        record = json.loads(read_text(folder / "job.json"))
        job = Job(folder=folder, **record)
        sound = (
            all(isinstance(part, str) for part in (job.id, job.kind))
            and isinstance(job.params, dict)
            and isinstance(job.boot, str)
            and isinstance(job.pid, int)
            and isinstance(job.ticks, int)
            and job.pid > 1
            and all(isinstance(part, int | float) and 0 <= part < _LATEST for part in (job.born, job.started))
        )
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return job if sound else None


def find(lab: Lab, limit: int = 50) -> list[Job]:
    """The lab's jobs, newest first."""
    if not lab.runs.is_dir():
        return []
    folders = sorted((path for path in lab.runs.iterdir() if path.is_dir()), key=lambda path: path.name, reverse=True)
    found = [job for folder in folders[: limit * 2] if (job := load(folder)) is not None][:limit]
    # Folders are named by the time of day: of a clock that was set back, a job that runs may stand far below.
    older = (load(folder) for folder in folders[limit * 2 : limit * 2 + _LOOKED_AT])
    return found + [job for job in older if job is not None and job.alive()]


def read_events(path: Path) -> list[Event]:
    """All whole event lines of a file; a half line at its end, or a line that is no event, is left out."""
    try:
        lines = read_bytes(path).split(b"\n")[:-1]
    except OSError:
        return []
    return [event for line in lines if (event := _parse(line)) is not None]


async def follow(job: Job) -> AsyncIterator[Event]:
    """The job's events from the first on, as they come, until it ends.

    A job that dies without a last word yields a `Failed` that says where its log is.
    """
    position, rest, last = 0, b"", None
    while True:
        alive = job.alive()
        with open(job.events_path, "rb", opener=regular) as file:
            file.seek(position)
            chunk = file.read(_CHUNK)
        position += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if (event := _parse(line)) is not None:
                last = event
                yield event
        if not alive and not chunk:
            break
        if not chunk:
            await asyncio.sleep(_POLL)
    if not isinstance(last, (Result, Failed)):
        yield Failed(f"{job.kind} died without a last word: {job.log_path} has its log", "Died")


async def cancel(job: Job) -> None:
    """Asks the job's whole process group to end, and kills it where it does not within eight seconds."""
    _signal_group(job, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while job.alive() and time.monotonic() < deadline:
        await asyncio.sleep(_POLL)
    _signal_group(job, signal.SIGKILL)
    while job.alive() and time.monotonic() < deadline + _GRACE:
        await asyncio.sleep(_POLL)


def _signal_group(job: Job, number: signal.Signals) -> None:
    """Signals the group only while the job lives or was our own child, so that a reused pid is never hit."""
    if job.alive() or job.pid in _children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(job.pid, number)


def _parse(line: bytes) -> Event | None:
    try:
        return from_line(line.decode("utf-8"))
    except ValueError:
        return None


def _place_in_boot(pid: int) -> tuple[str, int]:
    ticks = started_at(pid)
    return (boot_id(), ticks) if ticks is not None else ("", 0)


def _birth(pid: int) -> float:
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0
