"""Claims: what an output says that the simulator can check.

Every number and every verdict of an output is one claim:

    {"quantity": "features.zz_nearest", "experiment": "run_phase", "params": {...},
     "value": 0.62, "tolerance": 0.005, "text": "0.62"}            a measured number
    {"quantity": "param.depth", "experiment": …, "params": …, "value": 8, "tolerance": 0, "text": "8"}   a setting
    {"quantity": "shown.TRI", "runs": [{"experiment", "params"}], "text": "4.71"}       a value as tool messages show it
    {"quantity": "verdict.higher", "runs": [{"experiment", "params"}, …], "feature": "zz_nearest", "text": "A"}
    {"quantity": "glossary.tri", "runs": [], "text": "TRI is …"}                                         a definition

`Words` writes the text of an output and records its claims on the way, so that no number is said unclaimed. A claim's
`span` is where its text stands in the output.
`verify` says what is wrong with a claim, given the results of its runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import simulator.verdict_sentences  # noqa: F401  (registers its rules)
from pipeline.chat.result_forms import shown
from pipeline.chat.tool_text import CALL
from pipeline.data.glossary import Entry, by_key
from pipeline.data.tool_line import read_tool_line
from simulator.errors import SimulatorError
from simulator.number_text import HALF_STEP, figure, foretold, half_step, in_steps, measured, setting
from simulator.verdicts import RULES, is_of_the_seed

Claim = dict[str, Any]
Params = dict[str, Any]
MARGIN = 1e-9
"""Room for the last bit of a float beside a tolerance."""


@dataclass(frozen=True)
class Run:
    """One experiment to run: the name in the simulator, and every parameter that is not the default."""

    experiment: str
    params: Params

    @property
    def key(self) -> str:
        """Equal for equal runs."""
        return self.experiment + json.dumps(self.params, sort_keys=True)

    def as_dict(self) -> Params:
        """The run as a claim names it."""
        return {"experiment": self.experiment, "params": self.params}


def quantity(result: Mapping[str, Any], path: str) -> Any:
    """The value under a dotted path of a result: `features.zz_nearest`, `TRI`, `runs.1.drift`.

    Raises KeyError, IndexError or ValueError where there is none.
    """
    value: Any = result
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


class Words:
    """Text with its claims. Each method returns the words to write and records the claim."""

    def __init__(self) -> None:
        self.claims: list[tuple[int, Claim]] = []
        self._answer = 0

    def number(self, run: Run, result: Mapping[str, Any], path: str) -> str:
        """A measured value of `run`, rounded by the rule."""
        text = measured(quantity(result, path))
        claim = {"quantity": path, **run.as_dict(), "value": float(text), "tolerance": HALF_STEP, "text": text}
        self._add(claim)
        return text

    def shown(self, run: Run, result: Mapping[str, Any], path: str) -> str:
        """Return a value of `run` exactly as its tool message shows it."""
        return self.copied(f"shown.{path}", [(run, result)])

    def change(self, pairs: Sequence[tuple[Run, Mapping[str, Any]]], path: str, ratio: bool = False) -> str:
        """Return the size of the change from the first run to the second, or their ratio, as tool messages show it."""
        return self.copied(f"{'ratio' if ratio else 'change'}.{path}", pairs)

    def copied(self, name: str, pairs: Sequence[tuple[Run, Mapping[str, Any]]]) -> str:
        """Return what `as_shown` gives for the runs' results, as a claim."""
        text = as_shown(name, [result for _, result in pairs])
        self._add({"quantity": name, "runs": [run.as_dict() for run, _ in pairs], "text": text})
        return text

    def foretold(self, run: Run, result: Mapping[str, Any], feature: str) -> str:
        """A feature of `run` in the steps in which it can be foretold, or that it depends on the seed."""
        if is_of_the_seed(result["params"], feature):
            return self.verdict("seed", [(run, result)], feature)
        path = f"features.{feature}"
        text = foretold(feature, quantity(result, path))
        claim = {"quantity": path, **run.as_dict(), "value": float(text), "tolerance": half_step(feature), "text": text}
        self._add(claim)
        return text

    def param(self, run: Run, path: str) -> str:
        """A setting of `run`, as it is: `depth`, `depth_factors.1`."""
        value = quantity(run.params, path)
        text = value if isinstance(value, str) else setting(value)
        claim = {"quantity": f"param.{path}", **run.as_dict(), "value": value, "tolerance": 0, "text": text}
        self._add(claim)
        return text

    def verdict(self, rule: str, runs: Iterable[tuple[Run, Mapping[str, Any]]], feature: str = "") -> str:
        """What the rule named `rule` concludes from the runs' results."""
        pairs = list(runs)
        text = RULES[rule]([result for _, result in pairs], feature)
        claim = {"quantity": f"verdict.{rule}", "runs": [run.as_dict() for run, _ in pairs], "text": text}
        self._add({**claim, "feature": feature} if feature else claim)
        return text

    def definition(self, entry: Entry) -> str:
        """A glossary entry's text: a claim that data check compares with the glossary."""
        self._add({"quantity": f"glossary.{entry.key}", "runs": [], "text": entry.text})
        return entry.text

    def tool(self, line: str, name: str, args: Params) -> str:
        """A tool call: a claim that it reads back as this experiment with these arguments."""
        self._add({"quantity": "tool", "runs": [], "name": name, "args": args, "text": line})
        return line

    def _add(self, claim: Claim) -> None:
        self.claims.append((self._answer, claim))

    def next_answer(self) -> None:
        """Go on with the next answer of a conversation: claims made from now on stand there."""
        self._answer += 1

    def placed(self, *answers: str) -> list[Claim]:
        """Return the claims with their `span`, and in a conversation the number of their `answer` (from 0).

        They were made in the order in which they stand there. Raises ValueError if a claim's text does not.
        """
        start, placed, former = 0, [], 0
        for answer, claim in self.claims:
            start = start if answer == former else 0
            found = find_alone(str(claim["text"]), answers[answer], start)
            if found is None:
                raise ValueError(f"answer {answer} does not say {claim['text']!r} after character {start}")
            placed.append({**claim, "span": list(found)} | ({"answer": answer} if len(answers) > 1 else {}))
            start, former = found[1], answer
        return placed


