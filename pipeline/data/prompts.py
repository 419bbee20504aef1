"""What a prompt says of the runs that its answer's claims are about: settings, phases, a fingerprint's values.

A line whose question is about another run than its answer teaches nonsense, however true the answer is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import simulator
from pipeline.data.bindings import FEATURE
from pipeline.data.claims import Claim, Run, runs_of
from pipeline.data.kinds.tools import NAMES
from pipeline.data.regions import PHASES
from simulator.errors import SimulatorError
from simulator.number_text import NUMBER, numbers_in, plain_minus

_PLAIN = r"\d+(?:\.\d+)?"
_SETTING = re.compile(
    r"\b(?P<name>system_size|base_depth|depth|bias|seed|shots|delta|num_per_phase|k)(?:\s*[=:]\s*|\s+(?:of\s+)?)"
    rf"(?P<value>{_PLAIN}(?:(?:,|,? and) {_PLAIN}(?!\s*(?!and\b)[A-Za-z]))*)(?![\d/]|\.\d)",
    re.IGNORECASE,
)
"""A setting with its value, or with several: `depth 8, 5 and 11`; the 12 of `depth 8, 12 qubits` is no depth."""
_COUNTED = re.compile(r"\b(?:chain of (?P<chain>\d+)|(?P<value>\d+) (?P<name>qubits|sites|layers))\b", re.IGNORECASE)
_COUNTS = {"qubits": "system_size", "sites": "system_size", "layers": "depth"}
_FACTORS = re.compile(r"\bdepth[_ ]factors (?P<value>\d+(?:/\d+)+)", re.IGNORECASE)
SAME = 1e-9
_VALUE = re.compile(rf"\b(?P<name>{'|'.join(simulator.FEATURE_NAMES)})\s*[:=]\s*(?P<value>{NUMBER.pattern})", re.I)


def strange_in_prompt(prompt: str, claims: list[Claim]) -> list[str]:
    """The settings, phase types and, before a tool call, numbers of the prompt that nothing in the claims has."""
    calls = [claim for claim in claims if claim["quantity"] == "tool"]
    runs = [run for claim in claims for run in runs_of(claim)]
    found = strange_settings(prompt, runs) if runs else []
    found += [text for claim in claims for text in _strange_question(prompt, claim)] + _strange_feature(prompt, claims)
    if calls or runs:
        about = " ".join([*(str(call.get("args")) for call in calls), *(str(filled(run)) for run in runs)])
        named = [phase for phase in PHASES if re.search(rf"\b{phase}\b", prompt) or (calls and _called(phase, prompt))]
        found += [phase for phase in named if phase not in about]
    if calls:
        asked = {float(number) for call in calls for number in numbers_in(str(call.get("args")))}
        found += [number for number in numbers_in(prompt) if float(number) not in asked]
    return found


def strange_settings(prompt: str, runs: list[Run]) -> list[str]:
    """The settings that the prompt names (`depth 16`) and that none of the runs has."""
    had = [_settings(run) for run in runs]
    said = [
        (match.group() if value == match["value"] else f"{match['name']} {value}", match["name"].lower(), value)
        for match in _SETTING.finditer(prompt)
        for value in re.findall(_PLAIN, match["value"])
    ]
    for match in _COUNTED.finditer(prompt):
        name = "system_size" if match["chain"] else _COUNTS[match["name"].lower()]
        said.append((match.group(), name, match["chain"] or match["value"]))
    strange = [
        text
        for text, name, value in said
        if not any(abs(own - float(value)) < SAME for one in had for own in one.get(name, []))
        and any(name in one for one in had)
    ]
    factors = [
        "/".join(map(str, values["depth_factors"])) for run in runs if "depth_factors" in (values := filled(run))
    ]
    return strange + [m.group() for m in _FACTORS.finditer(prompt) if factors and m["value"] not in factors]


def _strange_question(prompt: str, claim: Claim) -> list[str]:
    """What the question of a comparison or an order says otherwise: the two runs' lines, and the feature."""
    if claim["quantity"] not in ("verdict.higher", "verdict.order"):
        return []
    named = FEATURE.findall(prompt)
    found = named[:1] if named and claim.get("feature") not in named else []
    if claim["quantity"] == "verdict.higher":
        for label, run in zip("AB", runs_of(claim), strict=False):
            line = re.search(rf"^{label}: (.*)$", prompt, re.MULTILINE)
            phases = [phase for phase in PHASES if line and re.search(rf"\b{phase}\b", line[1])]
            strange = [phase for phase in phases if phase != filled(run).get("phase_type")]
            found += [f"{label}: {text}" for text in strange + (strange_settings(line[1], [run]) if line else [])]
    return found


def _strange_feature(prompt: str, claims: list[Claim]) -> list[str]:
    """The feature that the prompt names where every number of the answer is of one other."""
    told = {
        name.removeprefix("features.") for claim in claims if (name := str(claim["quantity"])).startswith("features.")
    }
    named = FEATURE.findall(prompt)
    return named[:1] if len(told) == 1 and named and told.isdisjoint(named) else []


def _called(phase: str, prompt: str) -> bool:
    """Whether a request names the phase as people call it: "the Ising phase"."""
    return any(re.search(rf"\b{re.escape(name)}\b", prompt, re.IGNORECASE) for name in NAMES[phase])


def strange_values(prompt: str, results: Iterable[Mapping[str, Any] | str]) -> list[tuple[str, str]]:
    """The values that the prompt gives of the one run (`zz_nearest: 0.62`) and what the simulator has in their place.

    A value is the simulator's rounded to as many decimals as it shows.
    """
    features = [result["features"] for result in results if not isinstance(result, str) and "features" in result]
    if len(features) != 1:
        return []
    wrong = []
    for match in _VALUE.finditer(prompt):
        said, truth = plain_minus(match["value"]), float(features[0][match["name"].lower()])
        decimals = len(said.partition(".")[2])
        if abs(float(said) - truth) > 0.5 * 10.0**-decimals + SAME:
            wrong.append((match.group(), f"{truth:.{decimals}f}"))
    return wrong


def filled(run: Run) -> dict[str, Any]:
    """Every parameter as the simulator reads it (a number may be given as text), {} where it refuses them."""
    try:
        return simulator.validate(simulator.EXPERIMENTS[run.experiment].params, run.params).model_dump()
    except SimulatorError:
        return {}


def _settings(run: Run) -> dict[str, list[float]]:
    """The numbers that may be said of a run, by the setting's name; a replay has a depth for each factor."""
    values = filled(run)
    found = {name: [float(value)] for name, value in values.items() if isinstance(value, int | float)}
    if "depth_factors" in values:
        found["depth"] = [float(values["base_depth"] * factor) for factor in values["depth_factors"]]
    return found
