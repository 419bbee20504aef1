"""Chat templates render as transformers renders them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.bases import Base, catalogue
from pipeline.bases.template import CHATML, render
from pipeline.errors import BaseError

LLAMA3 = (
    "{%- if not date_string is defined %}{%- set date_string = '26 Jul 2024' %}{%- endif %}"
    "{{- bos_token }}{% for m in messages %}{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' }}"
    "{{- m['content'] | trim }}{{- '<|eot_id|>' }}{% endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"
)
QWEN = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "system" and loop.index0 > 3 %}{% break %}{% endif %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
GENERATION = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}"
    "{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}"
)
TOOLS = [{"type": "function", "function": {"name": "run_phase", "description": "ä <b> & 'q'", "parameters": {}}}]
MESSAGES = [
    {"role": "system", "content": "You are Ben's Lab AI."},
    {"role": "user", "content": "  What is TRI? <|im_end|> {{ 1 + 1 }}\n"},
    {"role": "assistant", "content": "A distance."},
    {"role": "user", "content": "Δ ≥ 0?"},
]


GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' + m['content'] | trim }}"
    "{{ '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)


def test_a_template_without_a_system_role_reads_the_prompt_in_the_first_question(base: Base) -> None:
    gemma = replace(base, chat_template=GEMMA, bos_token="<bos>")
    opened = "<bos><start_of_turn>user\nYou are Ben's Lab AI.\n\n  What is TRI?"
    assert render(gemma, MESSAGES, add_generation_prompt=True).startswith(opened)
    with pytest.raises(BaseError, match=r"refuses these messages .System role not supported"):
        render(gemma, [MESSAGES[0], MESSAGES[2]])
    with pytest.raises(BaseError, match=r"refuses these messages .must alternate"):
        render(gemma, [MESSAGES[1], MESSAGES[1]])


def _templates() -> list[str]:
    own = [entry.chat_template for entry in catalogue().values() if entry.chat_template]
    return [CHATML, LLAMA3, QWEN, GENERATION, *own]


@pytest.mark.parametrize("template", _templates())
@pytest.mark.parametrize("tools", [None, TOOLS])
@pytest.mark.parametrize("prompt", [True, False])
def test_it_equals_transformers(base: Base, template: str, tools: list | None, prompt: bool) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    special = {"bos_token": base.bos_token, "eos_token": base.eos_token}
    theirs, _ = render_jinja_template(
        [MESSAGES], tools=tools, chat_template=template, add_generation_prompt=prompt, **special
    )
    assert render(replace(base, chat_template=template), MESSAGES, prompt, tools) == theirs[0]


def test_the_default_base_s_own_template(base: Base) -> None:
    assert render(base, MESSAGES[:2], True).endswith("\n<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception('roles must alternate') }}",
        "{% for x in %}",
    ],
)
def test_a_hostile_or_broken_template_is_one_sentence(base: Base, template: str) -> None:
    with pytest.raises(BaseError, match="refuses these messages"):
        render(replace(base, chat_template=template), MESSAGES)
