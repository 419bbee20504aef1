"""The Go template for Ollama, read from the base's own Jinja template by probing."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.bases import Base, find_entry
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


def test_chatml(base: Base) -> None:
    assert go_template(base) == (
        '{{- range .Messages }}{{ if eq .Role "system" }}<|im_start|>system\n{{ .Content }}<|im_end|>\n'
        '{{ else if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n'
        '{{ else if eq .Role "assistant" }}<|im_start|>assistant\n{{ .Content }}<|im_end|>\n'
        "{{ end }}{{ end }}<|im_start|>assistant\n"
    )


def test_begin_of_text_is_left_to_the_server_that_adds_it(base: Base) -> None:
    bos, eos = "<|begin_of_text|>", "<|eot_id|>"
    llama = dataclasses.replace(base, chat_template=LLAMA3, bos_token=bos, eos_token=eos, add_bos=True)
    made = go_template(llama)
    assert made and bos not in made and "Today Date: 26 Jul 2024\n\n{{ .Content }}<|eot_id|>" in made
    kept = go_template(dataclasses.replace(llama, add_bos=False))
    assert kept and bos in kept


@pytest.mark.parametrize("template", [ZEPHYR, find_entry("phi-2").chat_template], ids=["zephyr", "phi"])  # type: ignore[union-attr]
def test_other_families(template: str, base: Base) -> None:
    made = go_template(dataclasses.replace(base, chat_template=template, bos_token="<s>", eos_token="</s>"))
    assert made and made.count("{{ .Content }}") == 3


@pytest.mark.parametrize("template", [NO_SYSTEM, SHOUTED, "{{ messages|length }}", "{{ '{{' }}" + ZEPHYR])
def test_what_cannot_be_written_that_way_is_none(template: str, base: Base) -> None:
    assert go_template(dataclasses.replace(base, chat_template=template)) is None
