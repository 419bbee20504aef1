"""The stage `train`: starts the process that trains, passes its events on, and resumes it after a kill for memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

from pipeline import errors
from pipeline.alone import only_one
from pipeline.bases.base import locate, locate_gguf
from pipeline.data.line import chat_notes
from pipeline.data.paths import given_path
from pipeline.errors import BadInput, BaseError, PipelineError, TrainError
from pipeline.lab import Lab, current_run
from pipeline.train import settings
from pipeline.train.control import set_pause
from pipeline.train.owner import owner
from pipeline.train.params import Recipe, TrainParams
from pipeline.train.samples import read_with_bad
from simulator.events import Event, Failed, Note, Result, from_line
from simulator.private_files import read_text
from simulator.python_child import command, environment

_GRACE_SECONDS = 6.0
_SHOWN_BAD = 5


def run(lab: Lab, params: TrainParams) -> Iterator[Event]:
    """Trains; the last event is the Result. Raises the pipeline's errors."""
    goes_on = params.resume or params.resume_run is not None
    folder, params = _resumed(lab, params) if goes_on else (current_run(lab, "train"), params)
    recipe = params.settle()
    busy = f"{folder.name} is being trained at this moment: wait for it, or cancel that job first"
    with only_one(folder / ".train.lock", busy) as lock:
        yield from _check(lab, folder, params, recipe)
        if not params.resume:
            settings.keep(folder, params, recipe)
        set_pause(folder, False)  # what a cancelled run left
        yield from _trained(lab, folder, params, recipe, lock)


