"""What was forgotten: perplexities of neutral text, and general items by their likeliest answer."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.bases import Base
from pipeline.evaluate.forgetting import Memory, compared, general_items, remember
from pipeline.evaluate.sealed import EvaluationSet, evaluation_set
from pipeline.lab import Lab


def test_items_have_four_different_answers_and_the_text_is_long_enough() -> None:
    chosen = evaluation_set()
    items = general_items(chosen)
    assert len(items) == 100 and len({question for question, _ in items}) == 100
    assert all(len(set(answers)) == 4 for _, answers in items)
    assert 9_000 <= len(chosen.text("neutral.txt").encode()) <= 12_000


def test_a_model_that_forgot_nothing_has_ratio_one() -> None:
    memory = Memory((-100.0, -220.0), (40, 80), (True, False))
    found = compared(memory, memory)
    assert found["perplexity"]["ratio"] == 1 and found["perplexity"]["interval"] == [1, 1]
    assert found["perplexity"]["n"] == 120 and found["general"]["base"]["n"] == 2


def test_every_lost_nat_counts() -> None:
    before = Memory((-100.0, -200.0), (50, 100), (True,))
    after = replace(before, nats=(-105.0, -210.0))
    entry = compared(before, after)["perplexity"]
    assert entry["ratio"] == pytest.approx(1.1052, abs=1e-3)  # e ** 0.1
    assert entry["interval"][0] <= entry["ratio"] <= entry["interval"][1]


@pytest.mark.slow
def test_the_base_knows_most_items(cache_lab: Lab, base: Base, tmp_path: Path) -> None:
    """On two paragraphs, which have little context, and a fifth of the items."""
    chosen = evaluation_set()
    for name in ("neutral.txt", "general.toml"):
        (tmp_path / name).write_text(chosen.text(name))
    paragraphs = chosen.text("neutral.txt").split("\n\n")[:2]
    (tmp_path / "neutral.txt").write_text("\n\n".join(paragraphs))
    items = chosen.table("general.toml")["items"].strip().splitlines()[::5]
    (tmp_path / "general.toml").write_text('items = """\n' + "\n".join(items) + '\n"""\n')
    memory = remember(cache_lab, base, base.path, EvaluationSet("short", tmp_path))
    assert len(memory.right) == 20 and sum(memory.right) >= 14
    assert 8 < memory.perplexity < 100 and len(memory.nats) == 2
