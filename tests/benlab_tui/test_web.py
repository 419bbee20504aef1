"""The console in a browser: only with this start's token, only from its own address."""

from __future__ import annotations

import asyncio
import socket

import pytest

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("textual_serve")

from aiohttp import web  # noqa: E402

from benlab_tui.web import COOKIE, GuardedServer  # noqa: E402


@pytest.fixture
async def server(lab):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    guarded = GuardedServer(lab, port)
    runner = web.AppRunner(await guarded._make_app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield guarded
    await runner.cleanup()


async def test_nothing_is_served_without_the_token_or_to_foreign_pages(server):
    async with aiohttp.ClientSession() as client:
        url = server.public_url
        for path in ("/", "/ws", "/static/js/textual.js", "/?token=wrong", "/?token="):
            assert (await client.get(url + path)).status == 401, path
        good = {COOKIE: server.token}
        assert (await client.get(url, cookies=good)).status == 200
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            assert (await client.get(url, cookies=good, headers=headers)).status == 403


def test_every_start_has_a_token_of_its_own(lab):
    assert GuardedServer(lab, 8080).token != GuardedServer(lab, 8080).token


async def test_the_token_opens_the_console_which_takes_keys_and_pastes(server):
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        page = await client.get(server.address)
        assert page.status == 200
        async with client.ws_connect(f"{server.public_url}/ws?width=80&height=24") as socket_:
            await _until(socket_, b"run an experiment")
            await socket_.send_json(["stdin", "\x1b[200~/theme \x1b[201~"])
            await socket_.send_json(["stdin", "nord\r"])
            await _until(socket_, b"the theme is nord")


async def _until(socket_, words):
    """Reads until the console has written `words`."""
    seen = b""
    async with asyncio.timeout(30):
        while words not in seen:
            message = await socket_.receive()
            seen += message.data if isinstance(message.data, bytes) else str(message.data).encode()
