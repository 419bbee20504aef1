"""The glossary covers what it must, and finds terms by what people type."""

import pytest

from pipeline.data.glossary import by_key, entries, lookup
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
    }
    assert needed <= {entry.key for entry in entries()}


def test_every_reference_leads_somewhere_and_no_name_is_ambiguous() -> None:
    names: dict[str, str] = {}
    for entry in entries():
        for other in entry.see:
            assert by_key(other) is not entry
        for name in {entry.key, entry.term.lower(), *entry.aliases}:
            assert names.setdefault(name, entry.key) == entry.key
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
    ],
)
def test_lookup(typed: str, key: str) -> None:
    assert lookup(typed).key == key


def test_an_unknown_term_names_what_there_is() -> None:
    with pytest.raises(BadInput, match="not in the glossary"):
        lookup("soufflé")
