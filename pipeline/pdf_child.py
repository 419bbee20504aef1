"""Reads the text of a PDF in a child: the file may come from anybody, and a few kilobytes can unpack to any size.

`python -m pipeline.pdf_child SECONDS` reads a PDF on its standard input and writes one JSON line: `pages` (a text each)
or `error`. It may have `MEMORY` bytes and that many seconds of compute, and it writes no file.
"""

from __future__ import annotations

import json
import subprocess
import sys

SECONDS = 120
START_SECONDS = 60
MEMORY = 2 << 30
MOST_PAGES = 5_000
LONGEST_TEXT = 30_000_000


class Unreadable(Exception):
    """Why the PDF has no text to give, in words."""


def pages_of(raw: bytes, seconds: int = SECONDS) -> list[str]:
    """Return the text of each page. Raises Unreadable."""
    from simulator.python_child import command, environment

    try:
        done = subprocess.run(
            command("pipeline.pdf_child", str(seconds)),
            input=raw,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            timeout=START_SECONDS + 2 * seconds,
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        raise Unreadable(f"reading it takes more than {seconds} s or {MEMORY >> 20} MB: save it again") from None
    if "pages" not in answer:
        raise Unreadable(str(answer.get("error", "no reason given")))
    return list(map(str, answer["pages"]))


def _pages(raw: bytes) -> list[str]:
    import io

    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(raw))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("it is encrypted: save it without a password")
    count = len(reader.pages)
    if count > MOST_PAGES:
        raise Unreadable(f"it has {count:,} pages, above the most, {MOST_PAGES:,}: split it")
    texts: list[str] = []
    length = 0
    for page in reader.pages:
        texts.append(page.extract_text())
        length += len(texts[-1])
        if length > LONGEST_TEXT:
            raise Unreadable(f"its text has more than {LONGEST_TEXT:,} characters: split it")
    return texts


def main() -> int:
    """Answer one request."""
    import resource

    raw, out = sys.stdin.buffer.read(), sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints is no answer
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer: dict[str, object]
    try:
        answer = {"pages": _pages(raw)}
    except Unreadable as error:
        answer = {"error": str(error)}
    except Exception as error:  # pypdf raises what the file makes it raise
        said = " ".join(str(error).split())[:100] or type(error).__name__
        answer = {"error": f"it is not a readable PDF ({said}): open it and save it again"}
    out.write(json.dumps(answer).encode() + b"\n")
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
