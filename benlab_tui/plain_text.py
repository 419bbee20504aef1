"""Results and outside text as plain, harmless text."""

from __future__ import annotations

import json
import re
from typing import Any

# C0 and C1 controls but tab and line break, and the bidirectional overrides: none may reach a terminal.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def inert(text: str) -> str:
    """The text with every control character shown as a harmless symbol, so that no escape sequence acts."""
    return _CONTROLS.sub(lambda match: chr(0x2400 + ord(match[0])) if ord(match[0]) < 0x20 else "�", text)


def as_text(value: dict[str, Any]) -> str:
    """A result as a person reads it: its summary or text, else its values as indented JSON."""
    for key in ("text", "summary"):
        if isinstance(value.get(key), str):
            return inert(value[key])
    return json.dumps(value, indent=2, ensure_ascii=False) if value else "done"
