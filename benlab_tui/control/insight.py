"""What can be done with an answer or a run: kept for training, traced, verified, explained."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from benlab_tui.widgets.prompt import Prompt
from benlab_tui.widgets.turns import ReplyTurn, Turn
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from benlab_tui.screens.sending import Sending
    from pipeline.chat.number_check import Check
    from pipeline.chats import Message

_READ = 60
_MARKS = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}


async def judge(screen: Sending, turn: Turn, verdict: str) -> None:
    """Accepts, corrects or rejects an answer; the next /generate takes it into the data."""
    from benlab_tui.screens.entry import Entry
    from pipeline.data.feedback import judge as keep

    if not isinstance(turn, ReplyTurn) or turn.message_id is None:
        return
    correction = ""
    if verdict == "correct":
        written = await screen.app.push_screen_wait(Entry("The better answer", turn.text))
        if written is None:
            return
        correction = written
    try:
        await asyncio.to_thread(keep, screen.lab, turn.message_id, verdict, correction)
    except PipelineError as error:
        await screen.error(str(error))
        return
    turn.meta["feedback"] = _MARKS[verdict]
    screen.chats.change(turn.message_id, turn.text, feedback=_MARKS[verdict])
    turn.describe()
    screen.notify(f"{_MARKS[verdict]}: the next /generate takes it into account", timeout=4)


async def why(screen: Sending, turn: Turn | None) -> None:
    """Opens the lineage of an answer: version, run, data, nearest training examples."""
    from benlab_tui.screens.document import Document
    from pipeline import provenance

    if not isinstance(turn, ReplyTurn) or turn.message_id is None:
        screen.notify("there is no answer yet to ask about", markup=False)
        return
    question = question_before(screen, turn.message_id)
    model = str(turn.meta.get("model") or turn.meta.get("engine") or "this model")
    try:
        found = await asyncio.to_thread(provenance.why, screen.lab, question, turn.text, model)
    except PipelineError as error:
        await screen.error(str(error))
        return
    screen.app.push_screen(Document(provenance.as_markdown(found)))


async def verify(screen: Sending, turn: Turn) -> None:
    """Runs the experiments that the answer may speak of again, and marks its numbers."""
    if not isinstance(turn, ReplyTurn) or turn.message_id is None:
        return
    before = screen.chats.messages(screen.session.id, _READ, turn.message_id)
    checks = await asyncio.to_thread(_checks, turn.text, before)
    if not checks:
        screen.notify("no number in this answer is about an experiment of this session", markup=False)
        return
    chips = [check.as_chip() for check in checks]
    turn.meta["chips"] = chips
    screen.chats.change(turn.message_id, turn.text, chips=chips)
    turn.describe()


def _checks(answer: str, before: list[Message]) -> list[Check]:
    """Against the session's experiments, and against what was said in it."""
    from pipeline.chat.history import History
    from pipeline.chat.number_check import scan

    return scan(answer, History().restore(before).known()) if any(char.isdigit() for char in answer) else []


def question_before(screen: Sending, message_id: int) -> str:
    """The question that this answer follows."""
    before = [m for m in screen.chats.messages(screen.session.id, 60, message_id) if m.role == "user"]
    return before[-1].content if before else ""


async def explain(screen: Sending, result: dict[str, Any]) -> None:
    """Asks ben-lab to explain the run; the explanation is stored with it."""
    if screen.chat.busy:
        screen.notify("an answer is still on its way: esc stops it", markup=False)
        return
    screen.query_one(Prompt).focus()
    await screen.send(question_about(result))
    screen.explaining = str(result.get("experiment_id", ""))


def question_about(result: dict[str, Any]) -> str:
    """The question as the training data words it: settings first, then the measured numbers."""
    params = result.get("params") or {}
    settings = ", ".join(f"{name} {_plain(value)}" for name, value in params.items() if name != "shots" or value)
    kind = str(result.get("experiment", "run"))
    features = result.get("features") or result.get("forward_features")
    numbers = ""
    if isinstance(features, dict):
        numbers = "\n\nMeasured: " + ", ".join(f"{name} {value:.2f}" for name, value in features.items()) + "."
    if isinstance(result.get("TRI"), int | float):
        numbers += f" TRI {result['TRI']:.2f}."
    if not numbers and result.get("summary"):
        numbers = f"\n\n{result['summary']}"
    return f"Explain the result of {kind} with {settings}.{numbers}"


def _plain(value: Any) -> str:
    return (
        ",".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)
    )
