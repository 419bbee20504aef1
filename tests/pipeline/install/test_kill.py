"""kill -9 at a commanded step: nothing half-written under a final name, the old model answers, the next run succeeds.

The child is a real process that kills itself just before the named function is entered for the n-th time.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.bases import Base
from pipeline.export.adapter import convert_adapter
from pipeline.export.merged import merge
from pipeline.files import recover_folder, replacing_folder
from pipeline.install import receipt
from pipeline.install.alone import only_install
from pipeline.install.embedded import Job
from pipeline.install.ollama import install_ollama
from pipeline.install.ollama_server import OllamaServer
from pipeline.install.params import InstallParams
from pipeline.install.reference import Reference
from pipeline.install.registry import Registry, Version
from pipeline.install.stage import run
from pipeline.lab import Lab
from pipeline.modelfile import load
from simulator.events import Note, last_result

RUN = "20260101-000000-train-test"
OLD = Version("ben-lab:old", "models/ben-lab/old/adapter.gguf", "smollm2", "x", "now", "old")

_CHILD = """
import importlib, os, sys
from pathlib import Path
module, _, name = {at!r}.partition(":")
owner = importlib.import_module(module)
*path, last = name.split(".")
for part in path:
    owner = getattr(owner, part)
real, calls = getattr(owner, last), 0
def dying(*arguments, **options):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), 9)
    return real(*arguments, **options)
setattr(owner, last, dying)
{code}
"""


def killed(code: str, at: str, call: int = 1) -> None:
    """Runs `code` in a child that dies before the `call`-th call of `at` ("module:function"); fails if it does not."""
    program = _CHILD.format(at=at, call=call, code=code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith((".tmp", ".former")) or "merged" in path.name]


@pytest.fixture
def trained(lab_with_base: Lab, small_adapter: Path) -> Lab:
    """A lab as training leaves it, with an older version installed."""
    shutil.copytree(small_adapter, lab_with_base.adapter_dir)
    Registry(lab_with_base).add(OLD)
    return lab_with_base


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, reference: Reference) -> None:
    monkeypatch.setattr(receipt, "Reference", lambda *_: reference)
    monkeypatch.setattr(receipt, "TOKENS", 6)
    monkeypatch.setattr(receipt, "_PROMPTS", receipt._PROMPTS[:2])


@pytest.mark.parametrize(
    "at", ["gguf:GGUFWriter.write_tensors_to_file", "pipeline.files:_flush", "pathlib:Path.replace"]
)
def test_a_killed_export_keeps_the_former_file(at: str, small_adapter: Path, base: Base, tmp_path: Path) -> None:
    out = tmp_path / "out [1]" / "ben-lab-adapter.gguf"
    out.parent.mkdir()
    out.write_bytes(b"the former export")
    code = "from pipeline.export.adapter import convert_adapter\n"
    killed(f"{code}convert_adapter(Path({str(small_adapter)!r}), Path({str(base.path)!r}), Path({str(out)!r}))", at)
    assert out.read_bytes() == b"the former export" and len(list(out.parent.iterdir())) == 2
    convert_adapter(small_adapter, base.path, out)
    assert [path.name for path in out.parent.iterdir()] == [out.name] and out.read_bytes()[:4] == b"GGUF"


def test_a_killed_merge_keeps_the_former_file(small_adapter: Path, base: Base, tmp_path: Path) -> None:
    out = tmp_path / "out" / "merged.gguf"
    out.parent.mkdir()
    out.write_bytes(b"the former export")
    code = "from pipeline.export.merged import merge\n"
    step = "pipeline.export.merged:_changed"
    killed(
        f"{code}list(merge(Path({str(small_adapter)!r}), Path({str(base.path)!r}), Path({str(out)!r})))", step, call=50
    )
    assert out.read_bytes() == b"the former export" and len(list(out.parent.iterdir())) == 2
    list(merge(small_adapter, base.path, out))
    assert [path.name for path in out.parent.iterdir()] == [out.name] and out.read_bytes()[:4] == b"GGUF"


_INSTALL = """
from pipeline.install import receipt
from pipeline.install.params import InstallParams
from pipeline.install.stage import run
from pipeline.lab import Lab
receipt.TOKENS, receipt._PROMPTS = 6, receipt._PROMPTS[:2]
list(run(Lab(Path({root!r})), InstallParams(target="embedded")))
"""


@pytest.mark.parametrize(
    "at",
    [
        "gguf:GGUFWriter.write_tensors_to_file",  # half an adapter
        "pipeline.install.embedded:_receipt",  # converted, not proven
        "pipeline.install.registry:Registry.add",  # proven and published, not recorded
    ],
)
def test_a_killed_install_keeps_the_old_version_and_the_next_one_cleans_up(at: str, trained: Lab, quick: None) -> None:
    killed(_INSTALL.format(root=str(trained.root)), at)
    registry = Registry(trained)
    assert registry.current() == OLD and registry.versions() == [OLD]
    assert (registry.folder / RUN).exists() == ("Registry.add" in at)
    assert bool(leftovers(trained.root)) == ("Registry.add" not in at)
    value = last_result(run(trained, InstallParams(target="embedded")))
    current = registry.current()
    assert value["current"] and current and current.run == RUN and not leftovers(trained.root)


@pytest.mark.parametrize("call", [1, 2])
def test_a_version_that_is_installed_again_survives_a_kill_between_the_renames(call: int, lab: Lab) -> None:
    registry = Registry(lab)
    version = Version(f"ben-lab:{RUN}", f"models/ben-lab/{RUN}/adapter.gguf", "smollm2", "x", "now", RUN)
    folder = registry.folder_of(version.version)
    with replacing_folder(folder) as fresh:
        (fresh / "adapter.gguf").write_text("former")
    registry.add(version)
    code = f"""
