"""A result as plain text."""

from __future__ import annotations

import json
from typing import Any

from benlab_tui.text import inert


def as_text(value: dict[str, Any]) -> str:
    """A result as a person reads it: its summary or text, else its values as indented JSON."""
    for key in ("text", "summary"):
        if isinstance(value.get(key), str):
            return inert(value[key])
    return json.dumps(value, indent=2, ensure_ascii=False) if value else "done"
