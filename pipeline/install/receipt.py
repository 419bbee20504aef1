"""The receipt of an install: proof that what is served answers as what was trained.

Eight prompts are asked greedily of the served model, and the same code that trained judges every token of the
answers. With unquantised bases the texts are the same, token by token. With quantised ones llama.cpp rounds the
activations to 8 bits as well (Q8_0 or Q8_1 blocks), which training does not: where two words are nearly as good,
the other one may win. So the bounds are on the share of agreeing tokens, on the loss at each that differs, in
logits, and on what the adapter does to the next word's probabilities; all of them follow from how far the base
without any adapter is from training's, in this very install (`shift.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.install.reference import Agreement, Reference
from pipeline.install.shift import TOP, Bounds, Shift, measure_shift
from simulator.events import Event, Progress

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.chat.events import Message
    from pipeline.chat.server import EmbeddedServer
    from pipeline.lab import Lab

TOKENS = 32
_COMPARED = 6

_PROMPTS = (
    "Explain what TRI measures in a quantum phase experiment",
    "What's the difference between Ising symmetry-breaking and SPT cluster phases?",
    "How do I interpret high vs low replay drift?",
    "Design an experiment to maximize TRI",
    "What are the four phase types in Ben Lab?",
    "A run has entropy_mean 0.812, magnetization 0.274 and zz_long 0.601. Which phase is it?",
    "Choose an experiment that tells an SPT phase from a trivial one.",
    "What does operator_spread measure?",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One prompt's row: the text served, what training's code would have written, and how the base begins.

    `differs` says which served token is the first that training would not have written, `prompt_differs` where the
    prompt is first another than training's.
    """

    prompt: str
    served: str
    trained: str
    base: str
    tokens: int
    agreeing: int
    gap: float
    worst_gap: float
    prompt_equal: bool
    changed_by_adapter: bool
    differs: str = ""
    prompt_differs: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was checked and how it came out; `failures` is empty where it passed."""

    engine: str
    base_precision: str
    reference: str
    prompts: int
    prompts_equal: int
    tokens: int
    tokens_agreeing: int
    texts_identical: int
    mean_gap: float
    worst_gap: float
    changed_by_adapter: int
    tokens_per_second: float
    first_token_seconds: float
    start_seconds: float
    shift: dict[str, Any] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every step held."""
        return not self.failures

    def as_dict(self) -> dict[str, Any]:
        """The receipt as JSON."""
        return {**asdict(self), "passed": self.passed, "tokens_a_prompt": TOKENS}


def prompts(system: str) -> list[list[Message]]:
    """The receipt's eight questions as chats."""
    return [[{"role": "system", "content": system}, {"role": "user", "content": text}] for text in _PROMPTS]