def find_alone(text: str, output: str, start: int = 0) -> tuple[int, int] | None:
    """Where `text` stands in `output` from `start` on, not as a part of a longer word or number."""
    place = output.find(text, start)
    while place >= 0:
        end = place + len(text)
        decimals = output[end : end + 1] == "." and output[end + 1 : end + 2].isdecimal()
        inside = _goes_on(output[place - 1 : place], ".-") or _goes_on(output[end : end + 1])
        if not inside and not decimals:
            return place, end
        place = output.find(text, place + 1)
    return None


def _goes_on(character: str, also: str = "") -> bool:
    """Whether a word or number goes on through this character (or, where it is empty, text ends)."""
    return bool(character) and (character.isalnum() or character == "_" or character in also)


def as_shown(name: str, results: Sequence[Mapping[str, Any]]) -> str:
    """Return `shown.PATH` of a result, or `change.PATH` or `ratio.PATH` between two, as tool messages show them.

    A change has no sign. Raises KeyError, IndexError, ValueError or ArithmeticError if there is none.
    """
    kind, _, path = name.partition(".")
    texts = [shown(quantity(result, path)) for result in results]
    if kind == "shown":
        return texts[0]
    old, new = map(Decimal, texts[:2])
    return figure(float(new / old)) if kind == "ratio" else f"{abs(new - old).normalize():f}"


def runs_of(claim: Claim) -> list[Run]:
    """The runs that a claim needs. Raises KeyError or TypeError where the claim is no claim."""
    if not isinstance(claim, dict):
        raise TypeError("a claim is an object")
    raw = claim.get("runs", [claim])
    if not all(isinstance(item["params"], dict) for item in raw):
        raise TypeError("a run's params are an object")
    return [Run(str(item["experiment"]), dict(item["params"])) for item in raw]


def verify(claim: Claim, results: list[Mapping[str, Any]]) -> str | None:
    """What the simulator found where it differs from the claim, as text; None where the claim holds."""
    name = str(claim["quantity"])
    if name.startswith("verdict."):
        rule = RULES.get(name.removeprefix("verdict."))
        if rule is None:
            return f"no rule named {name}"
        found = rule(results, str(claim.get("feature", "")))
        return None if found == claim["text"] else found
    if name == "tool":
        return _tool_trouble(claim)
    if name.startswith(("shown.", "change.", "ratio.")):
        text = as_shown(name, results)
        return None if text == claim["text"] else text
    if name.startswith("glossary."):
        text = by_key(name.removeprefix("glossary.")).text
        return None if text == claim["text"] else text
    if name.startswith("param."):
        value = quantity(runs_of(claim)[0].params, name.removeprefix("param."))
        text = value if isinstance(value, str) else setting(value)
        return None if value == claim["value"] and text == claim["text"] else str(value)
    value = quantity(results[0], name)
    if not isinstance(value, int | float):
        return f"{value!r}, which is no number"
    widest = max(HALF_STEP, half_step(name.removeprefix("features.")))
    if float(claim["tolerance"]) > widest + MARGIN:
        return f"a tolerance of {claim['tolerance']}, and {widest} is the widest"
    if float(claim["tolerance"]) > HALF_STEP + MARGIN and not in_steps(name.removeprefix("features."), claim["value"]):
        return f"{measured(value)}: only what is foretold, in steps of its feature, may be as far off"
    right = abs(float(value) - float(claim["value"])) <= float(claim["tolerance"]) + MARGIN
    return None if right and float(claim["text"]) == float(claim["value"]) else measured(value)


def _tool_trouble(claim: Claim) -> str | None:
    try:
        call = read_tool_line(str(claim["text"]))
    except (ValueError, SimulatorError) as error:
        return str(error)
    if call != (claim["name"], claim["args"]):
        return f"{call}"
    try:
        json.loads(str(claim["text"]).strip().removeprefix(CALL))
    except ValueError:
        return "a call with something beside it"
    return None
