"""Tiny random models of each architecture, whole: an HF folder, a GGUF file that llama.cpp loads, sample lines."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.bases.template import CHATML
from pipeline.lab import Lab
from pipeline.train.params import TrainParams
from pipeline.train.stage import run
from simulator.events import Event
from tests.pipeline.train.training import RECIPE

WIDTH, INNER, HEADS, KEY_HEADS, LAYERS, CONTEXT = 64, 96, 4, 2, 2, 512
SPECIAL = ["<unk>", "<|im_start|>", "<|im_end|>"]
_COMMON = {
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "initializer_range": 0.15,
}
_GROUPED = {"num_key_value_heads": KEY_HEADS, "rms_norm_eps": 1e-5}
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "tie_word_embeddings": False, **_GROUPED},
    "llama-tied": {"model_type": "llama", "tie_word_embeddings": True, **_GROUPED},
    "llama3": {"model_type": "llama", "tie_word_embeddings": True, "rope_parameters": _LLAMA3, **_GROUPED},
    "mistral": {"model_type": "mistral", "tie_word_embeddings": False, "sliding_window": None, **_GROUPED},
    "qwen2": {
        "model_type": "qwen2",
        "tie_word_embeddings": True,
        **_GROUPED,
        "rope_parameters": {"rope_type": "default", "rope_theta": 50000.0},
        "rms_norm_eps": 3e-6,
    },
    "gemma": {"model_type": "gemma", "tie_word_embeddings": True, "head_dim": 16, **_GROUPED},
    "phi": {"model_type": "phi", "tie_word_embeddings": False, "partial_rotary_factor": 0.5},
}
_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "model.final_layernorm": "output_norm",
    "lm_head": "output",
}
_PROJECTIONS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.dense": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_WORDS = ["phase", "energy", "depth", "order", "field", "spin", "chain", "entropy", "ising", "cluster", "string"]


def tiny_tokenizer() -> Any:
    """Byte-level BPE with a few merges and the ChatML tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(unk_token=None))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator([" ".join(_WORDS)] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<unk>",
        chat_template=CHATML,
    )


def tiny_model(name: str, words: int) -> Any:
    """A random transformers model (float32); biases and norms are not at their trivial values."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = {**_COMMON, **MODELS[name], "vocab_size": words}
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    torch.manual_seed(len(name))
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in (p for p in model.parameters() if p.dim() == 1):
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def write_folder(folder: Path, name: str) -> Path:
    """The model as transformers saves it."""
    tokenizer = tiny_tokenizer()
    tiny_model(name, len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_gguf(path: Path, name: str, more: Callable[[Any], None] = id, kind: str = "F32") -> Path:
    """The model as llama.cpp's converter would write it: q and k permuted for llama, norms + 1 for gemma.

    `more` is given the writer, for further settings and tensors; matrices are stored as ggml's `kind`.
    """
    import gguf
    import numpy as np

    tokenizer = tiny_tokenizer()
    model = tiny_model(name, len(tokenizer))
    config = model.config
    family = {"mistral": "llama", "phi": "phi2"}.get(config.model_type, config.model_type)
    writer = gguf.GGUFWriter(path, family)
    writer.add_name(f"tiny {name}")
    _write_settings(writer, config, family)
    _write_vocabulary(writer, tokenizer)
    for key, tensor in model.state_dict().items():
        values = tensor.numpy().astype(np.float32)
        if target := _gguf_name(key, bool(config.tie_word_embeddings)):
            if family == "llama" and ("attn_q." in target or "attn_k." in target):
                values = _permute(values, HEADS if "attn_q." in target else KEY_HEADS)
            if family == "gemma" and "norm" in target:
                values = values + 1
            matrix = gguf.GGMLQuantizationType[kind if values.ndim == 2 else "F32"]
            writer.add_tensor(target, gguf.quantize(values, matrix), raw_dtype=matrix)
    more(writer)
    if name == "llama3":
        plain = 1.0 / (config.rope_parameters["rope_theta"] ** (np.arange(0, 16, 2) / 16))
        writer.add_tensor("rope_freqs.weight", (plain / model.model.rotary_emb.inv_freq.numpy()).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_settings(writer: Any, config: Any, family: str) -> None:
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS if family == "phi2" else KEY_HEADS)
    if family == "phi2":
        writer.add_layer_norm_eps(config.layer_norm_eps)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(int(16 * config.rope_parameters.get("partial_rotary_factor", 1)))
    if family == "gemma":
        writer.add_key_length(16)
        writer.add_value_length(16)
    writer.add_vocab_size(config.vocab_size)


def _write_vocabulary(writer: Any, tokenizer: Any) -> None:
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(words)
    writer.add_token_types([3 if word in SPECIAL else 1 for word in words])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)


def _gguf_name(key: str, tied: bool) -> str | None:
    module, _, leaf = key.rpartition(".")
    if module in _NAMES:
        return None if tied and module == "lm_head" else f"{_NAMES[module]}.{leaf}"
    _, _, layer, part = module.split(".", 3)
    return f"blk.{layer}.{_PROJECTIONS[part]}.{leaf}"


def _permute(values: Any, heads: int) -> Any:
    shape = values.shape
    return values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def write_samples(path: Path, count: int, seed: int = 0, words: int = 12) -> Path:
    """Sample lines by the lab's format, with answers of differing lengths; every fifth is a chat of two answers."""
    rng = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for i in range(count):
            question = " ".join(rng.choices(_WORDS, k=rng.randint(3, words)))
            answer = " ".join(rng.choices(_WORDS[:4], k=rng.randint(2, words)))
            extra = f"depth {i}" if i % 3 == 0 else ""
            line = {"instruction": f"{question}?", "input": extra, "output": f"{answer}.", "meta": {"kind": "phase"}}
            if i % 5 == 4:
                texts = (f"{question}?", f"{answer}.", "order?", f"depth {answer}.")
                turns = zip(("user", "assistant") * 2, texts, strict=True)
                line = {"messages": [{"role": role, "content": text} for role, text in turns], "meta": line["meta"]}
            file.write(json.dumps(line) + "\n")
    return path


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tiny matrices lose more to waking threads than they win."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """(model, "gguf" or "hf") to its path; each is written once."""
    folder = tmp_path_factory.mktemp("tiny")

    def make(name: str, kind: str) -> Path:
        path = folder / (f"tiny-{name}.gguf" if kind == "gguf" else f"tiny-{name}")
        if not path.exists():
            (write_gguf if kind == "gguf" else write_folder)(path, name)
        return path

    return make


@pytest.fixture
def gguf_writer() -> Callable[..., Path]:
    """Writes a tiny model's GGUF file with peculiarities."""
    return write_gguf


@pytest.fixture
def data_lab(lab: Lab) -> Lab:
    """A lab with 24 training lines."""
    write_samples(lab.data, 24)
    return lab


@pytest.fixture
def samples_file() -> Callable[..., Path]:
    """Writes sample lines."""
    return write_samples


@pytest.fixture
def train(data_lab: Lab, tiny_files: Callable[[str, str], Path]) -> Callable[..., Iterator[Event]]:
    """Starts the stage on the tiny llama with the given parameters."""

    def start(**given: Any) -> Iterator[Event]:
        values = {**RECIPE, "base": str(tiny_files("llama", "gguf")), **given}
        return run(data_lab, TrainParams.model_validate(values))

    return start
