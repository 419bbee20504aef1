"""AdamW over an adapter, with a rate of its own for the B matrices (LoRA+)."""

from __future__ import annotations

import torch

from pipeline.train.params import Recipe


def new_optimizer(adapters: dict[str, torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW over the adapter's matrices, by their names: B's rate is `loraplus_lr_ratio` times A's.

    B starts at zero and A does not, so one rate for both lets B, which alone moves the first steps' output, lag
    behind (Hayou, Ghosh & Yu, "LoRA+", arXiv:2402.12354, section 4). Betas and epsilon are Loshchilov & Hutter's.
    """
    kinds: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in adapters.items():
        kinds.setdefault(recipe.loraplus_lr_ratio if "lora_B" in name else 1.0, []).append(parameter)
    groups = [{"params": parameters, "ratio": ratio} for ratio, parameters in kinds.items()]
    # Fused: one pass over each matrix instead of ten.
    return torch.optim.AdamW(groups, lr=0.0, weight_decay=recipe.weight_decay, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives every group its share of this step's rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["ratio"]
