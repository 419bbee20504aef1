"""The decoding options: one set for engines, receipts, installed models and the written Modelfile."""

from __future__ import annotations

import dataclasses
import json
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from pipeline.bases import Base
from pipeline.chat import ChatOptions, Done, OpenAIEngine
from pipeline.chat.decoding import (
    DEFAULTS,
    SAMPLING,
    decoding,
    first_difference,
    greedy,
    parameters,
    stop_strings,
    wire,
    with_seed,
)
from pipeline.modelfile import load, parse, render

PENALTIES = ("repeat_penalty", "presence_penalty", "frequency_penalty")


def test_nothing_is_left_to_a_server_and_penalties_are_neutral(base: Base) -> None:
    chosen = decoding(load(), base)
    assert all(getattr(chosen, name) is not None for name in SAMPLING)
    assert [getattr(chosen, name) for name in PENALTIES] == [1.0, 0.0, 0.0]
    assert (chosen.temperature, chosen.top_p, chosen.top_k, chosen.min_p) == (0.2, 0.9, 40, 0.0)
    assert chosen.stop == ("<|im_end|>", "<|im_start|>") and wire(greedy(8))["temperature"] == 0.0


def test_the_labs_modelfile_says_otherwise(base: Base) -> None:
    own = parse("FROM x\nPARAMETER repeat_penalty 1.3\nPARAMETER stop DONE\nPARAMETER num_predict 7\nPARAMETER seed 5")
    chosen = decoding(own, base)
    assert (chosen.repeat_penalty, chosen.stop, chosen.max_tokens, chosen.seed) == (1.3, ("DONE",), 7, 5)
    assert greedy(8).repeat_penalty == 1.0


def test_the_written_modelfile_decodes_as_the_engines_do(base: Base) -> None:
    """Reading the file that `ollama create -f` gets gives the very options of the embedded engine."""
    written = parse(render("./base.gguf", parameters=parameters(load(), base)))
    assert decoding(written, base) == decoding(load(), base)
    assert written.parameters["num_ctx"] == min(4096, base.context_length)
    assert first_difference(parameters(load(), base), written.parameters) == ""


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ({"repeat_penalty": 1.1, "top_p": 0.9}, "repeat_penalty is 1.1 there and 1.0 here"),
        ({"top_p": 0.9}, "repeat_penalty is not set there and 1.0 here"),
        ({"repeat_penalty": 1, "top_p": 0.8999999761581421}, ""),
        ({"repeat_penalty": 1, "top_p": "high"}, "top_p is high there and 0.9 here"),
    ],
)
def test_the_first_option_that_differs_is_named(shown: dict[str, Any], words: str) -> None:
    assert first_difference({"repeat_penalty": 1.0, "top_p": 0.9}, shown) == words


def test_a_seed_is_drawn_once_and_a_chosen_one_is_kept() -> None:
    assert with_seed(ChatOptions(seed=3)).seed == 3
    drawn = {with_seed(DEFAULTS).seed for _ in range(4)}
    assert len(drawn) > 1 and all(isinstance(seed, int) for seed in drawn)


def test_stop_strings_of_other_templates(base: Base) -> None:
    template = "{% for m in messages %}<|user|>\n{{ m['content'] }}</s>\n{% endfor %}<|assistant|>\n"
    zephyr = dataclasses.replace(base, chat_template=template, bos_token="<s>", eos_token="</s>")
    assert stop_strings(zephyr) == ("</s>", "<|user|>", "<|assistant|>")


@pytest.mark.parametrize("strict", [False, True])
async def test_an_openai_server_gets_all_options_unless_it_refuses_them(strict: bool) -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        asked.append(body)
        if strict and "top_k" in body:
            return httpx.Response(400, json={"error": {"message": "Unrecognized request argument supplied: top_k"}})
        piece = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
        return httpx.Response(200, content=b"data: " + json.dumps(piece).encode() + b"\n\ndata: [DONE]\n\n")

    engine = OpenAIEngine("http://127.0.0.1:1/v1", "m")
    engine._client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    for _ in range(2):
        async with aclosing(engine.chat([{"role": "user", "content": "x"}])) as events:
            got = [event async for event in events]
    assert isinstance(got[-1], Done) and got[-1].seed == asked[-1]["seed"]
    assert len(asked) == (3 if strict else 2) and asked[0]["repeat_penalty"] == 1.0
    assert ("repeat_penalty" in asked[-1]) is not strict and asked[-1]["presence_penalty"] == 0.0
