"""Completion offers commands, choices, parameters with bounds, and values, and never raises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benlab_tui.registry import commands
from benlab_tui.suggest import suggest


def labels(line):
    return [found.label for found in suggest(line, commands())]


def test_a_slash_lists_commands_and_letters_narrow_them():
    assert "/experiment" in labels("/")
    assert labels("/exper")[0] == "/experiment"
    assert "/experiment" in labels("/xprmnt")


def test_the_first_word_of_experiment_is_a_choice():
    assert labels("/experiment dis")[0] == "discovery"
    assert suggest("/experiment ru", commands())[0].line == "/experiment run_phase "


def test_parameters_show_bounds_unit_and_default_and_used_ones_are_left_out():
    found = {item.label: item.help for item in suggest("/experiment run_phase ", commands())}
    assert "4–1024 qubits" in found["system_size"]
    assert "default 32" in found["system_size"]
    assert "system_size" not in labels("/experiment run_phase system_size=8 ")


def test_values_come_from_choices_and_examples():
    assert labels("/experiment run_phase phase_type=spt") == ["spt_cluster"]
    assert "8" in labels("/experiment run_phase depth=")


@pytest.mark.parametrize(
    ("typed", "phase"),
    [
        ("ising", "ising_symmetry_breaking"),
        ("Ising-sym", "ising_symmetry_breaking"),
        ("spt", "spt_cluster"),
        ("CLUSTER", "spt_cluster"),
        ("trivial-", "trivial_product"),
        ("product", "trivial_product"),
        ("random", "pseudorandom"),
    ],
)
def test_short_names_of_phases_complete_to_the_full_ones(typed, phase):
    assert labels(f"/experiment run_phase phase_type={typed}") == [phase]
    assert labels(f"/experiment discovery phases={typed}") == [phase]


def test_a_list_completes_its_last_item_and_offers_none_twice():
    found = suggest("/experiment discovery phases=spt,rand", commands())
    assert [item.line for item in found] == ["/experiment discovery phases=spt,pseudorandom "]
    assert "spt_cluster" not in labels("/experiment sweep phases=Cluster,")
    assert len(labels("/experiment sweep phases=spt_cluster,")) == 3


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=80),
    st.sampled_from(["/", "/experiment ", "/experiment run_phase ", "/e", "", "/experiment tri --"]),
)
def test_no_line_raises(text, start):
    for found in suggest(start + text, commands()):
        assert found.line.startswith("/")


def test_repeated_letters_do_not_hang():
    assert suggest("/" + "e" * 39, commands()) == []
