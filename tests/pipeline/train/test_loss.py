"""The loss and its gradients: plain transformers, the shared prefix, and the written-out form are one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.bases import locate
from pipeline.errors import TrainError
from pipeline.lab import Lab
from pipeline.train.batches import Batch, collate
from pipeline.train.forward import SharedPrefixLoss, check_head
from pipeline.train.fused import FusedLoss, fits
from pipeline.train.model import add_adapters, load_model, load_tokenizer, trainable
from pipeline.train.samples import encode, read_lines
from pipeline.train.trunk import Trunk

BY_HAND = ["llama", "llama-tied", "llama3", "mistral", "qwen2"]


def loaded(
    lab: Lab,
    path: Path,
    modules: str = "all-linear",
    upper: int | None = None,
    numbers: tuple[int, ...] = (0, 1, 2, 3, 4),
) -> tuple[Any, Batch]:
    """The model with adapters that are not zero, and a batch with padding in it."""
    base = locate(lab, str(path))
    model = load_model(lab, base, torch.float32)
    torch.manual_seed(0)
    peft_model = add_adapters(model, 4, 8, 0.0, modules, base, upper)
    with torch.no_grad():
        for parameter in trainable(peft_model).values():
            parameter.normal_(0, 0.1)
    tokens = encode(read_lines(lab.data), base, load_tokenizer(lab, base), "You are a lab.", 512)
    return peft_model, collate(tokens, list(numbers))


def plain(model: Any, batch: Batch) -> torch.Tensor:
    """Each sample whole, alone, through transformers: the definition."""
    total = torch.zeros(())
    for i, (length, spans) in enumerate(zip(batch.lengths, batch.learned, strict=True)):
        ids = torch.tensor([*batch.prefix, *batch.ids[i, :length].tolist()])
        logits = model(input_ids=ids[None]).logits[0]
        for start, stop in spans:
            answer = slice(len(batch.prefix) + start, len(batch.prefix) + stop)
            states = slice(answer.start - 1, answer.stop - 1)
            total = total + torch.nn.functional.cross_entropy(logits[states], ids[answer], reduction="sum")
    return total


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """The adapters' gradients by name."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in trainable(model).items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Equal within float32's rounding, each adapter for itself."""
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        assert gradient.norm() > 0, name
        assert (gradient - other[name]).norm() < 2e-4 * gradient.norm(), name


@pytest.mark.parametrize("name", [*BY_HAND, "gemma", "phi"])
def test_the_shared_prefix_changes_nothing(data_lab: Lab, tiny_files: Callable[[str, str], Path], name: str) -> None:
    model, batch = loaded(data_lab, tiny_files(name, "hf"))
    assert len(batch.prefix) > 5 and len(set(batch.lengths)) > 1
    expected, found = plain(model, batch), SharedPrefixLoss(model)(batch)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert_same(gradients(model, expected), gradients(model, found))


@pytest.mark.parametrize("modules", ["all-linear", "q_proj,v_proj,down_proj"])
@pytest.mark.parametrize("name", BY_HAND)
def test_the_form_for_cpus_equals_plain_transformers(
    data_lab: Lab, tiny_files: Callable[[str, str], Path], name: str, modules: str
) -> None:
    model, batch = loaded(data_lab, tiny_files(name, "hf"), modules)
    expected = plain(model, batch)
    wanted = gradients(model, expected)
    assert fits(model)
    fused = FusedLoss(model, torch.float32)
    found = fused(batch)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert_same(wanted, gradients(model, found))
    with torch.no_grad():
        assert fused(batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_it_works_without_a_shared_prefix(data_lab: Lab, tiny_files: Callable[[str, str], Path]) -> None:
    model, batch = loaded(data_lab, tiny_files("llama", "hf"))
    bare = Batch([], batch.ids, batch.lengths, batch.learned)
    expected = plain(model, bare)
    wanted = gradients(model, expected)
    assert_same(wanted, gradients(model, SharedPrefixLoss(model)(bare)))
    assert_same(wanted, gradients(model, FusedLoss(model, torch.float32)(bare)))


def test_bf16_stays_close(data_lab: Lab, tiny_files: Callable[[str, str], Path]) -> None:
    model, batch = loaded(data_lab, tiny_files("llama", "hf"))
    expected = plain(model, batch)
    wanted = gradients(model, expected)
    found = FusedLoss(model, torch.bfloat16)(batch)
    assert found.item() == pytest.approx(expected.item(), rel=0.01)
    for name, gradient in gradients(model, found).items():
        assert torch.cosine_similarity(gradient.flatten(), wanted[name].flatten(), dim=0) > 0.99, name


def test_a_token_that_is_nearly_certain_still_has_a_gradient_in_bf16(
    data_lab: Lab, tiny_files: Callable[[str, str], Path]
) -> None:
    """Its probability, 0.9997, is 1 in bf16: what is left of the gradient is 1 - p, and has to be taken before."""
    model, _ = loaded(data_lab, tiny_files("llama", "hf"))
    fused = FusedLoss(model, torch.bfloat16)
    words, width = fused.head.shape
    fused.norm = torch.ones(width, dtype=torch.bfloat16)
    fused.head = torch.zeros(words, width, dtype=torch.bfloat16)
    fused.head[5] = 14 / width
    states = torch.ones(1, width, dtype=torch.bfloat16)
    states[0, ::2] = 0.5  # so that the norm lets a gradient through
    loss, upward = fused._head(states, torch.tensor([5]), with_gradients=True)
    assert 0 < float(loss) < 0.05
    assert float(upward.abs().max()) > 0


@pytest.mark.parametrize("name", BY_HAND)
def test_adapters_on_the_upper_layers_leave_the_lower_ones_computed_once(
    data_lab: Lab, tiny_files: Callable[[str, str], Path], name: str
) -> None:
    model, batch = loaded(data_lab, tiny_files(name, "hf"), upper=1)
    _, other = loaded(data_lab, tiny_files(name, "hf"), upper=1, numbers=(4, 2))
    assert {key.split(".layers.")[1].split(".")[0] for key in trainable(model)} == {"1"}
    wanted = [(one, plain(model, one).item(), gradients(model, plain(model, one))) for one in (batch, other)]
    fused = FusedLoss(model, torch.float32)
    assert_same(wanted[0][2], gradients(model, fused(batch)))
    ran, fused._frozen = fused._frozen, None  # what comes now has to come from what was kept
    for one, value, slopes in wanted:
        found = fused(one)
        assert found.item() == pytest.approx(value, rel=1e-5)
        assert_same(slopes, gradients(model, found))
    fused._frozen = ran
    fused.trunk.drop()
    assert_same(wanted[0][2], gradients(model, fused(batch)))


def test_two_sets_with_other_prefixes_share_no_states(data_lab: Lab, tiny_files: Callable[[str, str], Path]) -> None:
    model, batch = loaded(data_lab, tiny_files("llama", "hf"), upper=1)
    prefixes = (batch.prefix, batch.prefix[:-2], [*batch.prefix[:-1], 7], [])
    batches = [Batch(prefix, batch.ids, batch.lengths, batch.learned) for prefix in prefixes]
    wanted = [plain(model, one).item() for one in batches]
    fused = FusedLoss(model, torch.float32)
    for _ in range(2):
        assert [fused(one).item() for one in batches] == pytest.approx(wanted, rel=1e-5)


def test_states_that_do_not_fit_are_not_kept(data_lab: Lab, tiny_files: Callable[[str, str], Path]) -> None:
    model, batch = loaded(data_lab, tiny_files("llama", "hf"), upper=1)
    fused = FusedLoss(model, torch.float32)
    fused.trunk = Trunk(keeps=True, most_bytes=4 * 64 * max(batch.lengths))
    once, twice = fused(batch), fused(batch)
    assert once.item() == twice.item()
    assert not fused.trunk.drop()


def test_where_memory_runs_out_the_kept_states_go_first(data_lab: Lab, tiny_files: Callable[[str, str], Path]) -> None:
    model, batch = loaded(data_lab, tiny_files("llama", "hf"), upper=1)
    fused = FusedLoss(model, torch.float32)
    wanted, head = fused(batch).item(), fused._head
    calls = []

    def starved(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return head(*arguments)

    fused._head = starved
    assert fused(batch).item() == pytest.approx(wanted, rel=1e-6) and len(calls) == 2
    calls.clear()
    with pytest.raises(RuntimeError, match="allocate memory"):
        fused(batch)


def test_more_upper_layers_than_there_are_means_all(data_lab: Lab, tiny_files: Callable[[str, str], Path]) -> None:
    every = trainable(loaded(data_lab, tiny_files("llama", "hf"))[0])
    assert trainable(loaded(data_lab, tiny_files("llama", "hf"), upper=3)[0]).keys() == every.keys()


@pytest.mark.parametrize("name", ["gemma", "phi"])
def test_other_architectures_are_left_to_transformers(
    data_lab: Lab, tiny_files: Callable[[str, str], Path], name: str
) -> None:
    model, _ = loaded(data_lab, tiny_files(name, "hf"))
    assert not fits(model)


def test_a_model_that_scales_its_logits_in_its_own_way_is_refused() -> None:
    """Granite divides them by a number that no other model has; llama and gemma do nothing of the kind."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    for family, more in (("llama", {}), ("gemma", {"head_dim": 16}), ("granite", {"logits_scaling": 8.0})):
        config = AutoConfig.for_model(family, vocab_size=64, num_key_value_heads=2, **shape, **more)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        if family == "granite":
            with pytest.raises(TrainError, match=r"tiny \(granite\) makes its logits in a way"):
                check_head(model, "tiny")
        else:
            check_head(model, "tiny")
