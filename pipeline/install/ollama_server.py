"""An Ollama server as an install needs it: version, blobs, create, show, copy, delete, pull.

The official client speaks for everything but the version, which it does not know, and blobs, where it never asks
with HEAD first: a POST of a blob that is there may reset the connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.chat.decoding import greedy
from pipeline.chat.http import READ_SECONDS, address, error_text, is_loopback, keep_key_private, tls_for
from pipeline.chat.ollama import ollama_options
from pipeline.errors import InstallError, ModelGoneError, NoAdaptersError

_CHUNK = 1 << 20
_TRIES = 2
_VERSION_BYTES = 64_000
_VERSION = re.compile(r"[A-Za-z0-9_.+-]{1,60}")
OLDEST = (0, 5, 5)
NO_ADAPTERS_FROM = (0, 34, 1)


class OllamaServer:
    """One server. Every method raises InstallError, which names the step that failed.

    `answers`: something has answered there when it was asked for its version. `patience`: how many seconds it may be
    silent.
    """

    def __init__(self, host: str, patience: float = READ_SECONDS) -> None:
        import httpx
        from ollama import Client

        self.url = address(host)
        self.is_remote = not is_loopback(self.url)
        self.answers = False
        timeout = httpx.Timeout(patience, connect=5.0)
        self._http = httpx.Client(
            base_url=self.url, timeout=timeout, trust_env=self.is_remote, verify=tls_for(self.url)
        )
        self._client = Client(
            self.url, timeout=timeout, trust_env=self.is_remote, verify=tls_for(self.url), follow_redirects=False
        )
        keep_key_private(self._client, self.url)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()
        self._client.close()

    def version(self) -> str:
        """The server's version text. Raises InstallError where something else than Ollama answers."""
        with self._step("asking for the version"):
            with self._http.stream("GET", "/api/version", timeout=5.0) as response:
                self.answers = True
                # A version is short; whatever sends more is no Ollama, and may never end.
                body = next(response.iter_bytes(_VERSION_BYTES), b"").decode("utf-8", "replace")
            try:
                text = json.loads(body)["version"] if response.status_code == 200 else None
            except (ValueError, KeyError, TypeError, RecursionError):
                text = None
        if not isinstance(text, str) or not _VERSION.fullmatch(text):
            raise InstallError(f"{self.url} is not an Ollama server ({error_text(body)[:120]}): check OLLAMA_HOST")
        return text

    def names(self) -> set[str]:
        """The models that the server lists, with their tags."""
        with self._step("listing models"):
            return {str(entry.model) for entry in self._client.list().models}

    def same(self, one: str, other: str) -> bool:
        """Whether both names are there and stand for the same model."""
        with self._step("listing models"):
            digests = {str(entry.model): entry.digest for entry in self._client.list().models}
        first, second = (digests.get(name if ":" in name else f"{name}:latest") for name in (one, other))
        return first is not None and first == second

    def show(self, model: str) -> Any:
        """What `/api/show` says: `.modelfile`, `.template`, `.parameters`, `.license`, `.modelinfo`."""
        with self._step(f"looking at {model}"):
            return self._client.show(model)

    def stored(self, model: str) -> dict[str, Any]:
        """Return the whole of `/api/show`, tensors included, which the client's `show` leaves out."""
        with self._step(f"looking at {model}"):
            response = self._http.post("/api/show", json={"model": model, "verbose": True})
            if response.status_code != 200:
                raise InstallError(f"Ollama at {self.url}, looking at {model}: {explain(error_text(response.text))}")
            return dict(response.json())

    def has_blob(self, sha256: str) -> bool:
        """Whether the server holds these bytes."""
        with self._step("looking for a blob"):
            response = self._http.head(f"/api/blobs/sha256:{sha256}")
        if response.status_code not in (200, 404):
            raise InstallError(f"{self.url} answered {response.status_code} when asked for a blob: look at its log")
        return response.status_code == 200

    def upload(self, path: Path, sha256: str) -> Iterator[int]:
        """Brings the file's bytes there unless they are; yields the bytes sent so far.

        An upload that breaks is tried once more.
        """
        for attempt in range(1, _TRIES + 1):
            if self.has_blob(sha256):
                yield path.stat().st_size
                return
            try:
                yield from self._post_blob(path, sha256)
                return
            except InstallError:
                if attempt == _TRIES:
                    raise

    def create(self, model: str, **request: Any) -> Iterator[Any]:
        """Creates the model; yields its statuses. Done means a final `success` and no error line."""
        last = ""
        with self._step(f"creating {model}"):
            for answer in self._client.create(model, stream=True, **request):
                last = answer.status or ""
                yield answer
        if last != "success":
            raise InstallError(f"{self.url} stopped creating {model} after {last or 'nothing'!r}: install again")

    def pull(self, model: str) -> Iterator[Any]:
        """Pulls the model; yields statuses with `completed` and `total` bytes."""
        last = ""
        with self._step(f"pulling {model}"):
            for answer in self._client.pull(model, stream=True):
                last = answer.status or ""
                yield answer
        if last != "success":
            raise InstallError(f"{self.url} stopped pulling {model} after {last or 'nothing'!r}: it resumes, try again")

    def answer(self, model: str, messages: list[dict[str, str]], tokens: int) -> Any:
        """A greedy answer of at most that many tokens."""
        with self._step(f"a first word of {model}"):
            return self._client.chat(model, messages, options=ollama_options(greedy(tokens)))

    def rendered(
        self, model: str, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str | None:
        """The prompt that the server makes of the messages, or None where it is too old to tell (before 0.12)."""
        body = {"model": model, "messages": list(messages), "stream": False, "_debug_render_only": True}
        body |= {"tools": list(tools)} if tools else {}
        with self._step("comparing the prompt"):
            response = self._http.post("/api/chat", json={**body, "options": {"num_predict": 1}})
            try:
                return str(response.json()["_debug_info"]["rendered_template"])
            except (ValueError, KeyError, TypeError):
                return None

    def copy(self, source: str, target: str) -> None:
        """Gives `source` the name `target`, too, in the place of what had it."""
        with self._step(f"naming {target}"):
            self._client.copy(source, target)

    def delete(self, model: str) -> None:
        """Deletes that name; blobs that no other name uses go with it."""
        with self._step(f"deleting {model}"):
            self._client.delete(model)

    def _post_blob(self, path: Path, sha256: str) -> Iterator[int]:
        """httpx pulls the body from a generator, and this one is pulled by the caller: a thread stands between."""
        from pipeline.install.upload import Upload

        with self._step("sending a blob"):
            yield from Upload(self._http, f"/api/blobs/sha256:{sha256}", path, _CHUNK)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        """Turns what httpx and the official client raise into one sentence with the step's name."""
        import httpx
        from ollama import ResponseError
        from pydantic import ValidationError

        try:
            yield
        except ResponseError as error:
            reason = error_text(str(error.error))
            kind = ModelGoneError if error.status_code == 404 else InstallError
            if "adapters are no longer supported" in reason:
                kind = NoAdaptersError
            raise kind(f"Ollama at {self.url}, {what}: {explain(reason)}") from error
        except (httpx.HTTPError, ConnectionError) as error:
            reason = "it does not answer" if _refused(error) else f"the connection broke ({type(error).__name__})"
            raise InstallError(
                f"Ollama at {self.url}, {what}: {reason}; see that it runs (`ollama serve`) and install again"
            ) from error
        except (ValidationError, ValueError, AttributeError, TypeError) as error:
            raise InstallError(
                f"Ollama at {self.url}, {what}: its answer is not Ollama's; check OLLAMA_HOST for a proxy in between"
            ) from error


_HINTS: tuple[tuple[str, str], ...] = (
    ("no space left", "make room on the disk that holds its models, then install again"),
    ("invalid model name", "use letters, digits, dots, dashes and underscores"),
    ("unsupported architecture", "update Ollama, or use the embedded engine"),
    ("digest mismatch", "the bytes changed on their way: install again"),
    ("pull model manifest", "check the tag's spelling and the network"),
    ("runner process has terminated", "base and adapter do not fit, or its memory is short"),
)


def explain(reason: str) -> str:
    """The server's reason with what can be done about it."""
    mend = next((mend for words, mend in _HINTS if words in reason.lower()), "see the server's log")
    return f"{reason}; {mend}"


def version_numbers(text: str) -> tuple[int, ...]:
    """(0, 34, 1) of "0.34.1-rc2"; empty for a text without numbers and for 0.0.0, which a build from source says."""
    match = re.match(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})", text)
    numbers = tuple(int(part) for part in match.groups()) if match else ()
    return numbers if any(numbers) else ()


def takes_adapters(version: str, architecture: str) -> bool:
    """Whether that server lays a GGUF adapter over such a base. One of an unknown version counts as a new one."""
    numbers = version_numbers(version)
    always = architecture in ("llama", "qwen2", "phi3", "gemma")
    later = architecture in ("gemma3", "qwen3") and (not numbers or numbers >= (0, 30, 0))
    return numbers < NO_ADAPTERS_FROM and (always or later)


def _refused(error: Exception) -> bool:
    import httpx

    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | ConnectionError)
