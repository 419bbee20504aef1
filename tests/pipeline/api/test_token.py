"""The Lab API's token from an option, a file or the environment, and never out again."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from pipeline import jobs
from pipeline.api.params import ServeParams
from pipeline.api.token import token_of
from pipeline.chats import Chats
from pipeline.errors import BadInput
from pipeline.lab import Lab
from simulator.events import Note

SECRET = "a-long-secret-word-0001"


@pytest.mark.parametrize("how", ["option", "file", "variable"])
async def test_a_server_asks_for_the_token_however_it_is_given(
    lab: Lab, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(SECRET + "\n")
    if how == "variable":
        monkeypatch.setenv("BENLAB_TOKEN", SECRET)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"option": {"token": SECRET}, "file": {"token_file": str(tmp_path / "token")}, "variable": {}}[how]
    job = jobs.start(lab, "serve", {"port": port, **given})
    async with aclosing(jobs.follow(job)) as events:
        assert isinstance(await anext(events), Note)
    try:
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(100):
                try:
                    codes = [
                        (await client.get("/health", headers={"Authorization": f"Bearer {word}"})).status_code
                        for word in ("another-word-entirely", SECRET)
                    ]
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.1)
        assert codes == [401, 200]
    finally:
        await jobs.cancel(job)
    assert all(SECRET not in file.read_text() for file in job.folder.iterdir())


def test_the_option_wins_over_the_file_and_the_file_over_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("  the-token-of-the-file\nmore\n")
    for params, wanted in (
        ({"token": "the-token-of-the-option", "token_file": str(file)}, "the-token-of-the-option"),
        ({"token_file": str(file)}, "the-token-of-the-file"),
        ({}, "the-token-of-the-variable"),
    ):
        monkeypatch.setenv("BENLAB_TOKEN", "the-token-of-the-variable")
        assert token_of(ServeParams(**params)) == wanted
    assert token_of(ServeParams()) is None  # it was taken out of the environment


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe" * 20, b"a word with spaces in it", b"\0" * 30])
def test_a_file_without_a_token_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    for name in ("t", "missing", ""):
        with pytest.raises(BadInput) as error:
            token_of(ServeParams(token_file=str(tmp_path / name)))
        assert "\n" not in str(error.value) and "spaces in it" not in str(error.value)


async def test_addresses_in_parameters_reach_the_job_and_no_file(lab: Lab) -> None:
    """The job gets the whole address: it names the host that it could not reach."""
    job = jobs.start(lab, "generate", {"api": f"http://me:{SECRET}@127.0.0.1:9/lab"})
    assert [event async for event in jobs.follow(job)]
    record = json.loads((job.folder / "job.json").read_text())
    assert record["params"]["api"] == "http://***@127.0.0.1:9/lab"
    assert all(SECRET not in file.read_text() for file in job.folder.iterdir())


def test_a_command_is_kept_without_its_secret(lab: Lab) -> None:
    chats = Chats(lab.database)
    chats.add(chats.start().id, "command", f"/serve token={SECRET}")
    assert chats.prompts() == ["/serve token=***"]
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in lab.root.iterdir() if path.is_file())
