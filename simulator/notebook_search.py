"""Search of the lab notebook: by settings, tag and day, ordered by time or by a number. It changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from simulator.catalogue import EXPERIMENTS
from simulator.fingerprint import FEATURE_NAMES, PHYSICS_VERSION
from simulator.params import Params, PhaseName, Whole

if TYPE_CHECKING:
    from simulator.notebook import Entry, Notebook

NAME = "notebook"
SUMMARY = "Looks up runs made earlier: by settings, tag or day; the newest, or the largest or smallest of a number."
OWN_NUMBERS = (
    "TRI",
    "echo",
    "bits_per_site",
    "growth_exponent",
    "replay_sensitivity_index",
    "purity",
    "adjusted_rand_index",
    "gain",
)
"""Numbers that stand in a result by themselves; the thirteen features stand in its fingerprint."""
NUMBERS = (*FEATURE_NAMES, *OWN_NUMBERS)
DAYS_PATTERN = r"^(today|yesterday|\d{4}-\d{2}-\d{2})$"
TAG_PATTERN = r"^[\w.+-]{1,40}$"
_SETTINGS = ("phase_type", "system_size", "depth", "seed")


def _kind(value: str) -> str:
    if value not in EXPERIMENTS:
        raise ValueError(f"{value[:60]!r} is not an experiment: use one of {', '.join(EXPERIMENTS)}")
    return value


def _number(value: str) -> str:
    if value not in NUMBERS:
        raise ValueError(f"{value[:60]!r} is not a number that runs have: use one of {', '.join(NUMBERS)}")
    return value


def _day(value: str) -> str:
    if value not in ("today", "yesterday"):
        try:
            date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a date: use today, yesterday or a date such as 2026-03-31") from None
    return value


def _enum(values: tuple[str, ...]) -> Any:
    return Field(json_schema_extra={"enum": list(values)})


class NotebookSearch(Params):
    """Which runs: those that have every setting given here."""

    experiment: Annotated[str, AfterValidator(_kind), _enum(tuple(EXPERIMENTS))] | None = Field(
        None, description="Only runs of this experiment.", examples=["run_phase"]
    )
    phase_type: PhaseName | None = Field(None, description="Only runs of this phase.", examples=["spt_cluster"])
    system_size: Annotated[int, Field(ge=1), Whole] | None = Field(
        None, description="Only runs of this many qubits.", examples=[48]
    )
    depth: Annotated[int, Field(ge=1), Whole] | None = Field(
        None, description="Only runs of this many layers.", examples=[10]
    )
    seed: Annotated[int, Field(ge=0), Whole] | None = Field(None, description="Only runs of this seed.", examples=[3])
    tag: str | None = Field(
        None, pattern=TAG_PATTERN, description="Only runs with this tag of the person's.", examples=["baseline"]
    )
    day: Annotated[str, AfterValidator(_day)] | None = Field(
        None, pattern=DAYS_PATTERN, description="Only runs of today, yesterday or a date.", examples=["yesterday"]
    )
    number: Annotated[str, AfterValidator(_number), _enum(NUMBERS)] | None = Field(
        None, description="The number to show and to order by.", examples=["entropy_final"]
    )
    order: Literal["newest", "oldest", "largest", "smallest"] = Field(
        "newest", description="Which runs come first; largest and smallest need a number.", examples=["largest"]
    )
    limit: Annotated[int, Whole] = Field(3, ge=1, le=10, description="How many runs to show.", examples=[1])

    @model_validator(mode="after")
    def _ordered_by_something(self) -> NotebookSearch:
        if self.order in ("largest", "smallest") and self.number is None:
            raise ValueError(f"order is {self.order}, and no number is named: add number, such as entropy_final")
        return self


def schema() -> dict[str, Any]:
    """Return the search as a function schema, the form in which chat models are offered tools."""
    return {
        "type": "function",
        "function": {"name": NAME, "description": SUMMARY, "parameters": NotebookSearch.model_json_schema()},
    }


def search(notebook: Notebook, params: NotebookSearch, now: datetime | None = None) -> dict[str, Any]:
    """Return the matching runs, shaped like an experiment's result: `params`, `matching` (a count) and `runs`.

    `now` says which day is today; days are those of its time zone, by default this machine's.
    """
    where, values = _conditions(params, now or datetime.now().astimezone())
    total, entries = notebook.find(" AND ".join(where) or "1", values, _order(params), params.limit)
    return {
        "experiment": NAME,
        "params": params.model_dump(exclude_none=True),
        "matching": total,
        "runs": [as_row(entry) for entry in entries],
        "summary": f"{total} {'run matches' if total == 1 else 'runs match'}, {len(entries)} shown.",
    }


def as_row(entry: Entry) -> dict[str, Any]:
    """Return a run with its local time, tags and note; `older_physics` marks one of another physics version."""
    return {
        "result": entry.result,
        "created": _local(entry.created),
        "tags": list(entry.tags),
        "note": entry.note,
        "older_physics": entry.result.get("physics_version") != PHYSICS_VERSION,
    }


def _local(created: str) -> str:
    """Return the time of day here, or what the row says if that is no time."""
    try:
        return datetime.fromisoformat(created).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, TypeError, OverflowError):
        return str(created)[:16]


def number_of(result: Mapping[str, Any], name: str) -> float | None:
    """Return the named number of a result: a feature of its (forward) fingerprint, or one of its own."""
    for part in (result.get("features"), result.get("forward_features"), result):
        if isinstance(part, Mapping) and isinstance(part.get(name), int | float):
            return float(part[name])
    return None


def _conditions(params: NotebookSearch, now: datetime) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    if params.experiment:
        where.append("experiment = ?")
        values.append(params.experiment)
    for name in _SETTINGS:
        if (value := getattr(params, name)) is not None:
            where.append(f"json_extract(params, '$.{name}') = ?")
            values.append(value)
    if params.tag:
        where.append("id IN (SELECT id FROM experiment_tags WHERE tag = ?)")
        values.append(params.tag)
    if params.day:
        where.append("created >= ? AND created < ?")
        values += _bounds(params.day, now)
    if params.number:
        where.append(f"{_value(params.number)} IS NOT NULL")
    return where, values


def _bounds(day: str, now: datetime) -> list[str]:
    """Return the day's first moment and the next day's, as the notebook writes times."""
    named = {"today": now.date(), "yesterday": now.date() - timedelta(days=1)}
    first = named[day] if day in named else date.fromisoformat(day)
    starts = [datetime.combine(one, time(), now.tzinfo) for one in (first, first + timedelta(days=1))]
    return [start.astimezone(UTC).isoformat(timespec="milliseconds") for start in starts]


def _value(number: str) -> str:
    """Return SQL for a number of a result. `number` is one of `NUMBERS`, so it needs no escape."""
    if number in OWN_NUMBERS:
        return f"json_extract(result, '$.{number}')"
    return f"coalesce(json_extract(result, '$.features.{number}'), json_extract(result, '$.forward_features.{number}'))"


def _order(params: NotebookSearch) -> str:
    newest = "created DESC, rowid DESC"
    if params.order == "oldest":
        return "created, rowid"
    if params.order == "newest" or params.number is None:
        return newest
    return f"{_value(params.number)} {'DESC' if params.order == 'largest' else 'ASC'}, {newest}"
