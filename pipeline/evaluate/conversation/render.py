"""Renders a set's dialogues: templates from dialogues.toml, runs from evaluation's part of parameter space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from random import Random
from types import SimpleNamespace
from typing import Any

import simulator
from pipeline.data.claims import Run
from pipeline.data.regions import BIASES, DEPTHS, FAR_BIASES, FAR_DEPTHS, FAR_SIZES, PHASES, SIZES, TEST
from pipeline.evaluate.conversation.results import Results, numbers_named
from pipeline.evaluate.conversation.script import Dialogue, Pair, Turn
from pipeline.evaluate.conversation.wording import Wording
from pipeline.evaluate.sealed import EvaluationSet
from simulator.number_text import figure

CLEAR = 0.3
"""The gap that a comparison needs, in units of the feature's scale."""
_TRIES = 200
_DEFAULT = "default"
_CHOICES: dict[str, Sequence[Any]] = {
    "system_size": (*SIZES[2:], *FAR_SIZES, 28, 36, 56, 72),
    "depth": (*DEPTHS[1:], *FAR_DEPTHS),
    "bias": tuple(bias for bias in (*BIASES, *FAR_BIASES) if bias != 0.5),
    "delta": (0.02, 0.08, 0.1, 0.2),
    "base_depth": (2, 3, 5),
    "depth_factors": ([1, 2, 4], [1, 2, 3], [1, 3, 5], [1, 2, 4, 6]),
    "num_per_phase": (6, 8, 12, 15),
    "k": (2, 3, 5, 6),
    "system_sizes": ([12, 20], [16, 40], [8, 24, 40]),
    "depths": ([3, 5], [4, 14], [5, 20]),
    "seeds": (2, 3, 5),
    "budget": (20, 30, 50),
    "trials": (2, 3, 4),
    "agent": ("random", "bandit"),
}
_OUT: dict[tuple[str, str], Sequence[float]] = {
    ("system_size", "most"): (2048, 3000, 5000, 10000),
    ("system_size", "least"): (2, 3),
    ("depth", "most"): (1500, 2000, 5000),
    ("bias", "most"): (1.2, 1.5, 2),
    ("k", "most"): (12, 15, 25),
}


def render(chosen: EvaluationSet, results: Results, seed: int = 0) -> list[Dialogue]:
    """Return every dialogue of the set, in an order whose every beginning mixes the topics evenly."""
    phrases = chosen.table("phrases.toml")
    definitions = {term["term"]: term for term in chosen.table("definitions.toml")["term"]}
    found: list[Dialogue] = []
    for number, template in enumerate(chosen.table("dialogues.toml")["dialogue"]):
        for index in range(template["count"]):
            rng = Random(f"{chosen.name}/{seed}/{number}/{index}")
            found.append(_dialogue(template, f"{number}-{index}", index, rng, phrases, definitions, results))
    return _mixed(found, Random(f"{chosen.name}/{seed}"))


def _mixed(dialogues: list[Dialogue], rng: Random) -> list[Dialogue]:
    keys: dict[str, float] = {}
    for topic in dict.fromkeys(dialogue.topic for dialogue in dialogues):
        own = [dialogue for dialogue in dialogues if dialogue.topic == topic]
        rng.shuffle(own)
        keys.update({dialogue.name: (place + 0.5) / len(own) for place, dialogue in enumerate(own)})
    return sorted(dialogues, key=lambda dialogue: keys[dialogue.name])


def _dialogue(
    template: Mapping[str, Any],
    name: str,
    index: int,
    rng: Random,
    phrases: Mapping[str, Any],
    definitions: Mapping[str, Any],
    results: Results,
) -> Dialogue:
    wording = Wording(phrases, rng, template.get("lang", "en"), template.get("terse", False))
    runs = _runs(template, rng, results)
    told = {key: _told(run, template["runs"][key], wording) for key, run in runs.items()}
    turns = []
    for place, raw in enumerate(template["turn"]):
        feature = _feature(raw, runs, rng, results)
        setting, side = (raw["bound"]["setting"], raw["bound"]["side"]) if "bound" in raw else ("", "")
        out = rng.choice(_OUT[setting, side]) if setting else 0
        says = raw["say"]
        say = says[index % len(says)] if place == len(template["turn"]) - 1 else rng.choice(says)
        text = say.format(**told, out=out, feature=wording.feature(feature) if feature else "")
        turns.append(_turn(raw, wording.styled(text), runs, feature, definitions))
    return Dialogue(name, template["topic"], template.get("tools", True), turns)


def _turn(raw: Mapping[str, Any], text: str, runs: Mapping[str, Run], feature: str, definitions: Any) -> Turn:
    relations = definitions[raw["define"]] if "define" in raw else raw
    value = None
    if "value" in raw:
        run, path = raw["value"].split(".", 1)
        value = (runs[run], path.replace("*", feature))
    bound: float | None = None
    bounds: tuple[float, ...] = ()
    if "bound" in raw:
        low, high = bounds_of(runs["a"].experiment, raw["bound"]["setting"])
        bound, bounds = (high if raw["bound"]["side"] == "most" else low), (low, high)
    return Turn(
        text,
        calls=tuple(runs[name] for name in raw.get("calls", ())),
        value=value,
        shift=_pair(raw.get("shift"), runs),
        larger=_pair(raw.get("larger"), runs),
        bound=bound,
        bounds=bounds,
        command=raw.get("command", ""),
        needs=tuple(map(tuple, relations.get("needs", ()))),
        never=tuple(map(tuple, relations.get("never", ()))),
        prose=raw.get("free", False),
        silent_result=raw.get("silent_result", False),
    )


