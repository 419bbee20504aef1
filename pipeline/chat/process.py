"""The child process of the embedded engine: started, waited for, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any

from pipeline.errors import ChatError
from simulator.private_files import opener, private_folder, read_text
from simulator.python_child import command, environment

_START_SECONDS = 300.0

SPINS = "1000"
"""How often a thread of llama.cpp looks for the others after a product before it sleeps: libgomp's GOMP_SPINCOUNT.

libgomp's default spins for milliseconds, which costs most of the speed beside a busy process; threads that sleep at
once (OMP_WAIT_POLICY=passive) wake too late on an idle machine. `bench/decoding.py` compares the choices. Only the
wheels for Linux use libgomp: those for macOS have llama.cpp's own threads, those for Windows vcomp, which ignores it.
"""


class EngineProcess:
    """One run of `python -m pipeline.chat.child`. `settings` go to its stdin, its stderr to `log`."""

    def __init__(self, settings: dict[str, Any], log: Path | None) -> None:
        self._settings, self._log = settings, log
        with self._log_stream() as stream:
            self._child = subprocess.Popen(
                command("pipeline.chat.child"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                start_new_session=True,
                env=environment(_waiting()),
            )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._child.poll() is None

    def wait_for_url(self) -> str:
        """The server's address, once the model is loaded. Raises ChatError where it cannot be."""
        assert self._child.stdin and self._child.stdout
        model = Path(self._settings["model"]).name
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(json.dumps(self._settings) + "\n")
            self._child.stdin.flush()
        answers: Queue[str] = Queue()
        threading.Thread(target=_read_line, args=(self._child.stdout, answers), daemon=True).start()
        try:
            line = answers.get(timeout=_START_SECONDS)
        except Empty:
            raise ChatError(
                f"llama.cpp did not load {model} within {_START_SECONDS:.0f} s: choose a smaller base"
            ) from None
        answer = json.loads(line) if line.strip() else {"error": "its process ended"}
        if "error" in answer:
            raise ChatError(
                f"llama.cpp cannot load {model} ({answer['error']}{self.log_tail()}): "
                "check that the file is a whole GGUF and that the adapter was trained on it"
            )
        return answer["url"]

    def reap(self, seconds: float) -> None:
        """Waits up to that long for a child that is about to end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(seconds)

    def end(self) -> None:
        """Ends the child: it does so itself when its stdin closes."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.reap(2)
        if self.alive:
            self._child.kill()
            self._child.wait()

    def log_tail(self) -> str:
        """The last line of the log, as a part of an error's sentence; empty where there is none."""
        if self._log is None or not self._log.exists():
            return ""
        lines = read_text(self._log, encoding="utf-8", errors="replace").strip().splitlines()
        return f"; its log {self._log} ends: {' '.join(lines[-1].split())[:200]}" if lines else ""

    def _log_stream(self) -> IO[bytes]:
        if self._log is None:
            return tempfile.TemporaryFile()
        private_folder(self._log.parent)
        return open(self._log, "wb", opener=opener)


def _waiting() -> dict[str, str]:
    """Return the setting of how the child's threads wait, unless the user has chosen one."""
    chosen = any(name in os.environ for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"))
    return {} if chosen else {"GOMP_SPINCOUNT": SPINS}


def _read_line(stream: IO[str], answers: Queue[str]) -> None:
    try:
        answers.put(stream.readline())
    except (OSError, ValueError):
        answers.put("")
