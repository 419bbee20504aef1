"""What follows from a run's settings: `python bench/predictable.py`.

For every phase and feature, the share of runs with the validation's seeds for which a table of training medians is
within the evaluation's tolerance: a table by phase, by phase and depth, by phase, depth and size. Values are rounded as
predictions are told. It says which features depth or size decide (`VARIED` in pipeline/data/kinds/numeric.py) and what
a model could reach. Then, for every feature, the share of places (size and depth) where the four phases stand as those
tables rank them, pairs without a clear gap aside: in the first layers pseudorandom is not yet above the other phases.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from itertools import combinations
from pathlib import Path
from random import Random
from statistics import fmean, median
from typing import Any

# This folder is on the path first, and a file in it has the simulator's name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import simulator  # noqa: E402
from pipeline.data.claims import Run  # noqa: E402
from pipeline.data.kinds.numeric import FEATURES  # noqa: E402
from pipeline.data.regions import DEPTHS, PHASES, SIZES, TRAIN, VALIDATION, Region, draw  # noqa: E402
from pipeline.data.source import InProcess  # noqa: E402
from pipeline.evaluate.graders import CLEAR, tolerance  # noqa: E402
from simulator.number_text import foretold  # noqa: E402
from simulator.verdicts import EARLY_UNTIL, is_of_the_seed  # noqa: E402

Params = dict[str, Any]
Runs = list[tuple[Params, dict[str, float]]]
Tables = dict[str, dict[Any, float]]
Key = Callable[[Params], tuple[Any, ...]]
TRAINING_RUNS, TEST_RUNS = 4000, 1000


def nearest(value: int, known: tuple[int, ...]) -> int:
    """The training value that is closest."""
    return min(known, key=lambda other: (abs(other - value), other))


KEYS: dict[str, Key] = {
    "phase": lambda p: (p["phase_type"],),
    "phase, depth": lambda p: (p["phase_type"], nearest(p["depth"], DEPTHS)),
    "phase, depth, size": lambda p: (
        p["phase_type"],
        nearest(p["depth"], DEPTHS),
        nearest(p["system_size"], SIZES),
    ),
}


def runs(source: InProcess, region: Region, count: int) -> Runs:
    """Parameters and features of `count` runs of a region, the phases in turn."""
    rng = Random(f"predictable {region.name}")
    planned = [draw(rng, region, PHASES[index % len(PHASES)]) for index in range(count)]
    results = source.run([Run("run_phase", params) for params in planned])
    return [(params, result["features"]) for params, result in zip(planned, results, strict=True)]


def medians(trained: Runs, key: Key) -> dict[Any, float]:
    """The table: the median of every feature for each key."""
    values: dict[Any, list[float]] = defaultdict(list)
    for params, features in trained:
        for name in FEATURES:
            values[key(params), name].append(features[name])
    return {place: median(found) for place, found in values.items()}


def main() -> None:
    """Prints a row for each phase and feature, one for each feature's order, and the shares over all."""
    with closing(InProcess()) as source:
        trained = runs(source, TRAIN, TRAINING_RUNS)
        tables = {name: medians(trained, key) for name, key in KEYS.items()}
        held_out = runs(source, VALIDATION, TEST_RUNS)
        places = side_by_side(source, TEST_RUNS // len(PHASES))
    print(f"share of right answers of a table by {' | '.join(KEYS)}")
    numbers(tables, held_out)
    print("share of right orders of the four phases, by the same tables")
    orders(tables, places)


def numbers(tables: Tables, held_out: Runs) -> None:
    """A row for each phase and feature that the seed does not decide."""
    right: dict[tuple[str, ...], list[list[bool]]] = defaultdict(list)
    for params, features in held_out:
        for feature in FEATURES:
            if not is_of_the_seed(params, feature):
                told = [float(foretold(feature, tables[name][key(params), feature])) for name, key in KEYS.items()]
                hits = [abs(value - features[feature]) <= tolerance(feature) for value in told]
                right[params["phase_type"], feature].append(hits)
    show(right)


def orders(tables: Tables, places: list[Runs]) -> None:
    """A row for each feature, those in the first layers apart."""
    right: dict[tuple[str, ...], list[list[bool]]] = defaultdict(list)
    for place in places:
        for feature in FEATURES:
            ranked = [
                sorted(place, key=lambda run, key=key, name=name: -tables[name][key(run[0]), feature])  # type: ignore[misc]
                for name, key in KEYS.items()
            ]
            early = place[0][0]["depth"] <= EARLY_UNTIL
            right[feature, "first layers" if early else "later"].append([holds(order, feature) for order in ranked])
    show(right)


def holds(order: Runs, feature: str) -> bool:
    """Whether no run has clearly more of the feature than one that stands before it."""
    values = [features[feature] / simulator.FEATURE_SCALES[feature] for _, features in order]
    return all(later - before < CLEAR for before, later in combinations(values, 2))


def side_by_side(source: InProcess, count: int) -> list[Runs]:
    """`count` places of the validation's seeds, each with a run of every phase."""
    rng = Random("predictable orders")
    places = [draw(rng, VALIDATION, PHASES[0]) for _ in range(count)]
    planned = [{**params, "phase_type": phase} for params in places for phase in PHASES]
    results = source.run([Run("run_phase", params) for params in planned])
    found = [(params, result["features"]) for params, result in zip(planned, results, strict=True)]
    return [found[start : start + len(PHASES)] for start in range(0, len(found), len(PHASES))]


def show(right: dict[tuple[str, ...], list[list[bool]]]) -> None:
    """The rows, and all of them together."""
    for (one, other), rows in right.items():
        print(f"{one:24} {other:18} " + "  ".join(f"{fmean(column):.2f}" for column in zip(*rows, strict=True)))
    every = [row for rows in right.values() for row in rows]
    print(f"{'all':43} " + "  ".join(f"{fmean(column):.2f}" for column in zip(*every, strict=True)))


if __name__ == "__main__":
    main()
