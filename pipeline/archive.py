"""Reads a lab's archive (.tar.gz) as what it may be: regular files and folders, with relative names.

Python's tarfile is not used here. Before 3.11.14 and 3.12.11 chains of links lead its "data" filter out of the folder
(CVE-2025-4517), and it reads a header's extension into memory at the size that the header claims. Here nothing is held
but one block and one extension of bounded size, and nothing of a link, a device or a sparse file is ever read.
The format: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pipeline.errors import BadInput

BLOCK = 512
MOST_MEMBERS = 200_000
"""Headers in one archive, extensions of a header included."""
MOST_EXTENSION = 1 << 16
"""Bytes of an extension: a long name, or pax records."""
MOST_NAME, MOST_PARTS, MOST_NAMES = 4096, 64, 1 << 26
"""Bytes of a name, its parts, and bytes of all names together, which are held to find one that comes twice."""
RATIO, FREE = 100, 64 << 20
"""An archive may unpack to RATIO times its size and FREE bytes more; `backup` writes none that would not."""

_CHUNK = 1 << 20
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"7": "a contiguous file",
    b"K": "a link with a long name",
    b"S": "a sparse file",
    b"D": "a GNU listing of a folder",
    b"M": "a part of a file",
    b"V": "a volume's name",
    b"g": "a header for all files",
}


class Damaged(Exception):
    """An archive that is cut, broken, too large or not a tar; the text says how."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file or folder: its name with neither '.' nor '..' in it, its size in bytes, and when it was changed (Unix)."""

    name: str
    folder: bool
    size: int
    modified: int


class Archive:
    """Iterating gives the members in order; `chunks` reads the one that came last. Raises Damaged or BadInput."""

    def __init__(self, file: IO[bytes], packed: int) -> None:
        self._stream = gzip.GzipFile(fileobj=file)
        self._most = RATIO * packed + FREE
        self._done = 0
        self._left = 0
        self._padding = 0
        self._folders: dict[str, bool] = {}
        self._names = 0

    def __iter__(self) -> Iterator[Member]:
        extension: dict[str, bytes] = {}
        for _ in range(MOST_MEMBERS):
            block = self._read(BLOCK)
            if not block.strip(b"\0"):
                self._check_end()
                return
            kind, size = _checked(block)
            if kind in (b"x", b"L"):
                extension |= self._extension(kind, size)
                continue
            if member := self._member(block, kind, size, extension):
                yield member
                for _ in self.chunks():
                    pass
            self._skip_padding()
            extension = {}
        raise Damaged(f"it holds more than {MOST_MEMBERS:,} files")

    def chunks(self) -> Iterator[bytes]:
        """The content of the last member, or what is left of it."""
        while self._left:
            chunk = self._read(min(self._left, _CHUNK))
            self._left -= len(chunk)
            yield chunk

    def _extension(self, kind: bytes, size: int) -> dict[str, bytes]:
        if size > MOST_EXTENSION:
            raise Damaged(f"a header is extended by {size:,} bytes, above the most, {MOST_EXTENSION:,}")
        data = self._read(size)
        self._read(-size % BLOCK)
        return {"path": data.rstrip(b"\0")} if kind == b"L" else _records(data)

    def _member(self, block: bytes, kind: bytes, size: int, extension: dict[str, bytes]) -> Member | None:
        raw = extension.get("path", _name_in(block))
        folder = kind == b"5" or (kind == b"\0" and raw.endswith(b"/"))
        if kind not in (b"0", b"\0", b"5"):
            what = _KINDS.get(kind, f"an entry of the unknown kind {kind!r}")
            raise BadInput(
                f"{_shown(raw)} in the archive is {what}, no regular file or folder: choose a backup that "
                "`benlab backup` wrote"
            )
        if any(key.startswith("GNU.sparse") for key in extension):
            raise BadInput(f"{_shown(raw)} in the archive is a sparse file, no regular file: choose another backup")
        self._left = 0 if folder else _decimal(extension["size"]) if "size" in extension else size
        self._padding = -self._left % BLOCK
        if folder and size:
            raise Damaged(f"the folder {_shown(raw)} has a content")
        name = _safe(raw)
        if not name and not folder:
            raise Damaged("a file has no name")
        self._place(name, folder)
        return Member(name, folder, self._left, max(0, _number(block[136:148]))) if name else None

    def _place(self, name: str, folder: bool) -> None:
        """Raises Damaged where a name comes twice, or a file stands where a folder must be."""
        above = ""
        for part in name.split("/")[:-1]:
            above = f"{above}/{part}" if above else part
            if not self._folders.setdefault(above, True):
                raise Damaged(f"{_shown(above.encode(errors='replace'))} is a file and a folder")
        if name in self._folders and not (folder and self._folders[name]):
            raise Damaged(f"{_shown(name.encode(errors='replace'))} is in it twice")
        self._folders[name] = folder
        self._names += len(name) * (1 + name.count("/"))
        if self._names > MOST_NAMES:
            raise Damaged(f"its names take more than {MOST_NAMES >> 20} MB")

    def _skip_padding(self) -> None:
        self._read(self._padding)
        self._padding = 0

    def _read(self, size: int) -> bytes:
        """Exactly that many bytes. Raises Damaged at the end of the file, and where it unpacks to too much."""
        self._done += size
        if self._done > self._most:
            raise Damaged(f"it unpacks to more than {self._most / 1e6:,.0f} MB, {RATIO} times its own size and more")
        data = self._stream.read(size) if size else b""
        if len(data) != size:
            raise Damaged("it is cut off")
        return data

    def _check_end(self) -> None:
        """Reads what follows the last member: zeros, and at the very end gzip's checksum, which is compared there."""
        while chunk := self._stream.read(min(_CHUNK, max(1, self._most - self._done))):
            self._done += len(chunk)
            if self._done > self._most or chunk.count(0) != len(chunk):
                raise Damaged("more follows its last readable file")


