"""What training's own code says the tuned model answers: transformers and peft, in float32 where memory allows.

Loads torch, so it is for child processes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InstallError

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.chat.events import Message
    from pipeline.lab import Lab


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the served tokens of one prompt compare: `best` is the reference's greedy choice after the same tokens.

    `gaps` are, for each served token, the reference's best logit less that token's: 0 where they agree.
    """

    best: list[int]
    gaps: list[float]

    @property
    def agreeing(self) -> int:
        """Tokens that are the reference's own choice."""
        return sum(gap == 0 for gap in self.gaps)


class Reference:
    """The base with its adapter as training built it.

    `same_weights`: it computes with the served file's own weights. transformers reads no phi2 GGUF, so there the
    safetensors that were trained on stand in, and the file's quantisation is a part of every difference.
    """

    def __init__(self, lab: Lab, base: Base, adapter: Path) -> None:
        import psutil
        import torch
        from peft import PeftModel

        from pipeline.train.model import load_model, load_tokenizer

        self.base = _readable(lab, base, adapter)
        self.same_weights = self.base is base
        self.tokenizer = load_tokenizer(lab, self.base)
        # A base on disk has at least half a byte a parameter, and float32 takes four.
        room = psutil.virtual_memory().available > 9 * base.size
        self.dtype = torch.float32 if room else torch.bfloat16
        model = load_model(lab, self.base, self.dtype)
        try:
            self._model: Any = PeftModel.from_pretrained(model, adapter).eval()
        except (RuntimeError, ValueError, OSError) as error:
            text = " ".join(str(error).split())[:200]
            raise InstallError(f"the adapter in {adapter} does not go on {base.name} ({text}): train again") from error

    def __str__(self) -> str:
        weights = "the same weights" if self.same_weights else "the safetensors it was trained on"
        return f"transformers + peft, {str(self.dtype).removeprefix('torch.')}, {weights}"

    def prompt_tokens(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's token ids, made as training makes them."""
        from pipeline.train.samples import encode_prompt

        return encode_prompt(
            [{"role": m["role"], "content": m["content"]} for m in messages], self.base, self.tokenizer
        )

    def agreement(self, prompt: Sequence[int], served: Sequence[int]) -> Agreement:
        """One forward pass over prompt and served tokens tells the greedy choice at every place.

        Where all places agree, greedy decoding here gives the very same text.
        """
        import torch

        with torch.inference_mode():
            ids = torch.tensor([[*prompt, *served]])
            logits = self._model(ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
        best = logits.max(dim=-1)
        chosen = logits.gather(1, torch.tensor(list(served))[:, None])[:, 0]
        return Agreement(best.indices.tolist(), (best.values - chosen).tolist())

    def first_difference(self, served: Sequence[int], found: Agreement) -> str:
        """Return which served token is the first that differs from this model's choice; empty if none does."""
        place = next((place for place, gap in enumerate(found.gaps) if gap > 0), None)
        if place is None:
            return ""
        there, here = self.tokenizer.decode([served[place]]), self.tokenizer.decode([found.best[place]])
        return f"token {place + 1} is {there!r} there and {here!r} as trained"

    def next_word(self, prompt: Sequence[int], words: Sequence[int]) -> list[tuple[float, float]]:
        """Log-probabilities (nats) of those token ids after the prompt, each with the adapter on and off."""
        import torch

        with torch.inference_mode():
            ids = torch.tensor([list(prompt)])
            on = self._model(ids, use_cache=False, logits_to_keep=1).logits[0, -1].float().log_softmax(-1)
            with self._model.disable_adapter():
                off = self._model(ids, use_cache=False, logits_to_keep=1).logits[0, -1].float().log_softmax(-1)
            chosen = torch.tensor(list(words), dtype=torch.long)
            return list(zip(on[chosen].tolist(), off[chosen].tolist(), strict=True))

    def text(self, tokens: Sequence[int]) -> str:
        """The tokens as text."""
        return self.tokenizer.decode(list(tokens), skip_special_tokens=True)


def _readable(lab: Lab, base: Base, adapter: Path) -> Base:
    """The served base, or what stands in for it. Raises BaseError where that is not here."""
    if base.architecture != "phi2":
        return base
    from pipeline.bases import locate
    from pipeline.export.sources import trained_on

    return locate(lab, str(trained_on(adapter).get("name", base.name)))
