"""`models`: the installed versions of ben-lab, with where each came from."""

import asyncio
from typing import Any

from benlab_tui.context import Context
from benlab_tui.registry import Value, command


@command("models", "list the installed versions of ben-lab: lineage, scores, receipt", group="Model")
async def models(context: Context, params: object) -> Value:
    """The newest first; the one in use is marked."""
    from pipeline.install.versions import lagging, list_versions

    rows = await asyncio.to_thread(list_versions, context.lab)
    lines = [line for row in rows for line in _lines(row)] + lagging(context.lab)
    return {
        "models": rows,
        "summary": "\n".join(lines) or "no version is installed: benlab loop --quick makes the first",
    }


def _lines(row: dict[str, Any]) -> list[str]:
    first = f"{'●' if row['current'] else ' '} {row['version']}  {row['created']}  {row['target']}, on {row['base']}"
    lineage = (f"run {row['run']}", f"recipe {row['recipe'] or 'none'}", f"data {row['data_sha256'][:12]}")
    lines = [first, f"    {', '.join(lineage)}, physics {row['physics_version']}", f"    receipt {row['summary']}"]
    for server in row["servers"]:
        lines.append(f"    {server['host']} ({_kind(server)}): {server['summary']}")
    for kind, scores in (row["scores"] or {}).items():
        if isinstance(scores, dict) and all(isinstance(scores.get(one), dict) for one in ("base", "tuned")):
            lines.append(f"    {kind}: base {scores['base'].get('score')}, tuned {scores['tuned'].get('score')}")
    return [*lines, *([f"    {row['warning']}"] if row["warning"] else [])]


def _kind(server: dict[str, Any]) -> str:
    form = server.get("form")
    return f"Ollama {server.get('server') or 'of unknown version'}{f', {form}' if form else ''}"
