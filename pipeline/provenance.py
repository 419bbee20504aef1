"""Where an answer comes from: the version that gave it, its run, its data, and the training examples nearest to it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.retrieval import expression
from simulator.private_files import regular

if TYPE_CHECKING:
    from pipeline.lab import Lab

MOST_LINES = 50_000


@dataclass(frozen=True, slots=True)
class Example:
    """A training example: its line in the data file, texts, and the experiments that its numbers came from."""

    line: int
    kind: str
    prompt: str
    output: str
    experiment_ids: list[str]


@dataclass(frozen=True, slots=True)
class Provenance:
    """`version` is the registry's record, empty where the base answered."""

    model: str
    version: dict[str, Any] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)


def why(lab: Lab, question: str, answer: str, model: str, limit: int = 5) -> Provenance:
    """The lineage of one answer. Raises InstallError where the registry is broken."""
    return Provenance(model, _version(lab, model), nearest(lab, question, answer, limit))


def nearest(lab: Lab, question: str, answer: str, limit: int = 5) -> list[Example]:
    """The training examples that share the most telling words with the question, then with the answer (bm25)."""
    words = expression(f"{question} {answer[:600]}")
    if not words or not lab.data.is_file():
        return []
    conn = sqlite3.connect(":memory:")
    try:
        conn.execute(
            "CREATE VIRTUAL TABLE examples USING fts5 (prompt, output, raw UNINDEXED, tokenize='porter unicode61')"
        )
        conn.executemany("INSERT INTO examples (rowid, prompt, output, raw) VALUES (?, ?, ?, ?)", _lines(lab))
        rows = conn.execute(
            "SELECT rowid, raw FROM examples WHERE examples MATCH ? ORDER BY bm25(examples, 2, 1) LIMIT ?",
            (words, limit),
        ).fetchall()
    finally:
        conn.close()
    return [_example(number, json.loads(raw)) for number, raw in rows]


def _lines(lab: Lab) -> list[tuple[int, str, str, str]]:
    found = []
    with open(lab.data, encoding="utf-8", errors="replace", opener=regular) as file:
        for number, line in enumerate(file, 1):
            if number > MOST_LINES:
                break
            try:
                raw = json.loads(line)
                found.append((number, f"{raw['instruction']} {raw.get('input', '')}", str(raw["output"]), line))
            except (ValueError, KeyError, TypeError):
                continue
    return found


def _example(number: int, raw: dict[str, Any]) -> Example:
    meta = raw.get("meta") or {}
    prompt = "\n\n".join(part for part in (raw["instruction"], raw.get("input", "")) if part)
    ids = [str(key) for key in meta.get("experiment_ids") or []]
    return Example(number, str(meta.get("kind", "")), prompt, str(raw["output"]), ids)


def _version(lab: Lab, model: str) -> dict[str, Any]:
    from dataclasses import asdict

    from pipeline.install.registry import Registry

    if not model.startswith("ben-lab"):
        return {}
    version = Registry(lab).find(model)
    return asdict(version) if version else {}


def _receipt(receipt: dict[str, Any]) -> str:
    if not receipt:
        return ""
    state = "passed" if receipt.get("passed") else "failed"
    prompts = f"{receipt.get('prompts_equal')} of {receipt.get('prompts')} prompts"
    tokens = f"{receipt.get('tokens_agreeing')} of {receipt.get('tokens')} tokens"
    return f"{state}: {prompts} and {tokens} as trained, by {receipt.get('engine')} against {receipt.get('reference')}"


def as_markdown(found: Provenance) -> str:
    """The lineage as a page."""
    version = found.version
    lines = [f"# Why {found.model} said so", ""]
    if version:
        facts = {
            "version": version.get("version"),
            "base": f"{version.get('base')} (sha256 {str(version.get('base_sha256'))[:12]}…)",
            "training run": version.get("run"),
            "recipe": version.get("recipe"),
            "data": f"sha256 {str(version.get('data_sha256'))[:12]}…" if version.get("data_sha256") else "",
            "physics version": version.get("physics_version"),
            "installed": f"{version.get('created')} ({version.get('target')})",
            "receipt": _receipt(version.get("receipt") or {}),
        }
        lines += [f"- **{name}**: {value}" for name, value in facts.items() if value]
    else:
        lines.append("This model was not trained in this lab, so nothing is known of its data.")
    lines += ["", "## Training examples nearest to this answer", ""]
    for example in found.examples:
        runs = f" · experiments {', '.join(example.experiment_ids[:4])}" if example.experiment_ids else ""
        lines += [
            f"### line {example.line} · {example.kind}{runs}",
            "",
            example.prompt,
            "",
            f"> {_quoted(example.output)}",
            "",
        ]
    if not found.examples:
        lines.append("none: there is no training data in this lab, or none shares a word with it")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return text[:1200].replace("\n", "\n> ")
