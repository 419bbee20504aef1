"""The one rule for numbers in words: two decimals, half to even, no negative zero.

A measured value has nine decimals (the simulator rounds it before it is stored). In text it
has exactly two: 0.6 reads "0.60". Counts and settings (sizes, depths, seeds) keep their own digits;
settings that are fractions (bias) drop trailing zeros: 0.65, 0.5, 1.

A value that is foretold from the settings alone is given in steps of its feature (`STEPS`), each at most a fifth of
the feature's scale: what a finer digit says hangs on the seed, and nobody can foretell it.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

DECIMALS = 2
HALF_STEP = 0.5 * 10**-DECIMALS
"""What rounding can take from a value: the tolerance of a claim, a float's last bit aside."""

STEPS = {
    "entropy_mean": "0.2",
    "entropy_max": "0.2",
    "entropy_final": "0.2",
    "entropy_slope": "0.05",
    "entropy_per_site": "0.02",
    "entropy_flatness": "0.05",
    "magnetization": "0.05",
    "transverse": "0.05",
    "zz_nearest": "0.05",
    "zz_long": "0.05",
    "correlation_range": "1",
    "string_order": "0.05",
    "operator_spread": "0.02",
}
"""In what steps a feature is foretold, in its own unit."""

_CENT = Decimal(1).scaleb(-DECIMALS)
NUMBER = re.compile(r"(?<![\w.])[-−–]?(?>\d+(?:\.\d+)?|\.\d+)(?>[eE][-+]?\d+)?(?!(?![bB]its?\b)\w|-[a-z])")
"""A number that stands by itself, or with its unit as in 7bits: not the 2 of `Jarvis-2v`, no part of `k1` or `1.5x`."""
_DASHES = str.maketrans("−–", "--")


def measured(value: float) -> str:
    """`value` as outputs show it: "0.60", "-1.25", "12.00"."""
    text = str(Decimal(repr(float(value))).quantize(_CENT, rounding=ROUND_HALF_EVEN))
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def figure(value: float) -> str:
    """Return `value` as tool messages show it: three significant digits, two below 0.1, at most four decimals.

    Trailing zeros are dropped: "0.755", "12.3", "1024", "0.036", "0.0076", "0".
    """
    if abs(value) >= 999.5:
        return f"{value:.0f}" if abs(value) < 1e15 else f"{value:.3g}"
    text = f"{value:.3g}" if abs(value) >= 0.1 else f"{value:.2g}"
    if "e" in text or len(text.partition(".")[2]) > 4:
        text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if float(text) == 0 else text


def foretold(feature: str, value: float) -> str:
    """`value` in steps of its feature: "0.65", "1.4", "3". Half a step goes to the even one."""
    step = Decimal(STEPS[feature])
    text = str((Decimal(repr(float(value))) / step).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * step)
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def half_step(feature: str) -> float:
    """What foretelling in steps can take from a value; 0 for what is no feature."""
    return float(STEPS.get(feature, 0)) / 2


def in_steps(feature: str, value: float) -> bool:
    """Whether a value is one that `foretold` gives: a whole number of steps."""
    steps = Decimal(repr(float(value))) / Decimal(STEPS[feature])
    return steps == steps.to_integral_value()


def setting(value: float) -> str:
    """A parameter as outputs show it: 32, 0.65, 1."""
    return f"{value:g}" if abs(value) < 1e6 else str(int(value))


def numbers_in(text: str) -> list[str]:
    """Every free-standing number of `text`, in order, with a plain minus sign."""
    return [plain_minus(match.group()) for match in NUMBER.finditer(text)]


def plain_minus(text: str) -> str:
    """What `NUMBER` found, whichever dash is its minus sign, so that float() reads it."""
    return text.translate(_DASHES)
