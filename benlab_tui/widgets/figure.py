"""A `Figure` drawn with textual-plot, or as a table where it is a matrix. Imported late: it needs numpy."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static
from textual_plot import HiResMode, PlotWidget

from benlab_tui.text import inert, number
from pipeline.figures import Figure, Matrix

# Okabe and Ito's colours, told apart by readers of every kind of colour vision; each has its own mark as well.
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#F0E442", "#0072B2", "#999999")
MARKS = "●▲■◆✚★▼○"


class FigurePlot(Vertical):
    """The title, the plot, and what each colour and mark stands for."""

    def __init__(self, figure: Figure) -> None:
        super().__init__()
        self.figure = figure

    def compose(self) -> ComposeResult:
        figure = self.figure
        yield Static(Content.styled(f"{figure.title}   {figure.y} against {figure.x}", "bold"), markup=False)
        if figure.matrix is not None:
            yield Static(Content(table(figure.matrix)), markup=False)
            return
        plot = PlotWidget(allow_pan_and_zoom=False)
        plot.can_focus = False
        yield plot
        if len(figure.series) > 1:
            yield Static(self._legend(), markup=False, classes="legend")

    def on_mount(self) -> None:
        """Draws the series."""
        if self.figure.matrix is not None:
            return
        plot = self.query_one(PlotWidget)
        plot.margin_top = 0
        plot.margin_bottom = 2
        plot.margin_left = 8
        # Marks on the frame itself would be cut off.
        plot.set_xlimits(*_padded([x for series in self.figure.series for x in series.x]))
        plot.set_ylimits(*_padded([y for series in self.figure.series for y in series.y]))
        for index, series in enumerate(self.figure.series):
            colour, mark = _look(index)
            if series.kind == "scatter":
                plot.scatter(series.x, series.y, marker=mark, marker_style=colour)
            else:
                plot.plot(series.x, series.y, line_style=colour, hires_mode=HiResMode.BRAILLE)

    def _legend(self) -> Content:
        parts = []
        for index, series in enumerate(self.figure.series):
            colour, mark = _look(index)
            parts.append(
                Content.assemble((mark if series.kind == "scatter" else "──", colour), f" {inert(series.name)}   ")
            )
        return Content("").join(parts)


def _padded(values: list[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _look(index: int) -> tuple[str, str]:
    return COLOURS[index % len(COLOURS)], MARKS[index % len(MARKS)]


def table(matrix: Matrix) -> str:
    """Rows are true classes, columns predicted ones."""
    names = [inert(name)[:12] for name in matrix.names]
    width = max([8, *map(len, names)]) + 1
    lines = [" " * (width + 6) + "".join(f"{name:>{width}}" for name in names)]
    for name, row in zip(names, matrix.rows, strict=False):
        lines.append(f"true {name:<{width}} " + "".join(f"{number(cell):>{width}}" for cell in row))
    return "\n".join(lines)
