"""What all tests share: a lab in a temporary folder, and the default base, fetched once for all runs."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.bases import Base, locate
from pipeline.errors import BaseError
from pipeline.lab import Lab

# Telemetry and hubs are out of bounds in tests; what needs a hub is tested on tiny models made here.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test speaks to this machine's Ollama or finds its labs, unless it says so."""
    monkeypatch.delenv("BENLAB_HOME", raising=False)
    monkeypatch.delenv("BENLAB_RUN_DIR", raising=False)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """An empty lab."""
    return Lab.at(tmp_path / "lab")


@pytest.fixture(scope="session")
def cache_lab() -> Lab:
    """A lab that outlives the run and holds the default base."""
    from filelock import FileLock
    from platformdirs import user_cache_path

    lab = Lab.at(user_cache_path("benlab-tests") / "lab")
    with FileLock(lab.root.with_name("lab.lock")):  # tests run in several processes
        try:
            locate(lab, "smollm2")
        except BaseError:
            from pipeline.bases.params import PullParams
            from pipeline.bases.pull import run
            from simulator.events import last_result

            last_result(run(lab, PullParams(base="smollm2")))
    return lab


@pytest.fixture(scope="session")
def base(cache_lab: Lab) -> Base:
    """The default base as it is recorded."""
    return locate(cache_lab, "smollm2")


@pytest.fixture(scope="session")
def base_gguf(base: Base) -> Path:
    """The default base's GGUF file."""
    return base.path


@pytest.fixture
def lab_with_base(lab: Lab, base: Base) -> Lab:
    """A lab in a temporary folder that holds the default base (linked, not copied)."""
    source = base.path.parent
    target = lab.models / "bases" / source.name
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.is_file():
            os.link(file, target / file.name) if _same_disk(file, target) else (target / file.name).symlink_to(file)
    return lab


def _same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


class ModelServer:
    """An OpenAI-compatible server whose answers are given; it keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.asked: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                text = outer.answers.pop(0) if outer.answers else "That is all."
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for piece in [text[i : i + 7] for i in range(0, len(text), 7)]:
                    self._event({"choices": [{"delta": {"content": piece}}]})
                self._event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
                self.wfile.write(b"data: [DONE]\n\n")

            def _event(self, value: dict[str, Any]) -> None:
                self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A server in a model's place."""
    made = ModelServer()
    yield made
    made.http.shutdown()
