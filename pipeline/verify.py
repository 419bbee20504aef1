"""Checks what an answer says about known experiments: the simulator runs them again, number by number.

A number belongs to the last feature (or TRI) named before it, and to the last run named before it: by its id or by
its phase; else to the run shown last. It is right where it equals the simulator's value as rounded to the decimals
that the answer gives, or in the steps in which the data foretells that feature. A setting is no such number
("zz_nearest at depth 4: 0.90"), and what is told of a setting that the run has not is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simulator
from pipeline.data.told_of import SETTING, strange_setting
from simulator.errors import SimulatorError
from simulator.number_text import NUMBER, STEPS, foretold, plain_minus

_SETTING = re.compile(r"\b(system_size|depth|seed|bias)\b\s*[=:]?\s*(\d+(?:\.\d+)?)")
_MOST_RUNS = 6
MOST_CHECKS = 20
_LINK_LENGTH = 40
"""A number further than this behind its feature's name belongs to something else."""


@dataclass(frozen=True, slots=True)
class Check:
    """One number of an answer beside the simulator's: `text` as the answer has it."""

    quantity: str
    text: str
    value: float
    right: bool
    experiment_id: str

    def as_chip(self) -> dict[str, Any]:
        """What the console shows under the answer."""
        found = f"the simulator says {self.value:.4g}" if not self.right else f"simulator {self.value:.4g}"
        return {"ok": self.right, "text": f"{self.quantity} {self.text} ({found}, run {self.experiment_id})"}


def check_answer(answer: str, known: Sequence[Mapping[str, Any]]) -> list[Check]:
    """The numbers that `answer` gives for features of the `known` results, each experiment run again.

    Only experiments that are quick are run again; an id that the simulator no longer gives is left out.
    """
    runs = [fresh for result in known[-_MOST_RUNS:] if (fresh := _again(result)) is not None]
    if not runs:
        return []
    found: list[Check] = []
    run, quantity, end = runs[-1], "", 0
    for match in _scanner(runs).finditer(answer[:20_000]):
        if match["run"]:
            run = _run_named(match["run"], runs, run)
        elif match["feature"]:
            quantity, end = _plain(match["feature"]), match.end()
        elif match["setting"]:
            if strange_setting(match["setting"], run.get("params") or {}):
                quantity = ""
        elif quantity and match.start() - end <= _LINK_LENGTH:
            truth = _value(run, quantity)
            if truth is not None:
                text = match["number"]
                right = _equal(text, truth) or plain_minus(text) == _in_steps(quantity, truth)
                found.append(Check(quantity, text, truth, right, str(run.get("experiment_id", ""))))
            quantity = ""
    return list(dict.fromkeys(found))[:MOST_CHECKS]


def run_in_words(question: str) -> dict[str, Any] | None:
    """The experiment that a question spells out (a phase and at least one setting), run now; None where it names none.

    `tri` where the question is about TRI, else `run_phase`; what is not named keeps its default.
    """
    phase = re.search("|".join(simulator.PHASES), question)
    settings = {name: text for name, text in _SETTING.findall(question)}
    if phase is None or not settings:
        return None
    name = "tri" if re.search(r"\bTRI\b|time[- ]reversal", question, re.I) else "run_phase"
    try:
        return simulator.run_now(name, phase_type=phase.group(), **settings)
    except SimulatorError:
        return None


def _again(result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    name = str(result.get("experiment"))
    experiment = simulator.EXPERIMENTS.get(name)
    if experiment is None or not experiment.quick:
        return None
    try:
        return simulator.run_now(name, **dict(result.get("params") or {}))
    except (SimulatorError, TypeError):
        return None


def _scanner(runs: Sequence[Mapping[str, Any]]) -> re.Pattern[str]:
    names = sorted([*simulator.FEATURE_NAMES, "TRI"], key=len, reverse=True)
    features = "|".join(name.replace("_", "[ _-]") for name in names)
    labels = {str(run.get("experiment_id")) for run in runs} | {_phase(run) for run in runs if _phase(run)}
    named = "|".join(re.escape(label) for label in sorted(labels))
    return re.compile(
        rf"(?P<run>\b(?:{named})\b)|(?P<feature>\b(?:{features})\b)|(?P<setting>{SETTING})|(?P<number>{NUMBER.pattern})",
        re.I,
    )


def _plain(name: str) -> str:
    return "TRI" if name.lower() == "tri" else name.lower().replace(" ", "_").replace("-", "_")


def _phase(run: Mapping[str, Any]) -> str:
    return str((run.get("params") or {}).get("phase_type", ""))


def _run_named(text: str, runs: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> Mapping[str, Any]:
    same = [one for one in runs if text.lower() in (str(one.get("experiment_id")).lower(), _phase(one).lower())]
    return same[-1] if same else run


def _value(run: Mapping[str, Any], quantity: str) -> float | None:
    if quantity == "TRI":
        value = run.get("TRI")
    else:
        value = (run.get("features") or run.get("forward_features") or {}).get(quantity)
    return float(value) if isinstance(value, int | float) else None


def _in_steps(quantity: str, truth: float) -> str:
    """The value as the training data foretells it; "" for what it does not."""
    return foretold(quantity, truth) if quantity in STEPS else ""


def _equal(text: str, truth: float) -> bool:
    """Equal as rounded to the digits that the text has."""
    plain = plain_minus(text)
    mantissa, _, exponent = plain.lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return abs(float(plain) - truth) <= 0.5 * 10.0**-decimals + 1e-9
