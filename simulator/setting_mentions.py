"""The settings that a text names between a feature and its number: "operator_spread at size 32, depth 4: 0.14"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAME = r"(?:system[_ ])?size|depth|bias|seed"
_VALUE = r"\d{1,40}+(?:\.\d{1,40}+)?|\.\d{1,40}+"
_EQUALS = r"\s*(?:(?:[=:]|of|is)\s*)?"
SETTING = rf"\b(?:{_NAME}){_EQUALS}(?:{_VALUE})(?![\w.]*\d)"
"""A pattern of one setting with its value."""
AT = rf"\s+(?:at|for|with)\s+{SETTING}(?:\s*(?:,|\band\b)\s*{SETTING}){{0,3}}"
"""A pattern of the settings behind a feature's name."""
_SETTING = re.compile(rf"\b(?P<name>{_NAME}){_EQUALS}(?P<value>{_VALUE})", re.I)


def strange_setting(text: str, params: Mapping[str, Any]) -> str | None:
    """The first setting named in `text` that a run with `params` has not; a parameter without a number has any."""
    for found in _SETTING.finditer(text):
        name = found["name"].lower()
        own = params.get("system_size" if name.endswith("size") else name)
        if isinstance(own, int | float) and own != float(found["value"]):
            return found.group()
    return None
