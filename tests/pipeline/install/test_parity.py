"""The tuned model through llama.cpp gives the same greedy text as transformers + peft.

With an unquantised base every number is comparable, and all tokens must agree. The default base is Q4_1, where
llama.cpp rounds activations to 8 bits and training does not, so that near ties may fall the other way: there the
receipt's bounds hold, and a wrong adapter breaks them.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.bases import Base
from pipeline.chat import EmbeddedServer
from pipeline.export.adapter import convert_adapter
from pipeline.install import receipt
from pipeline.install.receipt import Answer, Receipt, with_end
from pipeline.install.reference import Reference
from pipeline.install.shift import TOP, Shift, measure_shift
from pipeline.lab import Lab
from pipeline.modelfile import load

PROMPTS = receipt.prompts(load().system)


def write_unquantised(source: Path, target: Path) -> Path:
    """The same model in float32."""
    from gguf import GGUFReader, GGUFWriter, dequantize

    reader = GGUFReader(source)
    writer = GGUFWriter(target, "llama")
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], inner)
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).reshape([int(n) for n in tensor.shape[::-1]])
        writer.add_tensor(tensor.name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_the_greedy_texts_of_eight_prompts_are_the_same(
    reference: Reference, base: Base, small_adapter_gguf: Path, tmp_path: Path
) -> None:
    plain = dataclasses.replace(base, path=write_unquantised(base.path, tmp_path / "f32.gguf"))
    with EmbeddedServer.start(plain, [small_adapter_gguf], parallel=1, context=1024) as server:
        changed = 0
        for messages in PROMPTS:
            prompt = reference.prompt_tokens(messages)
            assert server.tokenize(server.render(messages)) == prompt
            answer = server.complete(messages, n_predict=20)
            served = with_end(answer, reference.tokenizer.eos_token_id)
            found = reference.agreement(prompt, served)
            assert found.best == served, f"{messages[-1]['content']}: {found.gaps}"
            changed += server.complete(messages, n_predict=20, adapter=False)["tokens"] != answer["tokens"]
        assert changed >= 4
        asked = [reference.prompt_tokens(messages) for messages in PROMPTS[:3]]
        options: dict[str, Any] = {"n_predict": 1, "n_probs": TOP, "cache_prompt": False}
        off = [server.complete_tokens(prompt, adapter=False, **options) for prompt in asked]
        shift = measure_shift(reference, server, asked, off)
        assert shift.noise < 0.01 and shift.error < 0.01 < shift.size, shift


def test_greedy_generation_of_transformers_is_what_the_forward_pass_says(reference: Reference) -> None:
    """The receipt's shortcut, one pass over the served tokens, agrees with real generation."""
    import torch

    prompt = reference.prompt_tokens(PROMPTS[0])
    with torch.inference_mode():
        made = reference._model.generate(
            torch.tensor([prompt]), max_new_tokens=8, do_sample=False, temperature=None, top_p=None, use_cache=True
        )[0, len(prompt) :].tolist()
    assert reference.agreement(prompt, made).best == made


def measured(lab: Lab, base: Base, adapter: Path, gguf: Path) -> Receipt:
    server = EmbeddedServer(base, [gguf], parallel=1, context=1024)
    with server:
        *_, last = receipt.measure(lab, base, adapter, server, load().system)
    assert isinstance(last, Receipt)
    return last


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, reference: Reference) -> None:
    """Receipts of four prompts and twelve tokens, with training's model loaded once for all tests."""
    monkeypatch.setattr(receipt, "Reference", lambda *_: reference)
    monkeypatch.setattr(receipt, "TOKENS", 12)
    monkeypatch.setattr(receipt, "_PROMPTS", receipt._PROMPTS[:4])


