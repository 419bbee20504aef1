"""Text from outside (models, servers, files, names) made safe to show: no escape reaches the terminal."""

from __future__ import annotations

import re
from typing import Any

_KEPT = "\n\t"
_INERT = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in _KEPT},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **dict.fromkeys([0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x2070)], "\ufffd"),
    **dict.fromkeys([*range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)], "\ufffd"),
    **dict.fromkeys([0x2028, 0x2029], "\n"),
}
_ACTIVE = re.compile(f"[{re.escape(''.join(map(chr, _INERT)))}\ud800-\udfff]")


def inert(text: str) -> str:
    """Control characters become their pictures (ESC is ␛), C1 and bidirectional ones and lone surrogates become �."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_INERT)
    return (
        text.encode("utf-8", "replace").decode("utf-8") if any("\ud800" <= char <= "\udfff" for char in text) else text
    )


def inert_json(line: str) -> str:
    """A line of JSON, whose value stays the same, with every such character as JSON's own escape."""
    return line if line.isascii() and line.isprintable() else _ACTIVE.sub(_escape, line)


def _escape(found: re.Match[str]) -> str:
    return "".join(f"\\u{unit:04x}" for unit in _units(ord(found[0])))


def _units(code: int) -> tuple[int, ...]:
    """The code as UTF-16 writes it."""
    return (code,) if code < 0x10000 else (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF))


def without_active(text: str) -> str:
    """The text without such characters: for cells that are laid out already, in which they have no width."""
    return text if text.isprintable() else _ACTIVE.sub("", text)


def one_line(text: str, length: int = 80) -> str:
    """Inert text on one line of at most `length` characters."""
    line = " ".join(inert(text[: 20 * length]).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def number(value: Any) -> str:
    """A number as a person reads it: four significant digits, no trailing zeros."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return inert(str(value))
    if abs(value) >= 1e300 and abs(value) != float("inf"):
        return "a number above 1e300" if value > 0 else "a number below -1e300"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if value == 0:
        return "0"
    return f"{value:.3e}" if not 1e-4 <= abs(value) < 1e7 else f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """`45 s`, `3:20` or `1:02:03`."""
    if seconds is None or seconds != seconds or seconds < 0 or seconds > 1e8:
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"
