"""PhaseDetector: a calibrated classifier of the four phases, trained on runs made here.

Multinomial logistic regression on standardised fingerprints, with a temperature
fitted on runs it has not seen (Guo et al., ICML 2017). Training, calibration and test
runs have different seeds. It is kept as JSON, and needs no scikit-learn to be used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.batch import Run, measure_runs
from simulator.errors import BadParameter
from simulator.events import Event, Progress
from simulator.fingerprint import FEATURE_NAMES, PHYSICS_VERSION
from simulator.params import PHASES
from simulator.private_files import opener, private_folder

Floats = NDArray[np.float64]

SIZES = (8, 64)
DEPTHS = (2, 16)
NOISE = (0, 1000, 100)
RUNS = 4000
# Shares of the runs: what is left over after training and calibration is the test.
TRAINING, CALIBRATION = 0.7, 0.1
_FIRST_SEED = 1_000_000
_BATCH = 500


@dataclass(frozen=True, slots=True)
class PhaseDetector:
    """Weights (4, 13), offsets (4,) on features centred and divided by their spread, and a temperature."""

    centre: Floats
    spread: Floats
    weights: Floats
    offsets: Floats
    temperature: float
    report: dict[str, Any] = field(default_factory=dict)

    def probabilities(self, features: Sequence[Sequence[float]] | Floats) -> Floats:
        """(rows, 4): the probability of each phase in the order of PHASES. Raises BadParameter."""
        table = np.asarray(features, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != len(FEATURE_NAMES) or not np.isfinite(table).all():
            raise BadParameter(f"features have shape {table.shape}: give rows of {len(FEATURE_NAMES)} finite numbers")
        # Wild numbers are held where the answer no longer changes, so that no exponent overflows.
        scaled = np.clip((np.clip(table, -1e9, 1e9) - self.centre) / self.spread, -1e6, 1e6)
        scores = (scaled @ self.weights.T + self.offsets) / self.temperature
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def save(self, path: Path) -> None:
        """Writes JSON through a temporary name: a kill leaves the old file or the new one."""
        private_folder(path.parent)
        values = {
            "kind": "phase-detector",
            "physics_version": PHYSICS_VERSION,
            "phases": list(PHASES),
            "features": list(FEATURE_NAMES),
            "centre": self.centre.tolist(),
            "spread": self.spread.tolist(),
            "weights": self.weights.tolist(),
            "offsets": self.offsets.tolist(),
            "temperature": self.temperature,
            "report": self.report,
        }
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(draft, "w", encoding="utf-8", opener=opener) as file:
                json.dump(values, file, allow_nan=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> PhaseDetector:
        """Raises BadParameter where the file is none, is damaged, or belongs to another physics version."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            found = cls(
                centre=np.array(values["centre"], dtype=np.float64),
                spread=np.array(values["spread"], dtype=np.float64),
                weights=np.array(values["weights"], dtype=np.float64),
                offsets=np.array(values["offsets"], dtype=np.float64),
                temperature=float(values["temperature"]),
                report=dict(values["report"]),
            )
            known = (values["physics_version"], values["phases"], values["features"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadParameter(f"{path} is no phase detector ({type(error).__name__}): train it again") from None
        if known != (PHYSICS_VERSION, list(PHASES), list(FEATURE_NAMES)):
            raise BadParameter(f"{path} was trained on physics {known[0]}, not {PHYSICS_VERSION}: train it again")
        width = len(FEATURE_NAMES)
        shapes = [part.shape for part in (found.centre, found.spread, found.weights, found.offsets)]
        numbers = [found.centre, found.spread, found.weights, found.offsets, np.array(found.temperature)]
        sound = all(np.isfinite(part).all() for part in numbers) and (found.spread > 0).all() and found.temperature > 0
        if shapes != [(width,), (width,), (len(PHASES), width), (len(PHASES),)] or not sound:
            raise BadParameter(f"{path} has numbers of the wrong shape or kind: train it again")
        return found


def training_runs(count: int = RUNS, seed: int = 0) -> list[Run]:
    """Runs over sizes 8-64 (evenly in log n), depths 2-16 and biases 0-1; each has a seed of its own."""
    rng = np.random.default_rng([seed, 3])
    sizes = np.exp(rng.uniform(np.log(SIZES[0]), np.log(SIZES[1]), count)).round().astype(int)
    depths = rng.integers(DEPTHS[0], DEPTHS[1] + 1, count)
    biases = rng.uniform(0.0, 1.0, count)
    shots = rng.choice(NOISE, count)
    return [
        Run(
            PHASES[i % len(PHASES)],
            int(sizes[i]),
            int(depths[i]),
            _FIRST_SEED + seed * RUNS + i,
            float(biases[i]),
            int(shots[i]),
        )
        for i in range(count)
    ]


def train(count: int = RUNS, seed: int = 0) -> Iterator[Event | PhaseDetector]:
    """Makes the runs and fits the detector: Progress events, then the PhaseDetector.

    Exact and noisy runs are mixed in training; the report tells accuracy on exact test
    runs and on the same runs at 1000 and 100 shots.
    """
    runs = training_runs(count, seed)
    first, second = round(count * TRAINING), round(count * (TRAINING + CALIBRATION))
    tests = [[replace(run, shots=shots) for run in runs[second:]] for shots in NOISE]
    wanted = runs[:second] + [run for group in tests for run in group]
    # Sorted by phase and size so that equal circuits and equal shapes meet in one batch.
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i].phase, wanted[i].size, wanted[i].seed))
    table = np.empty((len(wanted), len(FEATURE_NAMES)))
    for begin in range(0, len(order), _BATCH):
        part = order[begin : begin + _BATCH]
        table[part] = [one.features for one in measure_runs([wanted[i] for i in part])]
        yield Progress("runs", min(begin + _BATCH, len(order)), len(order))
    labels = np.array([PHASES.index(run.phase) for run in wanted])
    detector = _calibrate(_fit(table[:first], labels[:first]), table[first:second], labels[first:second])
    size = len(runs) - second
    scores = {}
    for place, shots in enumerate(NOISE):
        rows = slice(second + place * size, second + (place + 1) * size)
        scores["exact" if not shots else f"shots_{shots}"] = _score(detector, table[rows], labels[rows])
    report = {"runs": count, "training": first, "calibration": second - first, "test": size, **scores}
    yield replace(detector, report=report)


def _fit(table: Floats, labels: NDArray[np.int64]) -> PhaseDetector:
    from sklearn.linear_model import LogisticRegression

    centre, spread = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-9)
    model = LogisticRegression(C=100.0, max_iter=2000).fit((table - centre) / spread, labels)
    return PhaseDetector(centre, spread, model.coef_, model.intercept_, 1.0)


def _calibrate(detector: PhaseDetector, table: Floats, labels: NDArray[np.int64]) -> PhaseDetector:
    """The temperature with the least log loss on runs that the fit has not seen."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return _log_loss(replace(detector, temperature=float(np.exp(log_temperature))), table, labels)

    found = minimize_scalar(loss, bounds=(np.log(0.5), np.log(10.0)), method="bounded")
    return replace(detector, temperature=float(np.exp(found.x)))


def _log_loss(detector: PhaseDetector, table: Floats, labels: NDArray[np.int64]) -> float:
    likely = detector.probabilities(table)[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.maximum(likely, 1e-12))))


def _score(detector: PhaseDetector, table: Floats, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy, log loss, expected calibration error over ten bins, and confusion (rows: true phase)."""
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
        "calibration_error": round(sum(gaps) / len(labels), 6),
        "confusion": confusion.tolist(),
    }
