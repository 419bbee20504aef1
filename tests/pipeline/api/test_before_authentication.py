"""A real server, attacked on its socket: what it grants those of whom it knows nothing, and what a hang-up frees."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from pipeline.api import connections

TOKEN = "secret-secret-secret"
SERVER = """
import sys
from pathlib import Path
from pipeline.api import connections, generate, guard
from pipeline.api.address import listen
from pipeline.api.server import serve
from pipeline.api.work import Limits
from pipeline.lab import Lab
connections.HEADER_SECONDS, connections.READ_SECONDS, connections.MOST_CONNECTIONS = 1.0, 2.0, 20
generate.MOST_WAITING, guard.BODY_SECONDS = 1, 1.0
token = sys.argv[2] or None
listener = listen(port=0)
print(listener.getsockname()[1], flush=True)
serve(Lab.at(Path(sys.argv[1])), token=token, listener=listener, limits=Limits(at_once=1, waiting=1, waiting_seconds=1))
"""


class Server:
    """The child, its port and its log."""

    def __init__(self, folder: Path, token: str = "", **environment: str) -> None:
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(folder / "lab"), token],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **environment},
            )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        self.base = f"http://127.0.0.1:{self.port}"
        until(self._listens, 60)

    def _listens(self) -> bool:
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True

    def connect(self, text: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(text)
        return connection

    def healthy(self) -> bool:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.get(f"{self.base}/health", headers=headers, timeout=10).status_code == 200

    def health(self) -> dict[str, int]:
        return httpx.get(f"{self.base}/health", timeout=10).json()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a token."""
    server = Server(tmp_path_factory.mktemp("api"), TOKEN)
    yield server
    server.process.kill()
    server.process.wait()


def read_all(connection: socket.socket, seconds: float = 8) -> bytes:
    """Everything until the server closes. Fails where it does not."""
    connection.settimeout(seconds)
    data = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            data += piece
    return data


