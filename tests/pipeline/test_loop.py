"""The whole loop on real parts, at a size for a test, and its recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.lab import Lab
from pipeline.loop.params import LoopParams
from pipeline.loop.recipe import stage_params
from pipeline.loop.stage import run
from simulator.events import Result

TINY = """
[data]
n_per_phase = 1
n_tri = 1
n_discovery = 1
n_replay_drift = 1
extra = 30

[train]
recipe = "smollm2-quick"
max_steps = 3

[eval]
questions = 4
kinds = ["phase_identification"]
extrapolation = false
"""


def test_the_loop_runs_through_every_room(lab_with_base: Lab, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    events = list(run(lab_with_base, LoopParams(recipe=str(recipe))))
    assert isinstance(events[-1], Result)
    value = events[-1].value
    assert set(value) >= {"base", "experiments", "data", "train", "eval", "export", "install", "ask"}
    for side in ("base", "tuned"):
        assert value["eval"]["phase_identification"][side]["n"] >= 4
    assert value["ask"]["answer"].strip()
    assert lab_with_base.adapter_gguf.exists()
    assert lab_with_base.notebook().count() >= value["experiments"]["count"]


@pytest.mark.parametrize("recipe", ["quick", "full"])
def test_the_shipped_recipes_are_valid(recipe: str) -> None:
    assert set(stage_params(LoopParams(recipe=recipe))) == {"data", "train", "eval", "export", "install"}


@pytest.mark.parametrize(
    ("text", "said"),
    [("[data]\nn_tri = -1", "n_tri"), ("[nonsense]\na = 1", "nonsense"), ("[data", "TOML"), ("data = 1", "data")],
)
def test_a_bad_recipe_is_refused_before_any_work(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=said):
        stage_params(LoopParams(recipe=str(path)))


def test_a_recipe_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match="nowhere"):
        stage_params(LoopParams(recipe="/nowhere.toml"))
