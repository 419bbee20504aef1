"""`notebook [ID]`: the experiments of this lab, all that one of them found, and what the person writes about it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from benlab_tui.text import number, one_line
from simulator.editions import command_of, is_other_physics, mark
from simulator.errors import NotebookError
from simulator.notebook_search import TAG_PATTERN, NotebookSearch, number_of, search
from simulator.params import Whole

if TYPE_CHECKING:
    from pipeline.lab import Lab
    from simulator.notebook import Entry

_LONGEST = 4000
"""Characters of one value's line."""

_CHANGES = ("add_tag", "remove_tag", "note", "delete")


class NotebookParams(NotebookSearch):
    """Which runs to list; or one run's id, to show, tag, annotate or delete it."""

    experiment_id: str = Field(default="", max_length=80, description="a run's id: all that it found")
    limit: Annotated[int, Whole] = Field(default=10, ge=1, le=1000, description="how many runs to list")
    add_tag: str = Field(default="", pattern=TAG_PATTERN, description="a tag for this run", examples=["baseline"])
    remove_tag: str = Field(default="", pattern=TAG_PATTERN, description="the tag to remove from this run")
    note: str | None = Field(default=None, max_length=2000, description="a note on this run; none removes it")
    delete: bool = Field(default=False, description="delete this run, after a question")

    @model_validator(mode="after")
    def _of_one_run(self) -> NotebookParams:
        asked = [name for name in _CHANGES if name in self.model_fields_set]
        if asked and not self.experiment_id:
            how = f"`benlab notebook ID {asked[0]}=…`"
            raise ValueError(f"{asked[0]} is given without a run: write the run's id first, as in {how}")
        return self


@command(
    "notebook",
    "list, search, show, tag, annotate or delete the lab's experiments",
    params=NotebookParams,
    positional=("experiment_id",),
    group="Lab",
    examples=(
        "notebook",
        "notebook day=yesterday experiment=run_phase",
        "notebook number=entropy_final order=largest",
        'notebook 3f6a0c2d9e4b7a15 add_tag=baseline note="for the talk"',
        "notebook 3f6a0c2d9e4b7a15 delete=yes",
    ),
)
async def notebook(context: Context, params: NotebookParams) -> Value:
    """Raises UnknownExperiment if no run has that id."""
    if not params.experiment_id:
        return await asyncio.to_thread(_list, context.lab, params)
    if params.delete:
        return await _delete(context, params.experiment_id)
    return await asyncio.to_thread(_one, context.lab, params)


def _list(lab: Lab, params: NotebookParams) -> Value:
    with lab.notebook() as kept:
        found = search(kept, params)
        skipped = kept.skipped
    lines = [_line(row, params.number) for row in found["runs"]]
    rows = [
        {
            "id": row["result"].get("experiment_id", ""),
            "experiment": row["result"].get("experiment", ""),
            "summary": one_line(str(row["result"].get("summary", "")), 120),
            **{name: row[name] for name in ("created", "tags", "note", "older_physics")},
        }
        for row in found["runs"]
    ]
    some = bool({*params.model_fields_set} - {"limit", "order"})
    nothing = "no run matches: loosen the search" if some else "no experiment has run in this lab yet"
    if found["matching"] > len(rows):
        lines.append(f"{len(rows)} of {found['matching']:,} runs; limit={min(1000, found['matching'])} lists more")
    if any(row["older_physics"] for row in found["runs"]):
        lines.append("Runs of older physics are kept and never averaged with new ones: `benlab rerun` runs them again.")
    if skipped:
        lines.append(
            f"{skipped} {'row' if skipped == 1 else 'rows'} of lab.db skipped: not the result of an experiment"
        )
    return {
        "experiments": rows,
        "matching": found["matching"],
        "skipped": skipped,
        "summary": "\n".join(lines) or nothing,
    }


def _line(row: dict[str, Any], wanted: str | None) -> str:
    result = row["result"]
    marks = [*(f"#{tag}" for tag in row["tags"]), *([one_line(row["note"], 60)] if row["note"] else [])]
    marks += ["(older physics)"] if row["older_physics"] else []
    said = f"{wanted} {number(number_of(result, wanted))}  " if wanted else ""
    words = f"{said}{one_line(str(result.get('summary', '')), 120)}  {' '.join(marks)}".rstrip()
    return f"{result.get('experiment_id', '')}  {result.get('experiment', ''):<14}{words}"


def _one(lab: Lab, params: NotebookParams) -> Value:
    with lab.notebook() as kept:
        key = params.experiment_id
        if params.add_tag:
            kept.tag(key, params.add_tag)
        if params.remove_tag:
            kept.untag(key, params.remove_tag)
        if "note" in params.model_fields_set:
            kept.annotate(key, params.note or "")
        entry = kept.entry(key)
    if not any(name in params.model_fields_set for name in _CHANGES):
        return _whole(entry)
    return {"id": key, "tags": list(entry.tags), "note": entry.note, "summary": _changed(key, entry)}


def _changed(key: str, entry: Entry) -> str:
    tags = ", ".join(entry.tags) or "no tags"
    return f"{key}: {tags}; {entry.note or 'no note'}"


async def _delete(context: Context, key: str) -> Value:
    from pipeline.judgements import forget_explanation

    def look() -> Entry:
        with context.lab.notebook() as kept:
            return kept.entry(key)

    def delete() -> None:
        with context.lab.notebook() as kept:
            kept.delete(key)
        forget_explanation(context.lab, key)

    try:
        result = (await asyncio.to_thread(look)).result
    except NotebookError as error:  # a row that is not a result may be deleted all the same
        result = {"experiment": "the row", "summary": str(error)}
    said = one_line(str(result.get("summary", "")), 200)
    if not await context.confirm(f"Delete {result.get('experiment', '')} {key} with its tags and note? {said}"):
        return {"deleted": None, "summary": "nothing was deleted"}
    await asyncio.to_thread(delete)
    return {"deleted": key, "summary": f"deleted {result.get('experiment', '')} {key}"}


def _whole(entry: Entry) -> Value:
    """The result with its text: its summary, then a line a value; tags and note if it has any."""
    from benlab_tui.plain_text import as_text, plain

    marks: dict[str, Any] = {"tags": list(entry.tags)} if entry.tags else {}
    marks |= {"note": entry.note} if entry.note else {}
    result = {**entry.result, **marks}
    if is_other_physics(result):
        result["older_physics"] = f"{mark(result)}: `{command_of(result)}` runs it again"
        result["summary"] = f"{result.get('summary', '')} Older physics, {result['older_physics']}."
    if isinstance(result.get("features"), dict):
        return result
    values = {name: value for name, value in result.items() if name != "summary"}
    return {**result, "text": f"{as_text(result)}\n{plain(values, _LONGEST)}"}