def until(true: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


HEAD = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize("start", [b"", b"GET /health HT", HEAD, HEAD + b"X: y\r\n", b"\r\n" * 3, b"\x16\x03\x01"])
def test_a_connection_without_a_whole_header_is_closed(server: Server, start: bytes) -> None:
    started = time.monotonic()
    read_all(server.connect(start))
    assert time.monotonic() - started < 5


def test_a_header_that_trickles_is_closed_all_the_same(server: Server) -> None:
    connection, started = server.connect(HEAD), time.monotonic()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for number in range(200):
            connection.sendall(b"X-%d: y\r\n" % number)
            time.sleep(0.05)
    assert time.monotonic() - started < 5


def test_a_second_request_on_a_connection_has_no_more_time_than_the_first(server: Server) -> None:
    connection = server.connect(HEAD + b"\r\n")
    assert b"401" in connection.recv(65536)
    connection.sendall(HEAD)
    started = time.monotonic()
    read_all(connection)
    assert time.monotonic() - started < 5


def test_a_refused_body_that_never_ends_is_cut_off(server: Server) -> None:
    connection, started = server.connect(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), time.monotonic()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while time.monotonic() - started < 10:
            connection.sendall(b"5\r\nhello\r\n")
            time.sleep(0.02)


@pytest.mark.parametrize("body", [b"", b"5\r\nhello\r\n"])
def test_a_body_that_does_not_end_is_a_408(server: Server, body: bytes) -> None:
    head = f"POST /tri HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
    rest = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    assert b" 408 " in read_all(server.connect(head + rest))


def test_many_idle_connections_keep_nobody_out(server: Server) -> None:
    idle = []
    for _ in range(100):
        idle.append(server.connect(HEAD))
        if len(idle) % 25 == 0:
            assert server.healthy()
    assert server.healthy()
    for connection in idle:
        read_all(connection)


def test_a_client_that_does_not_read_is_cut_off(server: Server) -> None:
    connection = server.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = f"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    started = time.monotonic()
    with pytest.raises((BrokenPipeError, ConnectionResetError, TimeoutError)):
        while time.monotonic() - started < 20:
            connection.settimeout(5)
            connection.sendall(request * 20)
            time.sleep(0.05)
    assert server.healthy()


MALFORMED = {
    "origin bracket": b"Origin: http://[\r\n",
    "origin null": b"Origin: null\r\n",
    "origin binary": b"Origin: \xff\xfe\x80\r\n",
    "origin port": b"Origin: http://127.0.0.1:99999999\r\n",
    "origin empty": b"Origin:\r\n",
    "origin twice": b"Origin: http://127.0.0.1\r\nOrigin: http://evil.example\r\n",
    "cookie binary": b"Cookie: a=\xff\x80\xfe; \xe9\r\n",
    "cookie long": b"Cookie: " + b"a=b; " * 2000 + b"\r\n",
    "authorization binary": b"Authorization: Bearer \xff\xfe\r\n",
    "authorization bare": b"Authorization: \xe9\r\n",
    "length word": b"Content-Length: ten\r\n",
    "length negative": b"Content-Length: -1\r\n",
    "length huge": b"Content-Length: " + b"9" * 5000 + b"\r\n",
    "length digits": "Content-Length: ٣\r\n".encode(),
    "length twice": b"Content-Length: 1\r\nContent-Length: 2\r\n",
    "both lengths": b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    "control": b"X: a\x00b\r\n",
    "bare return": b"X: a\rb\r\n",
    "name": b"X y: z\r\n",
    "folded": b"X: a\r\n b\r\n",
    "upgrade": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n",
    "ten thousand": b"".join(b"X%d: y\r\n" % number for number in range(10_000)),
    "a megabyte": b"X: " + b"y" * 1_000_000 + b"\r\n",
    "host twice": b"Host: 127.0.0.1\r\n",
}
HOSTS = [
    b"[::1",
    b"[",
    b"evil.example",
    b"127.0.0.1.evil.example",
    b"127.0.0.1@evil.example",
    b"\xff",
    b"",
    b"[::1]evil",
    b"a" * 9000,
]


@pytest.mark.parametrize("lines", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("known", [False, True], ids=["stranger", "with token"])
def test_a_malformed_header_is_a_4xx(server: Server, lines: bytes, known: bool) -> None:
    token = f"Authorization: Bearer {TOKEN}\r\n".encode() if known and not lines.startswith(b"Authorization") else b""
    connection = server.connect()
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(HEAD + token + lines + b"Connection: close\r\n\r\n")
    answer = read_all(connection)
    assert answer[9:10] == b"4" or (known and b" 200 " in answer[:20] and b"{" in answer) or len(lines) > 100_000, (
        answer
    )
    assert server.healthy()


@pytest.mark.parametrize("host", HOSTS, ids=[str(host[:20]) for host in HOSTS])
def test_a_foreign_or_malformed_host_is_a_400(server: Server, host: bytes) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
    assert b" 400 " in read_all(server.connect(request))


def test_the_address_in_brackets_is_known(server: Server) -> None:
    request = f"GET /health HTTP/1.1\r\nHost: [::1]:{server.port}\r\nConnection: close\r\n\r\n".encode()
    assert b" 401 " in read_all(server.connect(request))


def test_the_log_is_bounded_and_inert(server: Server) -> None:
    for _ in range(300):
        connection = server.connect(b"\x1b[2J /\x9b HTTP/9.9\r\n\r\n" * 4)
        read_all(connection)
    written = server.log.read_bytes()
    assert len(written) < connections.LARGEST_LOG + 10_000 and b"\x1b" not in written


def test_one_handler_writes_no_more_than_it_may(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    handler = connections.BoundedLog()
    for number in range(20_000):
        handler.emit(logging.LogRecord("uvicorn", 30, "", 1, "line %d \x1b[2J%s", (number, "x" * 100), None))
    said = capsys.readouterr().err
    assert connections.LARGEST_LOG < len(said) < connections.LARGEST_LOG + 30_000
    assert said.endswith("nothing more is written\n") and "\x1b" not in said


def test_the_documentation_loads_nothing(server: Server) -> None:
    answer = httpx.get(f"{server.base}/docs", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200 and "default-src 'none'" in answer.headers["content-security-policy"]
    text = answer.text.replace("http://127.0.0.1:8000", "")
    for sign in ("http:", "https:", "//", "<script", "<link", "<img", "<iframe", "@import", "url(", " on"):
        assert sign not in text.replace("://", "") or sign == " on", sign
    assert "/run_phase_experiment" in text and "system_size" in text


class SlowOllama(http.server.BaseHTTPRequestHandler):
    """Lists ben-lab and answers a word every 50 ms, until its reader goes."""

    reading = threading.Event()
    left = threading.Event()

    def do_GET(self) -> None:
        value = {"models": [{"name": "ben-lab:latest", "model": "ben-lab:latest"}], "version": "0.30.0"}
        self._send(json.dumps(value).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        SlowOllama.reading.set()
        line = json.dumps({"model": "ben-lab", "message": {"role": "assistant", "content": "word "}, "done": False})
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(1200):
                self.wfile.write(line.encode() + b"\n")
                time.sleep(0.05)
            return
        SlowOllama.left.set()

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a token, beside a slow Ollama."""
    ollama = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowOllama)
    ollama.daemon_threads = True
    threading.Thread(target=ollama.serve_forever, daemon=True).start()
    server = Server(tmp_path_factory.mktemp("api"), OLLAMA_HOST=f"127.0.0.1:{ollama.server_port}")
    yield server
    server.process.kill()
    server.process.wait()
    ollama.shutdown()


def post(path: str, body: dict[str, object]) -> bytes:
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    )
    return head.encode() + b"\r\n" + data


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_ends_the_models_work(open_server: Server, stream: bool) -> None:
    SlowOllama.reading.clear()
    SlowOllama.left.clear()
    connection = open_server.connect(post("/api/generate", {"prompt": "hello", "stream": stream}))
    assert SlowOllama.reading.wait(20)
    time.sleep(0.3)
    connection.close()
    assert SlowOllama.left.wait(5)


def test_questions_that_wait_are_bounded(open_server: Server) -> None:
    SlowOllama.reading.clear()
    body = {"prompt": "hello", "stream": False}
    first = open_server.connect(post("/api/generate", body))
    assert SlowOllama.reading.wait(20)
    waits = open_server.connect(post("/api/generate", body))
    time.sleep(0.5)
    assert httpx.post(f"{open_server.base}/api/generate", json=body, timeout=10).status_code == 503
    waits.close()
    first.close()


def test_a_client_that_hangs_up_ends_its_experiment(open_server: Server) -> None:
    large = {"system_sizes": [64], "depths": [16], "seeds": 20000}
    for path in ("/sweep", "/sweep/stream"):
        connection = open_server.connect(post(path, large))
        until(lambda: open_server.health()["running"] == 1)
        connection.close()
        until(lambda: open_server.health()["running"] == 0)


def test_a_thread_that_nobody_waits_for_keeps_its_place(open_server: Server) -> None:
    """Hanging up again and again must not start more work at once than the server allows."""
    slow = {"phase_type": "pseudorandom", "system_size": 256, "depth": 32}
    for seed in range(6):
        connection = open_server.connect(post("/tri", {**slow, "seed": seed}))
        time.sleep(0.02)
        connection.close()
        assert open_server.health()["running"] <= 1
    until(lambda: open_server.health()["running"] == 0, 60)


def test_waiting_for_a_place_is_bounded_in_time(open_server: Server) -> None:
    large = {"system_sizes": [64], "depths": [16], "seeds": 20000}
    connection = open_server.connect(post("/sweep", large))
    until(lambda: open_server.health()["running"] == 1)
    started = time.monotonic()
    answer = httpx.post(f"{open_server.base}/run_phase_experiment", json={"phase_type": "spt_cluster"}, timeout=20)
    assert answer.status_code == 503 and time.monotonic() - started < 8
    connection.close()
