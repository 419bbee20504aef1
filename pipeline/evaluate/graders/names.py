"""Finds phases by what people call them."""

from __future__ import annotations

import re

PATTERNS = {
    "ising_symmetry_breaking": r"ising(?:[\s_-]+symmetry[\s_-]+breaking)?|symmetry[\s_-]+breaking",
    "spt_cluster": r"spt(?:[\s_-]+cluster)?|symmetry[\s_-]+protected|cluster[\s_-]+(?:state|phase)",
    "trivial_product": r"trivial(?:[\s_-]+product)?|product[\s_-]+(?:state|phase)",
    "pseudorandom": r"pseudo[\s_-]?random",
}
_ANY = re.compile("|".join(rf"(?P<{name}>\b(?:{pattern})(?![a-z]))" for name, pattern in PATTERNS.items()), re.I)
_DENIED = re.compile(
    r"\b(?:not|never|neither|nor|no|than|rather than|unlike|instead of)\s+(?:(?!but\b)\w+\s+){0,2}$", re.I
)


def phases_in(text: str) -> list[str]:
    """The phases that a text names and does not deny, in order of first mention."""
    return list(mentions(text))


def mentions(text: str) -> dict[str, tuple[int, int]]:
    """Where each phase that a text names and does not deny is named first, in that order."""
    found: dict[str, tuple[int, int]] = {}
    for match in _ANY.finditer(text):
        if not _DENIED.search(text[max(0, match.start() - 40) : match.start()]):
            found.setdefault(str(match.lastgroup), match.span())
    return found
