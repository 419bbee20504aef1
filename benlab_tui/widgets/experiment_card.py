"""An experiment's result: its parameters, numbers, plot and id."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from benlab_tui.phrasing import as_slash
from benlab_tui.text import inert, number, one_line
from benlab_tui.widgets.turns import Turn
from simulator.editions import command_of, is_other_physics, mark

_PLAIN = {"features", "forward_features", "reverse_features", "params", "summary", "experiment", "experiment_id"}


class ExperimentCard(Turn):
    """Shows one result; enter folds the numbers away, `x` asks ben-lab to explain it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "ask('explain')", "Explain", id="card.explain"),
        Binding("s", "ask('shell')", "Copy as command", id="card.shell"),
        Binding("n", "ask('python')", "Copy as Python", id="card.python"),
        Binding("enter,space", "fold", "Fold", id="card.fold"),
    ]

    def __init__(self, result: dict[str, Any], message_id: int | None = None) -> None:
        super().__init__(str(result.get("summary", "")), message_id)
        self.result = result

    def compose(self) -> ComposeResult:
        yield Static(head(self.result), markup=False, classes="head")
        yield Static(numbers(self.result), markup=False, classes="numbers fold")

    def on_mount(self) -> None:
        """The plot needs numpy: it comes after the first paint of the card."""
        self.run_worker(self._plot(), group="plot", exit_on_error=False)

    async def _plot(self) -> None:
        from benlab_tui.widgets.plots import plot_of

        plot = await plot_of(self.result)
        if plot is not None and self.is_attached:
            plot.add_class("fold")
            await self.mount(plot)

    def action_fold(self) -> None:
        """Hides or shows numbers and plot."""
        self.toggle_class("-folded")


def head(result: dict[str, Any]) -> Content:
    """Name, id, parameters, summary, tags and note."""
    name, key = inert(str(result.get("experiment", "experiment"))), inert(str(result.get("experiment_id", "")))
    params = result.get("params") or {}
    shown = " ".join(f"{key}={_short(value)}" for key, value in params.items() if value is not None)
    title = Content.assemble(("⚛ ", "$accent"), (name, "bold"), (f"  {key}", "$foreground-muted"))
    lines = [title, Content(inert(shown))]
    if is_other_physics(result) and "older_physics" not in result:
        again = as_slash(f"`{command_of(result)}` runs it again")
        old = inert(f"older physics ({mark(result)}): kept, and not comparable with new results; {again}")
        lines.append(Content.styled(old, "$warning"))
    if summary := as_slash(str(result.get("summary", ""))):
        lines.append(Content(inert(summary)))
    marks = [f"#{tag}" for tag in result.get("tags") or []] + ([str(result["note"])] if result.get("note") else [])
    if marks:
        lines.append(Content(one_line(" ".join(marks), 200)).stylize("$foreground-muted"))
    return Content("\n").join(lines)


def numbers(result: dict[str, Any]) -> Content:
    """The features in two columns (TRI: the two runs side by side), and the other plain numbers."""
    lines = []
    forward, reverse = result.get("forward_features"), result.get("reverse_features")
    if isinstance(forward, dict) and isinstance(reverse, dict):
        lines.append(f"{'':18}{'bias':>12}{'1 - bias':>12}")
        lines += [f"{name:18}{number(value):>12}{number(reverse.get(name)):>12}" for name, value in forward.items()]
    elif isinstance(features := result.get("features"), dict):
        cells = [f"{name:18}{number(value):>10}" for name, value in features.items()]
        half = (len(cells) + 1) // 2
        lines += [f"{left}   {right}" for left, right in zip(cells[:half], [*cells[half:], ""], strict=False)]
    for key, value in result.items():
        if key not in _PLAIN and isinstance(value, int | float) and not isinstance(value, bool):
            lines.append(f"{key.replace('_', ' '):32}{number(value):>12}")
    return Content(inert("\n".join(lines)))


def _short(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return one_line(text, 40)
