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

_SAME = {"tuned": "ben-lab"}
_BOTH = ("ben-lab", "base")
_TAGGED = re.compile(r"[\w./-]+:[\w./-]+")
_LONGEST = 20_000


class CompareParams(BaseModel):
    """Which two, and what to ask them. Where the first two words are no models, they belong to the question."""

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
    examples=('compare "What does TRI measure?"', 'compare base tuned "What does TRI measure?"'),
)
async def compare(context: Any, params: CompareParams) -> Value:
    """Raises BadArgument without a question; a model that is not here is said on the screen."""
    from benlab_tui.screens.compare import Compare

    screen = context.screen
    names, prompt = await asyncio.to_thread(chosen, screen.lab, params)
    winner = await screen.app.push_screen_wait(Compare(screen.lab, screen.engines.open_pair, names, prompt))
    if winner is None:
        return {"summary": "no winner was kept"}
    return {"winner": winner, "summary": f"{winner} was preferred; kept in data/preferences.jsonl"}


def chosen(lab: Lab, params: CompareParams) -> tuple[tuple[str, str], str]:
    """The two models and the question; ben-lab and base where neither word is a model.

    Raises BadArgument where no question is left or it is too long, InstallError where the versions cannot be read.
    """
    given = [params.first, params.second]
    if any(_is_model(lab, word) for word in given):
        names, prompt = (_SAME.get(given[0], given[0]), _SAME.get(given[1], given[1])), params.prompt
    else:
        names, prompt = _BOTH, " ".join(part for part in (*given, params.prompt) if part)
    if not all(names) or not prompt.strip():
        raise BadArgument(
            "compare needs a question: /compare QUESTION asks ben-lab and base, /compare MODEL MODEL QUESTION any two"
        )
    if len(prompt) > _LONGEST:
        raise BadArgument(f"the question has {len(prompt):,} characters, above the most, {_LONGEST:,}: shorten it")
    return names, prompt


def _is_model(lab: Lab, word: str) -> bool:
    """Whether the word is base, ben-lab, an installed version, or written as a server's model is (NAME:TAG)."""
    from pipeline.install.registry import Registry

    if word in ("base", "ben-lab", *_SAME) or _TAGGED.fullmatch(word):
        return True
    return bool(word) and Registry(lab).find(word) is not None
