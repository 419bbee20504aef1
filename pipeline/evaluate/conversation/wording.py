"""Settings, phases and features in people's words, and slips of the keyboard. Read from a set's phrases.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

_ONES_TEXT = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ONES = _ONES_TEXT.split(" ")
_TENS_TEXT = "zero ten twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = _TENS_TEXT.split(" ")
_LARGEST_IN_WORDS = 99
_SLIPS = 0.12
"""Share of the longer words that a hasty typist gets wrong."""


class Wording:
    """Draws phrases for one dialogue: the same seed gives the same words."""

    def __init__(self, phrases: Mapping[str, Any], rng: Random, language: str, terse: bool) -> None:
        self._language = phrases[language]
        self._phases = phrases[language]["short" if terse else "phase"]
        self._settings = phrases[language]["terse" if terse else "setting"]
        self._features = phrases["en"]["feature"]
        self._rng, self._terse = rng, terse
        self._named: dict[str, str] = {}

    def phase(self, name: str) -> str:
        """Return what this person calls the phase, the same every time."""
        if name not in self._named:
            self._named[name] = self._rng.choice(self._phases[name])
        return self._named[name]

    def phases(self, names: Sequence[str]) -> str:
        """Return several phases as a list in words."""
        return self._listed([self.phase(name) for name in names])

    def feature(self, name: str) -> str:
        """Return what people call a feature."""
        return self._rng.choice(self._features[name])

    def setting(self, name: str, value: Any) -> str:
        """Return one setting in words."""
        small = isinstance(value, int) and 0 < value <= _LARGEST_IN_WORDS
        phrases = [phrase for phrase in self._settings[name] if small or "{w}" not in phrase]
        if isinstance(value, list):
            text = self.phases(value) if name == "phases" else self._listed([f"{item:g}" for item in value])
        else:
            text = f"{value}" if isinstance(value, int | str) else f"{value:g}"
        return self._rng.choice(phrases).format(n=text, w=in_words(value) if small else "")

    def settings(self, values: Mapping[str, Any]) -> str:
        """Return several settings in words, in any order."""
        texts = [self.setting(name, value) for name, value in values.items()]
        self._rng.shuffle(texts)
        return " ".join(texts) if self._terse else self._listed(texts)

    def _listed(self, texts: Sequence[str]) -> str:
        if len(texts) < 2:
            return "".join(texts)
        return ", ".join(texts[:-1]) + self._language["and"] + texts[-1]

    def styled(self, text: str) -> str:
        """Return the text as this person types: plain, chatty, in small letters, or with slips."""
        style = self._rng.choice(("plain", "plain", "chatty", "small", "slips"))
        if style == "chatty" and "chatty_before" in self._language and not self._terse:
            if self._rng.random() < 0.5:
                return self._rng.choice(self._language["chatty_before"]) + text
            return text + self._rng.choice(self._language["chatty_after"])
        if style == "small":
            return text.lower()
        return with_slips(text, self._rng) if style == "slips" else text


def in_words(value: int) -> str:
    """Return a whole number from 0 to 99 in English words."""
    if value < len(_ONES):
        return _ONES[value]
    tens, ones = divmod(value, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def with_slips(text: str, rng: Random) -> str:
    """Return the text with two letters swapped, one lost or one doubled in some longer words; numbers stay right."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) < 6 or not word.isalpha() or rng.random() > 2 * _SLIPS:
            continue
        at = rng.randrange(1, len(word) - 2)
        words[place] = rng.choice(
            (
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
            )
        )
    return " ".join(words)