def measure(lab: Lab, base: Base, adapter_dir: Path, server: EmbeddedServer, system: str) -> Iterator[Event | Receipt]:
    """Progress events, and at the end the receipt of an embedded install. `server` holds the adapter as its first.

    Raises ChatError, BaseError or InstallError where it cannot be measured at all.
    """
    asked = prompts(system)
    yield Progress("receipt", 0, 4, "starting the engine")
    began = time.perf_counter()
    if not server.alive:
        server.open()
    first = server.complete(asked[0], n_predict=1)
    start = time.perf_counter() - began
    yield Progress("receipt", 1, 4, "asking the served model")
    # Without the prompt cache both sides compute in the same batches, so that equal models give equal numbers.
    options: dict[str, Any] = {"n_probs": 1, "cache_prompt": False}
    on = [server.complete(prompt, n_predict=TOKENS, **options) for prompt in asked]
    options["n_probs"] = TOP
    off = [server.complete(prompt, n_predict=_COMPARED, adapter=False, **options) for prompt in asked]
    yield Progress("receipt", 2, 4, "loading the model as it was trained")
    reference = Reference(lab, base, adapter_dir)
    answers = []
    for number, (prompt, tuned, plain) in enumerate(zip(asked, on, off, strict=True), 1):
        yield Progress("receipt", 3, 4, f"comparing every token, answer {number} of {len(asked)}")
        answers.append(_compare(reference, server, prompt, tuned, plain))
    shift = measure_shift(reference, server, [reference.prompt_tokens(prompt) for prompt in asked], off)
    yield Progress("receipt", 4, 4)
    speeds = sorted(answer["timings"]["predicted_per_second"] for answer in on)
    yield summarize(
        answers,
        engine="embedded llama.cpp",
        base_precision=precision_of(base.path),
        reference=str(reference),
        same_weights=reference.same_weights,
        noise=shift.noise,
        shift=shift,
        tokens_per_second=round(speeds[len(speeds) // 2], 1),
        first_token_seconds=round(first["timings"]["prompt_ms"] / 1000, 3),
        start_seconds=round(start, 3),
    )


def summarize(
    answers: Sequence[Answer],
    *,
    same_weights: bool,
    noise: float,
    shift: Shift | None = None,
    exact_tokens: bool = True,
    options: str = "",
    **facts: Any,
) -> Receipt:
    """The receipt over its rows, with what failed in words. Agreement is bounded only for the same weights.

    `options` says which decoding option the server keeps otherwise, if any. `noise` (nats) sets the bounds; without a
    `shift` only texts are judged. Without `exact_tokens` a served text was tokenized again, and a word that was made of
    other tokens may stand far behind at one place: there the averages are bounded, not the worst.
    """
    tokens = sum(answer.tokens for answer in answers)
    agreeing = sum(answer.agreeing for answer in answers)
    equal = sum(answer.prompt_equal for answer in answers)
    changed = sum(answer.changed_by_adapter for answer in answers)
    worst = max(answer.worst_gap for answer in answers)
    mean = sum(answer.gap for answer in answers) / max(tokens, 1)
    failures = []
    if options:
        failures.append(f"options: {options}")
    if equal < len(answers):
        failures.append(
            f"prompt parity: {len(answers) - equal} of {len(answers)} prompts have other tokens than in training"
            f"{_first(answers, 'prompt_differs')}"
        )
    bounds = Bounds.of(noise)
    if same_weights and (broken := _disagreement(bounds, agreeing, tokens, mean, worst if exact_tokens else 0.0)):
        failures.append(f"greedy agreement: {broken}{_first(answers, 'differs')}")
    if shift and (trouble := shift.trouble(same_weights)):
        failures.append(trouble)
    if not changed:
        failures.append("adapter: it changes no answer, so it is not in use")
    return Receipt(
        prompts=len(answers),
        prompts_equal=equal,
        tokens=tokens,
        tokens_agreeing=agreeing,
        texts_identical=sum(answer.agreeing == answer.tokens for answer in answers),
        mean_gap=round(mean, 5),
        worst_gap=round(worst, 3),
        changed_by_adapter=changed,
        shift=shift.as_dict() if shift else {},
        bounds={name: round(value, 4) for name, value in asdict(bounds).items()},
        answers=[asdict(answer) for answer in answers],
        failures=failures,
        **facts,
    )


def _first(answers: Sequence[Answer], what: str) -> str:
    """Return the first difference among the answers, as the end of a sentence."""
    return next((f"; first in {row.prompt[:40]!r}: {text}" for row in answers if (text := getattr(row, what))), "")


def _disagreement(bounds: Bounds, agreeing: int, tokens: int, mean: float, worst: float) -> str:
    """The bound that is broken, in words; empty where all hold."""
    if agreeing < bounds.least_agreement * tokens:
        return f"{agreeing} of {tokens} tokens, fewer than {bounds.least_agreement:.0%}"
    if mean > bounds.most_mean_gap:
        return f"served tokens are {mean:.3f} logits behind on average, more than {bounds.most_mean_gap:.3f}"
    if worst > bounds.most_gap:
        return f"a served token is {worst:.2f} logits behind, more than {bounds.most_gap:.2f}"
    return ""


def _compare(
    reference: Reference,
    server: EmbeddedServer,
    messages: list[Message],
    tuned: dict[str, Any],
    plain: dict[str, Any],
) -> Answer:
    prompt = reference.prompt_tokens(messages)
    served = with_end(tuned, reference.tokenizer.eos_token_id)
    found: Agreement = reference.agreement(prompt, served)
    served_prompt = server.tokenize(server.render(messages))
    return Answer(
        prompt=messages[-1]["content"],
        served=tuned["content"],
        trained=reference.text(found.best),
        base=plain["content"],
        tokens=len(served),
        agreeing=found.agreeing,
        gap=sum(found.gaps),
        worst_gap=max(found.gaps),
        prompt_equal=prompt == served_prompt,
        changed_by_adapter=_differ(tuned, plain),
        differs=reference.first_difference(served, found),
        prompt_differs=prompt_difference(len(served_prompt), len(prompt)),
    )


def prompt_difference(served: int, trained: int) -> str:
    """Return how many tokens two prompts have if they differ in it."""
    return f"{served} tokens there and {trained} in training" if served != trained else ""


def with_end(answer: dict[str, Any], end: int) -> list[int]:
    """The served tokens with the end token that stopped them: an answer that never ends is the commonest fault."""
    tokens = list(answer["tokens"])
    return [*tokens, end] if answer["stop_type"] == "eos" and tokens[-1:] != [end] else tokens


def _differ(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether texts, or the probabilities of the same texts, differ."""
    if one["tokens"][:_COMPARED] != other["tokens"][:_COMPARED]:
        return True
    pairs = zip(one.get("completion_probabilities", ()), other.get("completion_probabilities", ()), strict=False)
    return any(abs(a.get("logprob", 0.0) - b.get("logprob", 0.0)) > 1e-3 for a, b in pairs)


def precision_of(path: Path) -> str:
    """The ggml type of most of the file's weights: Q4_1, F16…"""
    from collections import Counter

    from gguf import GGMLQuantizationType

    from pipeline.gguf_head import read_head

    kinds: Counter[int] = Counter()
    for tensor in read_head(path).tensors.values():
        kinds[tensor.kind] += tensor.size
    return GGMLQuantizationType(kinds.most_common(1)[0][0]).name
