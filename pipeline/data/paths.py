"""What lies beside a training file: `lab_instructions.jsonl` has `lab_validation.jsonl` and `manifest.json`.

A file of another name, `x.jsonl`, has `x_validation.jsonl` and `x_manifest.json`.
"""

from __future__ import annotations

from pathlib import Path

DEFAULT = "lab_instructions.jsonl"


def validation_path(data: Path) -> Path:
    """The validation file of a training file."""
    return data.with_name("lab_validation.jsonl" if data.name == DEFAULT else f"{data.stem}_validation.jsonl")


def manifest_path(data: Path) -> Path:
    """The manifest of a training file."""
    return data.with_name("manifest.json" if data.name == DEFAULT else f"{data.stem}_manifest.json")
