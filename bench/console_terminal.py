"""A program in a pseudo-terminal, timed until words of its first screen are written."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path

_LONGEST = 60.0


def seconds_until(words: bytes, argv: Sequence[str], home: Path, cwd: Path) -> float:
    """Starts the program at 120 × 40 and returns the seconds until `words` came; ends it. Raises TimeoutError."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "HOME": str(home)}
    start = time.perf_counter()
    process = subprocess.Popen(
        argv, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=cwd, start_new_session=True
    )
    os.close(slave)
    try:
        return _read_until(words, master, start)
    finally:
        _end(process, master)


def _read_until(words: bytes, master: int, start: float) -> float:
    seen = b""
    while (spent := time.perf_counter() - start) < _LONGEST:
        if not select.select([master], [], [], 0.5)[0]:
            continue
        try:
            seen = seen[-len(words) :] + os.read(master, 65536)
        except OSError as error:
            raise TimeoutError(f"the program ended before it wrote {words.decode()!r}") from error
        if words in seen:
            return time.perf_counter() - start
    raise TimeoutError(f"{words.decode()!r} was not written within {spent:.0f} s")


def _end(process: subprocess.Popen[bytes], master: int) -> None:
    """A closed terminal ends what is well made; the rest is killed with its group."""
    os.close(master)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
