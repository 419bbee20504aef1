"""What the adapter does to the next word, as it is served and as it was trained.

At the place after each prompt, the change that the adapter makes to the log-probabilities of the likeliest words
(on minus off, in nats) is compared between llama.cpp and training's own forward pass. Texts may agree by chance,
and a saturated answer stays the same at twice the strength; these numbers do neither.

Two engines never compute alike to the last digit: the served base and training's base, both without any adapter,
differ by the `noise`, which is measured in the same receipt. So no bound is tied to one kind of quantisation.
Measured on trained SmolLM2 in Q4_1: noise 0.11; error 1.35 to 1.5 times the noise for the right adapter, 19 times
or more for alpha halved or doubled, and 24 times or more for the adapter of another run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.chat.server import EmbeddedServer
    from pipeline.install.reference import Reference

TOP = 400
"""Words a place: the likeliest with the adapter and without; those in both lists are compared."""
_TIMES_NOISE = 2.5
_LEAST_NOISE = 0.01
MOST_NOISE = {True: 0.6, False: 1.2}
"""By whether both sides have the same weights: more than this is another model, not another rounding."""
LEAST_STRENGTH, MOST_STRENGTH = 0.7, 1.4
_TELLING = 2.0
"""Times the noise that a shift must have before its strength is judged."""

Words = Mapping[int, float]
"""Log-probability (nats) by token id."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Root mean squares over all compared words, in nats.

    `size`: what the adapter changes, as trained. `error`: by how much the served change differs from that.
    `noise`: by how much the served base differs from training's, the adapter off on both sides. `strength`: the
    served change as a multiple of the trained one (least squares); it tells a weak adapter at half or double alpha.
    """

    words: int
    size: float
    error: float
    noise: float
    strength: float

    @property
    def bound(self) -> float:
        """The largest error that the noise explains."""
        return _TIMES_NOISE * max(self.noise, _LEAST_NOISE)

    def trouble(self, same_weights: bool) -> str:
        """What is wrong, in words; empty where served and trained agree."""
        if self.noise > MOST_NOISE[same_weights]:
            return (
                f"base: without the adapter the served base is {self.noise:.2f} nats from training's, "
                f"more than {MOST_NOISE[same_weights]}"
            )
        if not self.words:
            return "adapter: the likeliest next words with it and without have none in common, so it cannot be compared"
        if self.error > self.bound:
            return (
                f"adapter: its shift of the next word is {self.error:.2f} nats from training's (of {self.size:.2f}), "
                f"more than {self.bound:.2f}; it is another adapter, or has another strength"
            )
        if self.size > _TELLING * self.noise and not LEAST_STRENGTH <= self.strength <= MOST_STRENGTH:
            return (
                f"adapter: its shift of the next word has {self.strength:.2f} times the strength that it was trained "
                f"with, outside {LEAST_STRENGTH} to {MOST_STRENGTH}"
            )
        return ""

    def as_dict(self) -> dict[str, Any]:
        """The numbers as JSON, with their bound."""
        numbers = {**asdict(self), "bound": self.bound}
        return {key: round(value, 4) for key, value in numbers.items()}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far greedy answers may differ, from the base's own noise.

    Where two words are nearly as good, either may win: how often, and at what loss, grows with the noise. The
    factors stand between what was measured on a trained SmolLM2 in Q4_1 (noise 0.11; right adapters: agreement 96 to
    98 %, mean gap a token 0.0007 to 0.004 logits; q and k not permuted 0.03, without v 0.05).
    """

    least_agreement: float
    most_mean_gap: float
    most_gap: float

    @classmethod
    def of(cls, noise: float) -> Bounds:
        """The bounds for that noise (nats)."""
        noise = max(noise, _LEAST_NOISE)
        return cls(1 - min(0.3, 0.9 * noise), 0.18 * noise, 13.5 * noise)


def served_words(answer: Mapping[str, Any]) -> Words:
    """The first place of a llama.cpp answer that was asked with `n_probs`."""
    places = answer.get("completion_probabilities") or [{}]
    return {int(word["id"]): float(word["logprob"]) for word in places[0].get("top_logprobs", ())}


def measure_shift(
    reference: Reference, server: EmbeddedServer, prompts: Sequence[list[int]], plain: Sequence[Mapping[str, Any]]
) -> Shift:
    """Compares both sides after each prompt (token ids). `plain`: the server's answers with the adapter off.

    Raises ChatError.
    """
    size = error = noise = along = 0.0
    count = 0
    for prompt, without in zip(prompts, plain, strict=True):
        answer = server.complete_tokens(prompt, n_predict=1, n_probs=TOP, cache_prompt=False)
        on, off = served_words(answer), served_words(without)
        words = sorted(on.keys() & off.keys())
        for word, (as_on, as_off) in zip(words, reference.next_word(prompt, words), strict=True):
            trained = as_on - as_off
            size += trained**2
            along += (on[word] - off[word]) * trained
            error += (on[word] - off[word] - trained) ** 2
            noise += (off[word] - as_off) ** 2
        count += len(words)
    strength = along / size if size else 1.0
    size, error, noise = ((total / max(count, 1)) ** 0.5 for total in (size, error, noise))
    return Shift(count, size, error, noise, strength)
