"""Secrets in what is stored, shown or logged: parameters by their names, passwords and keys in addresses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import re

MASK = "***"
_NAMES = ("token", "password", "passwd", "secret", "api_key", "apikey")

_WORDS = r"(?:token|password|passwd|secret|api[-_]?key)"
_PLACES = ("host", "url", "api", "address")


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """Return a pattern, compiled when it is first needed: the console's first paint needs none.

    None of them can be slow: each part stops at a character that the part after it begins with.
    """
    import re

    word = rf"[\w-]{{0,40}}{_WORDS}"
    return re.compile(
        {
            "user": r"(?<=://)[^\s/?#\"]*@",
            "query": rf"(?i)([?&](?:{word}|key)=)[^\s&#\"]+",
            "given": rf"(?i)(?<!\S)((?:--)?{word}=|--{word}\s+)(\"[^\"]*\"?|'[^']*'?|\S+)",
            "host": r"(?i)(?<!\S)((?:--)?[\w-]{0,40}(?:host|url|api)(?:=|\s+))(?!\S{0,20}://)[^\s@/]*@",
        }[name]
    )


def is_secret(name: str) -> bool:
    """Return whether a parameter of that name holds a secret: token, password, api_key, and names that end so."""
    return name.lower().replace("-", "_").endswith(_NAMES)


def mask_addresses(text: str) -> str:
    """Return the text with `***` for user and password in its URLs, and for keys in their queries.

    >>> mask_addresses("http://me:word@lab:8000/v1?api_key=1234")
    'http://***@lab:8000/v1?api_key=***'
    """
    if "://" not in text:
        return text
    return _pattern("query").sub(rf"\g<1>{MASK}", _pattern("user").sub(f"{MASK}@", text))


def mask_line(line: str) -> str:
    """Return a command line with `***` for the values of secret parameters, and its addresses masked.

    >>> mask_line("/serve port=8000 token=a-long-secret-word")
    '/serve port=8000 token=***'
    """
    given = _pattern("given").sub(rf"\g<1>{MASK}", line)
    return mask_addresses(_pattern("host").sub(rf"\g<1>{MASK}@", given))


def masked(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters without those that are secrets, and with masked addresses."""
    return {name: _inside(value, name) for name, value in params.items() if not is_secret(name)}


def _inside(value: Any, name: str) -> Any:
    if isinstance(value, str):
        if "@" in value and "://" not in value and name.endswith(_PLACES):  # user:word@host
            return f"{MASK}@{value.rpartition('@')[2]}"
        return mask_addresses(value)
    if isinstance(value, Mapping):
        return masked(value)
    return [_inside(item, name) for item in value] if isinstance(value, list | tuple) else value
