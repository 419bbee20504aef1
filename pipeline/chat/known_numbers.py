"""The numbers that a conversation holds: those of its results, settings and questions, and the lab's own bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import simulator
from pipeline.chat.result_forms import FORMS
from pipeline.chat.result_text import result_text
from simulator.cost import experiment_seconds
from simulator.errors import SimulatorError
from simulator.events import last_result
from simulator.number_text import numbers_in, plain_minus

Run = Mapping[str, Any]

MOST_RUNS = 6
AT_ONCE_SECONDS = 1.0
"""Estimated compute up to which a run is made again for a check."""
_COMMON = (0.0, 1.0, 2.0, 100.0, float(len(simulator.FEATURE_NAMES)), float(len(simulator.PHASES)))

_NAMES = (
    *simulator.FEATURE_NAMES,
    *("TRI", "purity", "adjusted_rand_index", "normalized_mutual_information", "correlation_length"),
    *("growth_exponent", "replay_sensitivity_index", "largest_drift", "bits_per_site", "echo"),
)
FEATURES = "|".join(name.replace("_", "[ _-]") for name in sorted(_NAMES, key=len, reverse=True))
"""A pattern of the quantities whose numbers can be checked."""
TERMS = re.compile(
    rf"\b(?:{FEATURES}|entrop\w+|magneti[sz]\w+|correlat\w+|drift\w*|fingerprint\w*|qubits?|phases?|ising|spt|cluster\w*|"
    r"trivial_product|pseudorandom|experiment\w*|disorder|layers?|transverse|entangle\w+)\b",
    re.I,
)
"""Words of the lab: a chat without them and without a run is general, and its numbers are its own."""


@dataclass(frozen=True)
class Known:
    """`runs` are results whose numbers are the simulator's; `results` and `said` are values that may be repeated."""

    runs: tuple[Run, ...] = ()
    results: tuple[float, ...] = ()
    said: tuple[float, ...] = ()
    about_lab: bool = False

    @classmethod
    def of(
        cls, results: Sequence[Run], said: Sequence[str] = (), texts: Sequence[str] = (), *, trusted: bool = False
    ) -> Known:
        """Return what a conversation with these results, questions (the newest last) and tool messages knows.

        Of the results the last six count. One that is quick is made again, so that a stored number is not believed
        (`trusted` results were made just now); an experiment that the simulator does not make any more is left out.
        """
        last = results[-MOST_RUNS:]
        runs = tuple(last) if trusted else tuple(fresh for run in last if (fresh := _again(run)) is not None)
        written = [result_text(run, before) for before, run in zip((None, *runs), runs, strict=False)]
        told = [float(number) for text in (*written, *texts) for number in numbers_in(text)]
        measured = [value for run in runs for value in numbers_of(run).values()]
        settings = [value for run in runs for value in islice(_floats(run.get("params") or {}, 2), 200)]
        asked = [float(number) for text in said for number in numbers_in(text[:20_000])]
        about_lab = any(TERMS.search(text[:20_000]) for text in said[-1:])
        return cls(runs, (*measured, *told), (*_COMMON, *_bounds(), *settings, *asked), about_lab)

    def measured(self, text: str, percent: bool = False) -> float | None:
        """Return the value of a result that `text` shows, or None."""
        return next((value for value in self.results if equals(text, value, percent)), None)

    def stands(self, text: str, percent: bool = False) -> bool:
        """Return whether `text` stands in a result, a setting, a question or the lab's bounds."""
        return self.measured(text, percent) is not None or any(equals(text, value, percent) for value in self.said)


_MOST_DIGITS = 150
"""Of a number in an answer that may be a result."""


def numbers_of(run: Run) -> dict[str, float]:
    """Return a result's quantities by name, as its tool message names them."""
    found: dict[str, Any] = dict(run.get("features") or run.get("forward_features") or {})
    write = FORMS.get(str(run.get("experiment")))
    with suppress(KeyError, TypeError, ValueError, AttributeError, IndexError):
        found |= write(run).numbers if write else {}
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def equals(text: str, truth: float, percent: bool = False) -> bool:
    """Return whether `text` is `truth` as rounded to the digits that the text has; `percent` reads it as hundredths."""
    plain = plain_minus(text)
    mantissa, _, exponent = plain.lower().partition("e")
    # No result is so large or so small: 10**400 would not fit into a float.
    if len(mantissa) > _MOST_DIGITS or len(exponent) > 4 or abs(int(exponent or 0)) > _MOST_DIGITS:
        return False
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    scale = 100.0 if percent else 1.0
    return abs(float(plain) - scale * truth) <= 0.5 * 10.0**-decimals + 1e-9 or (percent and float(plain) == truth)


def _again(result: Run) -> Run | None:
    name, params = str(result.get("experiment")), result.get("params")
    experiment = simulator.EXPERIMENTS.get(name)
    if experiment is None or not isinstance(params, Mapping):
        return None
    if not experiment.quick or result.get("physics_version") != simulator.PHYSICS_VERSION:
        return result
    try:
        checked = simulator.validate(experiment.params, params)
        if experiment_seconds(checked) > AT_ONCE_SECONDS:
            return result
        return last_result(simulator.run(name, checked))
    except (SimulatorError, TypeError):
        return None


def _floats(value: Any, depth: int) -> Iterator[float]:
    if _is_number(value):
        yield float(value)
    elif depth and isinstance(value, Mapping):
        for item in value.values():
            yield from _floats(item, depth - 1)
    elif depth and isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _floats(item, depth - 1)


@cache
def _bounds() -> tuple[float, ...]:
    """Bounds and defaults of all parameters: an answer may name them."""
    found: list[float] = []
    for experiment in simulator.EXPERIMENTS.values():
        for known in experiment.params.model_json_schema().get("properties", {}).values():
            for key in ("minimum", "maximum", "default", "minItems", "maxItems"):
                found += [float(known[key])] if _is_number(known.get(key)) else []
    return tuple(dict.fromkeys(found))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
