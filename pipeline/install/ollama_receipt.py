"""The receipt of an Ollama install: the same prompts, judged by the same code, through the server's own chat."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipeline.chat.decoding import first_difference, parameters
from pipeline.errors import InstallError
from pipeline.install.receipt import TOKENS, Answer, Receipt, precision_of, prompt_difference, prompts, summarize
from pipeline.install.reference import Reference
from pipeline.install.stored import shown_parameters
from simulator.events import Event, Progress
from simulator.private_files import read_text

if TYPE_CHECKING:
    from pipeline.chat.events import Message
    from pipeline.install.embedded import Job
    from pipeline.install.ollama_server import OllamaServer
    from pipeline.install.registry import Version


def prove(job: Job, version: Version, server: OllamaServer) -> Generator[Event, None, dict[str, Any]]:
    """The receipt of the version's tag on the server, as JSON.

    Raises InstallError where it fails; the tag is then gone from the server.
    """
    from pipeline.files import write_text_atomic

    target = job.lab.root / version.adapter
    embedded = json.loads(read_text(target.parent / "receipt.json"))
    # Where the embedded answers of base and tuned begin alike, the text cannot tell whether the adapter is on.
    plain = [
        str(answer["base"]) if not answer["served"].startswith(answer["base"]) else None
        for answer in embedded["answers"]
    ]
    noise = float(embedded["shift"]["noise"])
    receipt: Receipt | None = None
    try:
        steps = measure_ollama(job, server, version.version, plain, noise)
        for item in steps:
            if isinstance(item, Receipt):
                receipt = item
            else:
                yield item
        assert receipt is not None
        write_text_atomic(target.parent / "receipt-ollama.json", json.dumps(receipt.as_dict(), indent=1) + "\n")
        if not receipt.passed:
            raise InstallError(
                f"the receipt of Ollama at {server.url} failed ({'; '.join(receipt.failures)}): "
                f"{job.name} there stays as it was, see {job.lab.relative(target.parent / 'receipt-ollama.json')}"
            )
    except BaseException:
        with suppress(InstallError):
            server.delete(version.version)
        raise
    return {key: value for key, value in receipt.as_dict().items() if key != "answers"}


def measure_ollama(
    job: Job, server: OllamaServer, model: str, plain: Sequence[str | None], noise: float
) -> Iterator[Event | Receipt]:
    """Progress events, then the receipt. `plain`: how the base's own answers begin, None where that tells nothing.

    `noise` (nats) is what the embedded receipt has measured on the same base; Ollama serves it by llama.cpp, too.
    The questions go without a system turn, so that equal prompts prove the installed SYSTEM and TEMPLATE.
    Raises InstallError or BaseError.
    """
    asked = prompts(job.modelfile.system)
    kept = shown_parameters(server.show(model).parameters)
    options = first_difference(parameters(job.modelfile, job.base), kept)
    began = time.perf_counter()
    served = []
    for number, messages in enumerate(asked):
        yield Progress("receipt", number, len(asked), "asking Ollama")
        served.append(server.answer(model, [{"role": "user", "content": messages[-1]["content"]}], TOKENS))
    yield Progress("receipt", len(asked), len(asked), "comparing every token")
    reference = Reference(job.lab, job.base, job.adapter)
    rows = zip(asked, served, plain, strict=True)
    answers = [_compare(reference, server, model, chat, answer, other) for chat, answer, other in rows]
    speeds = sorted((answer.eval_count or 0) / max((answer.eval_duration or 0) / 1e9, 1e-9) for answer in served)
    first = (served[0].prompt_eval_duration or 0) / 1e9
    yield summarize(
        answers,
        engine=f"Ollama at {server.url}",
        base_precision=precision_of(job.base.path),
        reference=str(reference),
        same_weights=reference.same_weights,
        noise=noise,
        exact_tokens=False,
        options=options,
        tokens_per_second=round(speeds[len(speeds) // 2], 1),
        first_token_seconds=round(first, 3),
        start_seconds=round(time.perf_counter() - began, 3),
    )


def _compare(
    reference: Reference, server: OllamaServer, model: str, messages: list[Message], answer: Any, plain: str | None
) -> Answer:
    """Ollama gives text, not tokens: the answer is tokenized as training would.

    The last token is left out, because a text that was cut in the middle of a word may tokenize otherwise there.
    """
    from pipeline.bases.template import render

    prompt = reference.prompt_tokens(messages)
    text = answer.message.content or ""
    tokens = reference.tokenizer(text, add_special_tokens=False)["input_ids"]
    tokens = tokens[:-1] if answer.done_reason == "length" else [*tokens, reference.tokenizer.eos_token_id]
    found = reference.agreement(prompt, tokens)
    shown = server.rendered(model, [{"role": "user", "content": messages[-1]["content"]}])
    wanted = render(reference.base, messages, add_generation_prompt=True).removeprefix(reference.base.bos_token)
    shown = shown and shown.removeprefix(reference.base.bos_token)
    same_text = shown is None or shown == wanted
    return Answer(
        prompt=messages[-1]["content"],
        served=text,
        trained=reference.text(found.best),
        tokens=len(tokens),
        agreeing=found.agreeing,
        gap=sum(found.gaps),
        worst_gap=max(found.gaps, default=0.0),
        prompt_equal=same_text and answer.prompt_eval_count == len(prompt),
        differs=reference.first_difference(tokens, found),
        prompt_differs=_prompt_differs(shown, wanted) or prompt_difference(answer.prompt_eval_count or 0, len(prompt)),
        base=plain or "",
        changed_by_adapter=plain is None or not text.startswith(plain),
    )


def _prompt_differs(shown: str | None, wanted: str) -> str:
    """Return where the server's prompt first differs from training's; empty if it does not, or is not known."""
    if shown is None or shown == wanted:
        return ""
    shorter = min(len(shown), len(wanted))
    place = next((place for place in range(shorter) if shown[place] != wanted[place]), shorter)
    return f"{shown[place : place + 20]!r} there and {wanted[place : place + 20]!r} in training"
