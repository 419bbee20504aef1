"""A person's own documents (md, txt, pdf) as passages of the lab's index, so that answers can cite them.

The text is taken when a document is added; a file that changed since is added again by hand.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import BadInput, MissingExtra
from pipeline.retrieval import open_index
from simulator.events import Event, Note, Progress, Result
from simulator.private_files import read_bytes

if TYPE_CHECKING:
    import sqlite3

    from pipeline.lab import Lab

SUFFIXES = (".md", ".markdown", ".txt", ".pdf")
LARGEST_FILE = 50 << 20
"""Bytes of one document."""
MOST_FILES = 2_000
PIECE = 600
"""Characters of a passage, about: a few paragraphs, and short enough for a prompt."""

_HEADING = re.compile(r"#{1,6}[ \t]+(?=[^\s#])")
_LONGEST_HEADING = 1000


@dataclass(frozen=True, slots=True)
class Document:
    """An added document: `source` is its name in citations, `path` where it was read."""

    source: str
    path: str
    passages: int
    added: str


def add(lab: Lab, path: Path) -> Iterator[Event]:
    """Read a document, or every document in a folder, into the index; a document that is there is replaced.

    The last event is a Result with `added` and `skipped`. Raises BadInput, LabError or MissingExtra.
    """
    files = _files(path)
    added: list[str] = []
    skipped: list[str] = []
    for number, file in enumerate(files):
        yield Progress("rag add", number, len(files), file.name)
        try:
            raw = _bytes(file)
            pieces = list(_pieces(file, raw))
        except BadInput as error:
            if len(files) == 1:
                raise
            skipped.append(str(error))
            yield Note(f"skipped: {error}")
            continue
        with open_index(lab) as conn:
            added.append(_keep(conn, file, raw, pieces))
    if not added:
        raise BadInput(f"no document in {path} could be read: {skipped[0]}")
    yield Progress("rag add", len(files), len(files))
    yield Result({"added": added, "skipped": skipped})


def documents(lab: Lab) -> list[Document]:
    """Return the added documents by name. Raises LabError."""
    with open_index(lab) as conn:
        rows = conn.execute("SELECT source, path, passages, added FROM documents ORDER BY source").fetchall()
    return [Document(*row) for row in rows]


def remove(lab: Lab, source: str) -> None:
    """Remove a document from the index; its file stays. Raises BadInput or LabError."""
    known = [document.source for document in documents(lab)]
    if source not in known:
        names = ", ".join(known[:8]) or "none"
        raise BadInput(f"{source[:80]!r} is not a document of this lab: use one of {names}")
    with open_index(lab) as conn:
        conn.execute("BEGIN IMMEDIATE")
        _forget(conn, source)
        conn.execute("COMMIT")


def _files(path: Path) -> list[Path]:
    path = path.expanduser()
    if path.is_file():
        return [path.resolve()]
    if not path.is_dir():
        raise BadInput(f"{path} is not a file or folder: give the path of a document, or of a folder that holds some")
    found = [file for file in sorted(path.resolve().rglob("*")) if file.suffix.lower() in SUFFIXES]
    found = [file for file in found if file.is_file() and not file.is_symlink()]
    found = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path.resolve()).parts)]
    if not found:
        raise BadInput(f"{path} holds no document: rag add reads {', '.join(SUFFIXES)}")
    if len(found) > MOST_FILES:
        raise BadInput(f"{path} holds {len(found):,} documents, above the most, {MOST_FILES:,}: add a smaller folder")
    return found


def _bytes(file: Path) -> bytes:
    if file.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{file.name} is not a document that can be read: give one of {', '.join(SUFFIXES)}")
    try:
        size = file.stat().st_size
        if size > LARGEST_FILE:
            raise BadInput(f"{file.name} has {size >> 20} MB, above the most, {LARGEST_FILE >> 20}: split it")
        return read_bytes(file, LARGEST_FILE)
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror or error}): make it readable") from error


def _pieces(file: Path, raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield (title, text) of each passage. Raises BadInput if the document has no text."""
    sections = _pages(file, raw) if file.suffix.lower() == ".pdf" else _sections(file, _decoded(file, raw))
    count = 0
    for title, text in sections:
        for piece in split(text):
            count += 1
            yield title, piece
    if not count:
        pdf = file.suffix.lower() == ".pdf"
        hint = "its pages may be images, so run text recognition first" if pdf else "give a document with words in it"
        raise BadInput(f"{file.name} holds no text: {hint}")


