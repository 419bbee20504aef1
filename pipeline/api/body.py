"""Reads a request's JSON so that every body ends as a value or as one 422, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

# Python refuses to read integers of more digits (sys.set_int_max_str_digits), and no parameter is near that long.
_MOST_DIGITS = 4000


class BodyRoute(APIRoute):
    """A route whose requests are read by `_Request`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI makes, with the request wrapped."""
        handle = super().get_route_handler()

        async def wrapped(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return wrapped


class _Request(Request):
    async def json(self) -> Any:
        """Raises json.JSONDecodeError, a 422 in FastAPI, where the body is no JSON or nested too deeply."""
        try:
            return json.loads(await self.body(), parse_int=_integer)
        except (RecursionError, UnicodeDecodeError) as error:
            raise json.JSONDecodeError(type(error).__name__, "", 0) from error


def _integer(text: str) -> int | float:
    """An integer too long for Python is infinite: the parameter's own bound then refuses it by name."""
    return int(text) if len(text) <= _MOST_DIGITS else float(text)
