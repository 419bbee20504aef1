"""Reading the call in an answer or a line of training data, checked against the experiments' parameters."""

from __future__ import annotations

import json
from typing import Any

from pipeline.chat.tool_text import CALL
from pipeline.chat.tools import read_call
from simulator import EXPERIMENTS, validate


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
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in EXPERIMENTS:
        raise ValueError(f"{str(name)[:40]!r} is not an experiment")
    call = read_call(value)
    if call is None:
        raise ValueError(f"the arguments of the call of {name} are not an object")
    arguments = call[1]
    validate(EXPERIMENTS[name].public, arguments)
    return name, arguments
