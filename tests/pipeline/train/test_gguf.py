"""What transformers' own readers of GGUF files leave out, and that ours are otherwise the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.bases import locate
from pipeline.chat.server import EmbeddedServer
from pipeline.errors import BaseError
from pipeline.lab import Lab
from pipeline.train.gguf_config import read_config, read_tokenizer
from pipeline.train.model import load_model
from tests.pipeline.train.test_architectures import assert_equal_logits, our_logprobs

Files = Callable[[str, str], Path]
Writer = Callable[..., Path]


@pytest.mark.parametrize("name", ["llama", "llama3", "mistral", "qwen2"])
def test_config_and_tokenizer_are_those_of_the_whole_file(tiny_files: Files, name: str) -> None:
    from transformers import AutoConfig, AutoTokenizer

    path = tiny_files(name, "gguf")
    theirs = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    ours = read_config(path)
    assert {**ours.to_dict(), "_name_or_path": ""} == {**theirs.to_dict(), "_name_or_path": ""}
    text = "phase energy: ising, 0.25 <|im_end|> äΔ"
    whole = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    assert read_tokenizer(path, ours.model_type)(text).input_ids == whole(text).input_ids


def test_a_vocabulary_that_has_to_be_counted(tmp_path: Path) -> None:
    """starcoder2's settings do not tell its size, and transformers counts the tokens."""
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "star.gguf", "starcoder2")
    for add, value in ((writer.add_block_count, 2), (writer.add_context_length, 64), (writer.add_embedding_length, 32)):
        add(value)
    writer.add_token_list(["a", "b", "c"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert read_config(tmp_path / "star.gguf").vocab_size == 3


@pytest.mark.parametrize("kind", ["Q5_0", "Q5_1", "Q4_1", "Q8_0", "F16"])
def test_types_of_every_base(data_lab: Lab, gguf_writer: Writer, tmp_path: Path, kind: str) -> None:
    path = gguf_writer(tmp_path / f"tiny-{kind}.gguf", "llama", kind=kind)
    model = load_model(data_lab, locate(data_lab, str(path)), torch.float32)
    with EmbeddedServer.start(path, parallel=1, context=512) as server:
        words = model.config.vocab_size
        body = {"prompt": list(range(3, 60)), "n_predict": 1, "n_probs": words, "temperature": 0.0}
        with server.client() as client:
            told = client.post("/completion", json=body).raise_for_status().json()["completion_probabilities"][0]
    ours = our_logprobs(model, list(range(3, 60)))
    theirs = {entry["id"]: entry["logprob"] for entry in told["top_logprobs"]}
    # llama.cpp rounds what it multiplies with quantized weights to 8 bits.
    assert max(abs(float(ours[word]) - value) for word, value in theirs.items() if value > -8) < 0.3


def test_a_linear_scaling_of_positions_is_taken_over(data_lab: Lab, gguf_writer: Writer, tmp_path: Path) -> None:
    import gguf

    def scaled(writer: Any) -> None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(4.0)

    path = gguf_writer(tmp_path / "tiny-scaled.gguf", "llama", more=scaled)
    model = load_model(data_lab, locate(data_lab, str(path)), torch.float32)
    with EmbeddedServer.start(path, parallel=1, context=512) as server:
        assert_equal_logits(model, server, adapter=False)


def _stretched(writer: Any) -> None:
    import gguf

    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(4.0)


def _biased(writer: Any) -> None:
    writer.add_tensor("blk.0.attn_q.bias", np.ones(64, np.float32))


@pytest.mark.parametrize(
    ("more", "words"),
    [(_stretched, r"stretches its positions by yarn.*--source hub"), (_biased, r"holds blk.0.attn_q.bias, which")],
)
def test_another_model_than_transformers_would_make_of_it_is_refused(
    data_lab: Lab, gguf_writer: Writer, tmp_path: Path, more: Callable[[Any], None], words: str
) -> None:
    path = gguf_writer(tmp_path / "tiny-odd.gguf", "llama", more=more)
    with pytest.raises(BaseError, match=words):
        load_model(data_lab, locate(data_lab, str(path)), torch.float32)
