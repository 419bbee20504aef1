"""Every architecture, on tiny random models: loaded from GGUF as llama.cpp sees it, trained, exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.bases import Base, locate
from pipeline.bases.template import CHATML
from pipeline.chat.server import EmbeddedServer
from pipeline.errors import BaseError
from pipeline.export.adapter import convert_adapter
from pipeline.lab import Lab
from pipeline.train.model import load_model, load_tokenizer
from pipeline.train.params import TrainParams
from pipeline.train.samples import encode_prompt
from pipeline.train.stage import run
from simulator.events import Metric

Files = Callable[[str, str], Path]
LOADED = ["llama", "llama-tied", "llama3", "mistral", "qwen2", "gemma", "phi"]
FROM_FOLDER = ("gemma", "phi")
"""Transformers does not read these from GGUF: they are trained from the hub's weights and served from the file."""
LENGTHS = (3, 90, 200)
"""Tokens of the prompts; 200 is past the original context of the llama3 scaling, where its factors matter."""


def our_logprobs(model: Any, ids: list[int]) -> torch.Tensor:
    """Log probabilities of the next token by transformers."""
    with torch.no_grad():
        return torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0, -1], dim=-1)


def their_logprobs(server: EmbeddedServer, ids: list[int], words: int, adapter: bool) -> torch.Tensor | None:
    """Log probabilities of the next token by llama.cpp; None where it is no whole text (an end, half a letter)."""
    body = {"prompt": ids, "n_predict": 1, "n_probs": words, "temperature": 0.0, "cache_prompt": False}
    if server.adapters:
        body["lora"] = server.lora(adapter)
    with server.client() as client:
        answer = client.post("/completion", json=body).raise_for_status().json()
    if not answer.get("completion_probabilities"):
        return None
    found = torch.full((words,), float("nan"))
    for entry in answer["completion_probabilities"][0]["top_logprobs"]:
        found[entry["id"]] = entry["logprob"]
    return found


def assert_equal_logits(model: Any, server: EmbeddedServer, adapter: bool) -> None:
    """Both see the same next-token distribution after prompts of several lengths."""
    words = model.config.vocab_size
    for length in LENGTHS:
        prompts = ([(7 * i + start) % (words - 3) + 3 for i in range(length)] for start in range(100))
        ids, theirs = next((p, t) for p in prompts if (t := their_logprobs(server, p, words, adapter)) is not None)
        ours, seen = our_logprobs(model, ids), ~theirs.isnan()
        assert seen.sum() > words // 2
        assert (ours[seen] - theirs[seen]).abs().max() < 0.02, length


@pytest.mark.parametrize("name", LOADED)
def test_loaded_trained_exported(data_lab: Lab, tiny_files: Files, name: str) -> None:
    from peft import PeftConfig, PeftModel

    path = tiny_files(name, "gguf")
    source = tiny_files(name, "hf") if name in FROM_FOLDER else path
    base = locate(data_lab, str(source))
    values = {
        "recipe": "smollm2-quick",
        "base": str(source),
        "max_steps": 5,
        "learning_rate": 0.02,
        "precision": "fp32",
    }
    events = list(run(data_lab, TrainParams.model_validate({**values, "threads": 1})))
    curve = [event.values["loss"] for event in events if isinstance(event, Metric)]
    assert curve[-1] < curve[0]
    assert len(PeftConfig.from_pretrained(data_lab.adapter_dir).target_modules) == (6 if name == "phi" else 7)
    convert_adapter(data_lab.adapter_dir, path, data_lab.adapter_gguf)
    with EmbeddedServer.start(path, [data_lab.adapter_gguf], parallel=1, context=512) as server:
        model = load_model(data_lab, base, torch.float32)
        assert_equal_logits(model, server, adapter=False)
        tuned = PeftModel.from_pretrained(model, data_lab.adapter_dir)
        assert_equal_logits(tuned, server, adapter=True)
    ids = list(range(3, 40))
    with tuned.disable_adapter():
        untuned = our_logprobs(tuned, ids)
    assert (our_logprobs(tuned, ids) - untuned).abs().max() > 0.1, "an adapter that changes nothing proves nothing"


def test_llama3_without_its_factors_is_another_model(data_lab: Lab, tiny_files: Files) -> None:
    """What the equality above would miss if the file's rope_freqs were dropped."""
    base = locate(data_lab, str(tiny_files("llama3", "gguf")))
    model = load_model(data_lab, base, torch.float32)
    ids = [(7 * i) % 300 + 3 for i in range(200)]
    right = our_logprobs(model, ids)
    rotary = model.model.rotary_emb
    rotary.inv_freq = 1.0 / (10000.0 ** (torch.arange(0, 16, 2) / 16))
    assert (our_logprobs(model, ids) - right).abs().max() > 0.1


def test_an_architecture_that_cannot_be_read_says_what_to_take(data_lab: Lab, tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "phi2.gguf", "phi2")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_token_list(["a", "b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    base = locate(data_lab, str(tmp_path / "phi2.gguf"))
    with pytest.raises(BaseError, match=r"transformers cannot read the phi2 model.*take the hub's weights"):
        load_model(data_lab, base, torch.float32)


def test_the_default_base_is_loaded_as_transformers_loads_it(base: Base, lab_with_base: Lab) -> None:
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(base.path.parent, gguf_file=base.path.name, dtype=torch.float32)
    ours = load_model(lab_with_base, base, torch.float32)
    weights = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert torch.equal(parameter, weights[name]), name


def test_prompts_have_the_server_s_tokens(data_lab: Lab, tiny_files: Files) -> None:
    path = tiny_files("llama", "gguf")
    base = locate(data_lab, str(path))
    assert base.chat_template == CHATML
    messages = [{"role": "system", "content": "You are a lab."}, {"role": "user", "content": "phase? 0.25 äΔ\n"}]
    ids = encode_prompt(messages, base, load_tokenizer(data_lab, base))
    with EmbeddedServer.start(base, parallel=1, context=512) as server:
        assert server.tokenize(server.render(messages)) == ids
