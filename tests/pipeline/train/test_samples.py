"""Lines to tokens: those of the rendered text as a whole, cut where the prompt's tokens end."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.bases import Base
from pipeline.bases.template import render
from pipeline.chat.tool_text import call_text
from pipeline.data.line import Sample, conversation
from pipeline.data.tool_line import tools_line
from pipeline.errors import DataError
from pipeline.lab import Lab
from pipeline.train.model import load_tokenizer
from pipeline.train.samples import Encoded, encode, messages_of, read_lines

ZEPHYR = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
"""TinyLlama's: the marks are plain text, and the answer starts right after a line's end."""

SPACED = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
THINKING = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}"
    "{{ m['content'].split('</think>')[-1] if m['role'] == 'assistant' else m['content'] }}{{ '</s>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""As DeepSeek-R1's: thoughts of a past answer are left out."""
SAMPLES = [Sample(f"phase of depth {i}?", "", f"phase order {'energy ' * i}is high.", {}) for i in range(1, 9)]
SYSTEM = "energy order phase depth"


def sentencepiece(legacy: bool) -> Any:
    """A tiny tokenizer that puts a space in front of a text, as llama's, mistral's and gemma's do."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    raw.decoder = decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False)
    raw.train_from_iterator(["phase order energy depth high assistant user system is of"] * 4, trainer)
    if legacy:
        raw.pre_tokenizer = None
        raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def learned(encoded: Encoded) -> list[list[int]]:
    """The tokens of each answer."""
    return [encoded.tokens[start:stop] for start, stop in encoded.learned]


def text_of(tokenizer: Any, ids: list[int]) -> str:
    """The text of the tokens, its bytes put together, without spaces."""
    bare = tokenizer.decode(ids).replace(" ", "")
    return re.sub(r"<0x(..)>", lambda byte: chr(int(byte[1], 16)), bare)


def base_with(template: str) -> Base:
    """A base of that template; its weights are not looked at."""
    return Base("tiny", Path("tiny"), "hf", "0" * 64, 1, "test", "llama", 512, template, "<s>", "</s>", True)


@pytest.mark.parametrize("legacy", [False, True])
def test_sentencepiece_answers_have_the_tokens_of_the_whole_text(legacy: bool) -> None:
    tokenizer, base = sentencepiece(legacy), base_with(ZEPHYR)
    tokens = encode(SAMPLES, base, tokenizer, SYSTEM, 512)
    for sample, encoded in zip(SAMPLES, tokens.samples, strict=True):
        whole = render(base, messages_of(sample, SYSTEM)).removesuffix("\n")
        wanted = tokenizer(whole, add_special_tokens=False)["input_ids"]
        assert [*tokens.prefix, *encoded.tokens] == [tokenizer.bos_token_id, *wanted]
        (answer,) = learned(encoded)
        assert tokenizer.convert_ids_to_tokens(answer[0])[0] == "p" and answer[-1] == tokenizer.eos_token_id
        assert answer != tokenizer(sample.output + "</s>", add_special_tokens=False)["input_ids"]


def test_an_answer_that_melts_into_its_prompt_is_refused() -> None:
    """`assistant: ` ends in a space, which SentencePiece makes a part of the answer's first word."""
    with pytest.raises(DataError, match=r"the answer 'phase order .* shares a token with the end of its prompt"):
        encode(SAMPLES, base_with(SPACED), sentencepiece(False), SYSTEM, 512)


def test_an_answer_that_the_template_cuts_is_learned_whole() -> None:
    tokenizer, base = sentencepiece(False), base_with(THINKING)
    thought = Sample("phase?", "", "<think>energy</think>high order", {})
    (encoded,) = encode([thought], base, tokenizer, "", 512).samples
    whole = tokenizer(thought.output + "</s>", add_special_tokens=False)["input_ids"]
    (answer,) = learned(encoded)
    told, wanted = (tokenizer.decode(ids) for ids in (answer, whole))
    assert told.replace(" ", "") == wanted.replace(" ", "") and "energy" in told and told.endswith("</s>")


def test_white_space_around_an_answer_is_not_learned() -> None:
    tokenizer, base = sentencepiece(False), base_with(ZEPHYR)
    loose = [Sample(sample.instruction, "", f"\n {sample.output} \n", {}) for sample in SAMPLES]
    assert encode(loose, base, tokenizer, SYSTEM, 512) == encode(SAMPLES, base, tokenizer, SYSTEM, 512)


CHAT = conversation(
    (
        {"role": "user", "content": "phase?"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "tri", "arguments": {"depth": 3}}}]},
        {"role": "tool", "content": "energy is high", "tool_name": "tri"},
        {"role": "assistant", "content": "order is high"},
        {"role": "user", "content": "depth?"},
        {"role": "assistant", "content": "high order"},
    ),
    {},
    tools=True,
)


def test_every_answer_of_a_conversation_is_learned_and_nothing_else() -> None:
    tokenizer = sentencepiece(False)
    (row,) = encode([CHAT], base_with(ZEPHYR), tokenizer, SYSTEM, 2048).samples
    answers = [text_of(tokenizer, ids) for ids in learned(row)]
    call = call_text("tri", {"depth": 3}).replace(" ", "")
    assert answers == [f"{call}</s>", "orderishigh</s>", "highorder</s>"]
    assert row.answer_tokens == sum(map(len, learned(row)))


def test_answers_that_the_template_rewrites_later_are_rows_of_their_own() -> None:
    """A template that drops past thoughts: each answer is learned as it is served, behind the past as it is served."""
    tokenizer = sentencepiece(False)
    thoughtful = conversation(
        (
            {"role": "user", "content": "phase?"},
            {"role": "assistant", "content": "<think>energy</think>high order"},
            {"role": "user", "content": "depth?"},
            {"role": "assistant", "content": "<think>system</think>high phase"},
        ),
        {},
    )
    tokens = encode([thoughtful], base_with(THINKING), tokenizer, SYSTEM, 2048)
    answers = [[text_of(tokenizer, ids) for ids in learned(row)] for row in tokens.samples]
    assert answers == [["<think>energy</think>highorder</s>"], ["<think>system</think>highphase</s>"]]
    read = tokenizer.decode(tokens.samples[1].tokens).replace(" ", "")
    assert "highorder" in read and "energy</think>" not in read


def test_the_tool_line_is_in_the_prompt_only_if_experiments_can_be_run() -> None:
    asked = Sample("phase?", "", "order")
    without, with_tools = messages_of(asked, SYSTEM), messages_of(replace(asked, tools=True), SYSTEM)
    assert without[0]["content"] == SYSTEM
    assert with_tools[0]["content"] == f"{SYSTEM}\n\n{tools_line()}" and "run_phase" in tools_line()


def test_byte_level_answers_are_the_same_alone(
    base: Base, cache_lab: Lab, tmp_path: Path, samples_file: Callable[..., Path]
) -> None:
    """The default base: a special token and a line's end stand in front of every answer."""
    tokenizer, samples = load_tokenizer(cache_lab, base), read_lines(samples_file(tmp_path / "50.jsonl", 50, words=30))
    tokens = encode(samples, base, tokenizer, SYSTEM, 1024)
    for sample, encoded in zip(samples, tokens.samples, strict=True):
        if sample.messages:
            continue
        prompt = render(base, messages_of(sample, SYSTEM)[:-1], add_generation_prompt=True)
        parts = [
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, sample.output + "<|im_end|>")
        ]
        assert [*tokens.prefix, *encoded.tokens] == [*parts[0], *parts[1]]
        assert encoded.answer_tokens == len(parts[1])