def _checked(block: bytes) -> tuple[bytes, int]:
    """Kind and size of a header. Raises Damaged where its sum is wrong."""
    if sum(block[:148]) + sum(block[156:]) + 8 * 32 != _number(block[148:156]):
        raise Damaged("a header's checksum is wrong")
    size = _number(block[124:136])
    if size < 0:
        raise Damaged("a file has a negative size")
    return block[156:157], size


def _number(field: bytes) -> int:
    """A header's number: octal digits, or GNU's base 256."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big", signed=field[0] == 0xFF)
    digits = field.split(b"\0")[0].strip()
    if digits.strip(b"01234567"):
        raise Damaged(f"a header holds {digits[:12]!r} for a number")
    return int(digits or b"0", 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 18:
        raise Damaged(f"a header holds {digits[:24]!r} for a size")
    return int(digits)


def _records(data: bytes) -> dict[str, bytes]:
    """The records of a pax header, `length key=value\\n` each. Raises Damaged."""
    found: dict[str, bytes] = {}
    place = 0
    while place < len(data):
        digits = data[place : place + 6].split(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        record = data[place + len(digits) + 1 : place + length]
        key, mark, value = record[:-1].partition(b"=")
        if not mark or record[-1:] != b"\n" or place + length > len(data):
            raise Damaged("a pax header cannot be read")
        found[key.decode("utf-8", "replace")] = value
        place += length
    return found


def _name_in(block: bytes) -> bytes:
    """The name in the header itself; POSIX's has a prefix, GNU's keeps other things there."""
    name = block[:100].split(b"\0")[0]
    prefix = block[345:500].split(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _safe(raw: bytes) -> str:
    """The name without '.' and doubled '/'. Raises Damaged where it leads out of the folder, or is none."""
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if raw.startswith(b"/") or b".." in parts:
        raise Damaged(f"the name {_shown(raw)} leads out of the folder")
    if b"\0" in raw or len(raw) > MOST_NAME or len(parts) > MOST_PARTS:
        raise Damaged(f"the name {_shown(raw)} holds a NUL, or more than {MOST_NAME:,} bytes or {MOST_PARTS} folders")
    return b"/".join(parts).decode("utf-8", "surrogateescape")


def _shown(raw: bytes) -> str:
    return repr(raw[:80].decode("utf-8", "replace"))
