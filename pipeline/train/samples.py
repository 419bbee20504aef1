"""From a line of training data to tokens: what the model sees, and which of them it is to learn.

    [prefix: template + system prompt][user's turn][answer + end token][user's turn][answer + end token][the rest]
     computed once a batch             computed     computed, with loss  computed    computed, with loss  left out

The prefix is what the rendered texts of all samples share up to the user's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bases.base import Base
from pipeline.bases.template import render
from pipeline.chat.events import Message
from pipeline.chat.tool_text import with_system_text
from pipeline.data.tool_line import tools_line
from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.data.line import Sample
    from pipeline.data.reader import BadLine

Tokens = list[int]
_PLAIN = "OK"
"""An answer that every template leaves as it is."""


Spans = tuple[tuple[int, int], ...]
"""Ranges [start, stop) of a sample's tokens, ascending and apart."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sample. `tokens` follow the shared prefix; those in the ranges of `learned` carry the loss."""

    tokens: Tokens
    learned: Spans

    @property
    def answer_tokens(self) -> int:
        """Number of tokens with loss."""
        return sum(stop - start for start, stop in self.learned)


@dataclass(frozen=True, slots=True)
class TokenSet:
    """All samples of one file with the prefix that each of them starts with.

    `left_out` counts those that are too long, `bad_lines` the file's lines that are no samples.
    """

    prefix: Tokens
    samples: list[Encoded]
    left_out: int
    bad_lines: int = 0

    @property
    def answer_tokens(self) -> int:
        """Tokens with loss."""
        return sum(sample.answer_tokens for sample in self.samples)


def read_lines(path: Path) -> list[Sample]:
    """The samples of a JSON-lines file; lines that are none are left out. Raises DataError where nothing is left."""
    return read_with_bad(path)[0]


def read_with_bad(path: Path) -> tuple[list[Sample], list[BadLine]]:
    """The samples of a JSON-lines file, and what is wrong with its other lines. Raises DataError as `read_lines`."""
    from pipeline.data.reader import read_good

    if not path.exists():
        raise DataError(f"{path} is not there: run `benlab generate` first, or name a file with --data")
    good, bad = read_good(path, unique_ids=False)
    if not good:
        reason = f" ({bad[0]})" if bad else ""
        raise DataError(f"{path} holds no samples{reason}: run `benlab generate`, or name another file with --data")
    return good, bad


def messages_of(sample: Sample, system: str) -> list[Message]:
    """Return the chat that a sample stands for, its answers included, as templates take it."""
    opening: list[Message] = [{"role": "system", "content": system}] if system else []
    # White space around an answer would melt into the prompt's last token with some tokenizers.
    turns: list[Message] = [{**turn, "content": turn["content"].strip()} for turn in sample.turns]
    return with_system_text([*opening, *turns], tools_line()) if sample.tools else [*opening, *turns]


def encode(samples: Sequence[Sample], base: Base, tokenizer: Any, system: str, max_length: int) -> TokenSet:
    """Tokenize with the base's own template, with loss on every answer of a conversation.

    Samples longer than `max_length` tokens are left out and counted. Raises DataError if none is left, or if an
    answer's first token holds a part of the prompt.
    """
    rows = [row for sample in samples for row in _rows(messages_of(sample, system), base, tokenizer)]
    kept = [row for row in rows if len(row.tokens) <= max_length]
    if not kept:
        raise DataError(_too_long(len(rows), min(len(row.tokens) for row in rows), max_length, base))
    size = _shared([row.tokens[: row.learned[0][0]] for row in kept])
    moved = [
        Encoded(row.tokens[size:], tuple((start - size, stop - size) for start, stop in row.learned)) for row in kept
    ]
    return TokenSet(kept[0].tokens[:size], moved, len(rows) - len(kept))


