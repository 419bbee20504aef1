"""LoRA+: A and B at rates of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.errors import BadInput
from pipeline.train.optimizer import new_optimizer, set_rate
from pipeline.train.params import Recipe, load_recipe


@pytest.mark.parametrize("ratio", [1, 4])
def test_b_moves_ratio_times_as_far_as_a(ratio: int) -> None:
    """AdamW's first step moves each weight by its rate, whatever the gradient's size."""
    names = ["layers.0.q_proj.lora_A.default.weight", "layers.0.q_proj.lora_B.default.weight"]
    adapters = {name: torch.nn.Parameter(torch.ones(3)) for name in names}
    optimizer = new_optimizer(adapters, Recipe(loraplus_lr_ratio=ratio))
    for weight, gradient in zip(adapters.values(), (0.5, 7.0), strict=True):
        weight.grad = torch.full((3,), gradient)
    set_rate(optimizer, 1e-3)
    optimizer.step()
    moved = {name: float(1 - weight.detach()[0]) for name, weight in adapters.items()}
    assert moved == pytest.approx({names[0]: 1e-3, names[1]: ratio * 1e-3}, rel=1e-3)


def test_every_matrix_of_an_adapter_is_in_one_group() -> None:
    adapters = {f"{i}.lora_{kind}.weight": torch.nn.Parameter(torch.ones(2)) for i in range(3) for kind in "AB"}
    groups = new_optimizer(adapters, Recipe(loraplus_lr_ratio=4)).param_groups
    assert sorted(len(group["params"]) for group in groups) == [3, 3]


def test_the_guide_keeps_one_rate() -> None:
    assert load_recipe("guide").loraplus_lr_ratio == 1


def test_a_ratio_below_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("loraplus_lr_ratio = 0.5\n")
    with pytest.raises(BadInput, match="loraplus_lr_ratio"):
        load_recipe(str(file))
