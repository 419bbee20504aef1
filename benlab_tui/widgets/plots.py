"""Plots of results in the terminal. textual-plot and numpy are imported when the first plot is drawn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.widget import Widget

    from pipeline.figures import Figure


async def plot_of(result: dict[str, Any]) -> Widget | None:
    """The plot that fits this result, or None where it has none."""
    from pipeline.figures import figure_of

    figure = figure_of(result)
    return None if figure is None else await draw(figure)


async def draw(figure: Figure) -> Widget:
    """The widget of a figure."""
    await asyncio.to_thread(_load)
    from benlab_tui.widgets.figure import FigurePlot

    return FigurePlot(figure)


def _load() -> None:
    """Imports numpy and textual-plot in a thread, so that the screen stays free."""
    import textual_plot  # noqa: F401
