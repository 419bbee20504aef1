"""What a connection may cost before anything is known of who opened it: bounded in number and in time.

uvicorn's own limits do not do this (measured with 0.54): `timeout_keep_alive` begins after the first answer, so a
connection that sends nothing, or a header a minute, stays for ever; `limit_concurrency` answers 503 but counts only
whole requests; `h11_max_incomplete_event_size` bounds a header's bytes and not its time.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256
HEADER_SECONDS = 10.0
"""From the start of a connection, or the end of an answer, to the next request's whole header."""
READ_SECONDS = 30.0
"""A client that takes nothing of an answer for so long is cut off."""
LARGEST_HEADER = 32 * 1024
LARGEST_LOG = 256 * 1024


def bounded_protocol() -> type[H11Protocol]:
    """The protocol of one server; its connections that wait for a request are shared by its instances."""

    class Bounded(_BoundedProtocol):
        waiting: ClassVar[dict[_BoundedProtocol, None]] = {}

    return Bounded


class _BoundedProtocol(H11Protocol):
    waiting: ClassVar[dict[_BoundedProtocol, None]]
    """Connections without a whole request, the oldest first."""

    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection; where there are too many, the one that has waited longest goes, else this one."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MOST_CONNECTIONS:
            next(iter(self.waiting))._cut_off()

    def handle_events(self) -> None:
        """Read what has come; a whole header ends the wait."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._end_wait()

    def on_response_complete(self) -> None:
        """End an answer; the next request's header has its own time."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.cycle.response_complete:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_wait()
        if self._stalled is not None:
            self._stalled.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes less than it is sent: from here its time runs."""
        super().pause_writing()
        self._stalled = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._stalled is not None:
            self._stalled.cancel()
        super().resume_writing()

    def _wait(self) -> None:
        self._end_wait()
        self.waiting[self] = None
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._cut_off)

    def _end_wait(self) -> None:
        self.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self) -> None:
        """Say why, and close; what the client does not take is dropped a second later."""
        self._end_wait()
        if self.cycle is None and not self.transport.is_closing():
            said = f"no request came within {HEADER_SECONDS:g} s, or too many wait: send a whole request at once"
            body = json.dumps({"detail": said}).encode()
            head = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
            self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()
        self.loop.call_later(1.0, self.transport.abort)


class BoundedLog(logging.StreamHandler):  # type: ignore[type-arg]
    """Write a server's warnings to stderr, 256 KB at most: anybody can make it warn, and a disk is finite."""

    def __init__(self) -> None:
        super().__init__()
        self._left = LARGEST_LOG
        self.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record while there is room, then once that no more follow."""
        if self._left > 0:
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """The record's text, without control characters."""
        text = super().format(record)[:8000]
        text = "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
        self._left -= len(text)
        return text if self._left > 0 else f"{text}\nthe log has reached {LARGEST_LOG} bytes: nothing more is written"


def log_to(handler: logging.Handler) -> None:
    """Send what the server and its event loop log to this handler alone."""
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.error" else []
        logger.propagate = name == "uvicorn.error"
        logger.setLevel(logging.WARNING)
