"""The console in a browser: textual-serve on this machine alone, behind a token that is new at every start."""

from __future__ import annotations

import hmac
import os
import re
import secrets
import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web
from textual_serve.server import Server

from simulator.python_child import command, environment

if TYPE_CHECKING:
    from pipeline.lab import Lab

COOKIE = "benlab_token"
_FROM_ELSEWHERE = re.compile(r"<link[^>]{0,400}https?://[^>]{0,400}>")
"""textual-serve's page asks Google for a font, which would learn of every start."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _console_of(lab: Lab) -> str:
    """Return the shell line that textual-serve runs for each browser, as it passes on this process's environment."""
    changed = [f"{name}={value}" for name, value in environment().items() if os.environ.get(name) != value]
    return shlex.join(["env", *changed, *command("benlab_tui.app", str(lab.root), str(os.getpid()))])


class GuardedServer(Server):
    """Answers only with the token (in the address once, then in a cookie), and only under its own names."""

    def __init__(self, lab: Lab, port: int, token: str = "") -> None:
        super().__init__(_console_of(lab), host="127.0.0.1", port=port, title="Ben Lab")
        self.token = token or secrets.token_urlsafe(24)
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        own = " ".join(["'self'", *(f"{kind}://{host}" for host in sorted(self._hosts) for kind in ("http", "ws"))])
        self._policy = (
            f"default-src 'none'; script-src {own} 'unsafe-inline'; style-src {own} 'unsafe-inline'; "
            f"img-src {own} data:; font-src {own}; connect-src {own}; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        )

    @property
    def address(self) -> str:
        """What to open in the browser."""
        return f"{self.public_url}/?token={self.token}"

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app.middlewares.append(guard)
        app.on_response_prepare.append(self._add_policy)
        return app

    async def _add_policy(self, _: web.Request, response: web.StreamResponse) -> None:
        """The browser itself refuses what a page would load from elsewhere."""
        response.headers["Content-Security-Policy"] = self._policy
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Foreign Host or Origin (DNS rebinding, other pages' sockets) and a missing token are refused."""
        origin = request.headers.get("Origin", "")
        if request.host not in self._hosts or (origin and origin.partition("://")[2] not in self._hosts):
            return web.Response(status=403, text="this server answers only to pages of its own address")
        try:
            given = request.query.get("token", "") or request.cookies.get(COOKIE, "")
        except ValueError:
            return web.Response(status=400, text="the address or the cookie cannot be read: open the printed address")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            return web.Response(status=401, text="a token is needed: open the address that `benlab web` printed")
        if "token" in request.query:
            moved = web.HTTPSeeOther("/")
            moved.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict")
            return moved
        response = await handler(request)
        if isinstance(response, web.Response) and response.content_type == "text/html" and response.text:
            response.text = _FROM_ELSEWHERE.sub("", response.text)
        return response

    async def on_startup(self, app: web.Application) -> None:
        """The address is told by the command."""
