"""A file's bytes as a streamed POST whose progress can be watched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

from pipeline.chat.http import error_text
from pipeline.errors import InstallError

if TYPE_CHECKING:
    import httpx


class Upload:
    """Iterating sends the file and yields the bytes sent so far; never more than a chunk is in memory.

    httpx pulls the body from its side and the caller pulls the progress from this one, so the request runs
    in a thread. Raises httpx.HTTPError where the connection breaks, InstallError where the server refuses.
    """

    def __init__(self, client: httpx.Client, target: str, path: Path, chunk: int) -> None:
        self._client, self._target, self._path, self._chunk = client, target, path, chunk
        self._queue: Queue[int | Exception | None] = Queue()
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[int]:
        thread = threading.Thread(target=self._send, name="upload", daemon=True)
        thread.start()
        try:
            while (item := self._queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self._stopped.set()
            thread.join(5)

    def _send(self) -> None:
        size = self._path.stat().st_size
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        try:
            response = self._client.post(self._target, content=self._body(), headers=headers)
            if response.status_code not in (200, 201):
                raise InstallError(_refusal(response.status_code, error_text(response.text)))
        except Exception as error:
            self._queue.put(error)
        else:
            self._queue.put(None)

    def _body(self) -> Iterator[bytes]:
        done = 0
        with self._path.open("rb") as file:
            while not self._stopped.is_set() and (piece := file.read(self._chunk)):
                yield piece
                done += len(piece)
                self._queue.put(done)


def _refusal(status: int, reason: str) -> str:
    from pipeline.install.ollama_server import explain

    return f"Ollama refused the blob ({status}): {explain(reason)}"
