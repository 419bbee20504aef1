"""The loss of one batch and its gradients for Llama-like models, written out by hand for CPUs.

What `forward.SharedPrefixLoss` computes through transformers and autograd, this computes with few passes
over memory; a test holds both to the same loss and the same gradients. The savings, all exact:

- rows: the batch is one matrix, [prefix][sample 1, padded][sample 2, padded]…; the prefix is there once.
  Causality alone hides the padding: no real token looks at what stands right of it.
- products: q, k, v (and gate, up) with their adapters' A are one matrix product; the gradient of the
  input is one product, too, with [W; A] as it stands: dx = [dy | s dy B] [W; A].
- frozen weights get no gradient; nothing is computed backward below the first layer with adapters, and what the layers
  below it make of a sample is kept from epoch to epoch.
- the norm's weight and the 1/sqrt(head size) of the attention are folded into the frozen weights.
- attention is plain matrix products: for sequences of hundreds of tokens the probabilities fit in memory, and on
  CPUs this was measured 5 times as fast as torch's flash attention for bf16.
- the vocabulary's logits, and the last layer's output and MLP, are made for answer tokens alone.

LoRA: Hu et al. 2021 (y = W x + s B A x). Rotary positions: Su et al. 2021.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.train.attention import Attention, Heads, Rotary
from pipeline.train.batches import Batch
from pipeline.train.layer import Layer
from pipeline.train.memory import free, is_out_of_memory
from pipeline.train.norm import normalize, normalize_backward
from pipeline.train.trunk import Trunk

_MODELS = frozenset({"llama", "mistral", "qwen2"})
_HEAD_ROWS = 256
"""Answer tokens whose logits are in memory together: 50 MB in float32 for 49,152 words."""


def fits(model: Any) -> bool:
    """Whether this file can stand for the peft model: its architecture, plain LoRA, on a CPU."""
    return not obstacle(model)


def obstacle(model: Any) -> str:
    """Why this file cannot stand for the peft model; empty where it can."""
    config, base = model.config, model.get_base_model()
    plain = (
        config.model_type in _MODELS
        and config.hidden_act == "silu"
        and not getattr(config, "use_sliding_window", False)
        and not getattr(config, "sliding_window", None)
        and not getattr(config, "mlp_bias", False)
    )
    if not plain:
        return f"a {config.model_type} model as this one is computed through transformers"
    if model.peft_config["default"].lora_dropout:
        return "lora_dropout is above 0"
    device = next(base.parameters()).device.type
    return "" if device == "cpu" else f"it is on {device}"


class FusedLoss(nn.Module):
    """Sum of the answer tokens' cross entropies (nats) of a batch; `model` is a peft model that `fits`.

    The frozen weights move in here, in `dtype`: the peft model keeps the adapters and their names.
    """

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self.dtype = dtype
        inner = model.get_base_model().model
        config = model.config
        self.eps = float(config.rms_norm_eps)
        self.rotary = Rotary(inner.rotary_emb, dtype)
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        heads = Heads(config.num_attention_heads, config.num_key_value_heads, size)
        layers = []
        for layer in inner.layers:
            layers.append(Layer(layer, heads, self.eps, dtype))
            self._release(layer)
        first = next((i for i, layer in enumerate(layers) if layer.trains), len(layers))
        self.frozen, self.layers = layers[:first], layers[first:]
        self.trunk = Trunk(keeps=first > 0)
        self.embedding = inner.embed_tokens.weight.detach().to(dtype)
        self.norm = inner.norm.weight.detach().to(dtype)
        head = model.get_base_model().get_output_embeddings().weight
        tied = head is inner.embed_tokens.weight
        self.head = self.embedding if tied else head.detach().to(dtype)
        self.adapters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def forward(self, batch: Batch) -> Tensor:
        """The summed loss; differentiable with respect to the adapters alone."""
        if not torch.is_grad_enabled():  # validation needs neither gradients nor what is kept for them
            return self.compute(batch, with_gradients=False)[0].float()
        return _Loss.apply(self, batch, *self.adapters)

    @torch.no_grad()
    def compute(self, batch: Batch, with_gradients: bool) -> tuple[Tensor, dict[int, Tensor]]:
        """(summed loss, gradient of each adapter by `id`); no gradients without `with_gradients`.

        Where memory runs out, the states kept from former epochs go first.
        """
        try:
            return self._compute(batch, with_gradients)
        except (RuntimeError, MemoryError) as error:
            if not (is_out_of_memory(error) and self.trunk.drop()):
                raise
        finally:
            for layer in self.layers:  # where memory ran out half-way, this gives back what was kept
                layer.kept = ()
        free()
        return self.compute(batch, with_gradients)

    def _compute(self, batch: Batch, with_gradients: bool) -> tuple[Tensor, dict[int, Tensor]]:
        prefix, (samples, width) = len(batch.prefix), batch.ids.shape
        ids = torch.cat([torch.tensor(batch.prefix, dtype=torch.long), batch.ids.flatten()])
        attention = Attention(prefix, samples, width, self.rotary, self.dtype)
        x = self.trunk.states(batch, lambda: self._frozen(ids, attention))
        rows, targets = _answer_rows(batch, prefix)
        for layer in self.layers:
            layer.refresh()
            x = layer.forward(x, attention, with_gradients, rows if layer is self.layers[-1] else None)
        loss, dx = self._head(x if self.layers else x[rows], ids[targets], with_gradients)
        gradients: dict[int, Tensor] = {}
        if with_gradients:
            for layer in reversed(self.layers):
                dx = layer.backward(dx, attention, gradients, lowest=layer is self.layers[0])
        return loss, gradients

    def _frozen(self, ids: Tensor, attention: Attention) -> Tensor:
        """What the embedding and the layers below the first adapter make of the tokens (rows × width)."""
        x = self.embedding[ids]
        for layer in self.frozen:
            x = layer.forward(x, attention, keep=False)
        return x

    def _head(self, states: Tensor, targets: Tensor, with_gradients: bool) -> tuple[Tensor, Tensor]:
        """(summed cross entropy, gradient of `states`), some rows at a time."""
        total = torch.zeros((), dtype=torch.float64)
        upward = torch.empty_like(states)
        for start in range(0, len(states), _HEAD_ROWS):
            part, aim = states[start : start + _HEAD_ROWS], targets[start : start + _HEAD_ROWS]
            normed, inverse = normalize(part, self.eps)
            # In float32 whatever the weights are: in bf16 a token that is nearly certain has no gradient left.
            logits = ((normed * self.norm) @ self.head.t()).float()
            whole = logits.logsumexp(dim=-1)
            total += (whole - logits.gather(1, aim[:, None])[:, 0]).double().sum()
            if not with_gradients:
                continue
            error = logits.sub_(whole[:, None]).exp_()
            error[torch.arange(len(aim)), aim] -= 1
            down = (error.to(self.dtype) @ self.head) * self.norm
            upward[start : start + _HEAD_ROWS] = normalize_backward(down, normed, inverse)
        return total, upward

    @staticmethod
    def _release(layer: nn.Module) -> None:
        """Frees the frozen weights of a layer, which now live in its projections: memory holds one layer twice."""
        for parameter in layer.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.new_empty(0)


class _Loss(torch.autograd.Function):
    """Hands the written-out gradients to autograd, so that the loop sees an ordinary module."""

    @staticmethod
    def forward(ctx: Any, fused: FusedLoss, batch: Batch, *adapters: Tensor) -> Tensor:
        wanted = any(ctx.needs_input_grad)
        loss, gradients = fused.compute(batch, with_gradients=wanted)
        ctx.gradients = [gradients.get(id(adapter)) for adapter in fused.adapters]
        return loss.float()

    @staticmethod
    def backward(ctx: Any, *upward: Tensor) -> tuple[Tensor | None, ...]:
        scale = float(upward[0])
        found = ctx.gradients
        del ctx.gradients
        return (None, None, *(None if gradient is None else gradient.mul_(scale) for gradient in found))


def _answer_rows(batch: Batch, prefix: int) -> tuple[Tensor, Tensor]:
    """(rows whose state predicts an answer token, rows of those tokens)."""
    width = batch.ids.shape[1]
    targets = torch.cat(
        [
            torch.arange(prefix + i * width + start, prefix + i * width + stop)
            for i, spans in enumerate(batch.learned)
            for start, stop in spans
        ]
    )
    return targets - 1, targets
