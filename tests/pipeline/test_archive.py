"""Archives by an attacker: `restore` writes regular files and folders inside its folder, or nothing at all."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest

from pipeline import archive
from pipeline.backup import backup, restore
from pipeline.errors import BadInput, LabError, PipelineError
from pipeline.lab import Lab
from simulator.events import Note, last_result

TOML = b"# a lab\n"


def entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def packed(path: Path, *entries: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT):
    with tarfile.open(path, "w:gz", format=format) as file:
        file.addfile(entry("benlab.toml", size=len(TOML)), io.BytesIO(TOML))
        for item in entries:
            info, data = item if isinstance(item, tuple) else (item, b"")
            file.addfile(info, io.BytesIO(data))
    return path


def by_hand(path: Path, *blocks: bytes) -> Path:
    """An archive of raw blocks, after a proper benlab.toml."""
    head = entry("benlab.toml", size=len(TOML)).tobuf() + TOML.ljust(512, b"\0")
    path.write_bytes(gzip.compress(head + b"".join(blocks) + bytes(1024), 1))
    return path


def header(name: bytes, kind: bytes = b"0", size: bytes = b"00000000000\0") -> bytes:
    block = bytearray(entry("x").tobuf())
    block[:100] = name.ljust(100, b"\0")
    block[124:136], block[156:157] = size, kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(records: bytes, claimed: int | None = None) -> bytes:
    size = b"%011o\0" % (len(records) if claimed is None else claimed)
    return header(b"x", b"x", size) + records.ljust(-(-len(records) // 512) * 512, b"\0")


def record(key: bytes, value: bytes) -> bytes:
    """A pax record, its own length in front."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


def refused(file: Path, root: Path, kind: type[PipelineError] | tuple[type[PipelineError], ...], text: str) -> None:
    """One sentence, and nothing is left: neither in the folder nor beside it."""
    before = {path for path in file.parent.rglob("*")}
    with pytest.raises(kind, match=text) as error:
        last_result(restore(file, root))
    assert "\n" not in str(error.value)
    assert {path for path in file.parent.rglob("*")} == before


KINDS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a", "data/a", "benlab.toml.d", "models", "a" * 150])
def test_links_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes, name: str) -> None:
    refused(packed(tmp_path / "x.tgz", entry(name, kind, link="benlab.toml")), tmp_path / "lab", BadInput, "no regular")


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_a_chain_of_links_writes_nothing_outside(tmp_path: Path, format: int) -> None:
    """What led tarfile's filter out (CVE-2025-4517): links over links until a path is too long to be resolved."""
    steps, part = [], "d" * 60
    for letter in "abcdefghijklmnop":
        steps += [entry(part, tarfile.DIRTYPE), entry(letter, tarfile.SYMTYPE, link=part)]
    chain = "/".join("abcdefghijklmnop")
    steps += [
        entry(f"{chain}/l", tarfile.SYMTYPE, link="../" * 16),
        entry("out", tarfile.SYMTYPE, link=f"{chain}/l/.."),
    ]
    file = packed(tmp_path / "x.tgz", *steps, (entry("out/written", size=3), b"bad"), format=format)
    refused(file, tmp_path / "deep" / "lab", (BadInput, LabError), "no regular|twice")
    assert not list(tmp_path.rglob("written"))


@pytest.mark.parametrize(
    "name",
    ["/etc/x", "//x", "../x", "a/../../x", "a/..", "..", "./../x", "a/b/../../../x", "x" * 5000, "a/" * 70 + "x"],
)
@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_names_that_lead_out_or_are_endless_are_refused(tmp_path: Path, name: str, format: int) -> None:
    file = packed(tmp_path / "x.tgz", (entry(name, size=3), b"bad"), format=format)
    refused(file, tmp_path / "deep" / "lab", LabError, "cannot be unpacked")


def test_a_pax_path_wins_over_the_headers_and_is_checked(tmp_path: Path) -> None:
    for name in (b"../evil", b"/tmp/e", b"a\0b", b"", b"."):
        file = by_hand(tmp_path / "x.tgz", pax(record(b"path", name)), header(b"a"))
        refused(file, tmp_path / "lab", LabError, "leads out|NUL|no name")


@pytest.mark.parametrize(
    "names",
    [["a", "a"], ["a", "./a"], ["a", "a/b"], ["a/b", "a"], ["a//b", "a/./b"], ["benlab.toml"], ["benlab.toml/x"]],
)
def test_names_that_come_twice_are_refused(tmp_path: Path, names: list[str]) -> None:
    file = packed(tmp_path / "x.tgz", *[(entry(name, size=1), b"x") for name in names])
    refused(file, tmp_path / "lab", LabError, "twice|a file and a folder")


