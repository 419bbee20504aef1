"""The loss of one batch through any transformers model: shared prefix, answer tokens only.

Every sample follows the same prefix (template and system prompt). Attention is causal, so the prefix's
keys and values do not depend on what follows: they are computed once a batch and shared by all
samples, and autograd sums the samples' gradients into them. The result, gradients included, is that of
the plain forward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pipeline.errors import TrainError
from pipeline.train.batches import Batch

_CHECKED = 4
_HEAD_TOLERANCE = 0.02
"""Of the largest logit: bf16 rounds, a missing scale is off by more."""


class SharedPrefixLoss(nn.Module):
    """Sum of the answer tokens' cross entropies (nats) of a batch. `model` is a peft model."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> torch.Tensor:
        model = self.model.get_base_model()
        device = next(model.parameters()).device
        ids = batch.ids.to(device)
        samples, width = ids.shape
        size = len(batch.prefix)
        cache = self._prefix_cache(model, batch.prefix, samples, device) if size else None
        lengths = torch.tensor(batch.lengths, device=device)
        columns = torch.arange(width, device=device)
        mask = torch.cat([torch.ones(samples, size, device=device), columns < lengths[:, None]], dim=1).long()
        hidden = model.base_model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(columns + size).expand(samples, width),
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        answers = torch.zeros(samples, width, dtype=torch.bool, device=device)
        for row, spans in zip(answers, batch.learned, strict=True):
            for start, stop in spans:
                row[start:stop] = True
        # The token at column c is predicted by the state at c - 1. Column 0 belongs to the prompt, never to an answer.
        states = hidden[:, :-1][answers[:, 1:]]
        return summed_cross_entropy(model, states, ids[:, 1:][answers[:, 1:]])

    @staticmethod
    def _prefix_cache(model: Any, prefix: list[int], samples: int, device: torch.device) -> Any:
        """The prefix's keys and values, seen by every sample; gradients flow back through the expansion."""
        from transformers import DynamicCache

        once = DynamicCache(config=model.config)
        model.base_model(input_ids=torch.tensor([prefix], device=device), past_key_values=once, use_cache=True)
        for layer in once.layers:
            layer.keys = layer.keys.expand(samples, -1, -1, -1)
            layer.values = layer.values.expand(samples, -1, -1, -1)
        return once


def summed_cross_entropy(model: Any, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the head's logits at `states` (tokens × width), summed."""
    return nn.functional.cross_entropy(head_logits(model, states), targets, reduction="sum")


def head_logits(model: Any, states: torch.Tensor) -> torch.Tensor:
    """The logits at `states` (tokens × width) in float32; the softcap of Gemma and the scale of Cohere included."""
    logits: torch.Tensor = model.get_output_embeddings()(states).float()
    if cap := getattr(model.config, "final_logit_softcapping", None):
        logits = torch.tanh(logits / cap) * cap
    if scale := getattr(model.config, "logit_scale", None):
        logits = logits * scale
    return logits


def check_head(model: Any, name: str) -> None:
    """Compares `head_logits` with the model's own logits for a few tokens.

    Raises TrainError where they differ: a model that does more behind its last layer would be trained on a wrong loss.
    """
    ids = torch.arange(1, 1 + _CHECKED, device=next(model.parameters()).device)[None]
    with torch.no_grad():
        own = model(input_ids=ids, use_cache=False).logits[0].float()
        ours = head_logits(model, model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0])
    if float((own - ours).abs().max()) > _HEAD_TOLERANCE * max(float(own.abs().max()), 1e-6):
        raise TrainError(
            f"{name} ({model.config.model_type}) makes its logits in a way that this training does not know: "
            "take another base"
        )
