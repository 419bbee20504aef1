"""The training wordings, read from wordings.toml, and how runs are put into words."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from simulator.number_text import measured, setting

ORDER = ("system_size", "base_depth", "depth", "depth_factors", "k", "num_per_phase", "iterations", "bias", "seed")
"""The order in which settings are named, always."""


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(files("pipeline.data").joinpath("wordings.toml").read_text(encoding="utf-8"))


def wordings(kind: str) -> list[str]:
    """The templates of one kind of sample."""
    return list(_file()[kind])


def term_wordings() -> dict[str, list[str]]:
    """Further whole questions for some glossary keys."""
    return {key: list(texts) for key, texts in _file()["terms"].items()}


def request_wordings(experiment: str) -> list[str]:
    """The phrases that ask for one experiment inside a tool request."""
    return list(_file()["requests"][experiment])


def all_templates() -> list[str]:
    """Every training wording there is."""
    lists = [
        part if isinstance(part, list) else [text for texts in part.values() for text in texts]
        for part in _file().values()
    ]
    return [text for texts in lists for text in texts]


def pick(rng: Random, kind: str, **values: str) -> str:
    """One wording of `kind`, filled in."""
    return rng.choice(wordings(kind)).format(**values)


def value_text(value: Any) -> str:
    """A setting in words: 8, 0.65, 2/4/8."""
    if isinstance(value, list | tuple):
        return "/".join(value_text(item) for item in value)
    return value if isinstance(value, str) else setting(value)


def rest_text(params: Mapping[str, Any], leave_out: Iterable[str] = ()) -> str:
    """Every setting but the phase: "system_size 32, depth 8, bias 0.65, seed 3"."""
    skipped = set(leave_out)
    return ", ".join(f"{name} {value_text(params[name])}" for name in ORDER if name in params and name not in skipped)


def settings_text(params: Mapping[str, Any], leave_out: Iterable[str] = ()) -> str:
    """A run's settings: "ising_symmetry_breaking, system_size 32, depth 8, bias 0.65, seed 3"."""
    return f"{params['phase_type']}, {rest_text(params, leave_out)}"


def listing(names: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def fingerprint_text(features: Mapping[str, float]) -> str:
    """A fingerprint as prompts show it: one `name: value` a line, in the lab's order."""
    return "\n".join(f"{name}: {measured(value)}" for name, value in features.items())
