"""The decoding options, defined once, for every engine, the receipt, the installed model and the written Modelfile.

The lab's Modelfile overrides them. Nothing is left to a server's default: before 0.33 Ollama repeats a penalty of 1.1,
even at temperature 0, where neither model nor request says otherwise.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeline.chat.events import ChatOptions

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.modelfile import Modelfile, ParameterValue

DEFAULTS = ChatOptions(
    temperature=0.2,
    top_p=0.9,
    top_k=40,
    min_p=0.0,
    typical_p=1.0,
    repeat_penalty=1.0,
    repeat_last_n=64,
    presence_penalty=0.0,
    frequency_penalty=0.0,
    max_tokens=1024,
)
CONTEXT = 4096
"""Tokens of prompt and answer together, if the base reads that many."""

SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "repeat_last_n",
    "presence_penalty",
    "frequency_penalty",
)
"""Ollama and llama.cpp call these by the same names, in requests and as PARAMETER."""

_MARK = re.compile(r"<\|[^<>|\s]+\|>|</?s>|<(?:start|end)_of_turn>|\[/?INST\]")


def decoding(modelfile: Modelfile, base: Base | None = None) -> ChatOptions:
    """Return the options of a chat: the Modelfile's over the defaults; without a base no stop strings of its own."""
    said = modelfile.parameters
    values: dict[str, Any] = {name: said[name] for name in (*SAMPLING, "seed") if name in said}
    if isinstance(most := said.get("num_predict"), int) and most > 0:
        values["max_tokens"] = most
    stop = said.get("stop")
    marks = stop if isinstance(stop, list) else stop_strings(base) if base else ()
    return ChatOptions(**values, stop=tuple(marks)).over(DEFAULTS)


def greedy(tokens: int | None = None) -> ChatOptions:
    """Return the options of a reproducible answer, which a receipt compares with training's own choice."""
    return replace(DEFAULTS, temperature=0.0, seed=0, max_tokens=tokens or DEFAULTS.max_tokens)


def parameters(modelfile: Modelfile, base: Base) -> dict[str, ParameterValue]:
    """Return the PARAMETER lines of an installed model: what its server needs to decode as the embedded engine does."""
    chosen = decoding(modelfile, base)
    values: dict[str, ParameterValue] = {**wire(chosen), "num_ctx": context(modelfile, base.context_length)}
    values |= {"num_predict": chosen.max_tokens or 0, "stop": list(chosen.stop)}
    return values | modelfile.parameters


def wire(options: ChatOptions) -> dict[str, Any]:
    """Return the sampling options and the seed as Ollama's and llama.cpp's requests name them."""
    values = {name: getattr(options, name) for name in (*SAMPLING, "seed")}
    return {name: value for name, value in values.items() if value is not None}


def with_seed(options: ChatOptions) -> ChatOptions:
    """Return the options with a random seed if they have none, so that an answer can be made again."""
    return options if options.seed is not None else replace(options, seed=secrets.randbelow(2**31))


def context(modelfile: Modelfile, most: int) -> int:
    """Return the context in tokens: the Modelfile's num_ctx or the default, at most what the base reads."""
    asked = modelfile.parameters.get("num_ctx")
    return min(most, asked if isinstance(asked, int) and asked > 0 else CONTEXT)


def stop_strings(base: Base) -> tuple[str, ...]:
    """Return the texts that end an answer: the base's end token and the marks of its chat template."""
    marks = _marks(base)
    return tuple(dict.fromkeys(mark for mark in (base.eos_token, *marks) if mark))


def first_difference(wanted: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    """Return which option differs first, in words; empty if all agree."""
    for name, value in wanted.items():
        found = shown.get(name)
        same = found == value if isinstance(value, list | str | bool) or found is None else _close(found, value)
        if not same:
            return f"{name} is {'not set' if found is None else found} there and {value} here"
    return ""


def _close(one: Any, other: Any) -> bool:
    """A server may have kept a number as a float of 32 bits."""
    return isinstance(one, int | float) and abs(one - other) <= 1e-6 * max(1.0, abs(other))


def _marks(base: Base) -> list[str]:
    from pipeline.bases.template import render

    rendered = render(base, [{"role": "user", "content": "a"}], add_generation_prompt=True)
    found = _MARK.findall(rendered)
    return [mark for mark in dict.fromkeys(found) if mark != base.bos_token or found.count(mark) > 1]
