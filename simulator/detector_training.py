"""Train the PhaseDetector, and measure it: accuracy by region, calibration, what is unknown, and two baselines.

Training, calibration and test runs have different seeds. Sizes and depths are drawn evenly in their logarithms over
all that the parameters admit; a run that costs more than a few milliseconds is kept with a chance in inverse
proportion to its cost, so that large runs are there and training still takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.batch import Run, measure_runs
from simulator.cost import run_seconds
from simulator.detector import NEIGHBOURS, UNKNOWN, Floats, PhaseDetector, own_distance, products, squeezed
from simulator.events import Event, Progress
from simulator.fingerprint import FEATURE_NAMES
from simulator.params import LARGEST_DEPTH, LARGEST_SIZE, PHASES

Labels = NDArray[np.int64]

SMALLEST_SIZE = 4
NOISE = (0, 1000, 100)
RUNS = 1600
# Shares of the runs: what is left over after training and calibration is the test.
TRAINING, CALIBRATION = 0.6, 0.15
KNOWN_SHARE = 0.99
LEAST_VARIANCE = 1e-8
MEASURABLE = ("magnetization", "transverse", "zz_nearest", "zz_long", "correlation_range", "string_order")
"""Features that are expectation values, so that an experiment with shots can measure them."""
CHEAP_SECONDS, LONGEST_SECONDS = 0.002, 0.5
_FIRST_SEED = 1_000_000
_BATCH = 250

REGIONS: dict[str, Callable[[Run], bool]] = {
    "size 4-15": lambda run: run.size < 16,
    "size 16-63": lambda run: 16 <= run.size < 64,
    "size 64 and more": lambda run: run.size >= 64,
    "depth 1-3": lambda run: run.depth <= 3,
    "depth 4-31": lambda run: 4 <= run.depth < 32,
    "depth 32 and more": lambda run: run.depth >= 32,
    "bias 0.4-0.6": lambda run: 0.4 <= run.bias <= 0.6,
    "bias below 0.1 or above 0.9": lambda run: not 0.1 <= run.bias <= 0.9,
}


def training_runs(count: int = RUNS, seed: int = 0) -> list[Run]:
    """Return runs over all sizes, depths and biases, the phases in turn; each has a seed of its own."""
    rng = np.random.default_rng([seed, 3])
    runs: list[Run] = []
    while len(runs) < count:
        phase = PHASES[len(runs) % len(PHASES)]
        size = round(float(np.exp(rng.uniform(np.log(SMALLEST_SIZE), np.log(LARGEST_SIZE)))))
        depth = round(float(np.exp(rng.uniform(0.0, np.log(LARGEST_DEPTH)))))
        seconds = run_seconds(phase, size, depth)
        if seconds > LONGEST_SECONDS or rng.random() > CHEAP_SECONDS / seconds:
            continue
        fresh = _FIRST_SEED + seed * RUNS + len(runs)
        runs.append(Run(phase, size, depth, fresh, float(rng.uniform()), int(rng.choice(NOISE))))
    return runs


def train(count: int = RUNS, seed: int = 0) -> Iterator[Event | PhaseDetector]:
    """Yield Progress events, then the PhaseDetector with its report.

    Exact and noisy runs are mixed in training; the report has the accuracy on exact test runs and on the same runs
    at 1000 and 100 shots, by region, beside the baselines.
    """
    runs = training_runs(count, seed)
    first, second = round(count * TRAINING), round(count * (TRAINING + CALIBRATION))
    tests = [[replace(run, shots=shots) for run in runs[second:]] for shots in NOISE]
    noisy = [replace(run, shots=100) for run in runs[:first]]
    wanted = [*runs[:second], *(run for group in tests for run in group), *noisy]
    table = np.empty((len(wanted), len(FEATURE_NAMES)))
    # Sorted so that equal circuits and equal shapes meet in one batch.
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i].phase, wanted[i].size, wanted[i].seed))
    for begin in range(0, len(order), _BATCH):
        part = order[begin : begin + _BATCH]
        table[part] = [one.features for one in measure_runs([wanted[i] for i in part])]
        yield Progress("runs", min(begin + _BATCH, len(order)), len(order))
    labels = np.array([PHASES.index(run.phase) for run in wanted])
    detector = fit(table[:first], labels[:first], table[first:second], labels[first:second])
    size = len(runs) - second
    rows = [slice(second + place * size, second + (place + 1) * size) for place in range(len(NOISE))]
    names = ["exact" if not shots else f"shots_{shots}" for shots in NOISE]
    scores = {name: score(detector, table[part], labels[part]) for name, part in zip(names, rows, strict=True)}
    tree = _tree(table[:first], labels[:first])
    six = _six(table[-len(noisy) :], labels[-len(noisy) :])
    truth = labels[rows[0]]
    right = {
        "accuracy": detector.probabilities(table[rows[0]]).argmax(axis=1) == truth,
        "accuracy_100_shots": detector.probabilities(table[rows[-1]]).argmax(axis=1) == truth,
        "depth_3_tree": tree(table[rows[0]]) == truth,
        "six_measurable_features_at_100_shots": six(table[rows[-1]]) == truth,
    }
    unknown = detector.novelty(table[rows[0]]) > 1
    report = {
        "runs": count,
        "training": first,
        "calibration": second - first,
        "test": size,
        **scores,
        "by_region": _by_region(runs[second:], right, unknown),
    }
    yield replace(detector, report=report)


def fit(table: Floats, labels: Labels, held: Floats, held_labels: Labels) -> PhaseDetector:
    """Return a detector of the phases in `labels`, its temperature and reach set on runs that the fit has not seen."""
    from sklearn.linear_model import LogisticRegression

    flat = squeezed(table)
    centre, spread = flat.mean(axis=0), np.maximum(flat.std(axis=0), 1e-9)
    scaled, held_scaled = (flat - centre) / spread, (squeezed(held) - centre) / spread
    model = LogisticRegression(C=1.0, max_iter=500).fit(products(scaled), labels)
    weights, offsets = np.zeros((len(PHASES), model.coef_.shape[1])), np.full(len(PHASES), -1e3)
    reach = np.ones(len(PHASES))
    whiten = np.zeros((len(PHASES), len(FEATURE_NAMES), len(FEATURE_NAMES)))
    # Of two phases scikit-learn keeps one row of weights, the second phase's.
    two = len(model.classes_) == 2
    for row, phase in enumerate(model.classes_):
        weights[phase] = model.coef_[0] * row if two else model.coef_[row]
        offsets[phase] = model.intercept_[0] * row if two else model.intercept_[row]
        whiten[phase] = _whitening(scaled[labels == phase])
        own, fresh = scaled[labels == phase] @ whiten[phase], held_scaled[held_labels == phase] @ whiten[phase]
        # A training run is its own nearest neighbour, so that one more is counted.
        apart = [own_distance(own, own, NEIGHBOURS + 1)] + ([own_distance(fresh, own)] if len(fresh) else [])
        reach[phase] = max(float(np.quantile(np.concatenate(apart), KNOWN_SHARE)), 1e-9)
    detector = PhaseDetector(centre, spread, weights, offsets, 1.0, scaled, labels, whiten, reach)
    return _calibrate(detector, held, held_labels)


def _whitening(own: Floats) -> Floats:
    """Return the (13, 13) map after which a phase's runs have about unit variance in every direction."""
    sizes, axes = np.linalg.eigh(np.cov(own.T))
    whitened: Floats = axes / np.sqrt(np.maximum(sizes, 0.0) + LEAST_VARIANCE)
    return whitened


