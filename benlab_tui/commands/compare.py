"""`/compare A B "…"`: two models side by side on one prompt; a key picks the winner."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.registry import Value, command

_SAME = {"tuned": "ben-lab"}


class CompareParams(BaseModel):
    """Which two, and what to ask them."""

    model_config = ConfigDict(extra="forbid")

    first: str = Field(max_length=200, description="base, tuned, or an installed version", examples=["base"])
    second: str = Field(max_length=200, description="base, tuned, or an installed version", examples=["tuned"])
    prompt: str = Field(min_length=1, max_length=20_000, description="what to ask both")


@command(
    "compare",
    "ask two models the same, side by side; a key keeps the better answer as preference data",
    params=CompareParams,
    positional=("first", "second", "prompt"),
    rest=True,
    where="console",
    group="Chat",
    examples=('compare base tuned "What does TRI measure?"',),
)
async def compare(context: Any, params: CompareParams) -> Value:
    """Raises ChatError where a model is not here."""
    from benlab_tui.screens.compare import Compare

    screen = context.screen
    names = (_SAME.get(params.first, params.first), _SAME.get(params.second, params.second))
    winner = await screen.app.push_screen_wait(Compare(screen.lab, screen.engines.open_pair, names, params.prompt))
    if winner is None:
        return {"summary": "no winner was kept"}
    return {"winner": winner, "summary": f"{winner} was preferred; kept in data/preferences.jsonl"}
