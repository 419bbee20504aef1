"""Follows jobs: those started here, and those found again that outlived a former console."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from benlab_tui.crash_log import unforeseen
from benlab_tui.watch import JobView
from simulator.events import Failed

if TYPE_CHECKING:
    from pipeline.jobs import Job
    from pipeline.lab import Lab
    from simulator.events import Event

_SHOWN_EVERY = 0.1
_BURST = 64
_FOUND = 12


class Jobs:
    """The lab's jobs as views. `changed(view)` is called at most ten times a second for each job."""

    def __init__(self, lab: Lab, changed: Callable[[JobView], None]) -> None:
        self._lab = lab
        self._changed = changed
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[Event | None]] = {}
        self.views: dict[str, JobView] = {}

    def start(self, kind: str, params: Mapping[str, Any]) -> JobView:
        """Starts a stage as a child process and follows it. Raises pipeline.errors.LabError."""
        from pipeline import jobs

        return self.adopt(jobs.start(self._lab, kind, params))

    async def find(self) -> list[JobView]:
        """Takes up what former consoles started; the newest is first."""
        found = await asyncio.to_thread(self._look)
        for job, state, events in found:
            view = self.views.get(job.id)
            if view is not None and view.state != "past":
                continue
            if state == "running":
                self.adopt(job)
                continue
            view = view or JobView(job.id, job.kind)
            for event in events:
                view.take(event)
            view.state, view.started, view.ended = state, job.started, _ended(job)
            self._jobs[job.id], self.views[job.id] = job, view
            self._changed(view)
        return [self.views[job.id] for job, _, _ in found[:_FOUND]]

    def expected(self, job_id: str, kind: str) -> JobView:
        """The view of a job that a stored message names; `find` fills it in where its run folder is still there."""
        if job_id not in self.views:
            self.views[job_id] = JobView(job_id, kind, state="past")
        return self.views[job_id]

    def _look(self) -> list[tuple[Job, str, list[Event]]]:
        from pipeline import jobs

        found = []
        newest = jobs.find(self._lab, _FOUND)
        known = {job.id for job in newest}
        past = [view.id for view in list(self.views.values()) if view.state == "past" and view.id not in known]
        older = [job for job_id in past if (job := jobs.load(self._lab.runs / job_id)) is not None]
        for job in [*newest, *older]:
            state = job.state()
            found.append((job, state, [] if state == "running" else jobs.read_events(job.events_path)))
        return found

    async def wait(self, view: JobView) -> Event | None:
        """The job's last event, once it has ended."""
        return await asyncio.shield(self._tasks[view.id])

    async def cancel(self, job_id: str) -> None:
        """Ends the job and its whole process group."""
        from pipeline import jobs

        await jobs.cancel(self._jobs[job_id])

    def params(self, job_id: str) -> dict[str, Any] | None:
        """What the job was started with; None if its run folder is gone or it ran without one."""
        job = self._jobs.get(job_id)
        return job.params if job is not None else None

    def running(self) -> list[JobView]:
        """Jobs that run, the newest first."""
        return sorted((view for view in self.views.values() if view.state == "running"), key=lambda view: -view.started)

    def close(self) -> None:
        """Stops following; the jobs go on."""
        for task in self._tasks.values():
            task.cancel()

    def adopt(self, job: Job) -> JobView:
        """Follows a job that something else has started."""
        view = self.views.get(job.id) or JobView(job.id, job.kind)
        view.state, view.started = "running", job.started
        self._jobs[job.id], self.views[job.id] = job, view
        self._tasks[job.id] = asyncio.create_task(self._follow(job, view))
        return view

    async def _follow(self, job: Job, view: JobView) -> Event | None:
        from pipeline import jobs

        last: Event | None = None
        shown, count = 0.0, 0
        try:
            async for event in jobs.follow(job):
                last = event
                view.take(event)
                count += 1
                if count % _BURST == 0:
                    await asyncio.sleep(0)
                if (now := time.monotonic()) - shown >= _SHOWN_EVERY:
                    shown = now
                    self._changed(view)
        except Exception as error:
            last = Failed(unforeseen(self._lab, f"following {job.kind}", error), "Crash")
            view.take(last)
        self._changed(view)
        return last


def pause(lab: Lab, view: JobView) -> str:
    """Lets a training pause between two batches, or go on; says which. A checkpoint is written first."""
    from pipeline.train.control import is_paused, set_pause

    if view.kind not in ("train", "loop") or view.state != "running":
        return f"{view.kind} is {view.state}: only a running training can pause"
    folder = lab.runs / view.id
    view.paused = not is_paused(folder)
    set_pause(folder, view.paused)
    return "it pauses after this batch: p goes on" if view.paused else "going on"


def _ended(job: Job) -> float:
    try:
        return job.events_path.stat().st_mtime
    except OSError:
        return job.started
