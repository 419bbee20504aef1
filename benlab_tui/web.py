"""The console in a browser: textual-serve on this machine alone, behind a token that is new at every start."""

from __future__ import annotations

import hmac
import os
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
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _console_of(lab: Lab) -> str:
    """Return the shell line that textual-serve runs for each browser, as it passes on this process's environment."""
    changed = [f"{name}={value}" for name, value in environment().items() if os.environ.get(name) != value]
    return shlex.join(["env", *changed, *command("benlab_tui.app", str(lab.root))])


class GuardedServer(Server):
    """Answers only with the token (in the address once, then in a cookie), and only under its own names."""

    def __init__(self, lab: Lab, port: int, token: str = "") -> None:
        super().__init__(_console_of(lab), host="127.0.0.1", port=port, title="Ben Lab")
        self.token = token or secrets.token_urlsafe(24)
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

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
        return app

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Foreign Host or Origin (DNS rebinding, other pages' sockets) and a missing token are refused."""
        origin = request.headers.get("Origin", "")
        if request.host not in self._hosts or (origin and origin.partition("://")[2] not in self._hosts):
            return web.Response(status=403, text="this server answers only to pages of its own address")
        given = request.query.get("token", "") or request.cookies.get(COOKIE, "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return web.Response(status=401, text="a token is needed: open the address that `benlab web` printed")
        if "token" in request.query:
            response = web.HTTPSeeOther("/")
            response.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict")
            return response
        return await handler(request)

    async def on_startup(self, app: web.Application) -> None:
        """The address is told by the command."""