from pipeline.files import replacing_folder
with replacing_folder(Path({str(folder)!r})) as fresh:
    (fresh / "adapter.gguf").write_text("new")
"""
    killed(code, "pathlib:Path.rename", call)
    current = registry.current()
    assert current and registry.adapter_path(current).read_text() == "former"
    recover_folder(folder)
    assert registry.adapter_path(current).read_text() == "former"


_OLLAMA = """
import dataclasses
from pipeline.bases import locate
from pipeline.install.embedded import Job
from pipeline.install.ollama import install_ollama
from pipeline.install.ollama_server import OllamaServer
from pipeline.install.registry import Version
from pipeline.lab import Lab
from pipeline.modelfile import load
lab = Lab(Path({root!r}))
base = locate(lab, "smollm2")
job = Job(lab, "ben-lab", lab.adapter_dir, base, load(), lab.new_run("install"))
version = Version(job.version, {adapter!r}, base.name, base.sha256, "now", job.run)
list(install_ollama(job, version, OllamaServer({url!r})))
"""


@pytest.mark.parametrize(
    ("running", "at", "call"),
    [
        ("0.33.0", "pipeline.install.upload:Queue.put", 3),  # in the middle of the blob
        ("0.34.1", "pipeline.install.upload:Queue.put", 3),
        ("0.33.0", "pipeline.install.ollama:_create", 1),  # all bytes there, no model
        ("0.33.0", "pipeline.install.ollama:check_stored", 1),  # created, not proven
        ("0.34.1", "pipeline.install.ollama:check_stored", 1),
    ],
)
def test_a_killed_ollama_install_keeps_the_old_model_there(
    running: str, at: str, call: int, contract: Callable[..., Any], trained: Lab, base: Base, small_adapter_gguf: Path
) -> None:
    server = contract(version=running)
    server.add_blob(base.path, base.sha256)
    server.add_model("ben-lab", "0" * 64, system="old")
    folder = Registry(trained).folder_of(f"ben-lab:{RUN}")
    folder.mkdir(parents=True)
    shutil.copy(small_adapter_gguf, folder / "adapter.gguf")
    adapter = trained.relative(folder / "adapter.gguf")
    killed(_OLLAMA.format(root=str(trained.root), adapter=adapter, url=server.url), at, call)
    assert server.models["ben-lab"]["system"] == "old" and Registry(trained).current() == OLD
    assert bool(leftovers(trained.root)) == (running == "0.34.1")
    before = list(server.uploaded)
    assert len(before) == (0 if "upload" in at else 1)
    job = Job(trained, "ben-lab", trained.adapter_dir, base, load(), trained.new_run("install"))
    version = Version(job.version, adapter, base.name, base.sha256, "now", job.run)
    list(install_ollama(job, version, OllamaServer(server.url)))
    assert f"ben-lab:{RUN}" in server.models and len(server.uploaded) == 1
    assert not list(server.folder.glob("*.part"))


def test_what_a_killed_merged_install_left_goes_with_the_next(trained: Lab, quick: None) -> None:
    run_folder = trained.new_run("install")
    (run_folder / "ben-lab-merged.gguf").write_bytes(b"x" * 99)
    (run_folder / ".ben-lab-merged.gguf.4194305-00ff.tmp").write_bytes(b"x")
    alive = run_folder / f".ben-lab-merged.gguf.{os.getpid()}-00ff.tmp"
    alive.write_bytes(b"x")
    list(run(trained, InstallParams(target="embedded")))
    assert [path for path in leftovers(trained.root)] == [alive]


def test_two_installs_at_once_take_turns(trained: Lab, quick: None) -> None:
    values: list[dict[str, Any]] = []
    first = run(trained, InstallParams(target="embedded"))
    next(first)  # it has the lock now
    second = run(trained, InstallParams(target="embedded"))
    said = next(second)
    assert isinstance(said, Note) and "another install" in said.text
    thread = threading.Thread(daemon=True, target=lambda: values.append(last_result(iter(list(second)))))
    thread.start()
    values.append(last_result(iter(list(first))))  # to its very end, which frees the lock
    thread.join(120)
    assert [value["version"] for value in values] == [f"ben-lab:{RUN}"] * 2
    registry = Registry(trained)
    current = registry.current()
    assert current and current.run == RUN and len(registry.versions()) == 2
    assert registry.adapter_path(current).read_bytes()[:4] == b"GGUF" and not leftovers(trained.root)


def test_a_killed_install_frees_the_lock(lab: Lab) -> None:
    code = f"""
from pipeline.install.alone import only_install
from pipeline.lab import Lab
with only_install(Lab(Path({str(lab.root)!r}))) as waiting:
    assert waiting is None
    os.getppid()
"""
    killed(code, "os:getppid")
    with only_install(lab) as waiting:
        assert waiting is None