def _decoded(file: Path, raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", "replace")
    if b"\0" in raw[:8192]:
        raise BadInput(f"{file.name} is not text: give a document in UTF-8, or a PDF with the ending .pdf")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _sections(file: Path, text: str) -> Iterator[tuple[str, str]]:
    """Yield (heading, text) of each section; a document without headings is one section under its name."""
    title, fenced = file.stem, False
    lines: list[str] = []
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        prose = fenced or len(line) > _LONGEST_HEADING or file.suffix.lower() == ".txt"
        heading = None if prose else _HEADING.match(line)
        if heading:
            yield title, "\n".join(lines)
            title, lines = line[heading.end() :].rstrip().rstrip("#").rstrip()[:200], []
        else:
            lines.append(line)
    yield title, "\n".join(lines)


def _pages(file: Path, raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield ("page 3", text) of each page of a PDF."""
    from importlib.util import find_spec

    from pipeline.pdf_child import Unreadable, pages_of

    if find_spec("pypdf") is None:
        raise MissingExtra("PDF files need the package pypdf: run `pip install pypdf`")
    try:
        for number, text in enumerate(pages_of(raw), 1):
            yield f"page {number}", text
    except Unreadable as error:
        raise BadInput(f"{file.name}: {error}") from error


def split(text: str) -> Iterator[str]:
    """Yield pieces of about `PIECE` characters, cut between paragraphs, else between sentences, else between words."""
    held = ""
    for part in _parts(text):
        if held and len(held) + len(part) > PIECE:
            yield held.strip()
            held = ""
        held += part
    if held.strip():
        yield held.strip()


def _parts(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.replace("\0", " ")):
        paragraph = " ".join(paragraph.split())
        if not paragraph:
            continue
        if len(paragraph) <= PIECE:
            yield paragraph + "\n"
            continue
        for sentence in re.split(r"(?<=[.!?;])\s+", paragraph):
            words, start = sentence + " ", 0
            while len(words) - start > PIECE:
                end = words.rfind(" ", start + 1, start + PIECE)
                end = end if end > 0 else start + PIECE
                yield words[start:end] + " "
                start = end + words.startswith(" ", end)  # between words stands one blank
            yield words[start:]
        yield "\n"


def _keep(conn: sqlite3.Connection, file: Path, raw: bytes, pieces: list[tuple[str, str]]) -> str:
    """Write a document's passages in one transaction; returns its name in citations."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        source = _name(conn, file)
        _forget(conn, source)
        conn.executemany(
            "INSERT INTO passages VALUES ('document', ?, ?, ?, '')", [(source, title, text) for title, text in pieces]
        )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = (source, str(file), hashlib.sha256(raw).hexdigest(), len(pieces), now)
        conn.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", row)
        conn.execute("COMMIT")
    except BaseException:
        conn.execute("ROLLBACK")
        raise
    return source


def _name(conn: sqlite3.Connection, file: Path) -> str:
    """The file's name, with as many of its folders as tell it from other documents."""
    taken = dict(conn.execute("SELECT source, path FROM documents").fetchall())
    for count in range(1, len(file.parts)):
        name = "/".join(file.parts[-count:])
        if taken.get(name, str(file)) == str(file):
            return name
    return str(file)


def _forget(conn: sqlite3.Connection, source: str) -> None:
    conn.execute("DELETE FROM passages WHERE kind = 'document' AND source = ?", (source,))
    conn.execute("DELETE FROM documents WHERE source = ?", (source,))
