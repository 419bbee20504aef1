"""The text of calls and results, as Ollama's Go templates render them too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bases import Base
from pipeline.bases.template import render
from pipeline.chat.tool_text import as_turns, call_text, tools_text, with_system_text

CALL = {"id": "1", "function": {"name": "tri", "arguments": {"seed": 3, "bias": 0.7}}}


def test_a_call_keeps_the_order_of_its_arguments() -> None:
    line = call_text("tri", {"system_size": 8, "depth": 2, "phase_type": "spt_cluster"})
    assert line == 'TOOL: {"name": "tri", "arguments": {"system_size":8,"depth":2,"phase_type":"spt_cluster"}}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.65, "0.65"),
        (1e-05, "0.00001"),
        (1e-06, "0.000001"),
        (1e-07, "1e-7"),
        (2.5e-10, "2.5e-10"),
        (1e16, "10000000000000000"),
        (1e21, "1e+21"),
        (-0.5, "-0.5"),
        (0.0, "0"),
        (True, "true"),
        (None, "null"),
        ("ä<&>\n", '"ä\\u003c\\u0026\\u003e\\n"'),
        ([1, 2.0], "[1,2]"),
    ],
)
def test_values_are_written_as_go_writes_them(value: Any, text: str) -> None:
    """Expected texts are what `json.Marshal` of Go 1.24 prints."""
    assert call_text("t", {"x": value}) == f'TOOL: {{"name": "t", "arguments": {{"x":{text}}}}}'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back_exactly(value: float) -> None:
    read = json.loads(call_text("t", {"x": value}).removeprefix("TOOL: "))["arguments"]["x"]
    assert float(read) == value


def test_calls_and_results_are_turns_that_every_template_has(base: Base) -> None:
    chat: list[Any] = [
        {"role": "user", "content": "Run it."},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "TRI 0.2", "tool_name": "tri", "tool_call_id": "1"},
        {"role": "tool", "content": "TRI 0.3", "tool_name": "tri", "tool_call_id": "2"},
        {"role": "assistant", "content": "Again.", "tool_calls": [CALL, CALL]},
    ]
    line = 'TOOL: {"name": "tri", "arguments": {"bias":0.7,"seed":3}}'
    assert as_turns(chat) == [
        {"role": "user", "content": "Run it."},
        {"role": "assistant", "content": line},
        {"role": "user", "content": "RESULT: TRI 0.2"},
        {"role": "user", "content": "RESULT: TRI 0.3"},
        {"role": "assistant", "content": f"Again.\n{line}\n{line}"},
    ]
    assert render(base, as_turns(chat)).count("<|im_start|>user\n") == 3


def test_neighbouring_messages_of_one_role_are_one_turn() -> None:
    chat: list[Any] = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert as_turns(chat) == [{"role": "user", "content": "a\n\nb"}]
    assert as_turns(as_turns(chat)) == as_turns(chat)


def test_the_tools_that_can_run_end_the_system_prompt() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("tri", "echo")]
    chat: list[Any] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "x"}]
    assert with_system_text(chat, tools_text(tools))[0]["content"] == "Be kind.\n\nTools: tri, echo"
    assert with_system_text(chat[1:], "t")[0] == {"role": "system", "content": "t"}


def test_the_arguments_of_a_past_call_are_sorted_at_every_depth() -> None:
    """As Go writes maps; a server was seen to."""
    call = {"function": {"name": "tri", "arguments": {"z": [{"d": 1, "c": 2}], "a": {"y": 1, "x": {"k": 1, "b": 2}}}}}
    turn: Any = {"role": "assistant", "content": "", "tool_calls": [call]}
    line = 'TOOL: {"name": "tri", "arguments": {"a":{"x":{"b":2,"k":1},"y":1},"z":[{"c":2,"d":1}]}}'
    assert as_turns([turn])[0]["content"] == line
