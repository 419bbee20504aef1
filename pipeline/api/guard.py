"""What every request passes before a route sees it: host, origin, token, content type and size.

A page from another site can make a browser send requests here, and can point its own
name at 127.0.0.1 (DNS rebinding). So a request must name this server in Host, must not
come from another Origin, and its body must be JSON, which a form cannot send.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import secrets
import socket
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 256 * 1024
BODY_SECONDS = 10.0
MOST_OPEN = 128
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[^\s:/?#@\[\]]{1,255}))(?::[0-9]{0,5})?")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def allowed_hosts(host: str) -> frozenset[str]:
    """The names that a Host header may have where the server answers on `host`."""
    names = {*LOOPBACK_NAMES, host.strip("[]").lower()}
    if not is_loopback(host):
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset(names)


class Guard:
    """ASGI middleware. `posts` are the paths that take a JSON body.

    `literal_hosts` lets any IP address pass as Host: rebinding needs a name.
    """

    def __init__(
        self,
        app: ASGIApp,
        posts: Collection[str],
        hosts: Iterable[str] = LOOPBACK_NAMES,
        token: str | None = None,
        literal_hosts: bool = False,
    ) -> None:
        self.app = app
        self.posts = posts
        self.hosts = frozenset(hosts)
        self.token = token
        self.literal_hosts = literal_hosts
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 400, 401, 403, 408, 413, 415 or 503 with one sentence."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal:
            await _answer(send, *refusal)
            return
        if self._open >= MOST_OPEN:
            await _answer(send, 503, f"{MOST_OPEN} requests are open already: try again in some seconds")
            return
        self._open += 1
        try:
            await self._pass_on(scope, receive, send)
        finally:
            self._open -= 1

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request with its whole body, or 408 or 413."""
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_body(receive), BODY_SECONDS)
        except TimeoutError:
            await _answer(send, 408, f"the body did not arrive within {BODY_SECONDS:g} s: send it at once")
            return
        if body is None:
            await _answer(send, 413, f"the body is above the largest, {LARGEST_BODY} bytes: send less")
            return
        await self._while_connected(scope, body, receive, send)

    async def _while_connected(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """The request's work, which ends when its client hangs up."""
        left = asyncio.Event()
        watch = asyncio.ensure_future(_hung_up(receive, left))
        work = asyncio.ensure_future(self.app(scope, _replay(body, left), send))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not (self._known(_host_name(hosts[0])) or _in_process(scope)):
            return 400, "the Host header does not name this server: use its own address"
        origin = headers.get("origin")
        if origin is not None and _place(origin) != hosts[0].lower():
            return 403, "the request comes from another site: the lab answers its own pages and programs alone"
        if self.token and not _bears(headers.get("authorization", ""), self.token):
            return 401, "the token is missing or wrong: send `Authorization: Bearer TOKEN`"
        if (
            scope["method"] == "POST"
            and scope["path"] in self.posts
            and _media_type(headers.get("content-type", "")) != "application/json"
        ):
            return 415, "the body is not declared as JSON: send `Content-Type: application/json`"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return 400, "the Content-Length header is no number: send the body's length in bytes"
        if len(length) > 9 or int(length) > LARGEST_BODY:
            return 413, f"the body is above the largest, {LARGEST_BODY} bytes: send less"
        return None

    def _known(self, name: str) -> bool:
        if name in self.hosts:
            return True
        if not self.literal_hosts:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _in_process(scope: Scope) -> bool:
    """A test client calls the application without a socket, so no browser is behind it.

    A server fills in the address of the socket's other end; `serve` takes it from no header.
    """
    client = scope.get("client") or ("",)
    return client[0] == "testclient"


def _host_name(host: str) -> str:
    """The name in a Host header, without its port and brackets; empty if it is malformed."""
    found = _HOST.fullmatch(host)
    return (found["name"] or found["address"]).lower() if found else ""


def _place(origin: str) -> str:
    """Host and port of an Origin header; empty if it is malformed or null, which fits no Host."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _bears(header: str, token: str) -> bool:
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and secrets.compare_digest(given.strip().encode(), token.encode())


def _media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None where it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def _hung_up(receive: Receive, left: asyncio.Event) -> None:
    """Ends when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    left.set()


def _replay(body: bytes, left: asyncio.Event) -> Receive:
    """Gives the body that was read, then the disconnect once the client has left."""
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            await left.wait()
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503:
        headers.append((b"retry-after", b"2"))
    if status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
