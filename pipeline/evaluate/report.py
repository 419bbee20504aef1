"""An evaluation as JSON, with every answer, and as one markdown page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.evaluate.scoring import CONVERSATION_ROWS, Answer, PlayedDialogue
from pipeline.files import write_text_atomic

KINDS = ("phase_identification", "numeric", "ordering", "definitions")
TITLES = {
    "base": "base",
    "base_told": "base told phases and glossary",
    "base_retrieval": "base with retrieval",
    "tuned": "tuned",
    "retrieval": "tuned with retrieval",
    "training_mean": "always the training mean",
    "phase_mean": "always the phase's mean",
}
SHOWN = 3
"""Wrong answers of each kind that the page quotes."""


def write_report(
    folder: Path, value: dict[str, Any], answers: Sequence[Answer], played: Sequence[PlayedDialogue]
) -> dict[str, str]:
    """Write eval.json and eval.md into a run's folder and return their paths. Raises LabError."""
    data, page = folder / "eval.json", folder / "eval.md"
    body = {
        **value,
        "answers": [answer.as_dict() for answer in answers],
        "dialogues": [item.as_dict() for item in played],
    }
    write_text_atomic(data, json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    write_text_atomic(page, markdown(value, answers, played))
    return {"json": str(data), "markdown": str(page)}


def cell(entry: dict[str, Any] | None) -> str:
    """Return a score in words: "0.95 (38/40, 0.83 to 0.99)"."""
    if not entry or entry["score"] is None:
        return "–"
    low, high = entry["interval"]
    return f"{entry['score']:.2f} ({entry['right']}/{entry['n']}, {low:.2f} to {high:.2f})"


def markdown(value: dict[str, Any], answers: Sequence[Answer], played: Sequence[PlayedDialogue]) -> str:
    """Return the page: tables of scores, what was forgotten, and some wrong answers with their reasons."""
    chosen = value["set"]
    lines = [
        "# Evaluation",
        "",
        f"Base {value['base']['name']}, adapter {value['adapter']}, {value['engine']}, {value['seconds']} s. "
        f"Set {chosen['name']} ({', '.join(filter(None, (chosen['sha256'][:12], chosen['retired'])))}).",
        f"{value['left_out']} questions were skipped because the training data has seen them.",
        "",
    ]
    if not value["compared_with_training_data"]:
        lines += ["The file that the adapter was trained on was not here: leakage was not checked against it.", ""]
    lines += ["Each score: share right (right/asked, 95 % Wilson interval).", ""]
    rows = {name: value[name] for name in (*CONVERSATION_ROWS, "general") if name in value}
    lines += _table("Conversation and general items", rows)
    topics = {
        topic: {model: found[topic] for model, found in value["topics"].items() if topic in found}
        for topic in sorted({topic for found in value.get("topics", {}).values() for topic in found})
    }
    lines += _table("Dialogues by topic", topics)
    for title, part in (("Interpolation", value), ("Extrapolation", value.get("extrapolation", {}))):
        lines += _table(title, {kind: part[kind] for kind in KINDS if kind in part})
    if "perplexity" in value:
        lines += [_perplexity(value["perplexity"]), ""]
    lines += ["A number is wrong beyond 0.15 of its feature's scale.", ""]
    return "\n".join(lines + _wrong(answers, played)) + "\n"


def _table(title: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    models = [model for model in TITLES if any(model in row for row in rows.values())]
    if not models:
        return []
    body = [f"| {name} | {' | '.join(cell(row.get(model)) for model in models)} |" for name, row in rows.items()]
    head = f"| | {' | '.join(TITLES[model] for model in models)} |"
    return [f"## {title}", "", head, "|---" * (len(models) + 1) + "|", *body, ""]


def _perplexity(entry: dict[str, Any]) -> str:
    low, high = entry["interval"]
    return (
        f"Perplexity on neutral text ({entry['n']} tokens): base {entry['base']}, tuned {entry['tuned']}, "
        f"ratio {entry['ratio']} ({low} to {high})."
    )


def _wrong(answers: Sequence[Answer], played: Sequence[PlayedDialogue]) -> list[str]:
    lines = ["## Some wrong answers of the tuned model", ""]
    for kind in KINDS:
        wrong = [a for a in answers if a.question.kind == kind and a.model == "tuned" and not a.grade.right]
        for answer in wrong[:SHOWN]:
            question, said = _quoted(answer.question.prompt), _quoted(f"{answer.text} {answer.verdict}")
            lines.append(f"- {kind}: {question} → {said} ({_quoted(answer.grade.reason)})")
    topics: dict[str, int] = {}
    for item in (item for item in played if item.model == "tuned" and not item.right):
        topics[item.dialogue.topic] = topics.get(item.dialogue.topic, 0) + 1
        if topics[item.dialogue.topic] > SHOWN:
            continue
        turn, grade = next(pair for pair in zip(item.turns, item.grades, strict=True) if not pair[1].right)
        why = "; ".join(f"{name}: {reason}" for name, reason in grade.reasons.items())
        lines.append(f"- {item.dialogue.topic}: {_quoted(turn.turn.text)} → {_quoted(turn.raw[-1])} ({_quoted(why)})")
    return lines if len(lines) > 2 else [*lines, "There are none."]


def _quoted(text: str) -> str:
    """Text of a model or a prompt on one line, inert in markdown and HTML."""
    line = " ".join(text.split())[:240]
    return "`" + line.replace("`", "'").replace("<", "‹") + "`"
