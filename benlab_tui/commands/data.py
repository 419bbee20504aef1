"""`data check FILE` and `data add MESSAGE VERDICT`: training data, checked and grown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from benlab_tui.context import Context
from benlab_tui.errors import BadArgument
from benlab_tui.registry import Value, command
from pipeline.data.params import CheckParams


class AddParams(BaseModel):
    """A verdict on one stored answer."""

    model_config = ConfigDict(extra="forbid")

    message: str = Field(description="the answer's number in lab.db, or last for the newest answer")
    verdict: Literal["accept", "correct", "reject"] = Field(description="what becomes of it")
    correction: str = Field(default="", max_length=100_000, description="with correct: the answer as it should be")


def _variants() -> Mapping[str, type[BaseModel]]:
    return {"check": CheckParams, "add": AddParams}


@command(
    "data",
    "check a training file against the simulator, or add a judged answer to the next one",
    variants=_variants,
    positional=("file", "message", "verdict", "correction"),
    group="Model",
    examples=("data check data/lab_instructions.jsonl", "data add last accept"),
)
async def data(context: Context, params: tuple[str, BaseModel]) -> Value:
    """`check` fails where a claim does not hold. Raises pipeline.errors.DataError and BadInput."""
    name, values = params
    if name == "check":
        assert isinstance(values, CheckParams)
        inside = context.lab.root / (values.file or "")
        if values.file and not Path(values.file).exists() and inside.exists():
            values = values.model_copy(update={"file": str(inside)})
        return await context.job("check", values)
    from pipeline.data.feedback import judge

    assert isinstance(values, AddParams)
    turn = await asyncio.to_thread(judge, context.lab, _message(values.message), values.verdict, values.correction)
    taken_in = (
        "benlab generate append=yes feedback=yes adds the judged answers alone; every other generate takes them in"
    )
    return turn if values.verdict == "reject" else {**turn, "next": taken_in}


def _message(given: str) -> int | Literal["last"]:
    """Raises BadArgument for what is no number that SQLite counts to."""
    if given == "last":
        return "last"
    digits = given.lstrip("0")
    if digits.isascii() and digits.isdigit() and len(digits) < 19:
        return int(digits)
    raise BadArgument(f"message is {given[:40]!r}: give an answer's number from 1 on, or last for the newest")
