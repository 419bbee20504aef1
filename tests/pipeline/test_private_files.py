"""A lab is its owner's alone, whatever the umask is and whoever made the lab."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benlab_tui.lock import ConsoleLock
from pipeline import jobs, judgements
from pipeline.alone import only_one
from pipeline.chats import Chats
from pipeline.files import replacing, replacing_folder, write_text_atomic
from pipeline.install.registry import Registry
from pipeline.lab import Lab
from simulator import private_files, run_now
from simulator.events import Result

RUN = {"phase_type": "trivial_product", "system_size": 8, "depth": 2}


@pytest.fixture(params=[0o000, 0o002, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    former = os.umask(request.param)
    yield request.param
    os.umask(former)


def open_to_others(root: Path) -> list[str]:
    found = [root, *root.rglob("*")]
    return [
        f"{p} {stat.S_IMODE(p.lstat().st_mode):o}" for p in found if p.lstat().st_mode & 0o077 and not p.is_symlink()
    ]


async def test_all_that_a_lab_is_made_of_is_private(tmp_path: Path, umask: int) -> None:
    lab = Lab.at(tmp_path / "new" / "lab")
    with lab.notebook() as notebook, ConsoleLock(lab.root), only_one(lab.runs / "x" / ".lock", "busy"):
        notebook.put(run_now("run_phase", **RUN))
        chats = Chats(lab.database)
        chats.add(chats.start().id, "user", "hello")
        beside = {path.name for path in lab.root.iterdir()}
        assert {"lab.db", "lab.db-wal", "lab.db-shm"} <= beside
        judgements.prefer(lab, "q", "a", "b", ("x", "y"))
        with Registry(lab)._alone():
            pass
        write_text_atomic(lab.data, "{}\n")
        write_text_atomic(lab.data, "{}\n{}\n")
        with replacing_folder(lab.adapter_dir) as fresh:
            (fresh / "deep").mkdir()
            (fresh / "deep" / "weights").write_bytes(b"x")
        job = jobs.start(
            lab, "experiment", {"name": "sweep", "params": {"system_sizes": [8], "depths": [2], "seeds": 1}}
        )
        events = [event async for event in jobs.follow(job)]
        assert isinstance(events[-1], Result)
        assert open_to_others(tmp_path / "new") == []


def test_a_lab_that_exists_is_closed(tmp_path: Path) -> None:
    root = tmp_path / "lab"
    for folder in (root, root / "runs" / "r", root / "models" / "ben-lab", root / "data"):
        folder.mkdir(parents=True, exist_ok=True)
    outside = tmp_path / "outside"
    outside.write_text("not the lab's")
    files = ["benlab.toml", "lab.db-wal", "runs/r/job.json", "models/ben-lab/registry.json", "data/x.jsonl", "tool.sh"]
    for name in files:
        (root / name).write_text("")
    (root / "data" / "link").symlink_to(outside)
    (root / "lab.db").symlink_to(outside)
    for path in [root, *root.rglob("*"), outside]:
        path.chmod(0o777)
    Lab.at(root)
    assert open_to_others(root) == []
    assert stat.S_IMODE((root / "tool.sh").stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) == 0o777


def test_a_database_that_was_made_open_is_closed_with_its_companions(tmp_path: Path) -> None:
    lab = Lab.at(tmp_path / "lab")
    with lab.notebook():
        for name in ("lab.db", "lab.db-wal", "lab.db-shm"):
            (lab.root / name).chmod(0o666)
        with lab.notebook():
            assert open_to_others(lab.root) == []
    lab.database.chmod(0o644)
    Lab.at(lab.root)
    assert open_to_others(lab.root) == []


def test_a_file_replaced_by_rename_is_private_too(tmp_path: Path, umask: int) -> None:
    target = tmp_path / "registry.json"
    target.write_text("{}")
    target.chmod(0o666)
    with replacing(target) as temporary:
        temporary.write_text("{}")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_folders_that_are_more_than_a_lab_keep_their_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, home = tmp_path / "tmp", tmp_path / "home"
    for folder, mode in ((shared, 0o1777), (home, 0o755)):
        folder.mkdir()
        (folder / "mine.txt").write_text("")
        (folder / "mine.txt").chmod(0o644)
        (folder / "lab.db").write_text("")
        folder.chmod(mode)
    monkeypatch.setenv("HOME", str(home))
    for folder, mode in ((shared, 0o1777), (home, 0o755)):
        Lab.at(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == mode
        assert stat.S_IMODE((folder / "mine.txt").stat().st_mode) == 0o644
        assert stat.S_IMODE((folder / "lab.db").stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / "benlab.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize("words", [["notebook"], ["experiment", "run_phase", "phase_type=trivial_product"], ["doctor"]])
def test_the_command_line_leaves_nothing_open(tmp_path: Path, words: list[str]) -> None:
    script = "import os, sys; os.umask(0); from benlab_tui.cli import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", script, "--lab", str(tmp_path / "lab"), *words]
    assert subprocess.run(argv, capture_output=True, timeout=120, check=False).returncode == 0
    assert open_to_others(tmp_path / "lab") == []


def test_restrict_leaves_links_and_other_kinds_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o666)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    private_files.restrict(tmp_path / "link")
    private_files.restrict(tmp_path / "nothing")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        private_files.restrict_tree(tmp_path)
    assert open_to_others(tmp_path) == []
