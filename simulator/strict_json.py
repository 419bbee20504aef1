"""JSON of somebody else's: numbers that a float holds, and no depth that ends the reader."""

from __future__ import annotations

import json
from typing import Any

_MOST_DIGITS = 300
"""A longer integer does not fit into a float."""


def loads(text: str) -> Any:
    """Return the value of a JSON text.

    Raises ValueError if it is not JSON, is nested too deep, or holds NaN, infinity or a number beyond a float's range.
    """
    try:
        return json.loads(text, parse_constant=_refused, parse_float=_finite, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deep") from error


def _refused(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is above the largest number, 1.8e308")
    return value


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{text[:20]}… has {len(text)} digits, above the most, {_MOST_DIGITS}")
    return int(text)
