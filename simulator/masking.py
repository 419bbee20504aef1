"""Secrets in what is stored, shown or logged: parameters by their names, passwords and keys in addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_NAMES = ("token", "password", "passwd", "secret", "api_key", "apikey")

# No pattern here can be slow: each part stops at a character that the part after it begins with.
_USER = re.compile(r"(?<=://)[^\s/?#\"]*@")
_QUERY = re.compile(r"(?i)([?&](?:[\w-]{0,40}(?:token|password|passwd|secret|api_?key)|key)=)[^\s&#\"]+")
_GIVEN = re.compile(
    r"(?i)(?<!\S)((?:--)?[\w-]{0,40}(?:token|password|passwd|secret|api[-_]?key)=|"
    r"--[\w-]{0,40}(?:token|password|passwd|secret|api[-_]?key)\s+)(\"[^\"]*\"?|'[^']*'?|\S+)"
)

_HOST = re.compile(r"(?i)(?<!\S)((?:--)?[\w-]{0,40}(?:host|url|api)(?:=|\s+))(?!\S{0,20}://)[^\s@/]*@")
_PLACES = ("host", "url", "api", "address")


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
    return _QUERY.sub(rf"\g<1>{MASK}", _USER.sub(f"{MASK}@", text))


def mask_line(line: str) -> str:
    """Return a command line with `***` for the values of secret parameters, and its addresses masked.

    >>> mask_line("/serve port=8000 token=a-long-secret-word")
    '/serve port=8000 token=***'
    """
    return mask_addresses(_HOST.sub(rf"\g<1>{MASK}@", _GIVEN.sub(rf"\g<1>{MASK}", line)))


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
