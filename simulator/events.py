"""What long work says while it runs: frozen events, one JSON object a line.

A core function is a generator of events that ends with one `Result`. A child
process prints the same events as lines, so a console, a log file and a test all
read one format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from simulator import strict_json
from simulator.masking import mask_addresses

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of `stage`; `total` is None where it is not known."""

    stage: str
    done: float
    total: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """Numbers of one step of `stage` (loss, learning rate, samples a second…)."""

    stage: str
    step: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Note:
    """One line for the person who waits."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The end of work that did not succeed: one sentence, and the error's class name."""

    error: str
    kind: str = "Error"


@dataclass(frozen=True, slots=True)
class Result:
    """The end of work that succeeded. `value` is JSON-ready."""

    value: Value = field(default_factory=dict)


Event = Progress | Metric | Note | Failed | Result
Events = Iterator[Event]

_TYPES: dict[str, type[Progress | Metric | Note | Failed]] = {
    "progress": Progress,
    "metric": Metric,
    "note": Note,
    "failed": Failed,
}
_NAMES = {kind: name for name, kind in _TYPES.items()}


def as_dict(event: Event) -> Value:
    """The event as one flat JSON object; a result's values stand beside `"event": "result"`."""
    if isinstance(event, Result):
        return {**event.value, "event": "result"}
    return {"event": _NAMES[type(event)], **asdict(event)}


def to_line(event: Event) -> str:
    """One line of strict JSON without its line break; passwords in addresses are masked.

    Raises ValueError on NaN or infinity.
    """
    return mask_addresses(json.dumps(as_dict(event), ensure_ascii=False, allow_nan=False))


def from_line(line: str) -> Event:
    """The event that `to_line` wrote. Raises ValueError where the line is no event."""
    data = strict_json.loads(line)
    if not isinstance(data, dict) or not isinstance(data.get("event"), str):
        raise ValueError(f"{line[:80]!r} is not an event: a JSON object with the key 'event' is needed")
    name = data.pop("event")
    if name == "result":
        return Result(data)
    if name not in _TYPES:
        raise ValueError(f"{name!r} is not a kind of event: use one of {', '.join(_TYPES)}, result")
    try:
        event = _TYPES[name](**data)
        if not _sound(event):
            raise TypeError("a value of the wrong type")
        return event
    except TypeError as error:
        raise ValueError(f"a {name} event does not have these fields: {error}") from error


def _sound(event: Progress | Metric | Note | Failed) -> bool:
    """Whether each field has its type: a line may come from a file of somebody else's."""
    if isinstance(event, Progress):
        numbers = [event.done, 0.0 if event.total is None else event.total]
        return all(map(_is_number, numbers)) and isinstance(event.stage, str) and isinstance(event.note, str)
    if isinstance(event, Metric):
        sound = isinstance(event.values, dict) and all(map(_is_number, event.values.values()))
        return sound and _is_number(event.step) and isinstance(event.stage, str)
    if isinstance(event, Failed):
        return isinstance(event.error, str) and isinstance(event.kind, str)
    return isinstance(event.text, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def last_result(events: Events) -> Value:
    """Runs a generator of events to its end and returns the value of its `Result`.

    Raises RuntimeError where the work ended without one.
    """
    for event in events:
        if isinstance(event, Result):
            return event.value
    raise RuntimeError("the work ended without a result")
