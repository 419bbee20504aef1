"""The console in a browser: only with this start's token, only from its own address."""

from __future__ import annotations

import asyncio
import re
import socket
import sys

import psutil
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


async def test_the_page_loads_nothing_from_elsewhere(server):
    async with aiohttp.ClientSession(cookies={COOKIE: server.token}) as client:
        page = await client.get(server.public_url)
        text = (await page.text()).replace(server.public_url, "").replace("http://www.w3.org/2000/svg", "")
        assert page.status == 200 and "textual.js" in text
        text = text.replace(server.public_url.replace("http", "ws"), "")
        assert not re.search(r"(?:src|href|url|@import)[^>]{0,40}//", text) and "googleapis" not in text
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'") and "https:" not in policy and "*" not in policy


@pytest.mark.parametrize(
    "line", [b"Cookie: benlab_token=\xff\xfe", b"Cookie: \x80=\x81; ;;=", b"Origin: http://[", b"Origin: null"]
)
@pytest.mark.parametrize("path", [b"/", b"/?token=%ff%fe", b"/?token=%ud800", b"/?%"])
async def test_a_malformed_header_or_address_is_a_4xx(server, line, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % server.port + line)
    writer.write(b"\r\nConnection: close\r\n\r\n")
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert status.split()[1][:1] == b"4", status


async def test_killing_the_server_ends_its_console(lab):
    code = (
        "import asyncio, sys\nfrom aiohttp import web\nfrom pathlib import Path\n"
        "from benlab_tui.web import GuardedServer\n"
        "from pipeline.lab import Lab\nasync def main():\n"
        "    server = GuardedServer(Lab.at(Path(sys.argv[1])), int(sys.argv[2]), 'token-token-token')\n"
        "    runner = web.AppRunner(await server._make_app())\n    await runner.setup()\n"
        "    await web.TCPSite(runner, '127.0.0.1', int(sys.argv[2])).start()\n    print('up', flush=True)\n"
        "    await asyncio.Event().wait()\nasyncio.run(main())"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(lab.root), str(port), stdout=asyncio.subprocess.PIPE
    )
    await asyncio.wait_for(process.stdout.readline(), 60)
    async with (
        aiohttp.ClientSession(cookies={COOKIE: "token-token-token"}) as client,
        client.ws_connect(f"http://127.0.0.1:{port}/ws?width=80&height=24") as socket_,
    ):
        await _until(socket_, b"run an experiment")
        below = psutil.Process(process.pid).children(recursive=True)
        assert any("benlab_tui.app" in " ".join(child.cmdline()) for child in below)
        process.kill()
        await process.wait()
    assert psutil.wait_procs(below, timeout=20)[1] == []


async def _until(socket_, words):
    """Reads until the console has written `words`."""
    seen = b""
    async with asyncio.timeout(30):
        while words not in seen:
            message = await socket_.receive()
            seen += message.data if isinstance(message.data, bytes) else str(message.data).encode()
