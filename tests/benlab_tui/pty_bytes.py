"""A program in a pseudo-terminal, the bytes that it writes there, and text that would act on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

SHOWN = "OWNED"
"""In every attack, so that a test can tell that the text was shown at all."""

ATTACKS = {
    "csi": "\x1b[777;7mOWNED",
    "clear": "\x1b[2J\x1b[3JOWNED",
    "osc8": "\x1b]8;;http://evil.example\x1b\\OWNED\x1b]8;;\x1b\\",
    "osc52": "\x1b]52;c;T1dORUQ=\x07OWNED",
    "title": "\x1b]0;OWNED\x07",
    "dcs": "\x1bP+q544e\x1b\\OWNED",
    "c1-csi": "\x9b777;7mOWNED",
    "c1-osc": "\x9d52;c;T1dORUQ=\x9cOWNED",
    "nel": "OWNED\x85next",
    "bell": "\x07OWNED\x07",
    "return": "fine\rOWNED",
    "backspace": "fine\x08\x08\x08\x08OWNED",
    "bidi": "\u202eOWNED\u2066",
    "separator": "OWNED\u2028next\u2029",
    "surrogate": "OWNED\udc80\ud800",
    "shift": "\x0eOWNED\x0f",
    "vt": "OWNED\x0b\x0c",
    "tag": "OWNED\U000e0041\U000e007f",
}
EVERYTHING = "".join(ATTACKS.values())

FORBIDDEN = [
    b"\x1b[777;7m",
    b"\x1b]8;;http://evil",
    b"\x1b]52",
    b"\x1b]0;OWNED",
    b"\x1bP+q544e",
    *(bytes([0xC2, code]) for code in range(0x80, 0xA0)),
    "\u202e".encode(),
    "\u2066".encode(),
    "\u2028".encode(),
    "\u2029".encode(),
    b"\xed\xb2\x80",
    b"\xed\xa0\x80",
    b"\x0e",
    b"\x0f",
    b"\x0b",
    b"\x0c",
    b"\x08",
    "\U000e0041".encode(),
]


def acts(data: bytes) -> list[bytes]:
    """What of the attacks reached the terminal as it stands."""
    found = [mark for mark in FORBIDDEN if mark in data]
    return [*found, *([b"\\r"] if b"fine\rOWNED" in data else []), *([b"\\a"] if b"\x07OWNED" in data else [])]


def run_in_pty(
    words: list[str],
    folder: Path,
    environment: dict[str, str] | None = None,
    script: list[tuple[Callable[[bytes], bool], bytes]] | None = None,
    seconds: float = 30,
    size: tuple[int, int] = (40, 120),
) -> bytes:
    """Run `python WORDS` there; each step of the script waits until what was read fulfils it, then types its keys."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *words],
        stdin=child,
        stdout=child,
        stderr=child,
        cwd=folder,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": "", **(environment or {})},
    )
    os.close(child)
    data, steps, end = b"", list(script or ()), time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if select.select([parent], [], [], 0.1)[0]:
                try:
                    piece = os.read(parent, 65536)
                except OSError:
                    break
                if not piece:
                    break
                data += piece
            while steps and steps[0][0](data):
                os.write(parent, steps.pop(0)[1])
        assert not steps, f"{len(steps)} steps were not reached: {data[-2000:]!r}"
        return data
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(parent)
