"""Reads JSONL files of anyone's, line by line, keeping what is good and naming what is not."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.line import LONGEST, Sample, parse
from pipeline.errors import DataError

LINE_BYTES = 16 * LONGEST
"""A longer line is skipped without being held in memory: texts at their limit, every character escaped, and meta."""


@dataclass(frozen=True)
class BadLine:
    """A line that was kept out."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


def read_lines(path: Path, unique_ids: bool = True) -> Iterator[tuple[int, Sample | BadLine]]:
    """(line number, sample or what is wrong) of every line that is not blank.

    An `id` that occurs before makes a line bad, unless `unique_ids` is false.
    Raises DataError where the file is missing, cannot be read, or is none: a device or pipe may never end.
    """
    ids: set[str] | None = set() if unique_ids else None
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is no regular file: give a JSONL file")
        with path.open("rb") as file:
            _refuse_other_formats(path, file.read(LINE_BYTES))
            file.seek(0)
            for number, raw in _raw_lines(file):
                if raw is None:
                    yield number, BadLine(str(path), number, f"longer than {LINE_BYTES} bytes")
                    continue
                if raw.strip():
                    yield number, _read(str(path), number, raw, ids)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): give a JSONL file that exists") from error


def _refuse_other_formats(path: Path, start: bytes) -> None:
    """Names what a file of another kind is: line by line it would be a thousand odd lines. Raises DataError."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path} is UTF-16: save it as UTF-8")
    first, _, rest = start.removeprefix(codecs.BOM_UTF8).lstrip().partition(b"\n")
    if first.strip() == b"[" or (first.startswith(b"[{") and not first.strip().endswith(b"]")):
        raise DataError(f"{path} is a JSON array: write one object a line, without brackets, as `jq -c '.[]'` does")
    if first.strip() == b"{" and rest.strip():
        raise DataError(f"{path} has an object over several lines: write each on one line, as `jq -c .` does")
    if path.suffix.lower() in (".csv", ".tsv", ".parquet", ".xlsx") and not first.startswith(b"{"):
        raise DataError(
            f"{path} is no JSONL: write one object with instruction, input and output a line, and name it .jsonl"
        )


def _raw_lines(file: object) -> Iterator[tuple[int, bytes | None]]:
    """Numbered raw lines; None for one that is too long, whose rest is skipped in pieces."""
    number = 0
    while raw := file.readline(LINE_BYTES + 1):  # type: ignore[attr-defined]
        number += 1
        if len(raw) > LINE_BYTES and not raw.endswith(b"\n"):
            while (piece := file.readline(LINE_BYTES)) and not piece.endswith(b"\n"):  # type: ignore[attr-defined]
                pass
            yield number, None
        else:
            yield number, raw


def _read(name: str, number: int, raw: bytes, ids: set[str] | None) -> Sample | BadLine:
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        return BadLine(name, number, f"not UTF-8 at byte {error.start + 1}")
    try:
        sample = parse(text)
    except ValueError as error:
        return BadLine(name, number, str(error))
    own = None if ids is None else json.loads(text).get("id")
    if ids is not None and own is not None:
        if str(own) in ids:
            return BadLine(name, number, f"the id {str(own)[:40]!r} occurs before")
        ids.add(str(own))
    return sample


def read_good(path: Path, unique_ids: bool = True) -> tuple[list[Sample], list[BadLine]]:
    """Every good sample of a file and every bad line. Raises DataError as `read_lines` does."""
    good, bad = [], []
    for _, found in read_lines(path, unique_ids):
        if isinstance(found, Sample):
            good.append(found)
        else:
            bad.append(found)
    return good, bad
