"""The line with which the model calls a tool: `TOOL: {"name": "tri", "args": {"phase_type": "spt_cluster"}}`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from simulator import EXPERIMENTS, validate

MARK = "TOOL:"


def tool_line(name: str, args: Mapping[str, Any]) -> str:
    """The line for one call."""
    return f"{MARK} {json.dumps({'name': name, 'args': dict(args)}, ensure_ascii=False)}"


def read_tool_line(text: str) -> tuple[str, dict[str, Any]] | None:
    """The first tool call in `text` as (name, args); None where there is none.

    Raises ValueError where a call is there but cannot be read, names no experiment or has bad arguments.
    """
    _, mark, rest = text.partition(MARK)
    if not mark:
        return None
    try:
        call, _ = json.JSONDecoder().raw_decode(rest.strip())
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"the tool call is not JSON: {rest.strip()[:60]!r}") from error
    if not isinstance(call, dict) or not isinstance(call.get("args"), dict):
        raise ValueError("the tool call has no object named args")
    name = call.get("name")
    if not isinstance(name, str) or name not in EXPERIMENTS:
        raise ValueError(f"{str(name)[:40]!r} is not an experiment")
    validate(EXPERIMENTS[name].params, call["args"])
    return name, call["args"]
