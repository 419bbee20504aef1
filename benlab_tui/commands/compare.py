"""`/compare A B "…"`: two models side by side on one prompt; a key picks the winner."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.errors import BadArgument
from benlab_tui.registry import Value, command

if TYPE_CHECKING:
    from pipeline.lab import Lab

_TUNED, _BASE = "ben-lab", "base"
_SAME = {"tuned": _TUNED}
_TAGGED = re.compile(r"[\w./-]{1,200}+:[\w./-]{1,200}")
_LONGEST = 20_000


class CompareParams(BaseModel):
    """Which two, and what to ask them. A word among the first two that is no model belongs to the question."""

    model_config = ConfigDict(extra="forbid")

    first: str = Field(
        default="", max_length=_LONGEST, description="base, tuned, or an installed version", examples=["base"]
    )
    second: str = Field(
        default="", max_length=_LONGEST, description="base, tuned, or an installed version", examples=["tuned"]
    )
    prompt: str = Field(default="", max_length=_LONGEST, description="what to ask both")


@command(
    "compare",
    "ask two models the same, side by side; a key keeps the better answer as preference data",
    params=CompareParams,
    positional=("first", "second", "prompt"),
    rest=True,
    where="console",
    group="Chat",
    examples=("compare What does TRI measure?", "compare base tuned What does TRI measure?"),
)
async def compare(context: Any, params: CompareParams) -> Value:
    """Raises BadArgument without a question; a model that is not here is said on the screen."""
    from benlab_tui.screens.compare import Compare

    screen = context.screen
    names, prompt = await asyncio.to_thread(chosen, screen.lab, params, screen.engines.chosen)
    winner = await screen.app.push_screen_wait(Compare(screen.lab, screen.engines.open_pair, names, prompt))
    if winner is None:
        return {"summary": "no winner was kept"}
    return {"winner": winner, "summary": f"{winner} was preferred; kept in data/preferences.jsonl"}


def chosen(lab: Lab, params: CompareParams, current: str = _TUNED) -> tuple[tuple[str, str], str]:
    """The two models and the question: a model named alone beside the `current` one, none named ben-lab beside base.

    Raises BadArgument where no question is left or it is too long, InstallError where the versions cannot be read.
    """
    words, named = [params.first, params.second], []
    while words and _is_model(lab, words[0]):
        word = words.pop(0)
        named.append(_SAME.get(word, word))
    prompt = " ".join(part for part in (*words, params.prompt) if part)
    if not prompt.strip():
        raise BadArgument(
            "compare needs a question: /compare QUESTION asks ben-lab and base, /compare MODEL QUESTION that model and "
            "the one in use, /compare MODEL MODEL QUESTION any two"
        )
    if len(prompt) > _LONGEST:
        raise BadArgument(f"the question has {len(prompt):,} characters, above the most, {_LONGEST:,}: shorten it")
    return _pair(named, current), prompt


def _pair(named: list[str], current: str) -> tuple[str, str]:
    """Two models: as named, or the one named and another that it can be told apart from."""
    if len(named) == 2:
        return named[0], named[1]
    if not named:
        return _TUNED, _BASE
    if named[0] != current:
        return named[0], current
    return named[0], _TUNED if named[0] == _BASE else _BASE


def _is_model(lab: Lab, word: str) -> bool:
    """Whether the word is base, ben-lab, an installed version, or written as a server's model is (NAME:TAG)."""
    from pipeline.install.registry import Registry

    if word in ("base", "ben-lab", *_SAME) or _TAGGED.fullmatch(word):
        return True
    return bool(word) and Registry(lab).find(word) is not None