def _rows(messages: list[Message], base: Base, tokenizer: Any) -> list[Encoded]:
    """The whole chat as one row with loss on each answer, or a row for each answer.

    Rows are apart if the template writes a past answer otherwise than the newest one, as those that drop thoughts do.
    """
    ends = [i + 1 for i, message in enumerate(messages) if message["role"] == "assistant"]
    parts = [_split(messages[:end], base) for end in ends]
    prompts = _tokenize(tokenizer, [prompt for prompt, _ in parts], base)
    wholes = _tokenize(tokenizer, [prompt + answer for prompt, answer in parts], base)
    spans = [_answer(*found, base) for found in zip(prompts, wholes, [answer for _, answer in parts], strict=True)]
    last = wholes[-1]
    if all(last[: len(whole)] == whole for whole in wholes):
        return [Encoded(last, tuple(spans))]
    return [Encoded(whole, (span,)) for whole, span in zip(wholes, spans, strict=True)]


def _too_long(count: int, shortest: int, max_length: int, base: Base) -> str:
    what = f"(the shortest has {shortest} tokens)"
    if shortest > base.context_length:
        return (
            f"all {count} samples are longer than {base.name} can read, {base.context_length} tokens {what}: "
            "shorten them, or choose a base with a longer context"
        )
    mend = f"raise it with --max-length {shortest} or more"
    return f"all {count} samples are longer than max_length {max_length} {what}: {mend}"


def encode_prompt(messages: list[dict[str, str]], base: Base, tokenizer: Any) -> Tokens:
    """The tokens that a chat's prompt becomes, as in training. Receipts compare them with the server's."""
    return _tokenize(tokenizer, [render(base, messages, add_generation_prompt=True)], base)[0]


def _split(messages: list[Message], base: Base) -> tuple[str, str]:
    """(prompt, answer with its end token), both as the template writes them."""
    prompt = render(base, messages[:-1], add_generation_prompt=True)
    whole, answer = render(base, messages), messages[-1]["content"].strip()
    # Some templates write a past answer otherwise than after the generation prompt: then from its first word on.
    rest = whole[len(prompt) :] if whole.startswith(prompt) else whole[max(whole.rfind(answer), 0) :]
    if answer not in rest:  # others leave a part of it out, such as thoughts: then as it is, ended as any other
        plain: Message = {**messages[-1], "content": _PLAIN}
        ended = base.eos_token if answer == _PLAIN else _split([*messages[:-1], plain], base)[1].removeprefix(_PLAIN)
        return prompt, answer + ended
    end = rest.find(answer) + len(answer)
    return prompt, rest[:end] + _end(rest[end:], base)


def _answer(prompt: Tokens, whole: Tokens, text: str, base: Base) -> tuple[int, int]:
    """The range of the tokens that follow the prompt's, which must be those that a server sees.

    The answer is not tokenized alone: SentencePiece would put a space in front of it.
    """
    if whole[: len(prompt)] == prompt and len(whole) > len(prompt):
        return len(prompt), len(whole)
    raise DataError(
        f"the answer {text[:40]!r} shares a token with the end of its prompt in the tokenizer of {base.name}: "
        "begin it with a letter or a digit, or choose another base"
    )


def _end(tail: str, base: Base) -> str:
    """What ends the turn: the first special token after the answer, else the base's end token."""
    token = re.match(r"\s{0,9}(<[^<>\s]{1,99}>|\[/?[A-Z_]{1,99}\])", tail)
    return token[0] if token else base.eos_token


def _tokenize(tokenizer: Any, texts: list[str], base: Base) -> list[Tokens]:
    """Begin-of-text comes once, where the base wants it, as llama.cpp does it."""
    bos = tokenizer.convert_tokens_to_ids(base.bos_token) if base.bos_token else None
    written = bool(base.bos_token) and base.bos_token != base.eos_token and texts[0].startswith(base.bos_token)
    rows: list[Tokens] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    if base.add_bos and bos is not None and not written:
        return [[bos, *row] for row in rows]
    return rows


def _shared(prompts: list[Tokens]) -> int:
    """Tokens that all prompts start with; at least one token of each prompt stays outside."""
    first, last = min(prompts), max(prompts)
    limit = min(len(row) for row in prompts) - 1
    return next((i for i in range(limit) if first[i] != last[i]), max(limit, 0))
