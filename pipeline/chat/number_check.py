"""The numbers of an answer: right, wrong, or from nowhere.

A number that follows the name of a feature (or of TRI, purity, …) is compared with the known runs: with the one that is
named by its id, its phase or a setting, else with all of them, and with the differences and ratios between them. It is
right if it equals a value as rounded to the digits that the answer gives, or in the steps in which the data predicts
that feature. Any other number must stand in a result, a setting or a question of the conversation; if it does not, it
is from nowhere. Settings ("depth 4"), list numbers and code blocks are not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import simulator
from pipeline.chat.known_numbers import AT_ONCE_SECONDS, FEATURES, TERMS, Known, equals, numbers_of
from simulator.cost import experiment_seconds
from simulator.number_text import NUMBER, STEPS, foretold, plain_minus
from simulator.setting_mentions import SETTING, strange_setting

MOST_CHECKS = 20
_LINK_LENGTH = 40
"""A number further than this behind its feature's name belongs to something else."""
_LONGEST = 20_000
_LONGEST_SETTINGS = 400
"""Characters of the settings named since a quantity that are compared with the runs; further ones are passed over."""
_IN_SITES = ("correlation_range", "correlation_length")
_BOUNDARY = re.compile(r"[.;:!?]\s|\n")


@dataclass(frozen=True, slots=True)
class Check:
    """One number of an answer: `text` as the answer has it, `value` as the simulator does; None if from nowhere."""

    quantity: str
    text: str
    value: float | None
    right: bool
    experiment_id: str = ""

    def as_chip(self) -> dict[str, Any]:
        """Return what the console shows under the answer."""
        if self.value is None:
            words = f"{self.text} is in no result, setting or question of this chat"
        elif self.right:
            words = f"{self.quantity} {self.text} (simulator {self.value:.4g}, run {self.experiment_id})"
        else:
            words = f"{self.quantity} {self.text} (the simulator says {self.value:.4g}, run {self.experiment_id})"
        return {"ok": self.right, "text": words, "run": self.experiment_id}

    def as_event(self) -> dict[str, Any]:
        """Return what `benlab chat --json` and the API tell of it."""
        return {
            "text": self.text,
            "ok": self.right,
            "right": self.value,
            "quantity": self.quantity,
            "run": self.experiment_id,
        }


