"""Wilson's score interval for a share (E. B. Wilson, JASA 22, 209, 1927)."""

from __future__ import annotations

from math import sqrt

Z95 = 1.959963984540054
"""The standard normal's 97.5 % quantile."""


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `right` out of `n`; (0, 1) where nothing was asked."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = right / n, Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * sqrt(share * (1 - share) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    # The ends of an all-wrong or all-right share are exact; the formula misses them by a last bit.
    return (0.0 if right == 0 else centre - half), (1.0 if right == n else centre + half)


def score(right: int, n: int) -> dict[str, object]:
    """A share as reports hold it: score (null where nothing was asked), right, n and interval, four decimals."""
    low, high = wilson(right, n)
    share = round(right / n, 4) if n else None
    return {"score": share, "right": right, "n": n, "interval": [round(low, 4), round(high, 4)]}
