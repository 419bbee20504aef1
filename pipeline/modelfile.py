"""The Modelfile: FROM, ADAPTER, PARAMETER and SYSTEM, the one source of the system prompt and parameters.

`parse` follows Ollama's own reader (parser/parser.go): a value in triple quotes, or in quotes, runs over line
breaks until a line ends in the same quotes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import BadInput
from simulator.private_files import read_text

if TYPE_CHECKING:
    from pipeline.lab import Lab

ParameterValue = int | float | bool | str | list[str]

_COMMANDS = (
    "from",
    "adapter",
    "parameter",
    "system",
    "template",
    "license",
    "message",
    "draft",
    "renderer",
    "parser",
    "requires",
)
_INTEGERS = (
    "num_ctx",
    "num_predict",
    "num_keep",
    "num_batch",
    "num_gpu",
    "num_thread",
    "seed",
    "top_k",
    "repeat_last_n",
)
_NUMBERS = ("temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Modelfile:
    """What a Modelfile says. `parameters` are typed as Ollama types them; `stop` is a list."""

    from_: str
    adapter: str | None = None
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    system: str = ""
    template: str | None = None
    license: str | None = None


def load(lab: Lab | None = None) -> Modelfile:
    """The lab's own Modelfile where it has one, else the one that ships with Ben Lab. Raises BadInput."""
    if lab is not None and lab.modelfile.is_file():
        return _read(lab.modelfile)
    shipped = Path(__file__).parent / "Modelfile"
    return _read(shipped if shipped.is_file() else Path(__file__).parent.parent / "Modelfile")


def _read(path: Path) -> Modelfile:
    try:
        return parse(read_text(path, encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}): make it a small text file") from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def parse(text: str) -> Modelfile:
    """The Modelfile in `text`. Raises BadInput, which names the line."""
    values: dict[str, str] = {}
    parameters: dict[str, ParameterValue] = {}
    lines = text.replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        line = lines[number].lstrip()
        number += 1
        if not line.strip() or line.startswith("#"):
            continue
        command, rest = re.match(r"(\S+)\s?(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
        name = command.lower()
        if name not in _COMMANDS:
            raise BadInput(f"line {number} starts with {command!r}: use one of {', '.join(_COMMANDS).upper()}")
        start = number
        value, number = _value(rest.lstrip(), lines, number)
        if name == "parameter":
            _add_parameter(parameters, value, start)
        else:
            values[name] = value
    if not values.get("from"):
        raise BadInput("the Modelfile has no FROM line: add one, such as FROM llama3.2:1b")
    return Modelfile(
        values["from"],
        values.get("adapter"),
        parameters,
        values.get("system", "").strip(),
        values.get("template"),
        values.get("license"),
    )


def _value(first: str, lines: list[str], number: int) -> tuple[str, int]:
    """The unquoted value that starts with `first`, and the number of lines read."""
    start, value = number, first
    while (whole := _unquote(value.strip())) is None:
        if number >= len(lines):
            raise BadInput(f"the quotes that open in line {start} are never closed: end the text with them")
        value += "\n" + lines[number]
        number += 1
    return whole, number


def _unquote(value: str) -> str | None:
    """The text inside the quotes, or None where they are still open."""
    for quotes in ('"""', '"'):
        if value.startswith(quotes):
            closed = len(value) >= 2 * len(quotes) and value.endswith(quotes)
            return value[len(quotes) : -len(quotes)] if closed else None
    return value


def _add_parameter(parameters: dict[str, ParameterValue], value: str, line: int) -> None:
    name, _, text = value.partition(" ")
    text = _unquote(text.strip()) or ""
    if not text:
        raise BadInput(f"line {line}: PARAMETER {name} has no value: write PARAMETER {name or 'temperature'} 0.2")
    if name == "stop":
        stops = parameters.setdefault("stop", [])
        assert isinstance(stops, list)
        stops.append(text)
        return
    parameters[name] = _typed(name, text, line)


def _typed(name: str, text: str, line: int) -> ParameterValue:
    try:
        if name in _INTEGERS:
            return int(text)
        if name in _NUMBERS:
            return float(text)
    except ValueError as error:
        kind = "whole number" if name in _INTEGERS else "number"
        raise BadInput(f"line {line}: PARAMETER {name} is {text!r}: give a {kind}") from error
    return {"true": True, "false": False}.get(text.lower(), text)


def render(
    from_: str,
    *,
    adapter: str | None = None,
    parameters: Mapping[str, ParameterValue] | None = None,
    system: str = "",
    template: str | None = None,
    license: str | None = None,
) -> str:
    """A Modelfile that `parse`, and Ollama, read back to the same values. Raises BadInput where none can hold them."""
    lines = [f"FROM {_one_line('FROM', from_)}", ""]
    if adapter:
        lines += [f"ADAPTER {_one_line('ADAPTER', adapter)}", ""]
    for name, value in (parameters or {}).items():
        lines += [
            f"PARAMETER {name} {_parameter_text(item)}" for item in (value if isinstance(value, list) else [value])
        ]
    if parameters:
        lines.append("")
    for command, text in (("TEMPLATE", template), ("SYSTEM", system), ("LICENSE", license)):
        if text:
            lines += [f"{command} {quote(command, text)}", ""]
    return "\n".join(lines)


def quote(command: str, text: str) -> str:
    """`text` in the quotes that hold it. Raises BadInput where no Modelfile can."""
    clean = text.replace("\r\n", "\n")
    if bad := _CONTROL.search(clean):
        raise BadInput(
            f"the {command} text holds the control character {bad.group()!r} at position {bad.start()}: remove it"
        )
    # Ollama keeps line breaks next to the quotes, and the prompt would no longer be training's.
    for candidate in (f'"""{clean}"""', f'"{clean}"'):
        if _reads_back(candidate, clean):
            return candidate
    raise BadInput(f'the {command} text has a line that ends in """, which a Modelfile cannot hold: change that line')


def _reads_back(candidate: str, text: str) -> bool:
    """Whether the quotes close at the very end and nowhere before."""
    first, *lines = candidate.split("\n")
    try:
        value, read = _value(first, lines, 0)
    except BadInput:
        return False
    return read == len(lines) and value.strip() == text.strip()


def _one_line(command: str, text: str) -> str:
    if bad := _CONTROL.search(text) or re.search(r"[\n\t]", text):
        raise BadInput(f"the {command} value {text!r} holds {bad.group()!r}: give it in one line of plain text")
    return text


def _parameter_text(value: ParameterValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quote("PARAMETER", value) if re.search(r"\s|\"", value) else value
    return f"{value}"
