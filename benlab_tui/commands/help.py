"""`help`: the commands, one command, or a term of the lab."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.errors import BadArgument
from benlab_tui.phrasing import as_slash
from benlab_tui.registry import Value, command, commands
from benlab_tui.topics import TOPICS


class HelpParams(BaseModel):
    """What to explain."""

    model_config = ConfigDict(extra="forbid")

    topic: str = Field(default="", max_length=200, description="a command or a term", examples=["train", "TRI"])


@command(
    "help",
    "list the commands, or explain one command or a term of the lab",
    params=HelpParams,
    positional=("topic",),
    rest=True,
    group="Console",
    examples=("help experiment tri", "help string order"),
)
async def show_help(context: Context, params: HelpParams) -> Value:
    """Raises BadArgument where the topic is neither a command nor a term."""
    from benlab_tui.help import command_help, overview

    slash = getattr(context, "slash", False)
    words = params.topic.lstrip("/").split()
    if not words:
        return {"text": overview(slash=slash)}
    known = commands()
    if words[0] in known:
        return {"text": command_help(known[words[0]], words[1:], slash=slash)}
    if (kinds := known["experiment"].variants) and words[0] in kinds():
        return {"text": command_help(known["experiment"], words, slash=slash)}
    if text := TOPICS.get(" ".join(words).lower()):
        return {"text": as_slash(text) if slash else text}
    from pipeline.data.glossary import lookup
    from pipeline.errors import BadInput

    try:
        entry = lookup(" ".join(words))
    except BadInput as error:
        raise BadArgument(f"{' '.join(words)[:60]!r} is no command, and {error}") from error
    return {"text": entry.text if entry.text.lower().startswith(entry.term.lower()) else f"{entry.term}: {entry.text}"}