def _trained(lab: Lab, folder: Path, params: TrainParams, recipe: Recipe, lock: int) -> Iterator[Event]:
    """The worker's events; a worker that the kernel killed for memory is started once more."""
    code = yield from _worker(lab, folder, params, 0, lock)
    if code == -signal.SIGKILL:
        half = max(1, _micro(folder, recipe) // 2)
        yield Note(
            f"the training was killed, most likely for lack of memory: going on once with {half} samples at a time"
        )
        code = yield from _worker(lab, folder, params.model_copy(update={"resume": True}), half, lock)
    if code == -signal.SIGKILL:
        raise TrainError(
            f"the training was killed twice, most likely for lack of memory; runs/{folder.name} keeps the last "
            "checkpoint: close other programs, then `benlab train --resume`, or start anew with a smaller --max-length"
        )
    if code:
        log = current_run(lab, "train").name if os.environ.get("BENLAB_RUN_DIR") else folder.name
        raise TrainError(f"the training ended with code {code}: runs/{log}/job.log has the reason")


def _micro(folder: Path, recipe: Recipe) -> int:
    """The micro-batch of the run's last checkpoint, which may be halved already; else the recipe's batch.

    Read here, since `checkpoint.peek` would load torch into the stage.
    """
    try:
        state = json.loads(read_text(folder / "checkpoint" / "state.json"))
        return int(state["micro"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return recipe.per_device_train_batch_size


def _check(lab: Lab, folder: Path, params: TrainParams, recipe: Recipe) -> Iterator[Event]:
    """What can be known without loading a model: base, data and target. The lab's own adapter may be replaced
    (its run keeps a copy), anything else may not. Raises the pipeline's errors."""
    name = params.base or recipe.base
    locate(lab, name)
    try:
        locate_gguf(lab, name)
    except BaseError as error:
        yield Note(f"for export, install and eval, which come after this training: {error}")
    good, bad = read_with_bad(given_path(params.data) if params.data else lab.data)
    for line in bad[:_SHOWN_BAD]:
        yield Note(f"left out: {line}")
    if len(bad) > _SHOWN_BAD:
        yield Note(f"left out: {len(bad) - _SHOWN_BAD} more lines that are no samples; `benlab data check` names them")
    for note in chat_notes(good) if params.data else ():  # `generate` has told it of the lab's own file
        yield Note(note)
    target = given_path(params.out) if params.out else lab.adapter_dir
    if target.is_symlink():
        raise BadInput(f"{target} is a link: remove it, or give --out the folder that it leads to")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    run_name = owner(target)
    if run_name is None:
        raise BadInput(f"{target} holds something that Ben Lab did not train: move it away, or choose another --out")
    if params.out and run_name != folder.name:
        raise BadInput(f"{target} belongs to the run {run_name}: remove it, or choose another --out")


def _worker(lab: Lab, folder: Path, params: TrainParams, micro: int, lock: int) -> Generator[Event, None, int]:
    """Runs the training process to its end, passes its events on, and returns its code. Raises its errors.

    Ours is its process group, so that a kill of the job takes both; and where only we die, the
    broken pipe ends it at its next event; until then it holds the run's lock with us.
    """
    options = ["--lab", str(lab.root), "--folder", str(folder), "--micro", str(micro)]
    argv = command("pipeline.train.worker", *options, "--params", params.model_dump_json(exclude_none=True))
    child = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=_environment(), pass_fds=(lock,)
    )
    assert child.stdout is not None
    try:
        for line in child.stdout:
            event = _event(line)
            if isinstance(event, Failed):
                raise _error(event)
            if event is not None:
                yield event
            if isinstance(event, Result):
                break
        return child.wait()
    finally:
        _end(child)


def _resumed(lab: Lab, params: TrainParams) -> tuple[Path, TrainParams]:
    """The run to go on with and its own parameters, under the ones given now. Raises BadInput."""
    wanted = params.resume_run
    if wanted and Path(wanted).name != wanted:
        raise BadInput(f"resume_run is {wanted!r}: give the name of a folder in {lab.runs}")
    folders = (
        [lab.runs / wanted]
        if wanted
        else sorted((file.parent for file in lab.runs.glob(f"*/{settings.SETTINGS}")), reverse=True)
    )
    for folder in folders:
        if resumable(folder):
            former = settings.read(folder)
            given = params.model_dump(exclude_unset=True, exclude={"resume_run"})
            if given.get("recipe") not in (None, former.get("recipe")):
                raise BadInput(
                    f"recipe is {given['recipe']!r}, and {folder.name} goes on with its own, {former.get('recipe')!r}: "
                    "leave recipe out, or start anew without resume"
                )
            return folder, TrainParams.model_validate({**former, **given, "resume": True})
    if wanted:
        raise BadInput(
            f"the run {wanted} is not there, has ended, or has no checkpoint to go on from: see `benlab jobs`"
        )
    raise BadInput(f"no training in {lab.runs} has a checkpoint to go on from: start it with `benlab train`")


def resumable(folder: Path) -> bool:
    """Whether a run's folder holds a training that has not ended, with a checkpoint and its settings."""
    ended = (folder / "adapter").exists()
    # A kill between two renames leaves the checkpoint under its second name; the run itself puts it back.
    kept = any((folder / name / "state.json").is_file() for name in ("checkpoint", ".checkpoint.former"))
    return not ended and kept and (folder / settings.SETTINGS).is_file()


def _event(line: bytes) -> Event | None:
    try:
        return from_line(line.decode("utf-8"))
    except ValueError:
        sys.stderr.write(line.decode("utf-8", errors="replace"))
        return None


def _error(event: Failed) -> PipelineError:
    """The worker's error as its own class again, so that exit codes hold."""
    kind = getattr(errors, event.kind, TrainError)
    return kind(event.error) if isinstance(kind, type) and issubclass(kind, PipelineError) else TrainError(event.error)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Asks a worker that still runs to end, which writes its checkpoint, and kills it where it does not."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout:
        child.stdout.close()


def _environment() -> dict[str, str]:
    """The worker's surroundings. What the user set wins.

    - Matrices of megabytes come and go thousands of times a step: kept in the heap, and in huge pages, they cost no
      page faults. glibc alone reads these; elsewhere they do nothing.
    - oneDNN keeps what it compiled for the last 1,024 shapes of a product, about a megabyte each, and every batch has
      shapes of its own: what one step needs again and again is far less.
    - Threads that wait spin for some microseconds, not for milliseconds: a chat, or anything else that runs
      beside the training, gets the core.
    """
    tuned = {
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
        "MALLOC_TOP_PAD_": str(64 << 20),
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
        "LRU_CACHE_CAPACITY": "64",
        "GOMP_SPINCOUNT": "10000",
    }
    return environment({**tuned, **os.environ})
