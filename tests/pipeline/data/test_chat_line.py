"""Chats of other tools: whole conversations, parts, system prompts, and what is not read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.chat.tool_text import call_text
from pipeline.data.check import run as check
from pipeline.data.duplicates import Seen
from pipeline.data.generate import run
from pipeline.data.line import Sample, chat_notes, parse
from pipeline.data.params import CheckParams, GenerateParams
from pipeline.data.reader import read_good
from pipeline.errors import DataError
from pipeline.lab import Lab
from pipeline.train.samples import messages_of
from simulator.events import Note, last_result


def chat(*turns: tuple[str, Any], **more: Any) -> str:
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in turns], **more})


def calling(name: str, arguments: Any) -> str:
    """An OpenAI chat in which the assistant calls a tool and reads its result."""
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "r"},
        {"role": "assistant", "content": "b"},
    ]
    return json.dumps({"messages": turns})


@pytest.mark.parametrize("arguments", [{"phase_type": "spt_cluster"}, '{"phase_type": "spt_cluster"}'])
def test_calls_of_experiments_are_taken_in_with_their_results(arguments: Any) -> None:
    """OpenAI's form, arguments as an object or as text, and ShareGPT's."""
    sample = parse(calling("run_phase", arguments))
    call = call_text("run_phase", {"phase_type": "spt_cluster"})
    assert [turn["content"] for turn in sample.turns][1:] == [call, "RESULT: r", "b"]
    assert sample.tools and parse(sample.to_line()) == sample
    said = {"name": "run_phase", "arguments": {"phase_type": "spt_cluster"}}
    turns = [("human", "a"), ("function_call", json.dumps(said)), ("observation", "r"), ("gpt", "b")]
    other = parse(json.dumps({"conversations": [{"from": who, "value": text} for who, text in turns]}))
    assert other.turns == sample.turns and other.tools


def test_every_turn_of_a_chat_is_kept() -> None:
    sample = parse(chat(("user", "Hi."), ("assistant", "Hello."), ("user", "Shorter."), ("assistant", "Hi.")))
    assert (sample.instruction, sample.output, len(sample.messages)) == ("Shorter.", "Hi.", 4)
    assert parse(sample.to_line()) == sample
    roles = [(turn["role"], turn["content"]) for turn in messages_of(sample, "You are Ben.")]
    assert roles == [
        ("system", "You are Ben."),
        ("user", "Hi."),
        ("assistant", "Hello."),
        ("user", "Shorter."),
        ("assistant", "Hi."),
    ]


def test_sharegpt_and_fields_with_history() -> None:
    turns = [("system", "S"), ("human", "a"), ("gpt", "b"), ("human", "c"), ("gpt", "d")]
    sample = parse(json.dumps({"conversations": [{"from": who, "value": text} for who, text in turns]}))
    assert (sample.prompt, sample.output) == ("c", "d")
    assert [turn["content"] for turn in sample.messages] == ["a", "b", "c", "d"]
    line = json.dumps({"instruction": "c", "output": "d", "history": [["a", "b"]], "system": "S"})
    assert parse(line) == sample and sample.meta == {"system_left_out": True}


@pytest.mark.parametrize(
    ("turns", "prompt", "output", "left_out"),
    [
        ([("assistant", "Welcome."), ("user", "a"), ("assistant", "b")], "a", "b", 1),
        ([("user", "a"), ("user", "b"), ("assistant", "c"), ("assistant", "d")], "a\n\nb", "c\n\nd", 0),
        ([("user", "a"), ("assistant", "b"), ("user", "and?")], "a", "b", 1),
        ([("user", [{"type": "text", "text": "a"}]), ("assistant", "b")], "a", "b", 0),
        ([("developer", "S"), ("user", "a"), ("assistant", "b")], "a", "b", 0),
    ],
)
def test_odd_turns(turns: list[tuple[str, Any]], prompt: str, output: str, left_out: int) -> None:
    sample = parse(chat(*turns))
    assert (sample.prompt, sample.output, sample.meta.get("left_out", 0)) == (prompt, output, left_out)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (chat(("user", "a"), ("assistant", None)), "content is not text"),
        (chat(("user", "a")), "no user message that an assistant message answers"),
        (chat(("assistant", "b"), ("system", "a")), "no user message that an assistant message answers"),
        (chat(("user", "a"), ("tool", "2C"), ("assistant", "b")), "a tool's result follows no call"),
        (chat(("user", "a"), ("narrator", "b")), "role is 'narrator', which is unknown: use user, assistant, tool"),
        (chat(("user", [{"type": "image_url"}]), ("assistant", "b")), "a part of type 'image_url'"),
        (chat(("user", [{}]), ("assistant", "b")), "a part of type 'None', and only text is read"),
        ('{"messages": [{"role": "assistant", "content": null, "tool_calls": [1]}]}', "a tool call has no function"),
        (calling("get_weather", {"city": "Ulm"}), "'get_weather' is not a tool: use one of run_phase"),
        (calling("run_phase", {"phase_type": "spt_cluster", "depth": 0}), "depth is 0, below"),
        (calling("run_phase", "{"), "a call's arguments is not JSON"),
        (calling("run_phase", "[1]"), "its arguments are not an object"),
        (chat(*[("user", "a"), ("assistant", "b")] * 5000), "10000 turns are more than 200: split the chat"),
        ('{"messages": [{"role": ["user"], "content": "a"}]}', "use user, assistant, tool or system"),
        ('{"messages": {"role": "user"}}', "messages is not a list of objects"),
        ('{"instruction": "a", "output": "b", "history": ["x"]}', "history is not a list of [question, answer] pairs"),
    ],
)
def test_what_is_no_chat_is_named(line: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(line)
    assert said in str(caught.value)


def test_two_chats_that_end_alike_are_no_duplicates() -> None:
    ends = ("user", "Shorter, please."), ("assistant", "OK.")
    seen = Seen()
    assert seen.take(parse(chat(("user", "About A?"), ("assistant", "A long answer."), *ends)))
    assert seen.take(parse(chat(("user", "B, then?"), ("assistant", "Another one."), *ends)))
    assert not seen.take(parse(chat(("user", "About A?"), ("assistant", "A long answer."), *ends)))


def test_one_label_for_many_inputs_stays(lab: Lab, tmp_path: Path) -> None:
    rule = "Say whether the experiment should go on or stop, given what the thermometer in the cryostat shows right now"
    rows = [{"instruction": rule, "input": f"temperature {60 + n} C", "output": "stop"} for n in range(20)]
    mine = tmp_path / "labels.jsonl"
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = last_result(run(lab, GenerateParams(mix=[str(mine)], append=True)))
    assert result["samples"] == 20 and result["dropped"]["near_duplicates"] == 0


def test_what_of_chats_is_not_trained_on_is_told(lab: Lab, tmp_path: Path) -> None:
    mine = tmp_path / "chats.jsonl"
    mine.write_text(chat(("system", "S"), ("assistant", "Hi."), ("user", "a"), ("assistant", "b")), encoding="utf-8")
    for events in (
        run(lab, GenerateParams(mix=[str(mine)], append=True)),
        check(lab, CheckParams(file=str(mine))),
    ):
        told = [event.text for event in events if isinstance(event, Note)]
        assert any("1 lines have a system prompt of their own" in text for text in told), told
        assert any("1 chats have messages before their first question" in text for text in told), told
    assert chat_notes([Sample("a", "", "b")]) == []


def test_lines_of_json_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('{"instruction": "a", "output": "b"}\n', encoding="utf-8")
    assert len(read_good(tmp_path / "a.csv")[0]) == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '[\n{"instruction": "a", "output": "b"}\n]', "is a JSON array: write one object a line"),
        ("a.json", '[{"instruction": "a", "output": "b"},\n{"instruction": "c", "output": "d"}]', "is a JSON array"),
        ("a.jsonl", '{\n"instruction": "a",\n"output": "b"}', "has an object over several lines"),
        ("a.csv", "instruction,output\na,b\n", "is no JSONL"),
    ],
)
def test_a_file_of_another_kind_is_named_once(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_good(tmp_path / name)
