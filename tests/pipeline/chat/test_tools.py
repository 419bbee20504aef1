"""Tool calls in text: found however the answer is cut into pieces, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.chat.events import Delta, ToolCall
from pipeline.chat.tool_text import call_text
from pipeline.chat.tools import ToolReader, describe

CALL = 'TOOL: {"name": "tri", "arguments": {"seed":3,"bias":0.7}}'
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "tri",
            "description": "Compares bias and 1-bias.",
            "parameters": {"properties": {"seed": {}}},
        },
    }
]


def read(pieces: list[str]) -> tuple[str, list[ToolCall]]:
    reader = ToolReader()
    events = [event for piece in pieces for event in reader.feed(piece)] + list(reader.end())
    text = "".join(event.text for event in events if isinstance(event, Delta))
    return text, [event for event in events if isinstance(event, ToolCall)]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (CALL, ""),
        (f"Let me see.\n{CALL}", "Let me see.\n"),
        (f"{CALL}\nDone.", "Done."),
        ('<tool_call>\n{"name": "tri", "arguments": {"seed": 3, "bias": 0.7}}\n</tool_call>', ""),
        ('TOOL: {"name": "tri", "args": {"seed": 3, "bias": 0.7}}', ""),
        (f"I will run {CALL}", "I will run "),
        (f"I will run {CALL} for you.", "I will run for you."),
        ('TOOL: {"name": "tri", "arguments": "{\\"seed\\": 3, \\"bias\\": 0.7}"}', ""),
        ('TOOL: {"name": "tri", "parameters": {"seed": 3, "bias": 0.7}}', ""),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_call_is_found(text: str, left: str, size: int) -> None:
    said, calls = read([text[i : i + size] for i in range(0, len(text), size)])
    assert [(call.name, call.arguments) for call in calls] == [("tri", {"seed": 3, "bias": 0.7})]
    assert said == left


@pytest.mark.parametrize(
    "text",
    [
        "The TOOL: is named",
        "TOOL: none",
        "TOO",
        "<tool_call>nothing</tool_call>",
        "a\n\n  TOOL:\n",
        "TOOL: " + "[" * 5000,
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    for size in (1, 1000):
        assert read([text[i : i + size] for i in range(0, len(text), size)]) == (text, [])


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from('TOL:{}"na \n<>'), max_size=40), st.integers(1, 5))
def test_no_text_is_lost(text: str, size: int) -> None:
    said, calls = read([text[i : i + size] for i in range(0, len(text), size)])
    assert len(calls) <= 1 and (said + "".join(call.name for call in calls)).split() == text.split()


def test_text_is_passed_on_at_once() -> None:
    reader = ToolReader()
    assert list(reader.feed("Hel")) == [Delta("Hel")]
    assert list(reader.feed("lo")) == [Delta("lo")]
    assert list(reader.feed("\nTO")) == [Delta("\n")]
    assert list(reader.feed("day")) == [Delta("TOday")]


def test_a_written_call_is_read_back() -> None:
    arguments = {"seed": 4294967295, "bias": 0.65, "phases": ["a", "b"], "none": None, "deep": {"x": True}}
    said, calls = read([call_text("tri", arguments)])
    assert said == "" and (calls[0].name, calls[0].arguments) == ("tri", arguments)


def test_tools_are_described_to_a_model_that_has_not_learned_them() -> None:
    assert "tri(seed)" in describe(TOOLS) and '"arguments"' in describe(TOOLS)


@pytest.mark.parametrize(
    "text",
    [
        'TOOL: {"name": 3, "arguments": {}}',
        'TOOL: {"name": "tri", "arguments": [1]}',
        'TOOL: {"name": "tri", "arguments": "none"}',
        'TOOL: {"name": "tri", "arguments": {"seed"',
        "TOOL: {",
    ],
)
def test_a_broken_call_goes_back_to_the_model_and_not_to_the_person(text: str) -> None:
    for size in (1, 1000):
        said, calls = read([text[i : i + size] for i in range(0, len(text), size)])
        assert (said, [call.arguments for call in calls]) == ("", [{}])
        assert calls[0].name == text[:60]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_without_tools_a_call_becomes_the_command(size: int) -> None:
    reader, text = ToolReader(offered=False), f'Sure. {CALL}\nTOOL: {{"name": "rm", "arguments": {{}}}}'
    events = [event for i in range(0, len(text), size) for event in reader.feed(text[i : i + size])] + [*reader.end()]
    said = "".join(event.text for event in events if isinstance(event, Delta))
    assert len(said) == sum(len(event.text) for event in events if isinstance(event, Delta))
    assert "benlab experiment tri seed=3 bias=0.7" in said
    assert "TOOL" not in said and "rm" not in said
