"""Rules on results that are written down here: what they say, and what they cannot judge."""

from typing import Any

import pytest

import simulator
from simulator import verdict_sentences, verdicts
from simulator.verdicts import RULES


def ran(phase: str, depth: int, **features: float) -> dict[str, Any]:
    """A result with the features a rule looks at."""
    params = {"phase_type": phase, "depth": depth, "system_size": 8, "bias": 0.65}
    return {"phase_type": phase, "params": params, "features": features}


def test_phases_of_one_step_stand_side_by_side_in_an_order() -> None:
    """Steps of 0.05: 0.31 and 0.29 are both 0.30, 0.24 is not."""
    values = {"spt_cluster": 0.29, "pseudorandom": 0.31, "trivial_product": 0.9, "ising_symmetry_breaking": 0.24}
    results = [ran(phase, 4, zz_long=value) for phase, value in values.items()]
    said = RULES["order"](results, "zz_long")
    assert said == "trivial_product > spt_cluster ≳ pseudorandom > ising_symmetry_breaking"


def test_an_order_needs_each_phase_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        RULES["order"]([ran("spt_cluster", depth, zz_long=0.1) for depth in (1, 30)], "zz_long")


@pytest.mark.parametrize(("deep", "said"), [(0.5, "rises"), (0.1, "falls"), (0.204, "stays")])
def test_a_trend_goes_with_the_setting_whichever_run_comes_first(deep: float, said: str) -> None:
    runs = [ran("spt_cluster", 4, zz_long=0.2), ran("spt_cluster", 12, zz_long=deep)]
    assert {RULES["trend"](pair, "zz_long") for pair in (runs, runs[::-1])} == {f"From depth 4 to 12 zz_long {said}"}


def test_the_first_three_layers_are_early() -> None:
    said = [RULES["stage"]([ran("spt_cluster", depth)], "") for depth in (1, 3, 4, 16)]
    assert said == ["early", "early", "late", "late"]


def test_a_trend_needs_runs_that_differ_in_one_number_alone() -> None:
    shallow = ran("spt_cluster", 4, zz_long=0.2)
    deeper = ran("spt_cluster", 12, zz_long=0.1)
    for other in (
        shallow,
        ran("pseudorandom", 4, zz_long=0.1),
        {**deeper, "params": {**deeper["params"], "system_size": 16}},
    ):
        with pytest.raises(ValueError, match="differ"):
            RULES["trend"]([shallow, other], "zz_long")


@pytest.mark.parametrize("size", [4, 6, 8, 10, 12, 14])
def test_the_entropy_of_one_random_layer_follows_where_no_gate_crosses_the_cut(size: int) -> None:
    entropies = set()
    for seed in range(30):
        run = simulator.run_now("run_phase", phase_type="pseudorandom", system_size=size, depth=1, seed=seed)
        entropies.add(run["features"]["entropy_final"])
    assert verdicts.is_of_the_seed(run["params"], "entropy_final") == (len(entropies) > 1)
    assert verdicts.is_of_the_seed(run["params"], "entropy_final") == (size % 4 != 0)


def test_a_random_run_that_is_magnetized_still_has_some_order() -> None:
    run = simulator.run_now("run_phase", phase_type="pseudorandom", system_size=8, depth=1, bias=1.0, seed=0)
    shown = {name: abs(run["features"][name]) for name in ("magnetization", "zz_nearest", "zz_long", "string_order")}
    assert shown.pop("magnetization") >= 0.2 and max(shown.values()) < 0.2
    assert verdict_sentences.phase_meaning([run], "").endswith("and some order is left.")
