"""Every experiment's real result has its plot, in the terminal's data and as SVG."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

import simulator
from pipeline.figures import figure_of
from pipeline.svg import figure_svg
from simulator.catalogue import EXPERIMENTS

CASES: dict[str, tuple[dict[str, Any], str, int]] = {
    "run_phase": ({"phase_type": "spt_cluster", "system_size": 8, "depth": 4}, "entropy by layer", 1),
    "tri": ({"phase_type": "ising_symmetry_breaking", "system_size": 8}, "fingerprints at bias and at 1 - bias", 2),
    "echo": ({"phase_type": "spt_cluster", "system_size": 8, "depth": 6}, "echo by depth", 1),
    "replay_drift": ({"phase_type": "trivial_product", "system_size": 8}, "drift by depth", 2),
    "discovery": ({"num_per_phase": 5, "system_size": 8, "k": 4}, "clusters", 4),
    "classify": ({"phase_type": "spt_cluster", "system_size": 8, "depth": 3}, "PhaseDetector on held-out runs", 0),
    "sweep": ({"system_sizes": [6], "depths": [2], "seeds": 2}, "mean fingerprints", 4),
    "scientist": ({"budget": 10, "trials": 2}, "best reward by experiment", 2),
}


def test_no_experiment_is_left_out() -> None:
    assert set(CASES) == set(EXPERIMENTS)


@pytest.mark.parametrize("name", CASES)
def test_the_result_has_its_plot(name: str) -> None:
    params, title, series = CASES[name]
    figure = figure_of(simulator.run_now(name, **params))
    assert figure is not None and figure.title == title
    assert len(figure.series) == series
    assert all(len(one.x) == len(one.y) > 0 for one in figure.series)
    if not series:
        assert figure.matrix and len(figure.matrix.rows) == len(figure.matrix.names) == 4
    ElementTree.fromstring(figure_svg(figure))


def test_the_echo_of_all_layers_is_the_last_point() -> None:
    result = simulator.run_now("echo", phase_type="pseudorandom", system_size=8, depth=6, seed=3)
    assert [point["depth"] for point in result["by_depth"]] == [1, 2, 4, 6]
    assert result["by_depth"][-1]["echo"] == result["echo"]
