"""Files are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import LabError
from pipeline.files import recover_folder, replacing, replacing_folder, require_space, sha256_of, write_text_atomic


def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_text_atomic(target, "old")
    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    for text in ("one", "two"):
        with replacing_folder(target) as temporary:
            (temporary / "weights").write_text(text)
    assert (target / "weights").read_text() == "two"
    with pytest.raises(ZeroDivisionError), replacing_folder(target) as temporary:
        (temporary / "weights").write_text("half")
        raise ZeroDivisionError
    assert (target / "weights").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_kill_between_the_two_renames_is_mended(tmp_path: Path) -> None:
    target, former = tmp_path / "adapter", tmp_path / ".adapter.former"
    former.mkdir()
    (former / "weights").write_text("good")
    recover_folder(target)
    assert (target / "weights").read_text() == "good"


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="make room"):
        require_space(tmp_path, 10**18, "the base")
    full = Path("/dev/full")
    if full.exists():
        with pytest.raises(LabError, match="make room"), replacing(tmp_path / "x") as temporary:
            temporary.symlink_to(full)
            temporary.write_bytes(b"x" * 100_000)


def test_the_digest_reports_what_it_read(tmp_path: Path) -> None:
    file, seen = tmp_path / "f", []
    file.write_bytes(b"abc")
    assert sha256_of(file, seen.append) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert seen == [3]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(LabError, match="could not be written"):
        write_text_atomic(tmp_path / "file" / "inside" / "a.json", "x")
    with pytest.raises(LabError, match="could not be written"), replacing_folder(tmp_path / "file" / "inside"):
        pass
