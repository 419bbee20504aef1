"""A job's live card: the same in the transcript and in the lab pane."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Sparkline, Static

from benlab_tui.phrasing import as_slash
from benlab_tui.text import duration, inert, number, one_line
from benlab_tui.watch import JobView, bar

STATES = ("running", "done", "failed", "cancelled", "interrupted", "past")
_SHOWN = ("loss", "validation_loss", "learning_rate", "samples_per_second", "tokens_per_second", "step", "accuracy")

ASKED = ("base", "tuned", "retrieval")
"""The models of an evaluation; its other columns are baselines."""


class JobCard(Vertical, can_focus=True):
    """Shows a `JobView`, and draws it again whenever that changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "ask('pause')", "Pause or go on", id="job.pause"),
        Binding("c,delete", "ask('cancel')", "Cancel", id="job.cancel"),
        Binding("s", "ask('shell')", "Copy as command", id="job.shell"),
        Binding("n", "ask('python')", "Copy as Python", id="job.python"),
        Binding("enter,l", "curve", "Loss curve", id="job.curve"),
        Binding("up,k", "app.focus_previous", "Previous", show=False, id="job.previous"),
        Binding("down,j", "app.focus_next", "Next", show=False, id="job.next"),
    ]

    class Asked(Message):
        """A key on a card: `what` is pause, cancel, shell or python."""

        def __init__(self, view: JobView, what: str) -> None:
            super().__init__()
            self.view = view
            self.what = what

    def __init__(self, view: JobView, message_id: int | None = None) -> None:
        super().__init__(classes="job")
        self.view = view
        self.message_id = message_id
        self._height = 0
        self._words = Static("", markup=False)
        self._curve = Sparkline([], summary_function=_mean)

    def compose(self) -> ComposeResult:
        yield self._words
        yield self._curve

    def on_mount(self) -> None:
        """Draws the first state, and each that follows."""
        self.view.watchers.append(self.refresh_view)
        self.refresh_view()

    def on_unmount(self) -> None:
        """A card that is gone watches no more."""
        if self.refresh_view in self.view.watchers:
            self.view.watchers.remove(self.refresh_view)

    def on_resize(self) -> None:
        """The bar fills the new width."""
        self.refresh_view()

    def action_ask(self, what: str) -> None:
        """Passes the wish on to the screen."""
        self.post_message(self.Asked(self.view, what))

    async def action_curve(self) -> None:
        """Shows or hides the loss curve with its axes."""
        from pipeline.figures import loss_figure

        shown = self.query("FigurePlot")
        if shown:
            await shown.remove()
        elif figure := loss_figure(self.view.losses):
            from benlab_tui.widgets.plots import draw

            await self.mount(await draw(figure))

    def refresh_view(self) -> None:
        """Draws the job as it is now."""
        view, width = self.view, max(10, self.content_size.width or 30)
        lines = [one_line(line, width) for line in _lines(view, width) if line]
        lines += [inert(row)[:width] for row in _table(view.numbers, width)]
        # A new layout of the whole screen only where the height changes: it is what costs.
        self._words.update(Content("\n".join(lines)), layout=len(lines) != self._height)
        self._height = len(lines)
        curve = view.losses[-4 * width :]
        if self._curve.display != (len(curve) > 1):
            self._curve.display = len(curve) > 1
        if len(curve) > 1:
            self._curve.data = curve
        if not self.has_class(f"-{view.state}"):
            self.remove_class(*(f"-{state}" for state in STATES))
            self.add_class(f"-{view.state}")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _lines(view: JobView, width: int) -> list[str]:
    """Head, bar, numbers and note."""
    spent = (view.ended or time.time()) - view.started
    head = f"{view.mark} {view.kind} · {view.state}"
    if view.state == "running":
        left = view.seconds_left
        head += f" · {duration(spent)}" + (f", {duration(left)} left" if left is not None else "")
        share = "" if view.share is None else f" {100 * view.share:3.0f} %"
        count = f" {number(view.done)}/{number(view.total)}" if view.total else f" {number(view.done)}"
        done = f"{bar(view.share, max(8, width - 5))}{share}"
        return [head, done, f"{view.stage}{count}", _numbers(view), as_slash(view.note)]
    if view.state == "done":
        head += f" in {duration(spent)}"
    if view.state == "interrupted":
        return [head, "it was killed before its end: start it again, training goes on with resume=yes"]
    return [head, _numbers(view), as_slash(view.note)]


def _numbers(view: JobView) -> str:
    plain = [name for name in view.numbers if "/" not in name]
    known = [name for name in _SHOWN if name in plain] or plain
    return " · ".join(f"{name.replace('_', ' ')} {number(view.numbers[name])}" for name in known[:4])


def _table(scores: Mapping[str, float], width: int) -> list[str]:
    """An evaluation's scores, named `kind/model`, as they come in: a row a kind, a column a model.

    Baselines come last, and only where whole columns fit into `width`.
    """
    cells = {tuple(name.split("/", 1)): value for name, value in scores.items() if "/" in name}
    if not cells:
        return []
    kinds = dict.fromkeys(kind for kind, _ in cells)
    order = {model: place for place, model in enumerate(ASKED)}
    models = sorted(dict.fromkeys(model for _, model in cells), key=lambda model: order.get(model, len(order)))
    widths = {model: max(6, len(model)) for model in models}
    first = max(len(kind) for kind in kinds)
    fit = [first + sum(1 + widths[model] for model in models[: count + 1]) <= width for count in range(len(models))]
    models = [model for model, fits in zip(models, fit, strict=True) if fits or model in ASKED]
    head = " ".join([" " * first, *(model.replace("_", " ").rjust(widths[model]) for model in models)])
    rows = []
    for kind in kinds:
        shares = [f"{cells[kind, model]:.2f}" if (kind, model) in cells else "–" for model in models]
        columns = [share.rjust(widths[model]) for share, model in zip(shares, models, strict=True)]
        rows.append(" ".join([kind.replace("_", " ").ljust(first), *columns]))
    return [head, *rows]