@pytest.mark.parametrize("claimed", [archive.MOST_EXTENSION + 1, 1 << 30, (1 << 33) - 1])
@pytest.mark.parametrize("kind", [b"x", b"L"])
def test_a_huge_extension_is_refused_before_it_is_read(tmp_path: Path, claimed: int, kind: bytes) -> None:
    """200 MB of them would fit under the bound on the expansion."""
    blocks = header(b"x", kind, b"%011o\0" % claimed) + bytes(8 << 20)
    tracemalloc.start()
    refused(by_hand(tmp_path / "x.tgz", blocks), tmp_path / "lab", LabError, "extended by")
    assert tracemalloc.get_traced_memory()[1] < 40 << 20  # the archive is made here, too
    tracemalloc.stop()


@pytest.mark.parametrize(
    "records",
    [
        b"99999 path=a\n",
        b"0 path=a\n",
        b"-5 path=a\n",
        b"8 path=a",
        b"path=a\n",
        b"\xff\xff\xff",
        record(b"size", b"9999999999"),
        record(b"size", b"9" * 20),
        record(b"size", b"-1"),
        record(b"size", b"1e9"),
    ],
)
def test_broken_records_are_refused(tmp_path: Path, records: bytes) -> None:
    refused(by_hand(tmp_path / "x.tgz", pax(records), header(b"a")), tmp_path / "lab", LabError, "cannot be unpacked")


def test_sparse_files_are_refused_in_every_form(tmp_path: Path) -> None:
    for block in (
        header(b"a", b"S"),
        pax(record(b"GNU.sparse.major", b"1")) + header(b"a"),
        pax(record(b"GNU.sparse.map", b"0,1")) + header(b"a"),
        pax(record(b"GNU.sparse.realsize", b"9999999")) + header(b"a"),
    ):
        refused(by_hand(tmp_path / "x.tgz", block), tmp_path / "lab", BadInput, "sparse")


@pytest.mark.parametrize(
    "size", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"9999999999 \0", b"77777777777\0"]
)
def test_impossible_sizes_are_refused(tmp_path: Path, size: bytes) -> None:
    refused(by_hand(tmp_path / "x.tgz", header(b"a", size=size)), tmp_path / "lab", LabError, "cannot be unpacked")


@pytest.mark.parametrize("kind", [b"g", b"K", b"D", b"M", b"V", b"N", b"X", b"Z", b"\xff"])
def test_other_kinds_are_refused(tmp_path: Path, kind: bytes) -> None:
    refused(by_hand(tmp_path / "x.tgz", header(b"a", kind)), tmp_path / "lab", BadInput, "no regular")


def test_a_bomb_is_refused_early(tmp_path: Path) -> None:
    """A gigabyte of zeros in a megabyte, as one file and as very many."""
    with gzip.open(tmp_path / "big.tgz", "wb", 9) as file:
        file.write(entry("benlab.toml", size=len(TOML)).tobuf() + TOML.ljust(512, b"\0"))
        file.write(header(b"a", size=b"%011o\0" % (1 << 30)))
        for _ in range(1024):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))
    refused(tmp_path / "big.tgz", tmp_path / "lab", LabError, "unpacks to more")


def test_millions_of_members_are_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FREE", 1 << 40)
    with gzip.open(tmp_path / "many.tgz", "wb", 1) as file:
        file.write(entry("benlab.toml", size=len(TOML)).tobuf() + TOML.ljust(512, b"\0"))
        file.write(header(b"d", b"5") * 250_000)
    started = time.monotonic()
    refused(tmp_path / "many.tgz", tmp_path / "lab", LabError, "more than 200,000")
    assert time.monotonic() - started < 30


def test_names_that_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_NAMES", 100_000)
    entries = [entry("/".join([f"{n:05}", *["x" * 60] * 40]), tarfile.DIRTYPE) for n in range(50)]
    refused(packed(tmp_path / "x.tgz", *entries), tmp_path / "lab", LabError, "names take")


@pytest.mark.parametrize("name", ["lab.db-journal", "lab.db-wal", "./lab.db-shm"])
def test_what_sqlite_would_replay_is_refused(tmp_path: Path, name: str) -> None:
    file = packed(tmp_path / "x.tgz", (entry(name, size=3), b"bad"))
    refused(file, tmp_path / "lab", BadInput, "replay")


