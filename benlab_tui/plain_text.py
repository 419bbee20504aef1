"""A command's result as plain text, for the terminal and for the transcript."""

from __future__ import annotations

from typing import Any

from benlab_tui.text import inert, number, one_line

Value = dict[str, Any]
FAILURES_SHOWN = 20


def as_text(value: Value) -> str:
    """A result as a person reads it: its own words, a receipt, a table of scores, failures, else a line a value."""
    if isinstance(value.get("features"), dict):
        return _experiment(value)
    for key in ("text", "summary"):
        if isinstance(value.get(key), str):
            return inert(value[key])
    if "receipt" in value:
        from benlab_tui.receipts import describe

        return inert(describe(value))
    if table := _scores(value):
        return table
    if value.get("failures"):
        return _failures(value)
    return plain(value) or "done"


def plain(value: Value, longest: int = 300) -> str:
    """A result without words of its own: a line a value of so many characters at most, lists counted."""
    lines = []
    for key, item in value.items():
        if item in (None, "", [], {}):
            continue
        if isinstance(item, list) and item and isinstance(item[0], list | dict):
            item = f"{len(item)} entries"
        elif isinstance(item, dict):
            item = ", ".join(
                f"{name} {number(part)}" for name, part in item.items() if not isinstance(part, list | dict)
            )
        elif isinstance(item, list):
            item = ", ".join(map(number, item))
        lines.append(f"{key.replace('_', ' ')}: {one_line(number(item), longest)}")
    return "\n".join(lines)


def _experiment(value: Value) -> str:
    """One run: its summary, its thirteen features, its id, and what the person wrote about it."""
    rows = [f"  {name:<20}{number(part):>12}" for name, part in value["features"].items()]
    marks = [f"  tags {', '.join(value['tags'])}"] if value.get("tags") else []
    marks += [f"  note {one_line(value['note'], 2000)}"] if value.get("note") else []
    return "\n".join([inert(str(value.get("summary", ""))), *rows, f"  id {value.get('experiment_id', '')}", *marks])


def _scores(value: Value) -> str:
    """An evaluation as a table: a row a kind, base beside tuned, each with n and its 95 % interval."""
    far = value.get("extrapolation")
    rows = _score_rows(value) + (_score_rows(far, "extrapolation: ") if isinstance(far, dict) else [])
    if not rows:
        return ""
    report = value.get("report")
    page = report.get("markdown") if isinstance(report, dict) else report
    return "\n".join([f"{'':<36}{'base':<30}tuned", *rows, *([f"report: {inert(str(page))}"] if page else [])])


def _score_rows(kinds: Value, before: str = "") -> list[str]:
    rows = []
    for kind, models in kinds.items():
        if isinstance(models, dict) and isinstance(models.get("tuned"), dict) and "score" in models["tuned"]:
            base, tuned = (_score(models.get(side)) for side in ("base", "tuned"))
            rows.append(f"{before + kind.replace('_', ' '):<36}{base:<30}{tuned}")
    return rows


def _score(entry: Value | None) -> str:
    if not entry or entry.get("score") is None:
        return "–"
    low, high = entry.get("interval") or (None, None)
    interval = f", {low:.2f} to {high:.2f}" if low is not None and high is not None else ""
    return f"{entry['score']:.2f} (n {entry.get('n', '?')}{interval})"


def _failures(value: Value) -> str:
    """What does not hold, in sentences: the first ones, and how many more there are."""
    said = [one_line(str(row.get("text", row)), 300) for row in value["failures"][:FAILURES_SHOWN]]
    more = int(value.get("failed", 0)) - len(said)
    rest = [f"and {more} more (--json lists {len(value['failures'])})"] if more > 0 else []
    return "\n".join([*said, *rest, plain({name: part for name, part in value.items() if name != "failures"})])
