"""Which curve or points a result is drawn with: plain data, for the terminal and for SVG alike."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from simulator.fingerprint import FEATURE_SCALES

MOST_POINTS = 1_000


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one name. `kind` is line or scatter."""

    name: str
    x: list[float]
    y: list[float]
    kind: str = "line"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts by row and column name."""

    names: list[str]
    rows: list[list[float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot: titles with units, and series or a matrix."""

    title: str
    x: str
    y: str
    series: list[Series] = field(default_factory=list)
    matrix: Matrix | None = None


def figure_of(result: dict[str, Any]) -> Figure | None:
    """The figure of an experiment's, training's or scientist's result; None where it has none."""
    for make in (_entropy, _drift, _clusters, _confusion, _reward, _echo, _mirrored, _phases, _losses):
        try:
            figure = make(result)
        except (TypeError, ValueError, KeyError, AttributeError):
            continue
        if figure is not None:
            return figure
    return None


def loss_figure(losses: list[float]) -> Figure | None:
    """The loss curve of a training job."""
    clean = _line("loss", list(range(1, len(losses) + 1)), losses)
    return Figure("loss", "step", "loss (nats)", [clean]) if len(clean.x) > 1 else None


def _entropy(result: dict[str, Any]) -> Figure | None:
    layers = result.get("entropy_by_layer")
    if not isinstance(layers, list) or len(layers) < 2:
        return None
    line = _line("middle cut", list(range(1, len(layers) + 1)), layers)
    return Figure("entropy by layer", "layer", "bits", [line])


def _drift(result: dict[str, Any]) -> Figure | None:
    runs = result.get("runs")
    if not isinstance(runs, list) or len(runs) < 2 or "drift" not in runs[0]:
        return None
    points = [(float(run["depth"]), float(run["drift"])) for run in runs if float(run["drift"]) > 1e-9]
    if len(points) < 2:
        return None
    xs, ys = [math.log10(depth) for depth, _ in points], [math.log10(drift) for _, drift in points]
    series = [Series("runs", xs, ys, "scatter")]
    if (slope := result.get("growth_exponent")) is not None:
        middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
        ends = [min(xs), max(xs)]
        series.append(Series(f"exponent {slope:.3g}", ends, [middle_y + slope * (x - middle_x) for x in ends]))
    return Figure("drift by depth", "log10 layers", "log10 drift", series)


def _clusters(result: dict[str, Any]) -> Figure | None:
    points = result.get("points")
    if not isinstance(points, list) or not points:
        return None
    groups: dict[str, list[tuple[float, float]]] = {}
    for point in points[:MOST_POINTS]:
        x, y, cluster = _place(point)
        groups.setdefault(cluster, []).append((x, y))
    series = [
        Series(f"cluster {name}", [x for x, _ in group], [y for _, y in group], "scatter")
        for name, group in sorted(groups.items())
    ]
    return Figure("clusters", "first component", "second component", series)


def _place(point: Any) -> tuple[float, float, str]:
    if isinstance(point, dict):
        x = point["x"] if "x" in point else point["pc1"]
        y = point["y"] if "y" in point else point["pc2"]
        return float(x), float(y), str(point.get("cluster", point.get("phase_type", "?")))
    return float(point[0]), float(point[1]), str(point[2] if len(point) > 2 else "?")


def _confusion(result: dict[str, Any]) -> Figure | None:
    detector = result.get("detector")
    if not isinstance(detector, dict):
        return None
    rows = [[float(cell) for cell in row] for row in detector["exact"]["confusion"]]
    names = [str(name) for name in result["phases"]]
    return Figure("PhaseDetector on held-out runs", "predicted", "true", matrix=Matrix(names, rows))


def _reward(result: dict[str, Any]) -> Figure | None:
    curve = result.get("best_curve")
    if not isinstance(curve, dict):
        return None
    series = [_line(name, curve["experiments"], values) for name, values in curve.items() if name != "experiments"]
    return Figure("best reward by experiment", "experiments", "reward", series)


def _echo(result: dict[str, Any]) -> Figure | None:
    points = result.get("by_depth")
    if not isinstance(points, list) or len(points) < 2:
        return None
    line = _line("echo", [point["depth"] for point in points], [point["echo"] for point in points])
    return Figure("echo by depth", "layers", "echo", [line])


def _mirrored(result: dict[str, Any]) -> Figure | None:
    if "forward_features" not in result:
        return None
    both = {"bias": result["forward_features"], "1 - bias": result["reverse_features"]}
    return _fingerprints("fingerprints at bias and at 1 - bias", both)


def _phases(result: dict[str, Any]) -> Figure | None:
    phases = result.get("phases")
    if result.get("experiment") != "sweep" or not isinstance(phases, dict):
        return None
    return _fingerprints("mean fingerprints", {name: row["mean"] for name, row in phases.items()})


def _fingerprints(title: str, by_name: dict[str, dict[str, float]]) -> Figure:
    """Features in units of their scales, 1 to 13 in the lab's order, so that all fit one axis."""
    places = list(range(1, len(FEATURE_SCALES) + 1))
    series = [
        _line(name, places, [features[one] / scale for one, scale in FEATURE_SCALES.items()])
        for name, features in by_name.items()
    ]
    return Figure(title, "feature, in the lab's order", "scales", series)


def _losses(result: dict[str, Any]) -> Figure | None:
    losses = result.get("losses")
    if isinstance(losses, list) and losses and isinstance(losses[0], int | float):
        return loss_figure([float(loss) for loss in losses])
    return None


def _line(name: str, xs: list[Any], ys: list[Any]) -> Series:
    """Finite points only, thinned to what a terminal can show."""
    points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=False) if math.isfinite(float(y))]
    step = max(1, len(points) // MOST_POINTS)
    return Series(name, [x for x, _ in points[::step]], [y for _, y in points[::step]])