def check_answer(answer: str, known: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Return the numbers that `answer` gives for quantities of the `known` results, each experiment run again."""
    checks = scan(answer, Known.of(known))
    return [check for check in checks if check.value is not None]


def scan(answer: str, known: Known) -> list[Check]:
    """Return all checks of a whole answer, each once, at most `MOST_CHECKS`."""
    scanner = Scanner(known)
    found = [*scanner.feed(answer[:_LONGEST]), *scanner.end()]
    return list(dict.fromkeys(found))[:MOST_CHECKS]


class Scanner:
    """Checks the numbers of an answer that arrives in pieces; each is judged once its sentence part is complete."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._text = ""
        self._start = 0
        self._fenced = False
        self._runs: Sequence[Mapping[str, Any]] = known.runs
        self._quantity = ""
        self._end = 0
        self._settings = ""
        self._strange = False
        self._first = True
        self._about_lab = bool(known.runs) or known.about_lab
        self._waiting: list[Check] = []
        labels = {str(run.get("experiment_id")) for run in known.runs} | {_phase(run) for run in known.runs}
        named = "|".join(re.escape(label) for label in sorted(labels - {""}))
        self._tokens = re.compile(
            r"(?P<fence>^\s{0,9}(?:```|~~~)[^\n]*$)|(?P<item>^\s{0,9}(?:[-*]\s{0,9})?\d+[.)]\s)"
            + (rf"|(?P<run>\b(?:{named})\b)" if named else r"|(?P<run>(?!))")
            + rf"|(?P<feature>\b(?:{FEATURES})\b)|(?P<setting>{SETTING})"
            rf"|(?P<number>(?<![A-Za-z]-){NUMBER.pattern})(?P<unit>\s{{0,9}}%|\s{{1,9}}(?:sites?|qubits?|spins?|layers?|runs?)\b)?",
            re.I | re.M,
        )

    def feed(self, piece: str) -> Iterator[Check]:
        """Yield the checks that can be made now that `piece` has come."""
        self._text += piece
        if not _BOUNDARY.search(self._text, max(self._start, len(self._text) - len(piece) - 2)):
            return
        ends = [match.end() for match in _BOUNDARY.finditer(self._text, self._start)]
        yield from self._up_to(ends[-1])

    def end(self) -> Iterator[Check]:
        """Yield the checks of what is left, now that nothing more comes."""
        yield from self._up_to(len(self._text))

    def _up_to(self, end: int) -> Iterator[Check]:
        start, self._start = self._start, end
        if not self._about_lab and TERMS.search(self._text, start, end):
            self._about_lab = True
            waiting, self._waiting = self._waiting, []
            yield from waiting
        for match in self._tokens.finditer(self._text, start, end):
            if match["fence"]:
                self._fenced = not self._fenced
            elif self._fenced or match["item"]:
                continue
            elif check := self._token(match):
                if check.value is None and not self._about_lab:
                    self._waiting.append(check)
                else:
                    yield check

    def _token(self, match: re.Match[str]) -> Check | None:
        if match["run"]:
            same = [run for run in self._known.runs if match["run"].lower() in _labels(run)]
            self._runs = same or self._runs
        elif match["feature"]:
            self._quantity, self._end, self._first = _plain(match["feature"]), match.end(), True
            self._settings, self._strange = "", False
        elif match["setting"]:
            if len(self._settings) > _LONGEST_SETTINGS:  # all of them are compared at each further one
                return None
            self._settings += f" {match['setting']}"
            self._strange = bool(self._quantity) and not self._candidates()
        else:
            return self._number(match)
        return None

    def _number(self, match: re.Match[str]) -> Check | None:
        text, unit = match["number"], (match["unit"] or "").strip().lower()
        counts = unit and unit != "%" and "." not in text and self._quantity not in _IN_SITES
        linked = self._quantity and match.start() - self._end <= _LINK_LENGTH and not counts
        if linked and self._known.runs and not self._strange:
            first, self._first, self._end = self._first, False, match.end()
            if check := self._linked(text, unit == "%", first):
                return check
        if (value := self._known.measured(text, unit == "%")) is not None and "." in text:
            return Check("", text, value, True) if not linked or not self._first else None
        if self._known.stands(text, unit == "%"):
            return None
        return Check("", text + (" %" if unit == "%" else ""), None, False)

    def _linked(self, text: str, percent: bool, first: bool) -> Check | None:
        """The number as a value of its quantity, or as a difference or ratio of two; None if it is neither."""
        runs = self._candidates() or list(self._runs)
        values = [(run, value) for run in reversed(runs) if (value := numbers_of(run).get(self._quantity)) is not None]
        for run, value in values:
            if equals(text, value) or plain_minus(text) == _in_steps(self._quantity, value):
                return self._check(text, value, True, run)
        everywhere = [numbers_of(run).get(self._quantity) for run in self._known.runs]
        for one, other in permutations([value for value in everywhere if value is not None], 2):
            changes = [one - other, *([one / other, 1 - one / other, one / other - 1] if other else [])]
            for change in changes:
                if equals(text, change, percent):
                    return self._check(text, change, True, values[0][0] if values else {})
        if first and values and not percent:
            return self._check(text, values[0][1], False, values[0][0])
        return None

    def _check(self, text: str, value: float, right: bool, run: Mapping[str, Any]) -> Check:
        return Check(self._quantity, text, value, right, str(run.get("experiment_id", "")))

    def _candidates(self) -> list[Mapping[str, Any]]:
        """The runs in question that have the settings named since the quantity."""
        return [run for run in self._runs if not strange_setting(self._settings, run.get("params") or {})]


def run_in_words(question: str) -> dict[str, Any] | None:
    """Return the result of the experiment that a question spells out, run now; None if it names none.

    That is a phase and at least one setting: `tri` if the question is about TRI, else `run_phase`; a setting that is
    not named keeps its default. One that is estimated to take more than a second is not run: nobody has asked for it,
    and nothing could stop it.
    """
    from simulator.errors import SimulatorError
    from simulator.events import last_result

    call = call_in_words(question)
    if call is None:
        return None
    try:
        params = simulator.validate(simulator.EXPERIMENTS[call[0]].params, call[1])
        return last_result(simulator.run(call[0], params)) if experiment_seconds(params) <= AT_ONCE_SECONDS else None
    except SimulatorError:
        return None


def call_in_words(question: str) -> tuple[str, dict[str, str]] | None:
    """Return the experiment (name, settings) that a question spells out, or None."""
    phase = re.search("|".join(simulator.PHASES), question)
    settings = {name: text for name, text in _SETTING.findall(question)}
    if phase is None or not settings:
        return None
    name = "tri" if re.search(r"\bTRI\b|time[- ]reversal", question, re.I) else "run_phase"
    return name, {"phase_type": phase.group(), **settings}


_SETTING = re.compile(r"\b(system_size|depth|seed|bias)\b\s{0,9}[=:]?\s{0,9}(\d+(?:\.\d+)?)")


def _plain(name: str) -> str:
    return "TRI" if name.lower() == "tri" else name.lower().replace(" ", "_").replace("-", "_")


def _phase(run: Mapping[str, Any]) -> str:
    return str((run.get("params") or {}).get("phase_type", ""))


def _labels(run: Mapping[str, Any]) -> Iterable[str]:
    return (str(run.get("experiment_id")).lower(), _phase(run).lower())


def _in_steps(quantity: str, truth: float) -> str:
    """The value as the training data predicts it; "" for what it does not."""
    return foretold(quantity, truth) if quantity in STEPS else ""
