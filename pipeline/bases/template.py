"""Chat templates: the text that a list of messages becomes, the same in training and in serving.

The environment equals the one of transformers' `apply_chat_template` (trimmed blocks, loop controls,
its `tojson`, `raise_exception`, `strftime_now`), without loading transformers. A template is a
stranger's code: it runs in jinja2's immutable sandbox, and in a child with limits on time and memory unless it is
one of the lab's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline.bases.template_child import CHILD, Refused
from pipeline.errors import BaseError

if TYPE_CHECKING:
    import jinja2

    from pipeline.bases.base import Base

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""What llama.cpp assumes, too, where a file has no template."""


_KNOWN = frozenset(
    (
        "17762d2e5131cb2a950db7dd5700c50095547773d3302b52baebe9ae32257a55",  # CHATML above
        "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",  # SmolLM2-135M-Instruct, the default base
    )
)
"""sha256 of the templates that the lab has read: they loop over the messages once and end."""


def chat_template(base: Base) -> str:
    """The base's own template (Jinja)."""
    return base.chat_template


def render(
    base: Base,
    messages: Sequence[Mapping[str, Any]],
    add_generation_prompt: bool = False,
    tools: Sequence[Mapping[str, Any]] | None = None,
    as_given: bool = False,
) -> str:
    """The messages as one text; begin-of-text is in it only where the template writes it. Raises BaseError.

    A template that knows no system role (Gemma's, early Mistral's) gets the system prompt in front of the question,
    but with `as_given`.
    """
    values = {
        "tools": list(tools) if tools else None,
        "documents": None,
        "add_generation_prompt": add_generation_prompt,
        "bos_token": base.bos_token,
        "eos_token": base.eos_token,
    }
    whole = [dict(message) for message in messages]
    try:
        return _render(base.chat_template, {**values, "messages": whole})
    except Refused as error:
        # Where this is refused, too, the first refusal says what is wrong with the messages as they were given.
        with suppress(Refused):
            if not as_given and (joined := _system_in_question(whole)) is not None:
                return _render(base.chat_template, {**values, "messages": joined})
        raise BaseError(
            f"the chat template of {base.name} refuses these messages ({error}): change their roles"
        ) from error


def _system_in_question(messages: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The messages with the system prompt as the opening of the question after it; None where there is none."""
    if len(messages) < 2 or [message.get("role") for message in messages[:2]] != ["system", "user"]:
        return None
    system, question = messages[:2]
    return [{**question, "content": f"{system['content']}\n\n{question['content']}"}, *messages[2:]]


def _render(template: str, values: dict[str, Any]) -> str:
    """The template's text, made here if the lab knows the template, else in the child. Raises Refused."""
    if not _is_known(template):
        return CHILD.render(template, values)
    import jinja2

    try:
        return compiled(template).render(**values)
    except jinja2.TemplateError as error:
        raise Refused(str(error)) from error


@lru_cache(maxsize=16)
def _is_known(template: str) -> bool:
    import hashlib

    return hashlib.sha256(template.encode("utf-8", "replace")).hexdigest() in _KNOWN


@lru_cache(maxsize=16)
def compiled(source: str) -> jinja2.Template:
    """The template, ready to render."""
    import jinja2
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_generation_tag(), jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(source)


def _generation_tag() -> type[jinja2.ext.Extension]:
    """`{% generation %}…{% endgeneration %}`, which marks the answer for training and renders as its content."""
    import jinja2
    import jinja2.ext
    from jinja2 import nodes

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_through"), [], [], body).set_lineno(line)

        def _through(self, caller: Any) -> str:
            return caller()

    return Generation


def _refuse(message: str) -> None:
    import jinja2

    raise jinja2.TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