def _pair(spec: Mapping[str, Any] | None, runs: Mapping[str, Run]) -> Pair | None:
    return Pair(spec["feature"], *(runs[name] for name in spec["of"])) if spec else None


def bounds_of(experiment: str, setting: str) -> tuple[float, float]:
    """Return the smallest and the largest value of a setting, from its parameter model."""
    schema = simulator.EXPERIMENTS[experiment].params.model_json_schema()["properties"][setting]
    return float(schema.get("minimum", -inf)), float(schema.get("maximum", inf))


def _runs(template: Mapping[str, Any], rng: Random, results: Results) -> dict[str, Run]:
    """The template's runs; drawn again until a comparison has a clear gap."""
    wanted = template.get("runs", {})
    compared = next((turn[key] for turn in template["turn"] for key in ("shift", "larger") if key in turn), None)
    for _ in range(_TRIES):
        runs: dict[str, Run] = {}
        for name, spec in wanted.items():
            runs[name] = _like(spec, runs[spec["like"]], rng) if "like" in spec else _drawn(spec, rng)
        pair = _pair(compared, runs)
        if pair is None or abs(results.gap(pair)) >= CLEAR:
            return runs
    raise ValueError(f"no clear gap was found for {template['turn'][0]['say'][0]!r}")


def _drawn(spec: Mapping[str, Any], rng: Random) -> Run:
    experiment, values = spec["experiment"], {}
    if "phase" in spec:
        values["phase_type"] = rng.choice(PHASES) if spec["phase"] == "any" else spec["phase"]
    if "phases" in spec:
        count = len(PHASES) if spec["phases"] == "all" else rng.choice((2, 3))
        values["phases"] = sorted(rng.sample(PHASES, count), key=PHASES.index)
    for name in spec["said"]:
        values[name] = _value(experiment, name, rng)
    if "seed" not in spec["said"] and "system_size" in values:
        values["system_size"] = rng.choice(FAR_SIZES)  # held out from training by its size
    return Run(experiment, {**values, **spec.get("fixed", {})})


def _value(experiment: str, name: str, rng: Random) -> Any:
    if name in ("seed", "first_seed"):
        # Run j of a discovery has the seed 1000 x its own + j.
        return (
            rng.randrange(TEST.first // 1000, TEST.last // 1000)
            if experiment == "discovery"
            else rng.randrange(TEST.first, TEST.last)
        )
    return rng.choice(_CHOICES[name])


def _like(spec: Mapping[str, Any], run: Run, rng: Random) -> Run:
    """Another run that differs from `run` in what the template says."""
    values = dict(run.params)
    if spec.get("phase") == "other":
        values["phase_type"] = rng.choice([phase for phase in PHASES if phase != values["phase_type"]])
    for name in spec.get("change", ()):
        values[name] = rng.choice([value for value in _CHOICES.get(name, ()) if value != values[name]] or [0])
        if name == "seed":
            values[name] = rng.choice([seed for seed in range(TEST.first, TEST.first + 99) if seed != run.params[name]])
    return Run(spec.get("experiment", run.experiment), values)


def _told(run: Run, spec: Mapping[str, Any], wording: Wording) -> SimpleNamespace:
    """What a template may say of a run."""
    said = {name: run.params[name] for name in spec.get("said", ())}
    changed = {name: run.params[name] for name in spec.get("change", ())}
    words: dict[str, Any] = {**said, "settings": wording.settings(said), "change": wording.settings(changed)}
    if "phase_type" in run.params:
        words["phase"] = wording.phase(run.params["phase_type"])
    if "phases" in run.params:
        words["phases"] = wording.phases(run.params["phases"])
    return SimpleNamespace(**words)


def _feature(raw: Mapping[str, Any], runs: Mapping[str, Run], rng: Random, results: Results) -> str:
    """The feature that a turn asks about: of a value to read back, one that no other run of the dialogue shares."""
    if not str(raw.get("value", "")).endswith("*"):
        return ""
    asked = runs[raw["value"].split(".", 1)[0]]
    values = numbers_named(results.of(asked)["features"])
    others = [numbers_named(results.of(run)["features"]) for run in runs.values() if run != asked]
    told = ("string_order", "zz_nearest", "zz_long", "entropy_final", "entropy_mean", "transverse", "operator_spread")
    fair = [
        name
        for name in told
        if figure(values[name]) != "0" and all(figure(other[name]) != figure(values[name]) for other in others)
    ]
    return rng.choice(fair or [told[-1]])


def questions_of(dialogues: Sequence[Dialogue]) -> Iterator[str]:
    """Yield every text that a person says."""
    for dialogue in dialogues:
        for turn in dialogue.turns:
            yield turn.text
