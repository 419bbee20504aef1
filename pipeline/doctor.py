"""What is here, what is missing, and the command that mends it. Nothing heavy is imported to find out."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from pipeline import jobs
from pipeline.errors import PipelineError
from pipeline.lab import Lab
from simulator.errors import SimulatorError
from simulator.private_files import regular
from simulator.sqlite import in_words

State = Literal["ok", "missing", "warning"]
_NEEDED = ("torch", "transformers", "peft", "accelerate", "datasets", "gguf", "xllamacpp", "stim", "scikit-learn")
_ROOM = 2e9


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's answer. `missing` stops the loop, `warning` does not."""

    name: str
    state: State
    detail: str
    mend: str = ""


def examine(lab: Lab) -> list[Check]:
    """All checks; each that fails by itself becomes a `warning` with its reason."""
    checks = (_python, _packages, _disk, _database, _base, _data, _adapter, _installed, _ollama, _accelerator, _jobs)
    return [_guarded(check, lab) for check in checks]


def _guarded(check: Callable[[Lab], Check], lab: Lab) -> Check:
    try:
        return check(lab)
    except Exception as error:
        # The other checks are wanted most where a lab is broken in a way that nobody foresaw.
        said = " ".join(str(error).split())
        known = isinstance(error, (PipelineError, SimulatorError, OSError)) and said
        return Check(check.__name__.strip("_"), "warning", said if known else f"{type(error).__name__}: {said}")


def _python(_lab: Lab) -> Check:
    return Check("python", "ok", f"{sys.version.split()[0]} at {sys.prefix}")


def _packages(_lab: Lab) -> Check:
    found, lost = [], []
    for name in _NEEDED:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lost.append(name)
    if lost:
        return Check("packages", "missing", ", ".join(lost) + " not installed", "pip install benlab (or: make install)")
    return Check("packages", "ok", ", ".join(found))


def _disk(lab: Lab) -> Check:
    free = shutil.disk_usage(lab.root).free
    detail = f"{free / 1e9:.1f} GB free in {lab.root}"
    if free < _ROOM:
        return Check("disk", "warning", detail, "make room: a base, its runs and a merged model take about 2 GB")
    return Check("disk", "ok", detail)


def _database(lab: Lab) -> Check:
    if not lab.database.exists():
        return Check("lab.db", "ok", "not made yet; the first experiment makes it")
    try:
        with sqlite3.connect(f"{lab.database.as_uri()}?mode=ro", uri=True) as connection:
            answer = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        return Check("lab.db", "warning", in_words(str(lab.database), "read", error))
    if answer != "ok":
        return Check("lab.db", "warning", f"damaged: {answer}", f"benlab restore FILE, or move {lab.database} away")
    return Check("lab.db", "ok", f"{lab.database.stat().st_size / 1e6:.1f} MB, {lab.notebook().count()} experiments")


def _base(lab: Lab) -> Check:
    from pipeline.bases import catalogue
    from pipeline.bases.base import load_record

    here = [base for name in catalogue() if (base := load_record(lab, name))]
    if not here:
        return Check("base", "missing", "no base model is here", "benlab pull smollm2")
    return Check("base", "ok", ", ".join(f"{base.name} ({base.size / 1e6:.0f} MB)" for base in here))


def _data(lab: Lab) -> Check:
    if not lab.data.exists():
        return Check("data", "warning", "no training data yet", "benlab generate")
    try:
        with open(lab.data, "rb", opener=regular) as file:
            count = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except OSError as error:
        return Check("data", "missing", f"{lab.data} cannot be read ({error.strerror})", "benlab generate")
    return Check("data", "ok", f"{count} lines in {lab.relative(lab.data)}")


def _adapter(lab: Lab) -> Check:
    if not (lab.adapter_dir / "manifest.json").exists():
        return Check("adapter", "warning", "nothing trained yet", "benlab train")
    return Check("adapter", "ok", lab.relative(lab.adapter_dir))


def _installed(lab: Lab) -> Check:
    from pipeline.install.registry import Registry

    current = Registry(lab).current()
    if current is None:
        mend = "benlab install" if lab.adapter_dir.exists() else "benlab loop --quick, or benlab install after training"
        return Check("ben-lab", "warning", "not installed yet", mend)
    return Check("ben-lab", "ok", f"{current.version} ({current.target})")


def _ollama(lab: Lab) -> Check:
    import asyncio

    from pipeline.chat.open import contact_url

    host = contact_url(lab)
    version = asyncio.run(_ollama_version(host))
    if version is None:
        return Check("ollama", "ok", f"no server at {host}: the embedded engine (llama.cpp) answers instead")
    return Check("ollama", "ok", f"{version} at {host}")


async def _ollama_version(host: str) -> str | None:
    import httpx

    from pipeline.chat.http import is_loopback
    from pipeline.chat.look import small_json

    try:
        async with httpx.AsyncClient(trust_env=not is_loopback(host)) as client:
            return str((await small_json(client, f"{host}/api/version"))["version"])[:40]
    except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError):
        return None


def _accelerator(_lab: Lab) -> Check:
    if shutil.which("nvidia-smi"):
        return Check("accelerator", "ok", "an NVIDIA GPU; training uses it where torch was built for CUDA")
    return Check("accelerator", "ok", "none found: training runs on the CPU")


def _jobs(lab: Lab) -> Check:
    states = [(job.id, job.state()) for job in jobs.find(lab, limit=20)]
    cut = [name for name, state in states if state == "interrupted"]
    running = [name for name, state in states if state == "running"]
    if cut:
        return Check(
            "jobs", "warning", f"interrupted: {', '.join(cut[:3])}", "benlab train --resume goes on with a training"
        )
    return Check("jobs", "ok", f"running: {', '.join(running)}" if running else "none running")
