"""PhaseDetector: a calibrated classifier of the four phases that knows what it has not seen.

Logistic regression on fingerprints and their products, with a temperature fitted on runs that the fit has not
seen (Guo et al., ICML 2017). A fingerprint further from the training runs than almost any known run is `unknown`.
It is kept as JSON, and needs no scikit-learn to be used. `detector_training.py` makes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.errors import BadParameter
from simulator.fingerprint import FEATURE_NAMES, PHYSICS_VERSION
from simulator.params import PHASES
from simulator.private_files import opener, private_folder, read_text

Floats = NDArray[np.float64]

UNKNOWN = "unknown"
NEIGHBOURS = 3
_GROWING = [FEATURE_NAMES.index(name) for name in ("entropy_mean", "entropy_max", "entropy_final", "correlation_range")]
_WILD = 1e9
_BLOCK = 256


def squeezed(features: Sequence[Sequence[float]] | Floats) -> Floats:
    """Return (rows, 13): entropies and the range, which grow with the chain, by their logarithm; the rest unchanged.

    Raises BadParameter unless `features` has rows of 13 finite numbers.
    """
    table = np.asarray(features, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(FEATURE_NAMES) or not np.isfinite(table).all():
        raise BadParameter(f"features have shape {table.shape}: give rows of {len(FEATURE_NAMES)} finite numbers")
    table = np.clip(table, -_WILD, _WILD)
    table[:, _GROWING] = np.log2(1.0 + np.maximum(table[:, _GROWING], 0.0)) + np.minimum(table[:, _GROWING], 0.0)
    return table


def products(scaled: Floats) -> Floats:
    """Return the columns and the products of every two of them."""
    left, right = np.triu_indices(scaled.shape[1])
    held = np.clip(scaled, -20.0, 20.0)
    return np.hstack([held, held[:, left] * held[:, right]])


@dataclass(frozen=True, slots=True)
class PhaseDetector:
    """A fitted detector.

    `weights` (4, 104) and `offsets` (4,) act on standardised fingerprints and their products; `known` (runs, 13) are
    the standardised training runs and `labels` (runs,) their phases; `whiten` (4, 13, 13) makes a phase's own runs
    spread equally in every direction, and within `reach` (4,) of its runs lie 99 % of that phase.
    """

    centre: Floats
    spread: Floats
    weights: Floats
    offsets: Floats
    temperature: float
    known: Floats
    labels: NDArray[np.int64]
    whiten: Floats
    reach: Floats
    report: dict[str, Any] = field(default_factory=dict)

    def probabilities(self, features: Sequence[Sequence[float]] | Floats) -> Floats:
        """Return (rows, 4): each phase's probability in the order of PHASES, if it is one of them at all.

        Raises BadParameter.
        """
        scores = (products(self._scaled(features)) @ self.weights.T + self.offsets) / self.temperature
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def novelty(self, features: Sequence[Sequence[float]] | Floats) -> Floats:
        """Return (rows,): the distance to the nearest phase's runs in units of its reach. Above 1 is unknown."""
        scaled = self._scaled(features)
        phases = np.unique(self.labels)
        apart = []
        for one in phases:
            turned, own = scaled @ self.whiten[one], self.known[self.labels == one] @ self.whiten[one]
            apart.append(own_distance(turned, own) / self.reach[one])
        return np.min(apart, axis=0)

    def read(self, features: Sequence[Sequence[float]] | Floats) -> list[str]:
        """Return the likeliest phase of each row, or `unknown`."""
        guesses, novelty = self.probabilities(features).argmax(axis=1), self.novelty(features)
        return [UNKNOWN if far > 1 else PHASES[guess] for guess, far in zip(guesses, novelty, strict=True)]

    def _scaled(self, features: Sequence[Sequence[float]] | Floats) -> Floats:
        return np.clip((squeezed(features) - self.centre) / self.spread, -1e6, 1e6)

    def save(self, path: Path) -> None:
        """Write JSON through a temporary name: a kill leaves the old file or the new one."""
        private_folder(path.parent)
        values = {
            "kind": "phase-detector",
            "physics_version": PHYSICS_VERSION,
            "phases": list(PHASES),
            "features": list(FEATURE_NAMES),
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
            "temperature": self.temperature,
            "report": self.report,
        }
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(draft, "w", encoding="utf-8", opener=opener) as file:
                json.dump(values, file, allow_nan=False)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> PhaseDetector:
        """Raises BadParameter if the file is not a detector, is damaged, or belongs to another physics version."""
        try:
            values = json.loads(read_text(path))
            physics = values["physics_version"]
            known = (values["phases"], values["features"])
            if physics == PHYSICS_VERSION and known == (list(PHASES), list(FEATURE_NAMES)):
                arrays: dict[str, Any] = {name: np.array(values[name], dtype=kind) for name, kind in _ARRAYS.items()}
                found = cls(**arrays, temperature=float(values["temperature"]), report=dict(values["report"]))
                sound = found._sound()
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadParameter(f"{path} is no phase detector ({type(error).__name__}): train it again") from None
        if physics != PHYSICS_VERSION or known != (list(PHASES), list(FEATURE_NAMES)):
            said = str(physics)[:40]
            raise BadParameter(f"{path} was trained on physics {said}, not {PHYSICS_VERSION}: train it again")
        if not sound:
            raise BadParameter(f"{path} has numbers of the wrong shape or kind: train it again")
        return found

    def _sound(self) -> bool:
        """Return whether all numbers have the shape and the range that reading needs."""
        width, classes, runs = len(FEATURE_NAMES), len(PHASES), len(self.labels)
        shapes = [getattr(self, name).shape for name in _ARRAYS]
        terms = width + width * (width + 1) // 2
        wanted = [(width,), (width,), (classes, terms), (classes,), (runs, width), (runs,)]
        wanted += [(classes, width, width), (classes,)]
        numbers = [*(getattr(self, name) for name in _ARRAYS), np.array(self.temperature)]
        finite = all(np.isfinite(part).all() for part in numbers)
        return (
            shapes == wanted
            and finite
            and self.temperature > 0
            and bool((self.spread > 0).all() and (self.reach > 0).all())
            and runs > 0
            and set(self.labels.tolist()) <= set(range(classes))
        )


_ARRAYS: dict[str, type] = {
    "centre": np.float64,
    "spread": np.float64,
    "weights": np.float64,
    "offsets": np.float64,
    "known": np.float64,
    "labels": np.int64,
    "whiten": np.float64,
    "reach": np.float64,
}


def own_distance(scaled: Floats, runs: Floats, neighbours: int = NEIGHBOURS) -> Floats:
    """Return (rows,): the distance from each row to its `neighbours`-th nearest run, or to the last one."""
    place = min(neighbours, len(runs)) - 1
    found = []
    for start in range(0, len(scaled), _BLOCK):
        apart = np.linalg.norm(scaled[start : start + _BLOCK, None, :] - runs[None, :, :], axis=2)
        found.append(np.partition(apart, place, axis=1)[:, place])
    return np.concatenate(found)
