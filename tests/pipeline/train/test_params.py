"""The parameters: recipes, overrides under either name, and bounds that are said in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.train.params import TrainParams, load_recipe, recipe_names
from simulator import validate
from simulator.errors import BadParameter


@pytest.mark.parametrize("name", ["guide", "smollm2", "smollm2-quick"])
def test_recipes_name_their_command(name: str) -> None:
    from importlib.resources import files

    assert name in recipe_names()
    header = (files("pipeline.train") / "recipes" / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
    assert header.startswith(f"# benlab train --recipe {name}")
    assert load_recipe(name).base in ("smollm2", "llama3.2-1b")


def test_the_guide_s_parameters_are_the_guide_s() -> None:
    guide = load_recipe("guide")
    assert guide.num_train_epochs == 1 and guide.per_device_train_batch_size == 2
    assert guide.learning_rate == 2e-4 and guide.gradient_accumulation_steps == 4


def test_options_override_the_recipe_by_either_name() -> None:
    settled = TrainParams.model_validate({"recipe": "guide", "epochs": 3, "lr": 1e-3}).settle()
    assert (settled.num_train_epochs, settled.learning_rate, settled.gradient_accumulation_steps) == (3, 1e-3, 4)
    assert TrainParams(base="llama3.2-1b").settle() == load_recipe("guide")
    assert TrainParams().settle() == load_recipe("smollm2")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"learning_rate": 0}, "learning_rate is 0, below the smallest, 1e-08: choose 1e-08 to 0.1"),
        ({"learning_rate": 1}, "learning_rate is 1, above the largest, 0.1: choose 1e-08 to 0.1"),
        ({"lr": float("nan")}, "is nan, which is not a finite number"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast', which is not a number"),
        ({"lora_r": 0}, "lora_r is 0, below the smallest, 1: choose 1 to 512"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_bound(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        validate(TrainParams, given)
