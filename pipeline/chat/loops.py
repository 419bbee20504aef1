"""An answer that repeats itself without end, found by its repeated n-grams as it arrives."""

from __future__ import annotations

NGRAM = 12
"""Characters whose last earlier occurrence gives the length of what may be repeating."""
REPEATS = 4
SHORTEST_LOOP = 200
"""Characters that at least `REPEATS` equal parts must fill together: a ruled line or a row of zeros is shorter."""
SHORTEST_HELD = 60
LONGEST_PART = 1_000
_CANDIDATES = 4

REPETITION = "repetition"
"""The reason of a `Done` whose answer was cut."""


class LoopGuard:
    """Passes text on, holds back what repeats the text before it, and sets `looped` once that goes on and on.

    What was held is passed on if the repetition ends; if it does not, it is the part that is cut.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._held = ""
        self.looped = False

    def feed(self, text: str) -> str:
        """Take the next piece; return what may be shown now."""
        if self.looped or not text:
            return ""
        self._tail = (self._tail + text)[-(REPEATS + 1) * LONGEST_PART :]
        part, count = self._repetition()
        if count >= REPEATS and count * part >= SHORTEST_LOOP:
            self.looped = True
            return ""
        self._held += text
        if count >= 2 and count * part >= SHORTEST_HELD:
            return ""
        return self.end()

    def end(self) -> str:
        """Return what was held back: the answer is over. Nothing if it was cut."""
        held, self._held = self._held, ""
        return "" if self.looped else held

    def _repetition(self) -> tuple[int, int]:
        """Return the length of the part that ends the text, and how often it stands there in a row.

        Of the last places where the text's end occurs before, the one that accounts for most of the text counts: a
        part may hold its own end twice.
        """
        tail, best = self._tail, (0, 0)
        at = len(tail) - NGRAM
        for _ in range(_CANDIDATES):
            at = tail.rfind(tail[-NGRAM:], 0, at + NGRAM - 1) if at > 0 else -1
            part = len(tail) - NGRAM - at
            if at < 0 or part > LONGEST_PART:
                break
            unit, count = tail[-part:], 1
            while tail.endswith(unit, 0, len(tail) - count * part):
                count += 1
            best = max(best, (part, count), key=lambda pair: pair[0] * (pair[1] - 1))
        return best
