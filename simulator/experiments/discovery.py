"""discovery: k-means over the fingerprints of many runs, and how well its clusters are the phases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.batch import Run, measure_runs, result_of, run_id
from simulator.events import Event, Progress
from simulator.experiments.common import answer, finish, tidy
from simulator.fingerprint import FEATURE_NAMES, FEATURE_SCALES
from simulator.notebook import Notebook
from simulator.params import Discovery

Floats = NDArray[np.float64]


def run(params: Discovery, notebook: Notebook | None = None) -> Iterator[Event]:
    """Yield progress, then the clusters, purity, adjusted Rand index, mutual information and a plane of points.

    `cluster_label_stats` has one {phase: number of runs} for each cluster, as clients of the lab's API index it;
    `clusters` has the same clusters with size, majority, purity and centre.
    """
    samples = len(params.phases) * params.num_per_phase
    yield Progress("runs", 0, samples)
    runs = _runs(params)
    measured = measure_runs(runs)
    if notebook is not None:
        notebook.put_many(result_of(one, found) for one, found in zip(runs, measured, strict=True))
    vectors = np.array([one.features for one in measured])
    yield Progress("clusters", samples, samples)
    scaled = vectors / np.array([FEATURE_SCALES[name] for name in FEATURE_NAMES])
    labels = _cluster(scaled, params)
    yield finish(answer("discovery", params, _describe(params, runs, scaled, labels)), notebook)


def _runs(params: Discovery) -> list[Run]:
    return [
        Run(
            phase,
            params.system_size,
            params.depth,
            1000 * params.seed + j,
            params.bias,
            params.shots,
            sector=params.sector,
        )
        for phase in params.phases
        for j in range(params.num_per_phase)
    ]


def _cluster(scaled: Floats, params: Discovery) -> list[int]:
    """k-means labels, numbered by first appearance so that equal clusterings read the same."""
    import warnings

    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    # Fewer distinct points than clusters is an answer, not a fault; one thread is quickest at this size.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        model = KMeans(params.k, n_init=10, max_iter=params.iterations, random_state=params.seed).fit(scaled)
    order: dict[int, int] = {}
    return [order.setdefault(int(label), len(order)) for label in model.labels_]


def _describe(params: Discovery, runs: Sequence[Run], scaled: Floats, labels: Sequence[int]) -> dict[str, Any]:
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    phases = [run.phase for run in runs]
    clusters = [_cluster_row(label, phases, labels, scaled) for label in sorted(set(labels))]
    purity = tidy(sum(row["majority_count"] for row in clusters) / len(runs))
    plane, explained = _plane(scaled)
    points = [
        {
            "id": run_id(run),
            "phase_type": run.phase,
            "seed": run.seed,
            "cluster": label,
            "x": tidy(x),
            "y": tidy(y),
        }
        for run, label, (x, y) in zip(runs, labels, plane, strict=True)
    ]
    return {
        "cluster_label_stats": [dict(row["phases"]) for row in clusters],
        "clusters": clusters,
        "num_samples": len(runs),
        "num_clusters": len(clusters),
        "purity": purity,
        "adjusted_rand_index": tidy(adjusted_rand_score(phases, labels)),
        "normalized_mutual_information": tidy(normalized_mutual_info_score(phases, labels)),
        "explained_variance": [tidy(value) for value in explained],
        "points": points,
        "summary": (
            f"{len(runs)} runs of {len(params.phases)} phases, {params.system_size} qubits, {params.depth} layers: "
            f"{len(clusters)} clusters with purity {purity:.3f}."
        ),
    }


def _cluster_row(label: int, phases: Sequence[str], labels: Sequence[int], scaled: Floats) -> dict[str, Any]:
    inside = np.array(labels) == label
    counts = Counter(phase for phase, one in zip(phases, inside, strict=True) if one)
    majority, most = counts.most_common(1)[0]
    centre = scaled[inside].mean(axis=0) * np.array([FEATURE_SCALES[name] for name in FEATURE_NAMES])
    return {
        "cluster": label,
        "size": int(inside.sum()),
        "phases": dict(sorted(counts.items())),
        "majority": majority,
        "majority_count": most,
        "purity": tidy(most / inside.sum()),
        "centre": {name: tidy(value) for name, value in zip(FEATURE_NAMES, centre, strict=True)},
    }


def _plane(scaled: Floats) -> tuple[Floats, Floats]:
    """Coordinates along the two leading principal components, (samples, 2), and their shares of the variance."""
    centred = scaled - scaled.mean(axis=0)
    left, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    # A component's sign is free: the largest loading is made positive.
    signs = np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(axis=1)])
    total = float((sizes**2).sum()) or 1.0
    return left[:, :2] * sizes[:2] * signs, sizes[:2] ** 2 / total
