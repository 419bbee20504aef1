"""The grammar of calls: whatever is decoded under it is a call that the parameter models take."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import simulator
from pipeline.chat import EmbeddedServer
from pipeline.chat.call_grammar import CALL, call_grammar, whole_numbers


def tools(*names: str) -> list[dict[str, Any]]:
    """The experiments as the chat offers them."""
    return [
        {
            "type": "function",
            "function": {"name": name, "parameters": simulator.EXPERIMENTS[name].params.model_json_schema()},
        }
        for name in names or simulator.EXPERIMENTS
    ]


@pytest.mark.parametrize(
    ("low", "high"),
    [(4, 256), (1, 32), (0, 9), (7, 7), (0, 0), (98, 1024), (1, 1000), (0, 4295), (17, 171), (999, 1001)],
)
def test_whole_numbers_within_bounds_and_no_others(low: int, high: int) -> None:
    """Compared with counting."""
    pattern = re.compile("|".join(part.replace('"', "").replace(" ", "") for part in whole_numbers(low, high)))
    assert [n for n in range(2 * high + 20) if pattern.fullmatch(str(n))] == list(range(low, high + 1))
    assert not pattern.fullmatch(f"0{max(low, 1)}")


def test_a_wide_range_is_short() -> None:
    """Seeds to 2**32 - 1 and sizes of ten digits are a few lines, not a list."""
    pattern = "|".join(part.replace('"', "").replace(" ", "") for part in whole_numbers(0, 2**32 - 1))
    assert len(pattern) < 1500
    for number in (0, 9, 10, 4294967295, 4294967294, 999999999, 4000000000):
        assert re.fullmatch(pattern, str(number))
    assert not re.fullmatch(pattern, str(2**32))


@pytest.mark.parametrize("name", list(simulator.EXPERIMENTS))
def test_whatever_a_hot_model_writes_is_a_valid_call(name: str, server: EmbeddedServer) -> None:
    """The base at temperature 1.5 has no idea of the form: names, choices and bounds come from the grammar."""
    grammar = call_grammar(tools(name))
    for seed in range(3):
        answer = server.complete("Run it.\n", adapter=False, n_predict=120, temperature=1.5, seed=seed, grammar=grammar)
        if answer["stop_type"] == "limit":
            continue
        for line in answer["content"].split("\n"):
            call = json.loads(line.removeprefix(CALL))
            assert call["name"] == name
            try:
                simulator.validate(simulator.EXPERIMENTS[name].params, call["arguments"])
            except simulator.BadParameter as error:
                # What a schema cannot say is checked afterwards: sums, and lists whose items must differ.
                assert re.search(
                    r"once|product|above the number of samples|exactly one source|would change nothing|largest depth|"
                    r"the grid has|last seed",
                    str(error),
                ), error


def test_the_grammar_waits_for_the_word(server: EmbeddedServer) -> None:
    """An answer in words is free; from `TOOL:` on it is a call."""
    lazy = {
        "grammar": call_grammar(tools()),
        "grammar_lazy": True,
        "grammar_triggers": [{"type": 1, "value": CALL}],
    }
    words = server.complete("Once upon a time", adapter=False, n_predict=30, temperature=0, **lazy)["content"]
    assert words == server.complete("Once upon a time", adapter=False, n_predict=30, temperature=0)["content"]
    line = 'Question: run tri\nAnswer: TOOL: {"name": "bell", "arguments": {"system_size": 3000}}\n'
    prompt = line * 3 + "Question: run tri\nAnswer:"
    assert "bell" in server.complete(prompt, adapter=False, n_predict=40, temperature=0)["content"]
    made = server.complete(prompt, adapter=False, n_predict=250, temperature=0, **lazy)["content"]
    call = json.loads(made.strip().split("\n")[0].removeprefix(CALL))
    assert call["name"] in simulator.EXPERIMENTS
    size = call["arguments"].get("system_size", 32)
    assert isinstance(size, list) or 4 <= size <= 1024
