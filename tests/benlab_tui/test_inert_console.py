"""The console in a pseudo-terminal, fed with escapes by a server, a job, stored messages and names."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.chats import Chats
from pipeline.lab import Lab
from tests.benlab_tui.pty_bytes import ATTACKS, EVERYTHING, SHOWN, acts, run_in_pty

STORED = EVERYTHING.replace(ATTACKS["surrogate"], "")


class Evil(http.server.BaseHTTPRequestHandler):
    """An Ollama whose every field holds escapes."""

    asked = threading.Event()

    def do_GET(self) -> None:
        entry = {"name": "ben-lab:latest", "model": "ben-lab:latest", "details": {"family": EVERYTHING}}
        models = [entry, {"name": EVERYTHING, "model": EVERYTHING}]
        self._send({"models": models, "version": "0.30" + EVERYTHING, EVERYTHING: EVERYTHING})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        call = {"function": {"name": "sweep" + EVERYTHING, "arguments": {EVERYTHING: EVERYTHING}}}
        text = f"{EVERYTHING}\n\n# {EVERYTHING}\n\n- {EVERYTHING}\n\n| {SHOWN} | b |\n|---|---|\n"
        text += f"| {STORED} | 1 |\n\n```\n"
        parts = [
            {"message": {"role": "assistant", "content": text + EVERYTHING + "\n```\n"}, "done": False},
            {"message": {"role": "assistant", "content": f"[{EVERYTHING}](http://{SHOWN})"}, "done": False},
            {"message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": False},
            {"message": {"role": "assistant", "content": "THE-END"}, "done": True, "done_reason": EVERYTHING},
        ]
        self.send_response(200)
        self.end_headers()
        for part in parts:
            self.wfile.write(json.dumps({"model": EVERYTHING, "created_at": "x", **part}).encode() + b"\n")
        Evil.asked.set()

    def _send(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """Its address."""
    evil = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    evil.daemon_threads = True
    threading.Thread(target=evil.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{evil.server_port}"
    evil.shutdown()


def evil_lab(folder: Path) -> Lab:
    """A lab with a session, a job and a base that are full of escapes."""
    name = "".join(char for char in STORED if char not in "/\0")[:60]
    lab = Lab.at(folder / f"lab{name}")
    chats = Chats(lab.database)
    session = chats.start()
    chats.rename(session.id, STORED)
    for role in ("user", "command", "assistant", "note"):
        chats.add(session.id, role, STORED, engine=STORED, sources=[STORED], chips=[{"text": STORED, "ok": False}])
    features = {"entropy_mean" + STORED: 0.5}
    result = {"experiment": STORED, "experiment_id": STORED, "summary": STORED, "params": {STORED: STORED}}
    chats.add(session.id, "card", STORED, result={**result, "features": features})
    run = lab.new_run("train")
    chats.add(session.id, "card", f"train {run.name}", job=run.name)
    chats.close()
    lines = [
        {"event": "progress", "stage": STORED, "done": 1, "total": 2, "note": STORED},
        {"event": "metric", "stage": STORED, "step": 1, "values": {"loss" + STORED: 1.0}},
        {"event": "note", "text": STORED},
        {"event": "failed", "error": STORED, "kind": STORED},
    ]
    (run / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (run / "job.log").write_text(STORED, encoding="utf-8")
    record = {
        "id": run.name,
        "kind": "train",
        "params": {STORED: STORED},
        "pid": 2**22 + 5,
        "born": 1.0,
        "started": 1.0,
    }
    (run / "job.json").write_text(json.dumps(record), encoding="utf-8")
    base = lab.models / "bases" / "".join(char for char in STORED if char not in "/\0")[:80]
    base.mkdir(parents=True)
    (base / "base.json").write_text("{}", encoding="utf-8")
    return lab


def test_the_console_writes_nothing_that_acts(tmp_path: Path, server: str) -> None:
    lab = evil_lab(tmp_path)
    script = [
        (lambda data: b"automatic" in data or b"ollama" in data or b"no model" in data or SHOWN.encode() in data, b""),
        (lambda data: SHOWN.encode() in data, b"hello\r"),
        (lambda data: b"THE-END" in data, b"/nonsense" + STORED.encode()[:40].replace(b"\x1b", b"") + b"\r"),
        (lambda data: b"is not a command" in data, b"\x1bOR"),  # F3: sessions
        (lambda data: b"search" in data, b"\x1b"),
        (lambda data: data.count(b"search") >= 1, b"\x11"),  # ctrl+q
    ]
    environment = {"OLLAMA_HOST": server, "HOME": str(tmp_path)}
    words = ["-m", "benlab_tui", "--lab", os.fspath(lab.root)]
    data = run_in_pty(words, tmp_path, environment, script, seconds=90, size=(50, 140))
    assert SHOWN.encode() in data and Evil.asked.is_set()
    assert acts(data) == []
