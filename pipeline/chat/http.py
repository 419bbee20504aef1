"""What the engines share on the wire: addresses, server-sent events, and errors in words."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from pipeline.errors import ChatError

if TYPE_CHECKING:
    import ssl

    import httpx

READ_SECONDS = 600.0
"""A server may load a model for minutes before its first word."""


def address(host: str, default_port: int = 11434) -> str:
    """`host` as a base URL: scheme and port are added where they are missing. Raises ChatError."""
    import httpx

    text = host.strip()
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL as error:
        raise ChatError(f"{host!r} is no server address ({error}): write host:port, such as 127.0.0.1:11434") from error
    # httpx escapes what no host name can hold.
    if url.scheme not in ("http", "https") or not url.host or "%" in url.host:
        raise ChatError(f"{host!r} is no server address: write host:port, such as 127.0.0.1:11434")
    if url.port is not None and url.port > 65_535:
        raise ChatError(
            f"{host!r} has port {url.port}, above the largest, 65535: write host:port, such as 127.0.0.1:11434"
        )
    if url.port is None and "://" not in text:
        url = url.copy_with(port=default_port)
    # A server may be told to listen on every interface; one asks it on the loopback.
    return str(url.copy_with(host="127.0.0.1") if url.host in ("0.0.0.0", "::") else url).rstrip("/")  # noqa: S104


def tls_for(url: str) -> ssl.SSLContext | bool:
    """httpx's `verify` for that address: the usual certificates for https, none for http.

    Reading the machine's certificates takes 40 ms, which the first word of a chat would wait for.
    """
    import ssl

    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def is_loopback(url: str) -> bool:
    """Whether the server is on this machine."""
    import httpx

    host = httpx.URL(url).host
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def keep_key_private(client: Any, url: str) -> None:
    """Take $OLLAMA_API_KEY off an Ollama client whose words would carry it in the clear to another machine.

    The client adds the variable by itself, whatever server it talks to.
    """
    if not url.startswith("https:") and not is_loopback(url):
        client._client.headers.pop("authorization", None)


async def sse(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events. Raises ChatError on an error event or broken JSON."""
    async for line in response.aiter_lines():
        if line.startswith("error:"):
            raise ChatError(f"the server broke off: {line[6:].strip()[:200]}")
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return
        try:
            event = json.loads(data)
        except ValueError as error:
            raise ChatError(f"the server sent a line that is not JSON ({data[:80]!r}): check its address") from error
        if isinstance(event, dict) and (reason := event.get("error")):
            text = reason.get("message", reason) if isinstance(reason, dict) else reason
            raise ChatError(f"the server broke off: {' '.join(str(text).split())[:200]}")
        if isinstance(event, dict):
            yield event


def broken(error: Exception, where: str) -> ChatError:
    """An httpx error as a sentence."""
    import httpx

    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ChatError(f"{where} does not answer: start it, or choose another model (`/model`)")
    if isinstance(error, httpx.TimeoutException):
        return ChatError(f"{where} was silent for {READ_SECONDS:.0f} s: ask again or restart it")
    return ChatError(f"{where} closed the connection in the middle of an answer ({type(error).__name__}): ask again")


def error_text(body: str) -> str:
    """The message inside an error body of llama.cpp, Ollama or an OpenAI-compatible server, in one line."""
    try:
        error = json.loads(body)["error"]
        text = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        text = "a web page instead of JSON" if "<html" in body[:2000].lower() else body
    return " ".join(text.split())[:300] or "no reason given"
