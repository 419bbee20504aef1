"""Reading the call in an answer or a line of training data, checked as a call in the chat is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.chat import lab_tools
from pipeline.chat.tool_text import CALL, tools_text
from pipeline.chat.tools import read_call


def read_tool_line(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return the first tool call in `text` as (name, arguments), or None if there is none.

    Raises ValueError if a call is there but cannot be read, names no experiment or has bad arguments.
    """
    _, mark, rest = text.partition(CALL)
    if not mark:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(rest.strip())
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"the tool call is not JSON: {rest.strip()[:60]!r}") from error
    call = read_call(value)
    if call is None:
        raise ValueError("the tool call has no name, or its arguments are not an object")
    check_call(*call)
    return call


def check_call(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise ValueError if the lab has no such tool or would refuse the arguments."""
    try:
        lab_tools.check(name, arguments)
    except lab_tools.Refused as error:
        raise ValueError(str(error)) from error


def tools_line() -> str:
    """Return the line that ends the system prompt if experiments can be run."""
    return tools_text(lab_tools.schemas())
