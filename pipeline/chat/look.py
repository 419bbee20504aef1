"""A short look at a server that may be anything: bounded in time and in bytes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

_MOST_BYTES = 4_000_000


async def small_json(client: httpx.AsyncClient, path: str, seconds: float = 3.0) -> Any:
    """The JSON at `path`, of at most 4 MB and within `seconds` in all.

    Raises httpx.HTTPError, TimeoutError, or ValueError where the answer is too long or no JSON.
    """
    body = bytearray()
    async with asyncio.timeout(seconds), client.stream("GET", path) as response:
        async for chunk in response.aiter_bytes(65_536):
            body += chunk
            if len(body) > _MOST_BYTES:
                raise ValueError(f"{path} answered with more than {_MOST_BYTES:,} bytes")
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError(f"{path} answered with JSON that is nested too deeply") from error
