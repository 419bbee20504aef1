"""Secrets are masked before anything is stored, shown or logged."""

from __future__ import annotations

import time

import pytest

from simulator import validate
from simulator.errors import BadParameter, SimulatorError
from simulator.events import Failed, Note, Result, from_line, to_line
from simulator.masking import is_secret, mask_addresses, mask_line, masked

SECRET = "s3cr3t-w0rd-0001"


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{SECRET}@host:1/v1",
        f"https://{SECRET}@host",
        f"http://me:{SECRET}@[::1]:11434/x",
        f"see http://a:{SECRET}@x, and ws://b:{SECRET}@y",
        f"postgres+x://me:p@{SECRET}@host/db",
        f"http://host/?token={SECRET}&x=1",
        f"http://host/?a=1&api_key={SECRET}",
        f"http://host/?X-Auth-Token={SECRET}#f",
        f"'http://me:{SECRET}@host'",
    ],
)
def test_addresses_lose_their_secrets_and_nothing_else(url: str) -> None:
    said = mask_addresses(url)
    assert SECRET not in said and "***" in said
    for event in (Note(url), Failed(url), Result({"url": url, "mail": "a@b.example"})):
        line = to_line(event)
        assert SECRET not in line
        from_line(line)
    assert SECRET not in str(SimulatorError(url))


@pytest.mark.parametrize("text", ["a@b.example", "http://host/a@b", "x://", "://@", "http://host:80/?tokens=3", "no"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask_addresses(text) == text.replace("://@", "://***@")


@pytest.mark.parametrize(
    "line",
    [
        f"/serve token={SECRET}",
        f"/serve port=1 --token {SECRET}",
        f"/serve --token={SECRET} port=1",
        f'/serve token="{SECRET} and more"',
        f"/serve token='{SECRET}",
        f"/x api_key={SECRET} api-key={SECRET} my_password={SECRET} TOKEN={SECRET}",
        f"/install ollama_host=http://name:{SECRET}@h/ollama",
        f"/install ollama_host=name:{SECRET}@h:1",
        f"/install --ollama-host name:{SECRET}@h:1",
        f"/generate api=http://x:{SECRET}@h",
    ],
)
def test_a_command_line_loses_its_secrets(line: str) -> None:
    said = mask_line(line)
    assert SECRET not in said and "***" in said and said.split()[0] == line.split()[0]


def test_a_line_without_secrets_stays() -> None:
    for line in ("/ask what is a token = word", "/train max_tokens=5 out=a@b", "/serve token_file=~/x"):
        assert mask_line(line) == line


def test_parameters_are_masked_by_name_and_by_address() -> None:
    given = {
        "token": SECRET,
        "ollama_host": f"n:{SECRET}@h:1",
        "deep": {"password": SECRET},
        "api": [f"http://{SECRET}@h"],
    }
    assert SECRET not in str(masked(given))
    assert masked({"max_tokens": 3, "file": "a@b"}) == {"max_tokens": 3, "file": "a@b"}
    assert is_secret("HF_TOKEN") and is_secret("api-key") and not is_secret("token_file")


def test_a_wrong_secret_is_not_said_again() -> None:
    from pipeline.api.params import ServeParams

    with pytest.raises(BadParameter) as error:
        validate(ServeParams, {"token": "my-short-one"})
    assert "my-short-one" not in str(error.value) and "my-short-one" not in str(vars(error.value))


def test_no_text_makes_masking_slow() -> None:
    started = time.perf_counter()
    for text in ("://" * 50_000, "://" + "a" * 200_000, "--token" + " " * 100_000, "a" * 200_000, "?" * 100_000):
        mask_line(text)
        mask_line("token=" * 20_000 + text)
    assert time.perf_counter() - started < 2