def _calibrate(detector: PhaseDetector, table: Floats, labels: Labels) -> PhaseDetector:
    """Return the detector at the temperature with the least log loss on these runs."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return _log_loss(replace(detector, temperature=float(np.exp(log_temperature))), table, labels)

    found = minimize_scalar(loss, bounds=(0.0, np.log(10.0)), method="bounded")
    return replace(detector, temperature=float(np.exp(found.x)))


def _log_loss(detector: PhaseDetector, table: Floats, labels: Labels) -> float:
    likely = detector.probabilities(table)[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.maximum(likely, 1e-12))))


def score(detector: PhaseDetector, table: Floats, labels: Labels) -> dict[str, Any]:
    """Return accuracy, log loss, Brier score, calibration error (ten bins), share of unknown, and confusion.

    The rows of the confusion matrix are the true phases.
    """
    chances = detector.probabilities(table)
    guessed, sure = chances.argmax(axis=1), chances.max(axis=1)
    right = guessed == labels
    bins = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs(float((right[bins == one] - sure[bins == one]).sum())) for one in np.unique(bins)]
    confusion = np.zeros((len(PHASES), len(PHASES)), dtype=int)
    np.add.at(confusion, (labels, guessed), 1)
    return {
        "accuracy": round(float(right.mean()), 6),
        "n": len(labels),
        "log_loss": round(_log_loss(detector, table, labels), 6),
        "brier": round(float(((chances - np.eye(len(PHASES))[labels]) ** 2).sum(axis=1).mean()), 6),
        "calibration_error": round(sum(gaps) / len(labels), 6),
        UNKNOWN: round(float((detector.novelty(table) > 1).mean()), 6),
        "confusion": confusion.tolist(),
    }


def _tree(table: Floats, labels: Labels) -> Callable[[Floats], Labels]:
    from sklearn.tree import DecisionTreeClassifier

    predict: Callable[[Floats], Labels] = DecisionTreeClassifier(max_depth=3, random_state=0).fit(table, labels).predict
    return predict


def _six(table: Floats, labels: Labels) -> Callable[[Floats], Labels]:
    """Return the same kind of model on the measurable features alone."""
    from sklearn.linear_model import LogisticRegression

    columns = [FEATURE_NAMES.index(name) for name in MEASURABLE]
    flat = squeezed(table)[:, columns]
    centre, spread = flat.mean(axis=0), np.maximum(flat.std(axis=0), 1e-9)
    model = LogisticRegression(C=1.0, max_iter=500).fit(products((flat - centre) / spread), labels)
    return lambda rows: np.asarray(model.predict(products((squeezed(rows)[:, columns] - centre) / spread)))


def _by_region(runs: Sequence[Run], right: dict[str, NDArray[Any]], unknown: NDArray[Any]) -> dict[str, Any]:
    found = {}
    for name, inside in {"all": lambda run: True, **REGIONS}.items():
        chosen = np.array([inside(run) for run in runs])
        if chosen.any():
            shares = {kind: round(float(hits[chosen].mean()), 4) for kind, hits in right.items()}
            found[name] = {"n": int(chosen.sum()), **shares, UNKNOWN: round(float(unknown[chosen].mean()), 4)}
    return found
