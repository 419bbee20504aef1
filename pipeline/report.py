"""A session as a report: questions, answers, experiments with plots, the model's lineage and its scores.

Written as markdown and as one HTML file that holds its plots; all text from outside is escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.chats import Chats, Message, Session
from pipeline.errors import BadInput, PipelineError
from pipeline.figures import figure_of
from pipeline.files import write_text_atomic
from pipeline.judgements import explanation
from pipeline.svg import figure_svg

if TYPE_CHECKING:
    from pipeline.lab import Lab

_NAMES = {"user": "Question", "assistant": "Answer", "command": "Command", "note": "Note"}
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "pre{white-space:pre-wrap;background:#f4f4f4;padding:.7em}table{border-collapse:collapse}"
    "td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left}figure{margin:1em 0}"
)


def write_report(lab: Lab, session_id: int, name: str = "") -> dict[str, Any]:
    """Writes reports/<name>.md, .html and the plots; returns their paths. Raises BadInput or LabError."""
    stem = name or f"session-{session_id}"
    if not re.fullmatch(r"[\w][\w .-]{0,80}", stem):
        raise BadInput(f"{stem[:60]!r} is no name for a report: use letters, digits, spaces, dots, dashes, at most 80")
    chats = Chats(lab.database)
    try:
        session, messages = chats.session(session_id), chats.messages(session_id, 100_000)
    finally:
        chats.close()
    if session is None:
        raise BadInput(f"there is no session {session_id} in this lab: /sessions lists them")
    folder = lab.root / "reports"
    plots = _plots(folder, stem, messages)
    markdown, page = folder / f"{stem}.md", folder / f"{stem}.html"
    write_text_atomic(markdown, _markdown(lab, session, messages, plots))
    write_text_atomic(page, _html(lab, session, messages))
    return {"markdown": str(markdown), "html": str(page), "plots": [str(path) for path in plots.values()]}


def _plots(folder: Path, stem: str, messages: Sequence[Message]) -> dict[int, Path]:
    """One SVG file a card that has a figure, by message id."""
    made = {}
    for message in messages:
        figure = figure_of(message.meta["result"]) if "result" in message.meta else None
        if figure is not None:
            made[message.id] = folder / f"{stem}-{message.id}.svg"
            write_text_atomic(made[message.id], figure_svg(figure))
    return made


def _markdown(lab: Lab, session: Session, messages: Sequence[Message], plots: dict[int, Path]) -> str:
    parts = [f"# {session.title}", f"{len(messages)} entries, {session.created[:10]} to {session.updated[:10]}"]
    for message in messages:
        result = message.meta.get("result")
        if result is None:
            parts.append(f"## {_NAMES.get(message.role, 'Lab')}\n\n{message.content}")
            continue
        parts.append(f"## {result.get('experiment')} {result.get('experiment_id')}\n\n{result.get('summary', '')}")
        rows = [f"| {name} | {value} |" for name, value in rows_of(result)]
        parts.append("\n".join(["| quantity | value |", "|---|---|", *rows]))
        if message.id in plots:
            parts.append(f"![plot]({plots[message.id].name})")
        if said := explanation(lab, str(result.get("experiment_id"))):
            parts.append(f"**Explanation** ({said['model']}): {said['text']}")
    parts.append("## Model\n\n" + "\n".join(f"- {name}: {value}" for name, value in lineage(lab)))
    return "\n\n".join(parts) + "\n"


def _html(lab: Lab, session: Session, messages: Sequence[Message]) -> str:
    parts = [f"<h1>{escape(session.title)}</h1>"]
    for message in messages:
        result = message.meta.get("result")
        if result is None:
            parts.append(f"<h2>{_NAMES.get(message.role, 'Lab')}</h2><pre>{escape(message.content)}</pre>")
            continue
        head = f"{result.get('experiment')} {result.get('experiment_id')}"
        parts.append(f"<h2>{escape(head)}</h2><p>{escape(str(result.get('summary', '')))}</p>")
        figure = figure_of(result)
        if figure is not None:
            parts.append(f"<figure>{figure_svg(figure)}</figure>")
        parts.append(_table(rows_of(result)))
        if said := explanation(lab, str(result.get("experiment_id"))):
            parts.append(f"<h3>Explanation by {escape(said['model'])}</h3><pre>{escape(said['text'])}</pre>")
    parts.append(f"<h2>Model</h2>{_table(lineage(lab))}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(session.title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def rows_of(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Parameters, then the plain numbers and features of a result."""
    rows = [(name, json.dumps(value)) for name, value in (result.get("params") or {}).items()]
    rows += [(name, f"{value:g}") for name, value in result.items() if _number(value)]
    for run, key in (("", "features"), (" at bias", "forward_features"), (" at 1 - bias", "reverse_features")):
        features = result.get(key)
        if isinstance(features, dict):
            rows += [(f"{name}{run}", f"{value:.9g}") for name, value in features.items() if _number(value)]
    return rows


def lineage(lab: Lab) -> list[tuple[str, str]]:
    """The installed version: what it was made of and how it scored."""
    from pipeline.install.registry import Registry

    try:
        version = Registry(lab).current()
    except PipelineError as error:
        return [("model", str(error))]
    if version is None:
        return [("model", "ben-lab is not installed in this lab")]
    record = asdict(version)
    plain = [(name.replace("_", " "), str(value)) for name, value in record.items() if isinstance(value, str) and value]
    return [*plain, ("scores", json.dumps(version.scores)), ("written", datetime.now().isoformat(timespec="minutes"))]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
