"""A small client of the Lab API, sync and async.

    with LabClient("http://127.0.0.1:8000") as lab:
        lab.run("tri", {"phase_type": "ising_symmetry_breaking"})["TRI"]

Both raise BadInput where the lab refuses the input (its sentence is kept), and
NetworkError where it does not answer, or not as it should.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from pipeline.api.guard import is_loopback
from pipeline.api.schemas import path_of
from pipeline.errors import BadInput, NetworkError
from simulator.catalogue import EXPERIMENTS
from simulator.events import Event, from_line

DEFAULT_URL = "http://127.0.0.1:8000"
_SECONDS = 120.0
_CONNECT_SECONDS = 5.0


def _settings(url: str, token: str | None) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url[:80]!r} is no address of a lab: give one such as {DEFAULT_URL}")
    return {
        "base_url": url.rstrip("/"),
        "headers": {"Authorization": f"Bearer {token}"} if token else {},
        "timeout": httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS),
        # A proxy has no business between two programs of one machine.
        "trust_env": not is_loopback(parts.hostname),
    }


def _known(name: str) -> str:
    if name not in EXPERIMENTS:
        raise BadInput(f"{name[:60]!r} is not an experiment: choose one of {', '.join(EXPERIMENTS)}")
    return path_of(name)


def _value(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer. Raises BadInput or NetworkError."""
    try:
        value = response.json()
    except ValueError:
        value = None
    if response.is_success and isinstance(value, dict):
        return value
    sentence = _sentence(value)
    if response.status_code in (404, 413, 422) and sentence:
        raise BadInput(sentence)
    said = sentence or "no JSON object"
    raise NetworkError(f"the lab at {response.url.host}:{response.url.port} answered {response.status_code}: {said}")


def _sentence(value: Any) -> str:
    detail = value.get("detail", value.get("error", "")) if isinstance(value, dict) else ""
    if isinstance(detail, list):
        return "; ".join(str(one.get("msg", "")) for one in detail if isinstance(one, dict))
    return str(detail)


def _unreachable(url: str, error: Exception) -> NetworkError:
    return NetworkError(f"the lab at {url} does not answer ({type(error).__name__}): start it with `benlab serve`")


def _event(line: str) -> Event | None:
    return from_line(line.removeprefix("data:").strip()) if line.startswith("data:") else None


class LabClient:
    """Speaks to one lab. `transport` is httpx's seam, for tests and for other ways to reach a lab."""

    def __init__(
        self, url: str = DEFAULT_URL, token: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url
        self._http = httpx.Client(**_settings(url, token), transport=transport)

    def health(self) -> dict[str, Any]:
        """Status, physics version, and how many experiments run and wait."""
        return self._call("GET", "/health")

    def run(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The result of one experiment, as `simulator.run_now` gives it."""
        return self._call("POST", _known(name), params)

    def experiment(self, experiment_id: str) -> dict[str, Any]:
        """A stored result."""
        return self._call("GET", f"/experiments/{quote(experiment_id, safe='')}")

    def generate(self, prompt: str, model: str = "ben-lab") -> str:
        """The model's answer to one prompt."""
        return str(self._call("POST", "/api/generate", {"model": model, "prompt": prompt, "stream": False})["response"])

    def stream(self, name: str, params: Mapping[str, Any]) -> Iterator[Event]:
        """The experiment's events as they come; leaving the loop stops it on the server."""
        try:
            with self._http.stream(
                "POST", _known(name) + "/stream", content=_encoded(params), headers=_json_headers(params)
            ) as response:
                if not response.is_success:
                    response.read()
                    _value(response)
                for line in response.iter_lines():
                    if event := _event(line):
                        yield event
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, content=_encoded(body), headers=_json_headers(body))
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error
        return _value(response)

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncLabClient:
    """The same for asyncio."""

    def __init__(
        self, url: str = DEFAULT_URL, token: str | None = None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = url
        self._http = httpx.AsyncClient(**_settings(url, token), transport=transport)

    async def health(self) -> dict[str, Any]:
        """Status, physics version, and how many experiments run and wait."""
        return await self._call("GET", "/health")

    async def run(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The result of one experiment, as `simulator.run_now` gives it."""
        return await self._call("POST", _known(name), params)

    async def experiment(self, experiment_id: str) -> dict[str, Any]:
        """A stored result."""
        return await self._call("GET", f"/experiments/{quote(experiment_id, safe='')}")

    async def generate(self, prompt: str, model: str = "ben-lab") -> str:
        """The model's answer to one prompt."""
        body = {"model": model, "prompt": prompt, "stream": False}
        return str((await self._call("POST", "/api/generate", body))["response"])

    async def stream(self, name: str, params: Mapping[str, Any]) -> AsyncIterator[Event]:
        """The experiment's events as they come; leaving the loop stops it on the server."""
        try:
            async with self._http.stream(
                "POST", _known(name) + "/stream", content=_encoded(params), headers=_json_headers(params)
            ) as response:
                if not response.is_success:
                    await response.aread()
                    _value(response)
                async for line in response.aiter_lines():
                    if event := _event(line):
                        yield event
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, content=_encoded(body), headers=_json_headers(body))
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error
        return _value(response)

    async def aclose(self) -> None:
        """Closes its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _encoded(body: Mapping[str, Any] | None) -> bytes | None:
    """JSON bytes; what JSON cannot say is bad input, before anything is sent."""
    if body is None:
        return None
    try:
        return json.dumps(dict(body), allow_nan=False).encode("ascii")
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"the parameters cannot be sent as JSON ({error}): give finite numbers, text and lists"
        ) from None


def _json_headers(body: Mapping[str, Any] | None) -> dict[str, str]:
    return {} if body is None else {"Content-Type": "application/json"}
