"""A server over real HTTP that keeps Ollama's contract for every range of versions, and fails on command.

Blobs are kept as files under their digests and checked; `create` builds a model from them; `chat` answers with the
real engine over those very blobs where one is wanted, and renders prompts from the model's Go template.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import re
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pipeline.chat import EmbeddedServer
from pipeline.gguf_head import read_head


def _neighbour(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ContractServer:
    """`failures` maps a step (version, head, blob, create, show, chat, copy, pull) to how it fails."""

    def __init__(self, folder: Path, version: str = "0.33.0", engine: bool = False) -> None:
        self.folder, self.version, self.engine = folder, version, engine
        self.go = _neighbour("go_template")
        self.failures: dict[str, str] = {}
        self.gguf_template: Any = None
        """Renders in place of the model's template, as from 0.32 on a GGUF's own that can do more does."""
        self.models: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.uploaded: list[str] = []
        self.words: list[Any] = ["Hel", "lo"]
        self.asked: list[dict[str, Any]] = []
        self._engines: dict[tuple[str, ...], EmbeddedServer] = {}
        folder.mkdir(parents=True, exist_ok=True)
        server = self

        class Handler(_Handler):
            contract = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        for engine in self._engines.values():
            engine.close()

    @property
    def numbers(self) -> tuple[int, ...]:
        """Its true version. A build from source may say another text, or 0.0.0."""
        parts = self.version.split("-")[0].split(".")
        known = all(part.isdigit() for part in parts) and any(map(int, parts))
        return tuple(map(int, parts)) if known else (0, 34, 0)

    def blob(self, digest: str) -> Path:
        return self.folder / digest.replace(":", "-")

    def add_blob(self, path: Path, digest: str) -> None:
        self.blob(f"sha256:{digest}").symlink_to(path)

    def add_model(self, name: str, base_digest: str, **facts: Any) -> None:
        self.models[name] = {"files": [f"sha256:{base_digest}"], "adapters": [], "system": "", **facts}

    def modelfile(self, model: dict[str, Any]) -> str:
        lines = [f"FROM {self.blob(digest)}" for digest in model["files"]]
        lines += [f"ADAPTER {self.blob(digest)}" for digest in model["adapters"]]
        return "\n".join([*lines, f'SYSTEM """{model["system"]}"""'])

    def create(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The statuses of a create; the last is `success` or an error line."""
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(:[\w.-]{1,80})?", body["model"]):
            return [{"error": "invalid model name"}]
        if body.get("adapters") and (self.numbers >= (0, 34, 1) or self.failures.get("create") == "no adapters"):
            return [{"error": "LoRA adapters are no longer supported"}]
        if "from" not in body and not body.get("files"):
            return [{"error": "neither 'from' or 'files' was specified"}]
        parent = self.models.get(body.get("from", ""), {})
        files = list(body.get("files", {}).values()) or parent.get("files", [])
        adapters = list(body.get("adapters", {}).values())
        if missing := [digest for digest in [*files, *adapters] if not self.blob(digest).exists()]:
            return [{"error": f"blob {missing[0]} not found"}]
        if not files:
            return [{"error": "pull model manifest: file does not exist"}]
        how = self.failures.get("create")
        lines = [{"status": "parsing GGUF"}]
        if body.get("files") and self.numbers >= (0, 30, 0):
            lines.append({"status": "verifying conversion"})
            files = [self._rewritten(digest) for digest in files]
        made = "creating new layer" if self.numbers >= (0, 30, 0) else "using existing layer"
        lines += [{"status": f"{made} {digest}"} for digest in [*files, *adapters]]
        self.models[body["model"]] = {
            "files": [] if how == "forget base" else files,
            "adapters": [] if how == "forget adapter" else adapters,
            "system": body.get("system", ""),
            "template": body.get("template", parent.get("template")),
            "parameters": body.get("parameters", {}),
            "license": body.get("license"),
        }
        return [*lines, {"status": "writing manifest"}, {"status": "success"}]

    def _rewritten(self, digest: str) -> str:
        """From 0.30 on every GGUF in `files` goes through llama-quantize: other bytes, so another digest."""
        other = "sha256:" + hashlib.sha256(f"rewritten {digest}".encode()).hexdigest()
        if not self.blob(other).exists():
            self.blob(other).symlink_to(self.blob(digest).resolve())
        return other

    def capabilities(self, model: dict[str, Any]) -> list[str]:
        """`tools` only if the template renders `.Tools`."""
        known = self.go.variables(model.get("template") or "")
        return ["completion", *(["tools"] if "tools" in known else [])]

    def options(self, model: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """How a request is sampled: the server's defaults, the model's PARAMETERs, and the request's over both."""
        defaults = {
            "temperature": 0.8,
            "top_k": 40,
            "top_p": 0.9,
            "min_p": 0.0,
            "repeat_last_n": 64,
            "repeat_penalty": 1.1 if self.numbers < (0, 33, 0) else 1.0,
        }
        return {**defaults, **(model.get("parameters") or {}), **(body.get("options") or {})}

    def facts(self, model: dict[str, Any], verbose: bool) -> dict[str, Any]:
        """`model_info` of the stored base, and with `verbose` its tensors; nothing if no file is behind it."""
        files = [self.blob(digest) for digest in model["files"] if self.blob(digest).is_file()]
        if not files or files[0].stat().st_size < 1000:
            return {"model_info": {}}
        head = read_head(files[0])
        count = sum(math.prod(tensor.shape) for tensor in head.tensors.values())
        info = {"general.architecture": head.architecture, "general.parameter_count": count}
        rows = [{"name": one.name, "shape": list(reversed(one.shape))} for one in head.tensors.values()]
        return {"model_info": info, **({"tensors": rows} if verbose else {})}

    def rendered(self, model: dict[str, Any], body: dict[str, Any]) -> str:
        """What Ollama makes of a request: its SYSTEM first, then the messages through the model's template."""
        messages = list(body["messages"])
        if model["system"] and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": model["system"]})
        if self.gguf_template:
            return self.gguf_template(messages)
        return self.go.render(
            model["template"],
            {
                "System": "\n\n".join(m["content"] for m in messages if m["role"] == "system"),
                "Messages": _collated(messages),
                "Tools": [{"Function": {"Name": tool["function"]["name"]}} for tool in body.get("tools") or ()],
            },
        )

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        model = self.models[body["model"]]
        if not self.engine:
            return {"message": {"role": "assistant", "content": "Hi"}, "done": True, "done_reason": "length"}
        engine = self._engine(model)
        options = self.options(model, body)
        prompt = engine.tokenize(self.rendered(model, body))
        answer = engine.complete_tokens(
            prompt,
            adapter=bool(model["adapters"]),
            n_predict=options.get("num_predict", 64),
            **{name: value for name, value in options.items() if name not in ("num_predict", "num_ctx")},
        )
        return {
            "message": {"role": "assistant", "content": answer["content"]},
            "done": True,
            "done_reason": "stop" if answer["stop_type"] == "eos" else "length",
            "prompt_eval_count": len(prompt),
            "eval_count": answer["tokens_predicted"],
            "eval_duration": int(answer["timings"]["predicted_ms"] * 1e6),
            "prompt_eval_duration": int(answer["timings"]["prompt_ms"] * 1e6),
        }

    def _engine(self, model: dict[str, Any]) -> EmbeddedServer:
        key = (*model["files"], *model["adapters"])
        if key not in self._engines:
            files = [self.blob(digest) for digest in model["files"]]
            adapters = [self.blob(digest) for digest in model["adapters"]]
            self._engines[key] = EmbeddedServer.start(files[0], adapters, parallel=1, context=1024)
        return self._engines[key]


def _parameter_lines(parameters: dict[str, Any]) -> str:
    """As `/api/show` prints them: one line a value, texts in quotes."""
    rows = [
        (name, one) for name, value in parameters.items() for one in (value if isinstance(value, list) else [value])
    ]
    return "\n".join(f"{name:<30} {json.dumps(value) if isinstance(value, str) else value}" for name, value in rows)


def _parsed(text: str, tag: str, tools: list[dict[str, Any]]) -> list[Any]:
    """Ollama's tool parser: after each tag a known name with `arguments`; anything else there is swallowed."""
    before, *calls = text.split(tag)
    words: list[Any] = [before] if before else []
    known = {tool["function"]["name"] for tool in tools}
    for call in calls:
        try:
            value, _ = json.JSONDecoder().raw_decode(call.strip())
        except ValueError:
            continue
        arguments = value.get("arguments", value.get("parameters"))
        if value.get("name") in known and isinstance(arguments, dict):
            words.append({"name": value["name"], "arguments": arguments})
    return words


def _collated(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with Go's field names; neighbours of one role are joined, tools' results are not."""
    joined: list[dict[str, Any]] = []
    for message in messages:
        if joined and joined[-1]["Role"] == message["role"] != "tool":
            joined[-1]["Content"] += "\n\n" + message["content"]
            continue
        calls = [
            {"Function": {"Name": call["function"]["name"], "Arguments": call["function"]["arguments"]}}
            for call in message.get("tool_calls") or ()
        ]
        joined.append({"Role": message["role"], "Content": message["content"], "ToolCalls": calls})
    return joined


class _Handler(BaseHTTPRequestHandler):
    contract: ContractServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._route({"/api/version": self._version, "/api/tags": self._tags, "/api/ps": self._ps})

    def do_HEAD(self) -> None:
        if self._fails("head"):
            return
        digest = self.path.rpartition("/")[2]
        self._empty(200 if self.contract.blob(digest).exists() else 404)

    def do_DELETE(self) -> None:
        self._route({"/api/delete": self._delete})

    def do_POST(self) -> None:
        if self.path.startswith("/api/blobs/"):
            self._blob()
            return
        routes = {
            "create": self._create,
            "show": self._show,
            "chat": self._chat,
            "copy": self._copy,
            "pull": self._pull,
        }
        self._route({f"/api/{name}": handler for name, handler in routes.items()})

    def _route(self, routes: dict[str, Any]) -> None:
        step = self.path.removeprefix("/api/")
        self.contract.requests.append(step)
        # What is not read would be taken for the connection's next request.
        self._read = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._fails(step):
            return
        handler = routes.get(self.path)
        if handler is None:
            self._json({"error": "not found"}, 404)
        else:
            handler()

    def _body(self) -> dict[str, Any]:
        return json.loads(self._read or b"{}")

    def _version(self) -> None:
        self._json({"version": self.contract.version})

    def _tags(self) -> None:
        rows = []
        for name, model in self.contract.models.items():
            full = name if ":" in name else f"{name}:latest"
            digest = hashlib.sha256(json.dumps(model, default=str, sort_keys=True).encode()).hexdigest()
            rows.append({"model": full, "name": full, "digest": digest})
        self._json({"models": rows})

    def _ps(self) -> None:
        self._json({"models": []})

    def _show(self) -> None:
        body = self._body()
        model = self._known(body["model"])
        if model:
            parameters = _parameter_lines(model.get("parameters") or {})
            text = self.contract.modelfile(model)
            if self.contract.failures.get("show") == "wrong digest":
                text = re.sub(r"sha256-\w{6}", "sha256-000000", text)
            answer = {"modelfile": text, "parameters": parameters, "template": model.get("template")}
            facts = self.contract.facts(model, bool(body.get("verbose")))
            capabilities = self.contract.capabilities(model)
            self._json({**answer, **facts, "capabilities": capabilities, "license": model.get("license")})

    def _create(self) -> None:
        body = self._body()
        if self.contract.numbers < (0, 5, 5) and "modelfile" not in body:
            self._json({"error": "unknown type"}, 400)
            return
        lines = self.contract.create(body)
        how = self.contract.failures.get("create")
        if how == "error line":
            lines = [lines[0], {"error": "unsupported architecture"}]
        elif how == "no success":
            lines = lines[:-1]
        self._lines(lines, broken=how == "half", drip=how == "drip")

    def _pull(self) -> None:
        name = self._body()["model"]
        if self.contract.failures.get("pull") == "missing":
            self._lines([{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}])
            return
        self.contract.models[name] = self.contract.models.pop("remote", {"files": [], "adapters": [], "system": ""})
        lines = [{"status": "pulling manifest"}, {"status": "pulling x", "digest": "x", "total": 10, "completed": 10}]
        self._lines([*lines, {"status": "success"}])

    def _chat(self) -> None:
        body = self._body()
        model = self._known(body["model"])
        if model is None:
            return
        if body.get("tools") and "tools" not in self.contract.capabilities(model):
            self._json({"error": f"{body['model']} does not support tools"}, 400)
            return
        if (
            body.get("_debug_render_only")
            and self.contract.numbers >= (0, 12, 0)
            and (self.contract.engine or self.contract.gguf_template)
        ):
            text = self.contract.rendered(model, body)
            self._json({"model": body["model"], "_debug_info": {"rendered_template": text}})
            return
        if body.get("_debug_render_only"):
            self._json({"message": {"role": "assistant", "content": "x"}, "done": True})
            return
        if body.get("stream"):
            self._stream_chat(model, body)
            return
        self._json({"model": body["model"], **self.contract.chat(body)})

    def _stream_chat(self, model: dict[str, Any], body: dict[str, Any]) -> None:
        """The words of `contract.words`, a line each; with tools in the request, calls are parsed out of them."""
        self.contract.asked.append(body)
        words = self.contract.words
        if body.get("tools"):
            words = _parsed("".join(words), self.contract.go.call_tag(model["template"]), body["tools"])
        how = self.contract.failures.get("stream")
        lines: list[dict[str, Any]] = []
        for word in words:
            message: dict[str, Any] = {"role": "assistant", "content": word if isinstance(word, str) else ""}
            if not isinstance(word, str):
                message["tool_calls"] = [{"function": word}]
            lines.append({"model": body["model"], "message": message, "done": False})
        times = {"eval_count": 4, "eval_duration": 2_000_000_000, "prompt_eval_count": 9}
        end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", **times}
        if how == "error line":
            lines.append({"error": "llama runner process has terminated: exit status 2"})
        elif how != "no end":
            lines.append({"model": body["model"], **end})
        self._lines(lines, broken=how == "half")

    def _copy(self) -> None:
        body = self._body()
        if self._known(body["source"]):
            self.contract.models[body["destination"]] = self.contract.models[body["source"]]
            self._empty(200)

    def _delete(self) -> None:
        name = self._body()["model"]
        if self._known(name):
            del self.contract.models[name]
            self._empty(200)

    def _known(self, name: str) -> dict[str, Any] | None:
        model = self.contract.models.get(name)
        if model is None:
            self._json({"error": f'model "{name}" not found, try pulling it first'}, 404)
        return model

    def _blob(self) -> None:
        self.contract.requests.append("blob")
        digest, size = self.path.rpartition("/")[2], int(self.headers["Content-Length"])
        how = self.contract.failures.get("blob", "")
        if how == "half":
            self.rfile.read(size // 2)
            self._reset()
            return
        if how == "half once":
            del self.contract.failures["blob"]
            self.rfile.read(size // 2)
            self._reset()
            return
        data, target = hashlib.sha256(), self.contract.blob(digest)
        temporary = target.with_suffix(".part")
        with temporary.open("wb") as file:
            while size > 0 and (piece := self.rfile.read(min(size, 1 << 20))):
                data.update(piece)
                file.write(piece)
                size -= len(piece)
        if self._fails("blob"):
            temporary.unlink()
        elif f"sha256:{data.hexdigest()}" != digest or how == "wrong digest":
            temporary.unlink()
            self._json({"error": f'digest mismatch, expected "{digest}", got "sha256:{data.hexdigest()}"'}, 400)
        elif target.exists():
            self._reset()
        else:
            temporary.rename(target)
            self.contract.uploaded.append(digest)
            self._empty(201)

    def _fails(self, step: str) -> bool:
        how = self.contract.failures.get(step)
        if how == "reset":
            self._reset()
        elif how == "500":
            self._json({"error": "something broke inside"}, 500)
        elif how == "full":
            self._json({"error": "write /models/blobs: no space left on device"}, 500)
        elif how == "html":
            self._send(b"<html><body>502 proxy</body></html>", 502, "text/html")
        elif how == "html 200":
            self._send(b"<html><body>Please sign in</body></html>", 200, "text/html")
        else:
            return False
        return True

    def _reset(self) -> None:
        """A TCP reset instead of an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _empty(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, value: dict[str, Any], status: int = 200) -> None:
        self._send(json.dumps(value).encode(), status, "application/json")

    def _send(self, data: bytes, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _lines(self, lines: list[dict[str, Any]], broken: bool = False, drip: bool = False) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        for piece in [text[:20]] if broken else [text[i : i + 7] for i in range(0, len(text), 7)] if drip else [text]:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
            time.sleep(0.005 if drip else 0)
        if broken:
            self._reset()
        else:
            self.wfile.write(b"0\r\n\r\n")
