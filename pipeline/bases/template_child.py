"""Chat templates of strangers, rendered in a child: a template is a program and may take any time and memory.

`python -m pipeline.bases.template_child` reads requests (`template`, `values`) and writes answers (`text` or `error`),
a JSON line each, until its input ends. The parent waits `SECONDS` for each; the child may have `MEMORY` bytes.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

SECONDS = 5.0
START_SECONDS = 30.0
MEMORY = 1 << 30
LONGEST_TEXT = 8_000_000
_READY = b"ready\n"


class Refused(Exception):
    """The template's own error, or the limit that it met, in words."""


class TemplateChild:
    """One child for all templates of this process; it is started when first needed and again after it was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._owner = 0

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """The text that the template makes of these values. Raises Refused."""
        request = json.dumps({"template": template, "values": values}).encode() + b"\n"
        with self._lock:
            process = self._process if self._running() else self._start()
            assert process is not None and process.stdin is not None
            try:
                process.stdin.write(request)
                process.stdin.flush()
                answer = json.loads(self._line(process, SECONDS))
            except (OSError, ValueError):
                self._end()
                raise Refused(
                    f"it took more than {SECONDS:g} s or {MEMORY >> 20} MB: use another base, or another template"
                ) from None
        if "text" not in answer:
            raise Refused(str(answer.get("error", "no reason given")))
        return str(answer["text"])

    def _running(self) -> bool:
        # After a fork the pipes are the parent's: each process has a child of its own.
        return self._process is not None and self._owner == os.getpid() and self._process.poll() is None

    def _start(self) -> subprocess.Popen[bytes]:
        from simulator.python_child import command, environment

        self._process = subprocess.Popen(
            command("pipeline.bases.template_child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        self._owner = os.getpid()
        if self._line(self._process, START_SECONDS) != _READY:
            self._end()
            raise Refused("the process that renders templates of strangers could not be started: try again")
        return self._process

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        """The next line; what there is of it where it does not come in time or is too long."""
        assert process.stdout is not None
        handle, end, line = process.stdout.fileno(), time.monotonic() + seconds, bytearray()
        while not line.endswith(b"\n") and len(line) < 7 * LONGEST_TEXT:
            left = end - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                break
            piece = os.read(handle, 1 << 20)
            if not piece:
                break
            line += piece
        return bytes(line)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        continue


CHILD = TemplateChild()


def main() -> int:
    """Answers requests until the input ends."""
    import resource

    from pipeline.bases.template import compiled

    compiled("{{ 1 }}").render()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = sys.stdout.buffer
    out.write(_READY)
    out.flush()
    for line in sys.stdin.buffer:
        out.write(json.dumps(_answer(json.loads(line))).encode() + b"\n")
        out.flush()
    return 0


def _answer(request: dict[str, Any]) -> dict[str, str]:
    from pipeline.bases.template import compiled

    try:
        text = compiled(request["template"]).render(**request["values"])
    except Exception as error:
        return {"error": " ".join(str(error).split())[:300] or type(error).__name__}
    if len(text) > LONGEST_TEXT:
        return {"error": f"its text has {len(text)} characters, above the most, {LONGEST_TEXT}"}
    return {"text": text}


if __name__ == "__main__":
    sys.exit(main())
