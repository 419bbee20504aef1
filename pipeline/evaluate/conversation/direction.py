"""Reads whether an answer says that a quantity rose or fell."""

from __future__ import annotations

import re

_OF_SETTINGS = r"(?!\s+(?:depth|layers?|system|size|chain|sites?|qubits?|spins?|bias|seed|number|circuit)\b)"
_WORDS = {
    "up": r"ros?e|rises|risen|rising|increas\w+|grew|grows?|grown|growing|climb\w*|gain(?:s|ed)?|"
    rf"went up|goes up|up from|(?:higher|larger|greater|bigger|stronger|more){_OF_SETTINGS}",
    "down": r"f[ae]ll(?:s|en|ing)?|decreas\w+|dropp?(?:s|ed|ing)?|shr[aiu]nk\w*|declin\w+|lost|loses|weaken\w*|"
    rf"went down|goes down|down from|reduced?|(?:lower|smaller|less|weaker){_OF_SETTINGS}",
    "same": r"unchanged|the same|identical|constant|did not change|didn['’]t change|not changed|"
    r"no change|no difference",
}
_CLASSES = {name: re.compile(rf"\b(?:{words})\b", re.I) for name, words in _WORDS.items()}
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")


def direction_of(answer: str, quantity: str) -> str:
    """Return up, down or same as the answer says of the quantity; an empty text if it says none, or more than one.

    The sentences that name the quantity count; if none does, all of them.
    """
    name = re.compile(rf"\b{quantity.replace('_', '[ _-]')}\b|\b{quantity.split('_')[0]}\b", re.I)
    sentences = _SENTENCE.split(answer)
    about = " ".join(sentence for sentence in sentences if name.search(sentence)) or answer
    said = [direction for direction, words in _CLASSES.items() if words.search(about)]
    return said[0] if len(said) == 1 else ""