def test_pipes_devices_and_folders_are_no_archives(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for file in (tmp_path / "pipe", tmp_path / "folder", Path("/dev/zero")):
        with pytest.raises(LabError, match="cannot be restored"):
            last_result(restore(file, tmp_path / "lab"))


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_odd_but_honest_names_come_back(tmp_path: Path, format: int) -> None:
    """What GNU tar makes of a lab, too: './' before every name, long names, umlauts, bytes that are no UTF-8."""
    names = ["./runs/a", "runs/ü", "runs/" + "n" * 200, "runs/\udcff", "runs/a b\n\\c", "/".join(["d" * 50] * 5)]
    entries = [(entry(name, size=2), b"ok") for name in names]
    file = packed(
        tmp_path / "x.tgz", entry("./", tarfile.DIRTYPE), entry("empty/", tarfile.DIRTYPE), *entries, format=format
    )
    assert last_result(restore(file, tmp_path / "lab"))["files"] == 7
    assert all((tmp_path / "lab" / name).read_bytes() == b"ok" for name in names)
    assert (tmp_path / "lab" / "empty").is_dir()


def test_rights_in_an_archive_count_for_nothing(tmp_path: Path) -> None:
    program = entry("runs/setuid", size=1)
    program.mode, program.uid = 0o6777, 0
    file = packed(tmp_path / "x.tgz", (program, b"x"))
    former = os.umask(0)
    try:
        last_result(restore(file, tmp_path / "lab"))
    finally:
        os.umask(former)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "lab").rglob("*")}
    assert modes == {"benlab.toml": 0o600, "runs": 0o700, "setuid": 0o600}
    assert stat.S_IMODE((tmp_path / "lab").stat().st_mode) == 0o700


def test_a_backup_holds_what_its_links_lead_to_and_no_link(lab: Lab, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (disk / "data" / "more").mkdir(parents=True)
    (disk / "data" / "lab_instructions.jsonl").write_text("{}\n")
    (disk / "data" / "more" / "deep").write_text("deep")
    (disk / "card").write_text("card")
    (lab.root / "data").symlink_to(disk / "data")
    (disk / "data" / "again").symlink_to(disk / "card")
    (lab.root / "note").symlink_to(disk / "card")
    file = tmp_path / "x.tgz"
    events = list(backup(lab, file))
    with tarfile.open(file) as made:
        assert all(member.isreg() for member in made.getmembers())
    last_result(restore(file, tmp_path / "again"))
    again = tmp_path / "again"
    assert (again / "data" / "more" / "deep").read_text() == "deep" and not (again / "data").is_symlink()
    assert (again / "note").read_text() == (again / "data" / "again").read_text() == "card"
    said = [event.text for event in events if isinstance(event, Note)]
    assert any(str(disk / "data") in text and "in the archive" in text for text in said)
    assert str(disk / "data") in last_result(iter(events))["summary"]


def test_a_backup_says_loudly_what_it_lacks(lab: Lab, tmp_path: Path) -> None:
    (lab.root / "data").mkdir()
    (lab.root / "data" / "up").symlink_to(lab.root)
    (lab.root / "data" / "round").symlink_to(lab.root / "data")
    (lab.root / "twice").symlink_to(lab.root / "data")
    (lab.root / "gone").symlink_to(tmp_path / "nowhere")
    (lab.root / "ring").symlink_to(lab.root / "ring")
    os.mkfifo(lab.root / "pipe")
    (lab.root / "device").symlink_to("/dev/zero")
    result = last_result(backup(lab, tmp_path / "x.tgz"))
    assert sorted(text.split()[0] for text in result["missing"]) == [
        "data/round",
        "data/up",
        "device",
        "gone",
        "pipe",
        "ring",
        "twice",
    ]
    assert result["summary"].count("NOT in the archive") == 7


def test_many_links_to_each_other_end(lab: Lab, tmp_path: Path) -> None:
    """Followed one by one, these would be 2 to the 40 folders."""
    for n in range(40):
        (tmp_path / f"d{n}").mkdir()
    for n in range(39):
        for side in "ab":
            (tmp_path / f"d{n}" / side).symlink_to(tmp_path / f"d{n + 1}")
    (lab.root / "data").symlink_to(tmp_path / "d0")
    assert last_result(backup(lab, tmp_path / "x.tgz"))["missing"]


def test_an_unreadable_folder_ends_a_backup(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.root / "runs").mkdir()
    listed = os.scandir

    def deny(path: Path) -> object:
        if Path(path).name == "runs":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(LabError, match="runs cannot be read"):
        last_result(backup(lab, tmp_path / "x.tgz"))
    assert not (tmp_path / "x.tgz").exists()


def test_a_lab_of_zeros_is_backed_up_so_that_it_comes_back(lab: Lab, tmp_path: Path) -> None:
    """It would compress a thousandfold, which a restore takes for a bomb."""
    with (lab.root / "zeros").open("wb") as file:
        file.truncate(120 << 20)
    last_result(backup(lab, tmp_path / "x.tgz"))
    assert last_result(restore(tmp_path / "x.tgz", tmp_path / "again"))["files"] == 2
    assert (tmp_path / "again" / "zeros").stat().st_size == 120 << 20


def test_a_backup_is_its_owners_alone(lab: Lab, tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        last_result(backup(lab, tmp_path / "new" / "x.tgz"))
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "new" / "x.tgz").stat().st_mode) == 0o600
