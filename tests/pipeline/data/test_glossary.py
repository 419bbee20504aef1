"""The glossary covers what it must, and finds terms by what people type."""

import re

import pytest

from pipeline.data.glossary import by_key, entries, lookup, names, tool_entries
from pipeline.errors import BadInput


def test_the_needed_terms_are_there() -> None:
    needed = {
        "ising_symmetry_breaking",
        "spt_cluster",
        "trivial_product",
        "pseudorandom",
        "tri",
        "bias",
        "sectors",
        "replay_drift",
        "sensitivity_index",
        "clustering",
        "purity",
        "string_order",
        "entropy",
        "entropy_slope",
        "operator_spread",
        "echo",
        "phase_detector",
        "rl_scientist",
        "phase_types",
        "correlation_range",
        "quench",
        "free_fermion",
        "integrable",
        "thermalisation",
        "ground_state",
        "central_charge",
        "finite_size_scaling",
    }
    assert needed <= {entry.key for entry in entries()}


def test_every_reference_leads_somewhere_and_no_name_is_ambiguous() -> None:
    owner: dict[str, str] = {}
    every = (*entries(), *tool_entries())
    for entry in every:
        assert set(entry.see) <= {other.key for other in every} - {entry.key}
        for name in {entry.key, entry.term.lower(), *entry.aliases}:
            assert owner.setdefault(name, entry.key) == entry.key
        assert len(entry.text.split()) > 12


@pytest.mark.parametrize(
    "typed, key",
    [
        ("TRI", "tri"),
        ("ising", "ising_symmetry_breaking"),
        ("SPT cluster", "spt_cluster"),
        ("string-order", "string_order"),
        ("the echo", "echo"),
        ("magnetisaton", "magnetization"),
        ("Phase Detector", "phase_detector"),
        ("LoRA", "lora"),
        ("gguf", "gguf"),
        ("receipt", "receipt"),
        ("adapter", "adapter"),
        ("Wilson interval", "wilson_interval"),
        ("quantization", "quantisation"),
        ("checkpoints", "checkpoint"),
        ("thermalization", "thermalisation"),
        ("Free fermions", "free_fermion"),
        ("finite size scaling", "finite_size_scaling"),
        ("correlation length", "correlation_range"),
        ("product", "trivial_product"),
        ("random", "pseudorandom"),
        ("spt", "spt_cluster"),
    ],
)
def test_lookup(typed: str, key: str) -> None:
    assert lookup(typed).key == key


def test_an_unknown_term_names_what_there_is() -> None:
    with pytest.raises(BadInput, match="not in the glossary"):
        lookup("soufflé")


def test_words_of_the_tools_are_for_people_and_never_for_samples() -> None:
    trained, told = {entry.key for entry in entries()}, {entry.key for entry in tool_entries()}
    assert not trained & told
    assert {entry.term for entry in tool_entries()} < set(names())
    for key in told:
        with pytest.raises(KeyError):
            by_key(key)


def test_tri_is_never_told_as_a_reversal_of_time() -> None:
    import simulator
    from pipeline.data.wordings import request_wordings, wordings
    from pipeline.evaluate.sealed import FILES, evaluation_set

    told = [entry.text for entry in entries() if entry.key != "echo"]
    told += [*wordings("tri"), *request_wordings("tri")]
    told += [simulator.EXPERIMENTS["tri"].summary, str(simulator.EXPERIMENTS["tri"].params.__doc__)]
    reversal = re.compile(r"backward|in reverse|under time|(?<!nothing is )reversed|reverses|rever\w+ time", re.I)
    assert [text for text in told if reversal.search(text)] == []
    assert "nothing is reversed in time" in by_key("tri").text
    # Counted and not shown: nobody who works on training reads the sealed questions.
    asked = [line for name in FILES for line in evaluation_set().text(name).splitlines() if re.search(r"\bTRI\b", line)]
    assert len(asked) > 0
    count = sum(bool(reversal.search(line)) for line in asked)
    assert count == 0


def test_the_bit_of_the_broken_symmetry_and_the_unconnected_range_are_told() -> None:
    assert "up to one bit of the entropy is that of the broken symmetry" in by_key("entropy").text
    assert "not connected correlations" in by_key("correlation_range").text
