"""A proxy before any Ollama server, the contract's or a real one, that fails on command at a step."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class FaultyProxy:
    """`failures` maps a step (version, head, blob, create, show, chat, copy, tags, pull, delete) to how it fails.

    reset: no answer; 500; html: a web page; error line: after a 200; half: half of the request, or of the answer, then
    a reset; drip: the answer in small pieces; wrong digest: other bytes in a blob, another sha256 in `show`.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.failures: dict[str, str] = {}
        self.steps: list[str] = []
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: FaultyProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def do_GET(self) -> None:
        step = self.path.split("/")[2].replace("blobs", "head" if self.command == "HEAD" else "blob")
        self.owner.steps.append(step)
        how, size = self.owner.failures.get(step, ""), int(self.headers.get("Content-Length") or 0)
        if how == "half" and step == "blob":
            self.rfile.read(size // 2)
            self._reset()
            return
        body = self.rfile.read(size)
        if how == "reset":
            self._reset()
        elif how == "500":
            self._send(500, [b'{"error": "something broke inside"}'])
        elif how == "html":
            self._send(502, [b"<html><body>502 proxy</body></html>"])
        elif how == "error line":
            self._send(200, [b'{"status": "parsing GGUF"}\n', b'{"error": "unsupported architecture"}\n'])
        else:
            self._forward(body[:-1] + b"x" if how == "wrong digest" and step == "blob" else body, how)

    do_HEAD = do_POST = do_DELETE = do_GET

    def _forward(self, body: bytes, how: str) -> None:
        server = http.client.HTTPConnection(self.owner.upstream, timeout=300)
        kind = self.headers.get("Content-Type") or "application/json"
        server.request(self.command, self.path, body or None, {"Content-Type": kind})
        answer = server.getresponse()
        if not how:
            self._send(answer.status, iter(lambda: answer.read1(65536), b""))
            server.close()
            return
        text = answer.read()
        server.close()
        if how == "wrong digest":
            text = re.sub(rb"sha256-\w{6}", b"sha256-000000", text)
        pieces = [text[i : i + 7] for i in range(0, len(text), 7)] if how == "drip" else [text]
        self._send(answer.status, [text[:20]] if how == "half" else pieces, broken=how == "half", drip=how == "drip")

    def _send(self, status: int, pieces: Any, broken: bool = False, drip: bool = False) -> None:
        self.send_response(status)
        if self.command == "HEAD":
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
            time.sleep(0.002 if drip else 0)
        if broken:
            self._reset()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
