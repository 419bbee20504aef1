"""An evaluation as JSON, with every answer, and as one markdown page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.evaluate.tally import Answer
from pipeline.files import write_text_atomic

KINDS = ("phase_identification", "numeric", "ordering", "definitions", "tools")
MODELS = ("base", "tuned", "retrieval", "training_mean", "phase_mean")
TITLES = ("base", "tuned", "tuned with retrieval", "always the training mean", "always the phase's mean")
SHOWN = 3
"""Wrong answers of each kind that the page quotes."""


def write_report(folder: Path, value: dict[str, Any], answers: list[Answer]) -> dict[str, str]:
    """Writes eval.json and eval.md into a run's folder and returns their paths. Raises LabError."""
    data, page = folder / "eval.json", folder / "eval.md"
    body = {**value, "answers": [answer.as_dict() for answer in answers]}
    write_text_atomic(data, json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    write_text_atomic(page, markdown(value, answers))
    return {"json": str(data), "markdown": str(page)}


def cell(entry: dict[str, Any] | None) -> str:
    """A score in words: "0.95 (38/40, 0.83 to 0.99)"."""
    if not entry or entry["score"] is None:
        return "–"
    low, high = entry["interval"]
    right = entry.get("right", entry.get("contradicted"))
    return f"{entry['score']:.2f} ({right}/{entry['n']}, {low:.2f} to {high:.2f})"


def markdown(value: dict[str, Any], answers: list[Answer]) -> str:
    """The page: a table a region, contradicted numbers, and some wrong answers with their reasons."""
    lines = [
        "# Evaluation",
        "",
        f"Base {value['base']['name']}, adapter {value['adapter']}, {value['engine']}, {value['seconds']} s.",
    ]
    lines += [f"{value['left_out']} questions were left out because the training data has seen them.", ""]
    if not value["compared_with_training_data"]:
        lines += ["The file that the adapter was trained on was not here: leakage was not checked against it.", ""]
    lines += ["Each score: share right (right/asked, 95 % Wilson interval).", ""]
    for title, part in (("Interpolation", value), ("Extrapolation", value.get("extrapolation"))):
        if part:
            lines += [f"## {title}", "", f"| kind | {' | '.join(TITLES)} |", "|---" * (len(TITLES) + 1) + "|"]
            for kind in KINDS:
                if kind in part:
                    lines.append(f"| {kind} | {' | '.join(cell(part[kind].get(model)) for model in MODELS)} |")
            lines.append("")
    lines += [
        "## Numbers that the simulator contradicts",
        "",
        "| model | questions | share | answers with numbers |",
        "|---|---|---|---|",
    ]
    for title, part in (("interpolation", value), ("extrapolation", value.get("extrapolation", {}))):
        for model, entry in part.get("contradicted_numbers", {}).items():
            numbered = f"{entry['answers_with_numbers']} of {entry['answers']}"
            lines.append(f"| {model} | {title} | {cell(entry)} | {numbered} |")
    lines += ["", "A number is contradicted, and a numeric answer wrong, beyond 0.15 of its feature's scale.", ""]
    return "\n".join(lines + _wrong(answers)) + "\n"


def _wrong(answers: list[Answer]) -> list[str]:
    lines = ["## Some wrong answers of the tuned model", ""]
    for kind in KINDS:
        wrong = [a for a in answers if a.question.kind == kind and a.model == "tuned" and not a.grade.right]
        for answer in wrong[:SHOWN]:
            question, said = _quoted(answer.question.prompt), _quoted(answer.text)
            lines.append(f"- {kind}: {question} → {said} ({_quoted(answer.grade.reason)})")
    return lines if len(lines) > 2 else [*lines, "There are none."]


def _quoted(text: str) -> str:
    """Text of a model or a prompt on one line, inert in markdown and HTML."""
    line = " ".join(text.split())[:240]
    return "`" + line.replace("`", "'").replace("<", "‹") + "`"
