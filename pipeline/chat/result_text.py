"""The tool message: what a chat model reads of an experiment's result.

Training, the console, the command line and the API all take it from `result_text`, so a model reads in use byte for
byte what it read in training. It has up to four lines:

    run_phase: phase_type spt_cluster, system_size 96, depth 10, seed 0, bias 0.65
    Measured: entropy_mean 2.14, entropy_max 2.27, …
    Meaning: the order of this phase, hidden in string_order, is strong; …
    Change: system_size 48 → 96; string_order 0.755 → 0.762 (+0.007, ×1.01)

Every number can be copied as it stands: differences and ratios are those of the rounded values beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from pipeline.chat.result_forms import FORMS, Form, clipped, shown, value_text
from simulator.fingerprint import FEATURE_SCALES
from simulator.number_text import figure

Result = Mapping[str, Any]

LONGEST = 1600
"""Characters of one message; what is longer is cut, and says so."""
_LEAST_CHANGES = 2
"""Compared quantities of one message, if its own marks are not more: the marks, then the largest changes."""
_LARGEST_RATIO = 100
_USUAL: dict[str, Any] = {"shots": 0, "workers": 0, "sector": "mixture"}
_MOST_ITEMS = 24
_HIDDEN = {"experiment", "experiment_id", "params", "physics_version", "summary", "feature_vector", "comparison"}


def result_text(result: Result, before: Result | None = None) -> str:
    """Return the tool message of `result`.

    `before` is the conversation's previous result. Its differences are told if it is a run of the same experiment and
    physics version. An experiment without a form of its own shows its summary and its first short values.
    """
    form = _form(result) or _generic(result)
    lines = [f"{clipped(result.get('experiment', 'result'), 40)}: {_settings(result)}"]
    if form.numbers:
        lines.append("Measured: " + ", ".join(f"{name} {shown(value)}" for name, value in form.numbers.items()))
    if form.more:
        lines.append(form.more)
    if form.meaning:
        lines.append(f"Meaning: {form.meaning}")
    if before is not None and (change := _change(result, form, before)):
        lines.append(f"Change: {change}")
    text = "\n".join(lines)
    return text if len(text) <= LONGEST else text[: LONGEST - 12].rstrip() + " … (cut)"


def short_text(result: Result) -> str:
    """Return the result on one line, settings and main numbers: what an old result becomes if the context is short."""
    form = _form(result) or _generic(result)
    names = [*form.marks, *(name for name in form.numbers if name not in form.marks)][:3]
    numbers = ", ".join(f"{name} {shown(form.numbers[name])}" for name in names)
    head = f"{clipped(result.get('experiment', 'result'), 40)}: {_settings(result)}"
    return clipped(f"{head}; {numbers}" if numbers else head, 300)


def refusal_text(reason: str) -> str:
    """Return the tool message of a call that was not run."""
    return f"Not run: {clipped(reason, 400)}"


def _form(result: Result) -> Form | None:
    """The experiment's own form; None for an unknown experiment and for a result that lacks what the form needs."""
    write = FORMS.get(str(result.get("experiment")))
    if write is None:
        return None
    try:
        return write(result)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def _generic(result: Result) -> Form:
    numbers = {
        clipped(name, 40): value
        for name, value in islice(_leaves(result), _MOST_ITEMS)
        if name.partition(".")[0] not in _HIDDEN
    }
    return Form(numbers, clipped(result.get("text") or result.get("summary") or "", 800))


def _leaves(value: Mapping[Any, Any], prefix: str = "", depth: int = 2) -> Any:
    """Names and values of numbers, short texts and short lists, objects inside objects by `outer.inner`."""
    for name, item in islice(value.items(), 200):
        if not prefix and name in _HIDDEN:
            continue
        if isinstance(item, Mapping):
            if depth:
                yield from _leaves(item, f"{prefix}{name}.", depth - 1)
        elif (
            item is None
            or isinstance(item, bool | int | float)
            or (isinstance(item, str) and len(item) <= 60 and name != "text")
            or (
                isinstance(item, Sequence)
                and not isinstance(item, str)
                and all(isinstance(i, int | float) for i in item)
            )
        ):
            yield f"{prefix}{name}", item


def _settings(result: Result) -> str:
    params = result.get("params")
    if not isinstance(params, Mapping):
        return "no settings"
    return (
        ", ".join(f"{clipped(name, 40)} {value_text(value)}" for name, value in _told(params).items()) or "no settings"
    )


def _told(params: Mapping[str, Any]) -> dict[str, Any]:
    """Settings worth telling: those not given and the usual ones of the measurement are left out."""
    return {
        name: value
        for name, value in islice(params.items(), 20)
        if value is not None and _USUAL.get(name, ...) != value
    }


def _change(result: Result, form: Form, before: Result) -> str:
    """The settings that differ, then each quantity that matters as `name old → new (difference, ratio)`."""
    same = all(result.get(name) == before.get(name) for name in ("experiment", "physics_version"))
    former = _form(before) if same else None
    if former is None:
        return ""
    old, new = before.get("params"), result.get("params")
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return ""
    settings = [
        f"{name} {value_text(old.get(name))} → {value_text(value)}"
        for name, value in new.items()
        if old.get(name) != value
    ]
    if not settings:
        return "none, the same run as before"
    return "; ".join([*settings[:4], *(compared(name, *pair) for name, pair in _that_matter(form, former).items())])


def _that_matter(form: Form, former: Form) -> dict[str, tuple[str, str]]:
    """The quantities to compare, old and new as shown: the marks of both runs, then those that changed most."""
    pairs = {
        name: (shown(former.numbers[name]), shown(value))
        for name, value in form.numbers.items()
        if name in former.numbers and _is_number(value) and _is_number(former.numbers[name])
    }

    def size(name: str) -> float:
        old, new = pairs[name]
        return abs(float(new) - float(old)) / FEATURE_SCALES.get(name, max(abs(float(old)), abs(float(new)), 1e-12))

    marks = [name for name in dict.fromkeys((*form.marks, *former.marks)) if name in pairs]
    others = sorted((name for name in pairs if name not in marks and size(name) > 0), key=size, reverse=True)
    return {name: pairs[name] for name in [*marks, *others][: max(_LEAST_CHANGES, len(marks))]}


def compared(name: str, old: str, new: str) -> str:
    """Return `name old → new (difference, ratio)`; the ratio only from 0.01 to 100.

    >>> compared("string_order", "0.755", "0.61")
    'string_order 0.755 → 0.61 (-0.145, ×0.808)'
    """
    before, after = Decimal(old), Decimal(new)
    difference = after - before
    if difference == 0:
        return f"{name} {old} → {new} (unchanged)"
    sign = "+" if difference > 0 else "-"
    told = f"{sign}{abs(difference).normalize():f}"
    ratio = after / before if before else Decimal(0)
    if Decimal("0.01") <= ratio <= _LARGEST_RATIO:
        told += f", ×{figure(float(ratio))}"
    return f"{name} {old} → {new} ({told})"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
