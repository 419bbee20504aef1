"""The PhaseDetector measured: accuracy by region beside baselines, calibration, and what is unknown.

    python bench/detector.py [--runs 1600] [--seed 0]

Everything is measured on runs whose seeds training has not used. A phase left out of training has to come out as
`unknown`; so do all zeros, random vectors, and fingerprints whose columns are shuffled over the runs.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from simulator.batch import Run, measure_runs
from simulator.detector import PhaseDetector
from simulator.detector_training import RUNS, fit, train, training_runs
from simulator.params import PHASES

# Costlier than any run of the training: size, depth.
BEYOND = ((1024, 4), (512, 16), (128, 128), (48, 512), (12, 1024))


def main() -> None:
    """Print the tables in markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start, detector = time.perf_counter(), None
    for step in train(options.runs, options.seed):
        detector = step if isinstance(step, PhaseDetector) else detector
    assert detector is not None
    cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    print(f"training {options.runs} runs: {cpu:.1f} s of CPU, {time.perf_counter() - start:.1f} s\n")
    _print_report(detector)
    fresh = [run for run in training_runs(600, options.seed + 1)]
    table = np.array([one.features for one in measure_runs(fresh)])
    labels = np.array([PHASES.index(run.phase) for run in fresh])
    _print_unknown(detector, table, labels)
    _print_beyond(detector)


def _print_report(detector: PhaseDetector) -> None:
    print("| runs | n | accuracy | log loss | Brier | calibration error | unknown |\n|---|---|---|---|---|---|---|")
    for name in ("exact", "shots_1000", "shots_100"):
        row = detector.report[name]
        numbers = " | ".join(f"{row[key]:.4f}" for key in ("accuracy", "log_loss", "brier", "calibration_error"))
        print(f"| {name} | {row['n']} | {numbers} | {row['unknown']:.3f} |")
    print("\n| region | n | exact | 100 shots | depth-3 tree | six features, 100 shots | unknown |\n|" + "---|" * 7)
    for name, row in detector.report["by_region"].items():
        print(f"| {name} | {row['n']} | " + " | ".join(f"{row[key]:.3f}" for key in list(row)[1:]) + " |")


def _print_unknown(detector: PhaseDetector, table: np.ndarray, labels: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    shuffled = np.stack([rng.permutation(column) for column in table.T], axis=1)
    strange = {
        "fresh runs of the four phases": table,
        "all zeros": np.zeros((1, 13)),
        "normal vectors": rng.normal(size=(600, 13)),
        "uniform vectors": rng.uniform(size=(600, 13)),
        "columns shuffled over the runs": shuffled,
    }
    print("\n| fingerprints | n | unknown |\n|---|---|---|")
    for name, rows in strange.items():
        print(f"| {name} | {len(rows)} | {(detector.novelty(rows) > 1).mean():.3f} |")
    part = np.arange(len(labels)) // len(PHASES) % 10
    for phase, name in enumerate(PHASES):
        known = labels != phase
        learn, held, test = known & (part < 6), known & (part >= 6) & (part < 8), known & (part >= 8)
        narrow = fit(table[learn], labels[learn], table[held], labels[held])
        missed = (narrow.novelty(table[test]) > 1).mean()
        found = (narrow.novelty(table[labels == phase]) > 1).mean()
        print(f"| {name}, left out of training (the other three: {missed:.3f}) | {(~known).sum()} | {found:.3f} |")


def _print_beyond(detector: PhaseDetector) -> None:
    runs = [Run(phase, size, depth, 77, 0.8) for phase in PHASES for size, depth in BEYOND]
    table = np.array([one.features for one in measure_runs(runs)])
    right = detector.probabilities(table).argmax(axis=1) == [PHASES.index(run.phase) for run in runs]
    print(f"\nbeyond the training's cost: {right.sum()} of {len(runs)} right", end="")
    print(f", {(detector.novelty(table) > 1).sum()} unknown")


if __name__ == "__main__":
    main()
