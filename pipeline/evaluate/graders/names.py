"""Finds phases by what people call them."""

from __future__ import annotations

import re

PATTERNS = {
    "ising_symmetry_breaking": r"ising(?:[\s_-]{1,9}symmetry[\s_-]{1,9}breaking)?|symmetry[\s_-]{1,9}breaking",
    "spt_cluster": r"spt(?:[\s_-]{1,9}cluster)?|symmetry[\s_-]{1,9}protected|cluster[\s_-]{1,9}(?:state|phase)",
    "trivial_product": r"trivial(?:[\s_-]{1,9}product)?|product[\s_-]{1,9}(?:state|phase)",
    "pseudorandom": r"pseudo[\s_-]?random",
}
ANY = re.compile(
    "|".join(rf"(?P<{name}>\b(?<!non-)(?<!non )(?:{pattern})(?![a-z]))" for name, pattern in PATTERNS.items()), re.I
)
"""Any phase, by any of its names."""
_BEFORE = re.compile(
    r"(?:\b(?P<word>not|never|neither|nor|no(?! doubt| question)|hardly|barely|(?<!other )than|unlike"
    r"|without(?!.*\bit is\b)|cannot be|instead of|rather than"
    r"|anything but|rules? out|excludes?)|n[’']t)\s{1,9}(?:(?!(?:but|and|so|hence|thus|which"
    r"|because)\b)\w+\s{1,9}){0,4}$"
    r"|\bneither\s[^.;]*$",
    re.I,
)
_AFTER = re.compile(
    r"\s{0,9}(?:phase\s{1,9})?(?:is|would be|can be)\s{1,9}(?:wrong|ruled out|excluded|impossible|unlikely"
    r"|absent|missing)\b",
    re.I,
)


def plain(text: str) -> str:
    """The text without marks of emphasis and quotes, which would hide what stands before a name."""
    return re.sub(r"(?<![\d)])\*|\*(?![\d(])|[`\"“”]", "", text)  # not the sign between factors


def phases_in(text: str) -> list[str]:
    """The phases that a text names and does not deny, in order of first mention."""
    named = [phase for phase, _, denied in all_mentions(plain(text)) if denied is None]
    return list(dict.fromkeys(named))


def all_mentions(text: str) -> list[tuple[str, tuple[int, int], str | None]]:
    """Every phase that a text names: where, and the word that denies it ("not", "than", …), or None."""
    found = []
    for match in ANY.finditer(text):
        before = _BEFORE.search(text[max(0, match.start() - 60) : match.start()])
        denied = (before["word"] or "not").lower() if before else "wrong" if _AFTER.match(text, match.end()) else None
        found.append((str(match.lastgroup), match.span(), denied))
    return found
