"""Figures as SVG: small, without script or outside reference, readable on light and dark."""

from __future__ import annotations

from html import escape

from pipeline.figures import Figure, Matrix, Series

# Okabe and Ito's colours, told apart by readers of every kind of colour vision.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999933", "#666666")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 300, 64, 46, 30
_RIGHT = 16


def figure_svg(figure: Figure) -> str:
    """One <svg> element of 560 by 300 units."""
    body = _matrix(figure.matrix) if figure.matrix is not None else _plot(figure)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="{escape(figure.title)}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
        f'<text x="{LEFT}" y="18" font-weight="bold" fill="#222222">{escape(figure.title)}</text>{body}</svg>'
    )


def _plot(figure: Figure) -> str:
    xs = [x for series in figure.series for x in series.x]
    ys = [y for series in figure.series for y in series.y]
    if not xs:
        return ""
    x_low, x_high = _span(xs)
    y_low, y_high = _span(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - _RIGHT)
        return across, HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - _RIGHT}" fill="none" stroke="#666666"/>',
        _text((LEFT + WIDTH) / 2, HEIGHT - 8, figure.x, "middle"),
        f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" fill="#222222" '
        f'transform="rotate(-90 14 {HEIGHT / 2})">{escape(figure.y)}</text>',
    ]
    for step in range(5):
        x, y = x_low + (x_high - x_low) * step / 4, y_low + (y_high - y_low) * step / 4
        parts.append(_text(place(x, y_low)[0], HEIGHT - BOTTOM + 16, f"{x:.3g}", "middle"))
        parts.append(_text(LEFT - 6, place(x_low, y)[1] + 4, f"{y:.3g}", "end"))
    for index, series in enumerate(figure.series):
        parts.append(_series(series, COLOURS[index % len(COLOURS)], place))
        if len(figure.series) > 1:
            parts.append(_key(index, series.name))
    return "".join(parts)


def _series(series: Series, colour: str, place: object) -> str:
    points = [place(x, y) for x, y in zip(series.x, series.y, strict=True)]  # type: ignore[operator]
    if series.kind == "scatter":
        return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _key(index: int, name: str) -> str:
    y = TOP + 14 * index + 6
    colour = COLOURS[index % len(COLOURS)]
    return f'<rect x="{WIDTH - 150}" y="{y - 8}" width="9" height="9" fill="{colour}"/>' + _text(WIDTH - 136, y, name)


def _matrix(matrix: Matrix) -> str:
    count = max(1, len(matrix.names))
    wide, high = (WIDTH - 190) / count, (HEIGHT - 80) / count
    most = max((cell for row in matrix.rows for cell in row), default=1) or 1
    parts = []
    for row, (name, cells) in enumerate(zip(matrix.names, matrix.rows, strict=False)):
        parts.append(_text(170, 60 + (row + 0.6) * high, name[:22], "end"))
        for column, cell in enumerate(cells):
            x, y = 180 + column * wide, 60 + row * high
            dark = cell > most / 2
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide - 2:.1f}" height="{high - 2:.1f}" '
                f'fill="#0072B2" fill-opacity="{0.08 + 0.92 * cell / most:.2f}"/>'
                f'<text x="{x + wide / 2:.1f}" y="{y + high * 0.6:.1f}" text-anchor="middle" '
                f'fill="{"#ffffff" if dark else "#222222"}">{cell:g}</text>'
            )
    parts += [_text(180 + (i + 0.5) * wide, 52, name[:11], "middle") for i, name in enumerate(matrix.names)]
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222">{escape(text)}</text>'


def _span(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
