"""A Go template for Ollama that renders as the base's own Jinja template does, found by probing.

Most chat templates write, for each message, a fixed text before and after its content that depends on its role
alone, and a fixed text at the end. The probe renders conversations with marked contents, cuts the result at the
marks, and builds the Go template from the pieces. It counts only where the pieces, put together, equal what Jinja
renders for other conversations; else None, and Ollama's own guess has to pass the receipt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.chat.tool_text import CALL, RESULT, TOOLS
from pipeline.errors import BaseError

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.chat.events import Message

_ROLES = ("system", "user", "assistant")
_MARK = "\u2047{}\u2047"


def go_template(base: Base) -> str | None:
    """The template, or None where the base's cannot be written that way."""
    try:
        pieces = _pieces(base)
        if pieces is None or not all(_joined(pieces, chat, base) == _rendered(base, chat) for chat in _examples()):
            return None
    except BaseError:
        return None
    before, after, end = pieces
    texts = [*before.values(), *after.values(), end]
    if any("{{" in text or "}}" in text for text in texts):
        return None
    return _go(before, after, end)


_TOOLS_LINE = (
    f"{TOOLS} {{{{ range $n, $tool := $.Tools }}}}{{{{ if $n }}}}, {{{{ end }}}}"
    "{{ $tool.Function.Name }}{{ end }}"
)
# Ollama takes the first text after `if .ToolCalls`, up to its first brace, as the mark of a call.
_CALLS = (
    "{{ with .ToolCalls }}{{ if $turn.Content }}\n{{ end }}{{ end }}{{ if .ToolCalls }}"
    f"{{{{ range $n, $call := .ToolCalls }}}}{{{{ if $n }}}}\n{CALL}{{{{ else }}}}{CALL}{{{{ end }}}}"
    ' {"name": "{{ $call.Function.Name }}", "arguments": {{ $call.Function.Arguments }}}{{ end }}{{ end }}'
)


def _go(before: dict[str, str], after: dict[str, str], end: str) -> str:
    """Return the Go template of the pieces; calls, results and the tools' line as `tool_text` writes them."""
    contents = {
        "system": f"{{{{ .Content }}}}{{{{ if $.Tools }}}}\n\n{_TOOLS_LINE}{{{{ end }}}}",
        "user": "{{ .Content }}",
        "assistant": f"{{{{ .Content }}}}{_CALLS}",
        "tool": f"{RESULT} {{{{ .Content }}}}",
    }
    branches = []
    for number, (role, content) in enumerate(contents.items()):
        condition = f'{"if" if number == 0 else "else if"} eq .Role "{role}"'
        spoken = "user" if role == "tool" else role
        branches.append(f"{{{{ {condition} }}}}{before[spoken]}{content}{after[spoken]}")
    alone = f"{{{{ if and .Tools (not .System) }}}}{before['system']}{_TOOLS_LINE}{after['system']}{{{{ end }}}}"
    return f"{alone}{{{{ range $turn := .Messages }}}}{''.join(branches)}{{{{ end }}}}{{{{ end }}}}{end}"


Pieces = tuple[dict[str, str], dict[str, str], str]


def _pieces(base: Base) -> Pieces | None:
    """Texts before and after a content by role, and the text that opens the answer."""
    chat = [_message(role, _MARK.format(index)) for index, role in enumerate(("system", "user", "assistant", "user"))]
    text = _rendered(base, chat, answer=False)
    whole = _rendered(base, chat)
    end = whole.removeprefix(text)
    parts = _cut(text, len(chat))
    if parts is None or not whole.startswith(text):
        return None
    first, system_user, user_assistant, assistant_user, after_user = parts
    if not (user_assistant.startswith(after_user) and system_user and assistant_user):
        return None
    before_assistant = user_assistant[len(after_user) :]
    before_user = _common_end(system_user, assistant_user)
    # What ends the user's turn ends the others', too; without this the ending would count as the user's opening.
    if after_user and before_user.startswith(after_user):
        before_user = before_user[len(after_user) :]
    before = {"system": _without_bos(first, base), "user": before_user, "assistant": before_assistant}
    after = {
        "system": system_user.removesuffix(before_user),
        "user": after_user,
        "assistant": assistant_user.removesuffix(before_user),
    }
    return before, after, end


def _cut(text: str, marks: int) -> list[str] | None:
    """The texts around the marks, in order; None where a mark is missing or changed."""
    parts = []
    for index in range(marks):
        found, mark, text = text.partition(_MARK.format(index))
        if not mark:
            return None
        parts.append(found)
    return [*parts, text]


def _joined(pieces: Pieces, chat: list[Message], base: Base) -> str:
    before, after, end = pieces
    body = "".join(before[m["role"]] + m["content"] + after[m["role"]] for m in chat)
    return _opening(base) + body + end


def _rendered(base: Base, chat: list[Message], answer: bool = True) -> str:
    from pipeline.bases.template import render

    return render(base, chat, add_generation_prompt=answer, as_given=True)


def _examples() -> list[list[Message]]:
    """Conversations as the lab has them: always under a system prompt, of one turn and of more."""
    system, one, two = (
        _message("system", "Be brief.\nAnd kind."),
        _message("user", "What is TRI?"),
        _message("user", "Why"),
    )
    answer = _message("assistant", "A distance.")
    return [[system, one], [system, one, answer, two], [system, one, answer, two, answer, one]]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _opening(base: Base) -> str:
    """Begin-of-text as the base's template writes it. Ollama adds it itself where the base's flag says so."""
    text = _rendered(base, [_message("system", "a"), _message("user", "b")])
    return base.bos_token if _adds_bos(base) and text.startswith(base.bos_token) else ""


def _without_bos(text: str, base: Base) -> str:
    return text.removeprefix(base.bos_token) if _adds_bos(base) else text


def _adds_bos(base: Base) -> bool:
    return bool(base.bos_token) and base.add_bos and base.bos_token != base.eos_token


def _common_end(one: str, other: str) -> str:
    size = 0
    while size < min(len(one), len(other)) and one[-1 - size] == other[-1 - size]:
        size += 1
    return one[len(one) - size :]
