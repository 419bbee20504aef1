"""llama.cpp in a child process: started, asked, and gone with its parent."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Generator, Iterable, Sequence
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pipeline.chat.decoding import greedy, wire
from pipeline.chat.http import error_text, tls_for
from pipeline.chat.process import EngineProcess
from pipeline.errors import ChatError, ExportError
from pipeline.gguf_head import read_head

if TYPE_CHECKING:
    import httpx

    from pipeline.bases.base import Base
    from pipeline.chat.events import Message

_ANSWER_SECONDS = 600.0

Prompt = str | Sequence["Message"]


def usable_cores() -> int:
    """The cores that this process may use, as far as llama.cpp gains by them."""
    return min(len(os.sched_getaffinity(0)), 8)


class EmbeddedServer:
    """A llama.cpp server with one base, any number of LoRA adapters, and `parallel` slots.

    Works as a context manager. `context` is in tokens a slot. Adapters are laid over the base at run
    time: each request says which one answers and how strongly, and nothing is loaded again.
    """

    def __init__(
        self,
        base: Base | Path,
        adapters: Sequence[Path] = (),
        *,
        parallel: int = 2,
        context: int = 4096,
        threads: int | None = None,
        log: Path | None = None,
        cache_mib: int = 512,
    ) -> None:
        self._described = None if isinstance(base, Path) else base
        self.base = base if isinstance(base, Path) else base.path
        self.adapters = tuple(Path(adapter) for adapter in adapters)
        self.parallel = parallel
        self.context = context
        self.threads = threads or usable_cores()
        self.log = log
        self.cache_mib = cache_mib
        self._describing = threading.Lock()
        self.base_url = ""
        self.key = secrets.token_urlsafe(32)
        self._process: EngineProcess | None = None

    @classmethod
    def start(cls, base: Base | Path, adapters: Sequence[Path] = (), **settings: Any) -> EmbeddedServer:
        """A running server. Raises ChatError where the model cannot be loaded."""
        server = cls(base, adapters, **settings)
        server.open()
        return server

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._process is not None and self._process.alive

    def open(self) -> None:
        """Starts the child and waits until it answers. Raises ChatError."""
        for file in (self.base, *self.adapters):
            if not file.is_file():
                raise ChatError(f"{file} is not there: pull the base or install the model again")
            try:
                read_head(file)
            except ExportError as error:
                raise ChatError(str(error)) from error
        self.close()
        self._process = EngineProcess(self._settings(), self.log)
        try:
            self.base_url = self._process.wait_for_url()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the child."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def reap(self, seconds: float) -> None:
        """Waits up to that long for a child that is about to end."""
        if self._process is not None:
            self._process.reap(seconds)

    def __enter__(self) -> EmbeddedServer:
        if not self.alive:
            self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def headers(self) -> dict[str, str]:
        """What every request must carry."""
        return {"Authorization": f"Bearer {self.key}"}

    def lora(self, adapter: bool | int, scale: float = 1.0) -> list[dict[str, float]]:
        """A request's `lora` field: `adapter` True is the first one, False none, a number that one (from 0)."""
        chosen = (0 if adapter else -1) if isinstance(adapter, bool) else adapter
        if chosen >= len(self.adapters):
            raise ChatError(f"adapter {chosen} is not loaded: this engine holds {len(self.adapters)}")
        return [{"id": i, "scale": scale if i == chosen else 0.0} for i in range(len(self.adapters))]

    def render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] | None = None) -> str:
        """The prompt that these messages become, by the very code and template that training uses."""
        from pipeline.bases.template import render

        return render(self.described, messages, add_generation_prompt=True, tools=tools)

    @property
    def described(self) -> Base:
        """The base with its template and special tokens, read from its file where only a path was given."""
        with self._describing:
            if self._described is None:
                from pipeline.bases.describe import describe_gguf

                self._described = describe_gguf(self.base.stem, self.base, f"file {self.base}", sha256="unread")
            return self._described

    def tokenize(self, prompt: str, client: httpx.Client | None = None) -> list[int]:
        """The prompt's token ids, as in training; control tokens in the text are read as such."""
        return self._post("/tokenize", self.tokenize_body(prompt), client)["tokens"]

    def tokenize_body(self, prompt: str) -> dict[str, Any]:
        """The request of `tokenize`. Begin-of-text comes once: from the template, or from the base's own flag."""
        base = self.described
        written = bool(base.bos_token) and base.bos_token != base.eos_token and prompt.startswith(base.bos_token)
        return {"content": prompt, "add_special": base.add_bos and not written, "parse_special": True}

    def complete(
        self, prompt: Prompt, *, adapter: bool | int = True, client: httpx.Client | None = None, **options: Any
    ) -> dict[str, Any]:
        """llama.cpp's whole answer to one prompt (`content`, `tokens`, `stop_type`, `timings`…)."""
        text = prompt if isinstance(prompt, str) else self.render(prompt)
        return self.complete_tokens(self.tokenize(text, client), adapter=adapter, client=client, **options)

    def complete_tokens(
        self, tokens: list[int], *, adapter: bool | int = True, client: httpx.Client | None = None, **options: Any
    ) -> dict[str, Any]:
        """As `complete`, for a prompt that is tokens already."""
        body = {
            "prompt": tokens,
            "lora": self.lora(adapter),
            "cache_prompt": True,
            **wire(greedy()),
            "return_tokens": True,
            **options,
        }
        return self._post("/completion", body, client)

    def complete_many(
        self,
        prompts: Iterable[Prompt],
        *,
        adapter: bool | int = True,
        max_tokens: int | Sequence[int] = 256,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
    ) -> Generator[tuple[int, str], None, None]:
        """Answers many prompts over all slots; yields (index, text) as they are done. Raises ChatError.

        `max_tokens` bounds every answer, or each prompt's own.
        """
        from concurrent.futures import ThreadPoolExecutor, as_completed

        options = {"temperature": temperature, "seed": seed, "stop": list(stop)}
        longest = repeat(max_tokens) if isinstance(max_tokens, int) else max_tokens
        pool = ThreadPoolExecutor(self.parallel, thread_name_prefix="complete")
        with self.client() as client:
            futures = {
                pool.submit(self.complete, prompt, adapter=adapter, client=client, n_predict=most, **options): index
                for index, (prompt, most) in enumerate(zip(prompts, longest, strict=False))
            }
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()["content"]
            finally:
                pool.shutdown(cancel_futures=True)

    def client(self) -> httpx.Client:
        """An HTTP client of this server."""
        import httpx

        return httpx.Client(
            base_url=self.base_url,
            headers=self.headers,
            timeout=_ANSWER_SECONDS,
            trust_env=False,
            verify=tls_for(self.base_url),
        )

    def _post(self, path: str, body: dict[str, Any], client: httpx.Client | None) -> dict[str, Any]:
        import httpx

        with contextlib.ExitStack() as stack:
            client = client or stack.enter_context(self.client())
            try:
                response = client.post(path, json=body)
            except httpx.HTTPError as error:
                raise self.failure(error) from error
        if response.status_code != 200:
            raise ChatError(f"the embedded engine refused {path}: {error_text(response.text)}")
        return response.json()

    def failure(self, error: Exception) -> ChatError:
        """What a broken connection means here."""
        if self.alive:
            return ChatError(f"the embedded engine did not answer ({type(error).__name__}): ask again")
        said = self._process.log_tail() if self._process else ""
        return ChatError(f"the embedded engine has stopped{said}: ask again, and it starts anew")

    def _settings(self) -> dict[str, Any]:
        return {
            "model": str(self.base),
            "adapters": [str(adapter) for adapter in self.adapters],
            "parallel": self.parallel,
            "context": self.context,
            "threads": self.threads,
            "cache_mib": self.cache_mib,
            "key": self.key,
        }
