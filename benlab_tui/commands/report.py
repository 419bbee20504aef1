"""`report`: a session as markdown and HTML."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.errors import BadArgument
from benlab_tui.registry import Value, command


class ReportParams(BaseModel):
    """Which session, and what to call it."""

    model_config = ConfigDict(extra="forbid")

    session: int = Field(default=0, ge=0, description="a session's number; the one in use (or the newest) with 0")
    name: str = Field(default="", max_length=80, description="the files' name in reports/; session-<number> without it")


@command(
    "report",
    "write a session as markdown and HTML: experiments, plots, model, scores",
    params=ReportParams,
    positional=("name",),
    rest=True,
    group="Chat",
)
async def report(context: Context, params: ReportParams) -> Value:
    """Raises BadArgument where there is no session, LabError where the disk refuses."""
    value = await asyncio.to_thread(_write, context, params)
    return {**value, "summary": f"written: {value['markdown']} and {value['html']}"}


def _write(context: Context, params: ReportParams) -> Value:
    from pipeline.chats import Chats
    from pipeline.report import write_report

    session = params.session or getattr(getattr(getattr(context, "screen", None), "session", None), "id", 0)
    if not session:
        chats = Chats(context.lab.database)
        newest = chats.newest()
        chats.close()
        if newest is None:
            raise BadArgument("this lab has no session yet: chat first, in `benlab`")
        session = newest.id
    return write_report(context.lab, session, params.name)
