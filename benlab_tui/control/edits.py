"""The keys on a turn: copy, edit, ask again, keep for training, why, verify, explain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benlab_tui.control.insight import explain, judge, verify, why
from benlab_tui.widgets.experiment_card import ExperimentCard
from benlab_tui.widgets.prompt import Prompt
from benlab_tui.widgets.turns import ReplyTurn, Turn

if TYPE_CHECKING:
    from benlab_tui.screens.sending import Sending


async def act(screen: Sending, turn: Turn, what: str) -> None:
    """Does what the key asks for."""
    if what == "copy":
        screen.app.copy_to_clipboard(turn.text)
        screen.notify("copied", timeout=2)
    elif what in ("shell", "python") and isinstance(turn, ExperimentCard):
        from benlab_tui.as_code import experiment_line, experiment_python

        screen.app.copy_to_clipboard((experiment_line if what == "shell" else experiment_python)(turn.result))
        screen.notify("copied as a command" if what == "shell" else "copied as Python", timeout=2)
    elif what == "edit":
        await edit(screen, turn)
    elif what == "again":
        await again(screen, turn)
    elif what in ("accept", "correct", "reject"):
        await judge(screen, turn, what)
    elif what == "why":
        await why(screen, turn)
    elif what == "verify":
        await verify(screen, turn)
    elif what == "explain" and isinstance(turn, ExperimentCard):
        await explain(screen, turn.result)
    elif what == "run":
        await open_run(screen, turn)
    elif what == "link":
        await open_link(screen, str(turn.meta.get("link", "")))


async def open_run(screen: Sending, turn: Turn) -> None:
    """Goes to the card of the run that an answer cites; one that is not in view is shown anew below."""
    runs = [str(run) for run in turn.meta.get("runs", ())]
    if not runs:
        screen.notify("this answer is not about a run", markup=False)
        return
    cards = [card for card in screen.query(ExperimentCard) if str(card.result.get("experiment_id")) == runs[-1]]
    if cards:
        cards[-1].focus()
        return
    with screen.lab.notebook() as notebook:
        result = notebook.get(runs[-1])
    await screen.show_card(ExperimentCard(result))


PLOT = re.compile(
    r"(?:please |can you |could you )?(?:plot|draw|graph)(?: (?:it|that|this|the (?:run|result|last run)))?"
    r"(?: please)?\W*"
    r"|(?:please )?show(?: me)? (?:the|a|its) (?:plot|graph|figure)(?: please)?\W*",
    re.I,
)


async def plot_last(screen: Sending) -> bool:
    """Shows the newest run's card, with its plot, below "plot it"; whether there is a run."""
    result = screen.last_result or next(
        (message.meta["result"] for message in reversed(screen.stored()) if "result" in message.meta), None
    )
    if result is None:
        return False
    await screen.show_card(ExperimentCard(result))
    return True


async def edit(screen: Sending, turn: Turn) -> None:
    """Puts the question back into the prompt; it and what followed it leave the session once the person agrees."""
    if turn.message_id is None or not await _may_forget(screen, turn.message_id):
        return
    screen.chats.forget_from(screen.session.id, turn.message_id)
    await screen.transcript.show(screen.stored())
    prompt = screen.query_one(Prompt)
    prompt.put(turn.text)
    prompt.focus()


async def again(screen: Sending, turn: Turn | None = None) -> None:
    """Asks the question before this answer (the last one without a turn) again; what followed it goes."""
    await screen.chat.stop()
    limit = turn.message_id if turn is not None and turn.message_id is not None else 2**62
    questions = [m for m in screen.stored(1000) if m.role == "user" and m.id < limit]
    if not questions:
        screen.notify("there is no question to ask again", markup=False)
        return
    last = questions[-1]
    answers = screen.chats.after(screen.session.id, last.id, 1)
    if answers:
        if isinstance(turn, ReplyTurn) and not await _may_forget(screen, answers[0].id):
            return
        screen.chats.forget_from(screen.session.id, answers[0].id)
    await screen.transcript.show(screen.stored())
    screen.transcript.anchor()
    screen.chat.start()


async def open_link(screen: Sending, address: str) -> None:
    """A link opens only after a yes, and only a web address."""
    if not address.startswith(("http://", "https://")):
        screen.notify(f"not a web address: {address[:120]!r}", markup=False)
    elif await screen.ask(f"Open {address[:300]} in the browser?"):
        screen.app.open_url(address)


async def _may_forget(screen: Sending, message_id: int) -> bool:
    """Asks where more than one answer would go."""
    tail = screen.chats.after(screen.session.id, message_id, 50)
    later = [message for message in tail if message.role == "user"]
    return not later or await screen.ask(f"This removes {len(later)} later questions and their answers. Go on?")
