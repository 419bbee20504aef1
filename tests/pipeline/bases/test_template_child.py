"""Templates of strangers: rendered as in this process, and stopped when they take too much."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from pipeline.bases import template
from pipeline.bases.base import Base
from pipeline.bases.template import CHATML, render
from pipeline.bases.template_child import SECONDS
from pipeline.errors import BaseError

BASE = Base("x", Path("x.gguf"), "gguf", "0" * 64, 1, "test", "llama", 2048, CHATML, "<s>", "</s>", False)
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "é\x00\u2028\U0001f600 {{ 7 * 7 }}"},
]
GREEDY = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "text": "{{ 'a' * 10000000000 }}",
    "doubling": "{% set n = namespace(t='aaaaaaaa') %}{% for a in range(60) %}{% set n.t = n.t + n.t %}{% endfor %}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "format": "{{ '%9999999999d' | format(1) }}",
    "centre": "{{ 'x' | center(9999999999) }}",
    "list": "{{ ([0] * 9999999999) | length }}",
    "long": "{{ 'abcdefgh' * 2000000 }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
}
SNEAKY = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ messages.__class__ }}{{ messages.append(1) }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{% import 'os' as os %}",
    "{{ 1 / 0 }}",
    "{{ messages[99].content }}",
    "{{ 1 + 'a' }}",
    "{% for",
]


def other(source: str) -> Base:
    return dataclasses.replace(BASE, chat_template=source)


@pytest.mark.parametrize("source", GREEDY.values(), ids=GREEDY)
def test_a_greedy_template_is_stopped_in_one_sentence(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(BaseError, match="the chat template of x refuses these messages") as caught:
        render(other(source), MESSAGES[1:])
    assert time.monotonic() - started < SECONDS + 20 and "\n" not in str(caught.value)
    # The next one has a child that answers.
    assert render(other("{{ messages[0].role }}"), MESSAGES[1:]) == "user"


@pytest.mark.parametrize("source", SNEAKY)
def test_a_sneaky_or_broken_template_is_refused_in_one_sentence(source: str) -> None:
    with pytest.raises(BaseError):
        render(other(source), MESSAGES)


def test_what_the_sandbox_hides_is_empty() -> None:
    assert render(other("{{ strftime_now.__globals__ }}{{ raise_exception.__code__ }}"), MESSAGES) == ""


def test_a_stranger_s_template_gives_the_same_text_as_a_known_one() -> None:
    assert not template._is_known(CHATML + " ") and template._is_known(CHATML)
    for add in (False, True):
        assert render(other(CHATML + "{# #}"), MESSAGES, add) == render(BASE, MESSAGES, add)


def test_a_known_template_needs_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template.CHILD, "render", lambda *_: pytest.fail("a child was asked"))
    assert render(BASE, MESSAGES).startswith("<|im_start|>system")


def test_many_threads_share_the_child() -> None:
    from concurrent.futures import ThreadPoolExecutor

    source = other("{{ messages[0].content }}{# shared #}")
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda n: render(source, [{"role": "user", "content": str(n)}]), range(200)))
    assert texts == [str(number) for number in range(200)]
