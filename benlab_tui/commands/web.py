"""`web`: the console in a browser on this machine."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.errors import LabError, MissingExtra
from simulator.extras import install_line


class WebParams(BaseModel):
    """Which port."""

    model_config = ConfigDict(extra="forbid")

    port: int = Field(default=8080, ge=1024, le=65535, description="the port on 127.0.0.1")


@command(
    "web",
    "serve the console to a browser on this machine, behind a new token",
    params=WebParams,
    where="headless",
    group="Console",
    examples=("web --port 8080",),
)
async def serve(context: Context, params: WebParams) -> Value:
    """Runs until it is cancelled. Raises MissingExtra without textual-serve, LabError where the port is taken."""
    try:
        from aiohttp import web

        from benlab_tui.web import GuardedServer
    except ImportError as error:
        raise MissingExtra(f"textual-serve is not installed: run `{install_line('web')}`") from error
    server = GuardedServer(context.lab, params.port)
    runner = web.AppRunner(await server._make_app())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", params.port).start()
        await context.write(f"open {server.address}\n(ctrl+c ends it; nobody else on the network can reach it)\n")
        await asyncio.Event().wait()
    except OSError as error:
        raise LabError(
            f"port {params.port} cannot be used ({error.strerror or error}): choose another with --port"
        ) from error
    finally:
        await runner.cleanup()
    return {}
