"""`/theme NAME`: the console's colours."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.errors import BadArgument
from benlab_tui.registry import Value, command


class ThemeParams(BaseModel):
    """Which theme."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        default="",
        max_length=60,
        description="a theme's name; the list where it is left out",
        examples=["textual-dark", "textual-light", "nord", "gruvbox", "solarized-light", "dracula", "textual-ansi"],
    )


@command(
    "theme",
    "choose the console's colours; kept in this lab",
    params=ThemeParams,
    positional=("name",),
    where="console",
    group="Console",
)
async def theme(context: Any, params: ThemeParams) -> Value:
    """Raises BadArgument where no theme has that name."""
    app = context.screen.app
    if not params.name:
        return {"summary": f"in use: {app.theme}; others: {', '.join(sorted(app.available_themes))}"}
    if params.name not in app.available_themes:
        raise BadArgument(f"{params.name!r} is not a theme: use one of {', '.join(sorted(app.available_themes))}")
    app.theme = params.name
    return {"summary": f"the theme is {params.name}"}
