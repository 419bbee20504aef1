"""The hub's client against a server that answers as the hub does: the files, a gated model, one that is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CODE = ("tokenizer.py", "tokenizer_of_mine.py", "tokenization_x.py", "vocab.py", "vocab.pkl", "modeling_x.py", "x.so")
FILES = {name: b"raise SystemExit('run')" for name in (*CODE, "deep/model.safetensors")} | {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": b"weights",
    "pickled.bin": b"never",
}


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's API that a download needs."""

    main = COMMIT
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        self.asked.append(path)
        if "/gated/" in path:
            self._refuse(403, "GatedRepo")
        elif path.startswith(("/api/models/open/model/revision/", "/api/models/open/model/tree/")):
            siblings = [{"rfilename": name} for name in FILES]
            tree = [{"type": "file", "path": k, "size": len(v), "oid": "0" * 40} for k, v in FILES.items()]
            found = tree if "/tree/" in path else {"id": "open/model", "sha": self.main, "siblings": siblings}
            self._send(json.dumps(found).encode(), body, {"Content-Type": "application/json"})
        elif path.startswith("/open/model/resolve/") and (name := path.rsplit("/", 1)[1]) in FILES:
            etag = f'"{name.encode().hex()[:32]:0<32}"'
            self._send(FILES[name], body, {"ETag": etag, "X-Repo-Commit": COMMIT})
        else:
            self._refuse(404, "RepoNotFound")

    def _send(self, content: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _refuse(self, code: int, reason: str) -> None:
        self.send_response(code)
        self.send_header("X-Error-Code", reason)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[str]:
    """The address of a hub on this machine."""
    Hub.main = COMMIT
    Hub.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetch(hub: str, name: str, folder: Path) -> str:
    """What a download prints: the files that are there then, or the error. The client reads its address once."""
    code = (
        "import sys; from pathlib import Path\n"
        "from pipeline.bases.hub import fetch; from pipeline.errors import PipelineError\n"
        "folder = Path(sys.argv[2])\n"
        "try:\n    list(fetch(sys.argv[1], folder, None))\n"
        "except PipelineError as error:\n    print(type(error).__name__, error)\n"
        "else:\n    print(*sorted(p.name for p in folder.iterdir() if p.is_file()))\n"
    )
    settings = {"HF_ENDPOINT": hub, "HF_HOME": str(folder.parent / "home"), "HF_HUB_DISABLE_XET": "1"}
    outside = ("HF_", "HUGGING", "TRANSFORMERS_", "http", "HTTP", "ALL_PROXY", "all_proxy")
    env = {k: v for k, v in os.environ.items() if not k.startswith(outside)} | settings
    command = [sys.executable, "-c", code, name, str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_model_s_files_come_and_no_pickle(hub: str, tmp_path: Path) -> None:
    assert fetch(hub, "open/model", tmp_path / "model") == "config.json model.safetensors"
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == b"weights"


def test_a_gated_model_says_how_to_get_it(hub: str, tmp_path: Path) -> None:
    said = fetch(hub, "gated/model", tmp_path / "model")
    assert said.startswith("BaseError gated/model is gated: accept its licence at https://huggingface.co/gated/model")
    assert "HF_TOKEN" in said and "\n" not in said


def test_a_model_that_the_hub_does_not_have(hub: str, tmp_path: Path) -> None:
    assert fetch(hub, "nobody/nothing", tmp_path / "model").startswith("BaseError nobody/nothing is not on the hub")


def test_all_files_are_of_one_commit_also_after_the_hub_moved_on(hub: str, tmp_path: Path) -> None:
    from pipeline.bases.hub import revision_of

    folder = tmp_path / "model"
    fetch(hub, "open/model", folder)
    resolved = [path for path in Hub.asked if "/resolve/" in path]
    assert resolved and all(f"/resolve/{COMMIT}/" in path for path in resolved)
    assert revision_of(folder) == COMMIT
    Hub.main = "f" * 40
    Hub.asked.clear()
    (folder / "model.safetensors").unlink()
    assert "model.safetensors" in fetch(hub, "open/model", folder)
    assert Hub.asked and not any("main" in path or "f" * 40 in path for path in Hub.asked)


@pytest.mark.parametrize("commit", ["main", "../../evil", "F" * 40, ""])
def test_a_hub_that_names_no_commit_is_refused(hub: str, tmp_path: Path, commit: str) -> None:
    Hub.main = commit
    assert fetch(hub, "open/model", tmp_path / "model").startswith("NetworkError")
    assert not any((tmp_path / "model").glob("*.safetensors"))


def test_known_bases_are_pinned() -> None:
    from pipeline.bases.catalogue import catalogue

    assert all(entry.hf_revision for entry in catalogue().values() if entry.hf_id)
