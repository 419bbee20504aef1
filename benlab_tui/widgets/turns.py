"""The entries of the transcript: what the person wrote, what the model answered, notes and errors."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static
from textual.widgets.markdown import Markdown

from benlab_tui.text import duration, inert, number
from benlab_tui.widgets.reply import Reply, Stream

LONGEST_SHOWN = 6_000


class Turn(Vertical, can_focus=True):
    """One entry. `message_id` is its row in lab.db, None while it is not stored; `text` its source."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "app.focus_previous", "Previous", show=False, id="turn.previous"),
        Binding("down,j", "app.focus_next", "Next", show=False, id="turn.next"),
        Binding("y", "ask('copy')", "Copy", id="turn.copy"),
    ]

    class Asked(Message):
        """A key on a turn asks for something: `what` is copy, edit, again, accept, correct, reject, why, or verify."""

        def __init__(self, turn: Turn, what: str) -> None:
            super().__init__()
            self.turn = turn
            self.what = what

    def __init__(self, text: str, message_id: int | None = None, meta: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.text = text
        self.message_id = message_id
        self.meta = dict(meta or {})

    def action_ask(self, what: str) -> None:
        """Passes the wish on to the screen."""
        self.post_message(self.Asked(self, what))


class UserTurn(Turn):
    """What the person sent: a question, or a slash line."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("e", "ask('edit')", "Edit", id="turn.edit")]

    def compose(self) -> ComposeResult:
        shown = self.text
        if len(shown) > LONGEST_SHOWN:
            shown = f"{shown[:LONGEST_SHOWN]}…\n({len(self.text):,} characters)"
        yield Static(Content(inert(shown)), markup=False, classes="words")


class ReplyTurn(Turn):
    """An answer that streams in, its speed and context below it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "ask('again')", "Regenerate", id="turn.again"),
        Binding("a", "ask('accept')", "Accept", id="turn.accept"),
        Binding("f", "ask('correct')", "Correct", id="turn.correct"),
        Binding("x", "ask('reject')", "Reject", id="turn.reject"),
        Binding("w", "ask('why')", "Why", id="turn.why"),
        Binding("v", "ask('verify')", "Verify", id="turn.verify"),
        Binding("enter", "ask('run')", "Open its run", show=False, id="turn.run"),
    ]

    def __init__(self, text: str = "", message_id: int | None = None, meta: dict[str, Any] | None = None) -> None:
        super().__init__(text, message_id, meta)
        self._reply = Reply(text)
        self._under = Static("", markup=False, classes="under")
        self._stream: Stream | None = None

    def compose(self) -> ComposeResult:
        yield self._reply
        yield self._under

    def on_mount(self) -> None:
        """Shows what is known of a stored answer."""
        self.describe()

    def feed(self, piece: str) -> None:
        """Adds a piece of the answer."""
        if self._stream is None:
            self._stream = Stream(self._reply)
        self.text += piece
        self._stream.feed(piece)

    async def finish(self, **meta: Any) -> None:
        """Ends the stream and shows what the engine said of it."""
        if self._stream is not None:
            await self._stream.stop()
            self._stream = None
        self.meta.update(meta)
        self.describe()

    def describe(self) -> None:
        """The line under the answer: engine, speed, context, marks."""
        meta = self.meta
        parts = [
            meta.get("engine"),
            meta.get("tokens_per_second") and f"{number(meta['tokens_per_second'])} tokens/s",
            meta.get("first_token_seconds") and f"first token {duration_fine(meta['first_token_seconds'])}",
            context_share(meta),
            meta.get("reason") == "repetition" and "cut: it repeated itself (r asks again)",
            meta.get("partial") and "stopped: r goes on from here again",
            meta.get("feedback")
            and {"accepted": "✓ kept", "rejected": "✗ rejected"}.get(meta["feedback"], "✎ corrected"),
        ]
        line = Content(" · ".join(inert(str(part)) for part in parts if part))
        if runs := meta.get("runs"):
            line = line + Content(inert(f"\nfrom run {', '.join(map(str, runs))} (enter opens it)"))
        for chip in meta.get("chips", []):
            line = line + Content.assemble("\n", (chip_text(chip), chip_style(chip)))
        for index, source in enumerate(meta.get("sources", []), 1):
            line = line + Content.assemble("\n", (inert(f"[{index}] {source}"), "$foreground-muted"))
        self._under.update(line)
        self._under.display = bool(line.plain)

    def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        """A link is shown and asked about, never opened by itself."""
        event.stop()
        self.meta["link"] = event.href
        self.post_message(self.Asked(self, "link"))


def chip_text(chip: dict[str, Any]) -> str:
    """A verified number: what was said, and what the simulator says."""
    ok = chip.get("ok")
    mark = "?" if ok is None else "✓" if ok else "✗"
    return inert(f"{mark} {chip.get('text', '')}")


def chip_style(chip: dict[str, Any]) -> str:
    """Shape and word tell right from wrong; colour only helps."""
    ok = chip.get("ok")
    return "$foreground-muted" if ok is None else "$text-success" if ok else "bold $text-warning"


def duration_fine(seconds: float) -> str:
    """Milliseconds below one second."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else duration(seconds)


def context_share(meta: dict[str, Any]) -> str:
    """How much of the context is used, where the engine says so."""
    length = meta.get("context_length") or 0
    used = (meta.get("prompt_tokens") or 0) + (meta.get("completion_tokens") or 0)
    return f"context {used:,} of {length:,} tokens ({100 * used / length:.0f} %)" if length and used else ""


class NoteTurn(Turn):
    """One sentence of the console: a hint, or (with `error`) what went wrong."""

    def __init__(self, text: str, error: bool = False, message_id: int | None = None) -> None:
        super().__init__(text, message_id)
        self.set_class(error, "-error")

    def compose(self) -> ComposeResult:
        mark = "✗ " if self.has_class("-error") else "· "
        yield Static(Content(mark + inert(self.text[:LONGEST_SHOWN])), markup=False)