def test_a_receipt_tells_a_wrong_adapter_and_says_which_step(
    base: Base,
    cache_lab: Lab,
    short: None,
    small_adapter: Path,
    small_adapter_gguf: Path,
    other_adapter: Path,
    tmp_path: Path,
) -> None:
    """On the quantised default base: the right adapter passes; at another strength, or of another run, it fails."""
    good = measured(cache_lab, base, small_adapter, small_adapter_gguf)
    assert good.passed, good.failures
    assert good.prompts_equal == 4 and good.base_precision == "Q4_1"
    assert 0.8 < good.shift["strength"] < 1.2 and 0.05 < good.shift["noise"] < 0.25, good.shift
    other = tmp_path / "other.gguf"
    convert_adapter(other_adapter, base.path, other)
    wrong = {f"{factor}": _scaled(small_adapter_gguf, tmp_path / f"{factor}.gguf", factor) for factor in (0, 0.5, 2)}
    for name, gguf in (wrong | {"other": other}).items():
        bad = measured(cache_lab, base, small_adapter, gguf)
        assert any("its shift of the next word" in failure for failure in bad.failures), (name, bad.shift)
        assert ("adapter: it changes no answer, so it is not in use" in bad.failures) == (name == "0")


@pytest.mark.parametrize(
    ("changes", "same_weights", "words"),
    [
        ({}, True, ""),
        ({"error": 0.4}, True, r"its shift of the next word is 0\.40 nats"),
        ({"error": 0.026, "noise": 0.0}, True, "more than 0.03"),
        ({"size": 0.3, "strength": 0.5}, True, r"0\.50 times the strength"),
        ({"size": 0.3, "strength": 2.0}, True, r"2\.00 times the strength"),
        ({"size": 0.1, "strength": 0.5}, True, ""),
        ({"noise": 0.7}, True, r"base: without the adapter the served base is 0\.70 nats"),
        ({"noise": 0.7, "error": 1.4}, False, ""),
        ({"noise": 2.0}, False, "more than 1.2"),
        ({"words": 0}, True, "none in common"),
    ],
)
def test_the_bound_on_the_shift_follows_the_bases_own_noise(
    changes: dict[str, Any], same_weights: bool, words: str
) -> None:
    made = Shift(**{"words": 100, "size": 3.0, "error": 0.15, "noise": 0.11, "strength": 1.0} | changes)
    assert bool(made.trouble(same_weights)) == bool(words) and re.search(words, made.trouble(same_weights))


def _scaled(source: Path, target: Path, factor: float) -> Path:
    from gguf import GGUFReader, GGUFWriter

    writer = GGUFWriter(target, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for tensor in GGUFReader(source).tensors:
        values = np.array(tensor.data)
        writer.add_tensor(tensor.name, values * np.float32(factor) if tensor.name.endswith("lora_b") else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _answer(**changes: Any) -> Answer:
    row: dict[str, Any] = {
        "prompt": "p", "served": "s", "trained": "s", "base": "b", "tokens": 10, "agreeing": 10, "gap": 0.0,
        "worst_gap": 0.0, "prompt_equal": True, "changed_by_adapter": True,
    }  # fmt: skip
    return Answer(**row | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"prompt_equal": False}, "prompt parity: 1 of 1"),
        ({"agreeing": 8}, "8 of 10 tokens, fewer than 90%"),
        ({"gap": 0.5}, "0.050 logits behind on average"),
        ({"worst_gap": 3.0}, "3.00 logits behind"),
        ({"changed_by_adapter": False}, "changes no answer"),
    ],
)
def test_each_bound_is_said_and_other_weights_have_no_bound_on_agreement(changes: Any, words: str) -> None:
    facts: dict[str, Any] = {
        "engine": "e", "base_precision": "Q4_1", "reference": "r", "tokens_per_second": 1.0,
        "first_token_seconds": 0.1, "start_seconds": 0.2,
    }  # fmt: skip
    facts["noise"] = 0.11
    made = receipt.summarize([_answer(**changes)], same_weights=True, **facts)
    assert made.passed == (not words) and words in "; ".join(made.failures)
    other = receipt.summarize([_answer(**changes)], same_weights=False, **facts)
    assert other.passed == (not made.failures or made.failures[0].startswith("greedy"))
