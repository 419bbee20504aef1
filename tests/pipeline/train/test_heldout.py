"""What a training is validated on: its data's own file, or lines that share nothing with those it learns from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.line import Sample
from pipeline.data.writer import write_dataset
from pipeline.lab import Lab
from pipeline.train.heldout import hold_out, related, validation_file, why_not
from pipeline.train.params import TrainParams
from pipeline.train.stage import run
from simulator.events import Note

Files = Callable[[str, str], Path]


def sample(number: int, *experiments: str, question: str = "") -> Sample:
    """A line about those experiments."""
    return Sample(question or f"question {number}?", "", f"answer {number}.", {"experiment_ids": list(experiments)})


def data_set(path: Path, first: int = 0) -> Path:
    """Training, validation file and manifest, as `generate` writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    train, held = [sample(first + i, f"a{i}") for i in range(30)], [sample(1000 + i, f"b{i}") for i in range(5)]
    write_dataset(path, train, held, {})
    return path


@pytest.mark.parametrize("name", ["lab_instructions.jsonl", "mine.jsonl"])
def test_the_file_that_was_made_with_the_data_is_used(tmp_path: Path, name: str) -> None:
    data = data_set(tmp_path / name)
    held = validation_file(data)
    assert held is not None and held.read_text().count("\n") == 5


def test_a_neighbour_that_was_made_with_other_data_is_not(tmp_path: Path) -> None:
    """A file beside the lab's own, other lines under the lab's name, and a changed validation file."""
    data = data_set(tmp_path / "lab_instructions.jsonl")
    own = tmp_path / "mine.jsonl"
    own.write_bytes(data.read_bytes())
    assert validation_file(own) is None and why_not(own) == ""
    (tmp_path / "lab_validation.jsonl").write_text(sample(1).to_line() + "\n")
    assert validation_file(data) is None and "lab_validation.jsonl is not used: manifest.json" in why_not(data)
    data_set(data)
    assert validation_file(data) is not None
    data.write_text(data.read_text() + sample(99).to_line() + "\n")
    assert validation_file(data) is None
    data_set(data)
    for broken in ("{", "[]", '{"train": 3}', '{"train": {"sha256": "0"}}'):
        (tmp_path / "manifest.json").write_text(broken)
        assert validation_file(data) is None, broken


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60), max_size=3), min_size=20, max_size=80), st.integers(0, 5))
def test_lines_of_one_experiment_stay_on_one_side(experiments: list[list[int]], seed: int) -> None:
    lines = [sample(i, *map(str, ids), question=f"q{i // 2}" if i < 8 else "") for i, ids in enumerate(experiments)]
    train, held = hold_out(lines, seed)
    assert sorted(map(id, [*train, *held])) == sorted(map(id, lines))
    assert 0 <= len(held) <= -(-len(lines) // 20)
    sides = [{name for line in side for name in line.meta["experiment_ids"]} for side in (train, held)]
    assert not sides[0] & sides[1]
    assert not {line.prompt for line in train} & {line.prompt for line in held}
    assert (train, held) == hold_out(lines, seed)


def test_lines_belong_together_over_others() -> None:
    lines = [sample(0, "a"), sample(1, "b"), sample(2, "a", "c"), sample(3, "c", "d"), sample(4), sample(5)]
    assert related(lines) == [[0, 2, 3], [1], [4], [5]]


def test_a_twentieth_is_held_out_and_none_of_a_few_lines() -> None:
    lines = [sample(i, f"e{i // 2}") for i in range(200)]
    train, held = hold_out(lines, 0)
    assert len(held) == 10 and len(train) == 190
    assert hold_out(lines, 1)[1] != held
    assert hold_out(lines[:19], 0) == (lines[:19], [])
    together = [sample(i, "one") for i in range(50)]
    assert hold_out(together, 0) == (together, [])


def test_data_from_elsewhere_is_not_validated_on_the_labs_file(
    lab: Lab, tiny_files: Files, tmp_path: Path, samples_file: Callable[..., Path]
) -> None:
    data_set(lab.data)
    own = samples_file(lab.data.with_name("mine.jsonl"), 40)
    values = {"recipe": "smollm2-quick", "base": str(tiny_files("llama", "gguf")), "precision": "fp32", "threads": 1}
    limits = {"max_steps": 1, "evals_per_epoch": 1}
    for data, words, found in (
        (lab.data, "5 for validation, from lab_validation.jsonl", {"file": "data/lab_validation.jsonl", "samples": 5}),
        (own, "2 for validation, held out", {"file": None, "samples": 2}),
    ):
        out = tmp_path / data.stem
        params = TrainParams.model_validate({**values, **limits, "data": str(data), "out": str(out)})
        said = [event.text for event in run(lab, params) if isinstance(event, Note)]
        assert any(words in text for text in said), said
        assert json.loads((out / "manifest.json").read_text())["validation"] == found
