"""The Go template for Ollama, read from the base's own Jinja template by probing."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from pipeline.bases import Base, find_entry
from pipeline.bases.template import render
from pipeline.chat.tool_text import as_turns, tools_text, with_system_text
from pipeline.install.template import go_template

LLAMA3 = (
    "{{- bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content']|trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n' + system + '<|eot_id|>' }}"
    "{%- for m in messages %}{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
    "{{- m['content'] + '<|eot_id|>' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
ZEPHYR = (
    "{% for m in messages %}\n{% if m['role'] == 'user' %}\n{{ '<|user|>\n' + m['content'] + eos_token }}\n"
    "{% elif m['role'] == 'system' %}\n{{ '<|system|>\n' + m['content'] + eos_token }}\n"
    "{% elif m['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + m['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{{ m['role'] + ': ' + m['content'] }}{% endfor %}"
)
SHOUTED = "{% for m in messages %}{{ m['role'] + m['content'] | upper }}{% endfor %}"


LINE = "Tools: {{ range $n, $tool := $.Tools }}{{ if $n }}, {{ end }}{{ $tool.Function.Name }}{{ end }}"
CALLS = (
    "{{ with .ToolCalls }}{{ if $turn.Content }}\n{{ end }}{{ end }}{{ if .ToolCalls }}"
    "{{ range $n, $call := .ToolCalls }}{{ if $n }}\nTOOL:{{ else }}TOOL:{{ end }}"
    ' {"name": "{{ $call.Function.Name }}", "arguments": {{ $call.Function.Arguments }}}{{ end }}{{ end }}'
)


def test_chatml(base: Base) -> None:
    assert go_template(base) == (
        f"{{{{ if and .Tools (not .System) }}}}<|im_start|>system\n{LINE}<|im_end|>\n{{{{ end }}}}"
        '{{ range $turn := .Messages }}{{ if eq .Role "system" }}<|im_start|>system\n{{ .Content }}'
        f"{{{{ if $.Tools }}}}\n\n{LINE}{{{{ end }}}}<|im_end|>\n"
        '{{ else if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n'
        f'{{{{ else if eq .Role "assistant" }}}}<|im_start|>assistant\n{{{{ .Content }}}}{CALLS}<|im_end|>\n'
        '{{ else if eq .Role "tool" }}<|im_start|>user\nRESULT: {{ .Content }}<|im_end|>\n'
        "{{ end }}{{ end }}<|im_start|>assistant\n"
    )


def test_begin_of_text_is_left_to_the_server_that_adds_it(base: Base) -> None:
    bos, eos = "<|begin_of_text|>", "<|eot_id|>"
    llama = dataclasses.replace(base, chat_template=LLAMA3, bos_token=bos, eos_token=eos, add_bos=True)
    made = go_template(llama)
    assert made and bos not in made and "Today Date: 26 Jul 2024\n\n{{ .Content }}{{ if $.Tools }}" in made
    kept = go_template(dataclasses.replace(llama, add_bos=False))
    assert kept and bos in kept


@pytest.mark.parametrize("template", [ZEPHYR, find_entry("phi-2").chat_template], ids=["zephyr", "phi"])  # type: ignore[union-attr]
def test_other_families(template: str, base: Base) -> None:
    made = go_template(dataclasses.replace(base, chat_template=template, bos_token="<s>", eos_token="</s>"))
    assert made and made.count("{{ .Content }}") == 4


@pytest.mark.parametrize("template", [NO_SYSTEM, SHOUTED, "{{ messages|length }}", "{{ '{{' }}" + ZEPHYR])
def test_what_cannot_be_written_that_way_is_none(template: str, base: Base) -> None:
    assert go_template(dataclasses.replace(base, chat_template=template)) is None


def _tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "d", "parameters": {}}}


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"id": "1", "function": {"name": name, "arguments": arguments}}


SYSTEM: Any = {"role": "system", "content": "Be brief."}
ASK: Any = {"role": "user", "content": "Run it."}
CONVERSATIONS: dict[str, list[Any]] = {
    "one question": [SYSTEM, ASK],
    "a call and its result": [
        SYSTEM,
        ASK,
        {"role": "assistant", "content": "", "tool_calls": [_call("tri", seed=3, bias=0.7, phase_type="spt_cluster")]},
        {"role": "tool", "content": "TRI 0.2", "tool_name": "tri"},
        {"role": "assistant", "content": "It is low."},
        {"role": "user", "content": "Why?"},
    ],
    "two calls after a word": [
        SYSTEM,
        ASK,
        {"role": "assistant", "content": "Both.", "tool_calls": [_call("tri", seed=3), _call("echo", delta=0.01)]},
        {"role": "tool", "content": "TRI 0.2"},
        {"role": "tool", "content": "L 0.9"},
    ],
    "two questions in a row": [SYSTEM, ASK, ASK],
}


@pytest.mark.parametrize("template", [None, ZEPHYR], ids=["chatml", "zephyr"])
@pytest.mark.parametrize("tools", [[], ["tri"], ["run_phase", "tri", "echo"]], ids=["none", "one", "three"])
@pytest.mark.parametrize("chat", CONVERSATIONS.values(), ids=list(CONVERSATIONS))
def test_it_renders_calls_and_results_as_training_does(
    chat: list[Any], tools: list[str], template: str | None, base: Base
) -> None:
    """Through a Go renderer of the tests; test_any_ollama asks real servers the same."""
    base = base if template is None else dataclasses.replace(base, chat_template=template, eos_token="</s>")
    schemas = [_tool(name) for name in tools]
    turns = with_system_text(as_turns(chat), tools_text(schemas)) if tools else as_turns(chat)
    assert _through_go(base, chat, tools) == render(base, turns, add_generation_prompt=True)


def test_the_tools_that_can_run_are_named_without_a_system_prompt_too(base: Base) -> None:
    turns = with_system_text([ASK], tools_text([_tool("tri")]))
    assert _through_go(base, [ASK], ["tri"]) == render(base, turns, add_generation_prompt=True)


def _through_go(base: Base, chat: list[Any], tools: list[str]) -> str:
    made = go_template(base)
    assert made
    values = {
        "System": chat[0]["content"] if chat[0]["role"] == "system" else "",
        "Messages": _module("ollama_contract")._collated(chat),
        "Tools": [{"Function": {"Name": name}} for name in tools],
    }
    return _module("go_template").render(made, values)


def test_ollamas_parser_finds_the_tag_of_a_call_in_it(base: Base) -> None:
    go = _module("go_template")
    assert go.call_tag(go_template(base)) == "TOOL:" and {"tools", "toolcalls"} <= go.variables(go_template(base))


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
