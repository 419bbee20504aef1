"""Mixes of kinds, as TOML: how many samples of each kind a data set holds.

description = "…"
extends = "default"      # optional: another shipped recipe
[counts]                 # exact numbers, none of a kind that is not named; `phase` counts all four phase types together
tri = 200
[shares]                 # weights by which `extra` is shared out over the kinds without a count
numeric = 2
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from pipeline.data.kinds import KINDS
from pipeline.data.kinds.base import GUIDE_KINDS
from pipeline.data.params import MOST, GenerateParams
from pipeline.data.paths import clipped, given_path
from pipeline.errors import BadInput
from simulator.private_files import read_text

LIMITS = {"definitions": 700, "design": 700}
"""About how many different prompts these kinds have."""
BESIDE_COUNTS = {"append", "mix", "out", "seed", "feedback", "api"}
"""Options that ask for no samples."""
GUIDE_OPTIONS = ("n_per_phase", "n_tri", "n_discovery", "n_replay_drift")
FURTHER = tuple(name for name in KINDS if name not in GUIDE_KINDS)


@dataclass(frozen=True)
class Recipe:
    """Exact counts of some kinds, and weights for others."""

    name: str
    counts: dict[str, int]
    shares: dict[str, float]


def shipped() -> dict[str, str]:
    """The recipes of the package: name → description."""
    folder = files("pipeline.data").joinpath("recipes")
    found = {
        item.name.removesuffix(".toml"): tomllib.loads(item.read_text(encoding="utf-8"))["description"]
        for item in folder.iterdir()
        if item.name.endswith(".toml")
    }
    return dict(sorted(found.items()))


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, or a TOML file. Raises BadInput."""
    if name in shipped():
        text = files("pipeline.data").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")
    else:
        path = given_path(name)
        try:
            if not path.is_file():
                raise BadInput(
                    f"no recipe {clipped(name)}: use one of {', '.join(shipped())}, or the path of a TOML file"
                )
            text = read_text(path, encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            raise BadInput(f"the recipe {clipped(name)} cannot be read ({said}): give a TOML file in UTF-8") from error
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits and brackets in brackets are no TOMLDecodeError.
        raise BadInput(f"the recipe {clipped(name)} is not TOML ({error}): mend that line") from error
    return _checked(name, raw)


def _checked(name: str, raw: dict[str, Any]) -> Recipe:
    unknown = set(raw) - {"description", "extends", "counts", "shares"}
    if unknown:
        raise BadInput(f"the recipe {name} has the key {min(unknown)!r}: use description, extends, counts, shares")
    start = Recipe(name, {}, {})
    if "extends" in raw:
        if not isinstance(raw["extends"], str) or raw["extends"] not in shipped() or raw["extends"] == name:
            raise BadInput(f"the recipe {name} extends {raw['extends']!r}: use one of {', '.join(shipped())}")
        start = load_recipe(raw["extends"])
    for part, whole in (("counts", True), ("shares", False)):
        if not isinstance(raw.get(part, {}), dict):
            raise BadInput(f"{part} of the recipe {name} is not a table: write [{part}] and one kind a line")
        for kind, value in raw.get(part, {}).items():
            if kind not in KINDS and not (whole and kind == "validation"):
                raise BadInput(f"the recipe {name} asks for the unknown kind {kind!r}: use one of {', '.join(KINDS)}")
            number = int if whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, number) or not 0 <= value <= MOST:
                what = "whole number" if whole else "number"
                raise BadInput(f"{part}.{kind} of the recipe {name} is {value!r}: give a {what} from 0 to {MOST}")
    return Recipe(name, {**start.counts, **raw.get("counts", {})}, {**start.shares, **raw.get("shares", {})})


def counts(params: GenerateParams) -> dict[str, int]:
    """How many samples of each kind, and of `validation`; given options win over the recipe. Raises BadInput.

    What is added to a data set (append) is what is asked for: own lines, or the judged chat turns, without a count
    beside them are all, and so is a kind with its count; without either it is the recipe's mix once more.
    """
    turns = params.feedback and "feedback" in params.model_fields_set
    if params.append and (params.mix or turns) and not (params.model_fields_set - BESIDE_COUNTS):
        return dict.fromkeys((*KINDS, "validation"), 0)
    recipe = load_recipe(params.recipe or "default")
    asked_for = {
        "phase": 4 * params.n_per_phase,
        "tri": params.n_tri,
        "discovery": params.n_discovery,
        "replay_drift": params.n_replay_drift,
    }
    wanted = {
        kind: asked_for[kind] if option in params.model_fields_set else recipe.counts.get(kind, 0)
        for kind, option in zip(GUIDE_KINDS, GUIDE_OPTIONS, strict=True)
    }
    exact = {kind: value for kind, value in recipe.counts.items() if kind in FURTHER}
    exact |= {kind: value for kind in FURTHER if (value := getattr(params, f"n_{kind}")) is not None}
    if params.guide_only and (more := [kind for kind in FURTHER if getattr(params, f"n_{kind}")]):
        raise BadInput(f"guide_only is yes, and n_{more[0]} asks for a further kind: leave one of them out")
    asked = params.extra if "extra" in params.model_fields_set and not params.guide_only else 0
    if asked and not _takes_extra(recipe, exact):
        raise BadInput(
            f"extra is {asked}, and every further kind has its number, by the recipe {recipe.name} or an "
            "option of its own: leave extra out, or give counts like n_numeric=50"
        )
    wanted |= dict.fromkeys(FURTHER, 0) if params.guide_only else _shared(params.extra, recipe.shares, exact)
    if params.append and not params.recipe and (given := _counts_given(params)):
        wanted = {kind: count if kind in given else 0 for kind, count in wanted.items()}
    elif params.append and not params.recipe and "n_validation" in params.model_fields_set:
        wanted = dict.fromkeys(wanted, 0)
    total = sum(wanted.values())
    if total == 0 and not params.mix:
        raise BadInput("0 samples are asked for: give at least one count above 0, or a file to mix in")
    if params.n_validation and not total:
        raise BadInput(
            f"n_validation is {params.n_validation}, and no samples of the lab's kinds are asked for, "
            "which its lines are made with: give a count such as n_numeric=60 beside it, or leave it out"
        )
    validation = params.n_validation if params.n_validation is not None else recipe.counts.get("validation")
    wanted["validation"] = min(200, max(16, total // 20)) if validation is None else validation
    return wanted


def _counts_given(params: GenerateParams) -> set[str]:
    """The kinds whose number the call itself names."""
    given = params.model_fields_set
    guide = zip(GUIDE_KINDS, GUIDE_OPTIONS, strict=True)
    kinds = {kind for kind, option in guide if option in given} | {kind for kind in FURTHER if f"n_{kind}" in given}
    return kinds | (set(FURTHER) if "extra" in given else set())


def _takes_extra(recipe: Recipe, exact: dict[str, int]) -> bool:
    """Whether a kind is left whose number is not fixed."""
    return any(weight for kind, weight in recipe.shares.items() if kind not in exact)


def _shared(extra: int, shares: dict[str, float], exact: dict[str, int]) -> dict[str, int]:
    """`extra` in whole numbers by weight (largest remainders), over the kinds without an exact count.

    A kind that has only so many different prompts gives what is too much for it to the others.
    """
    weights = {kind: shares.get(kind, 0.0) for kind in FURTHER if kind not in exact}
    whole = sum(weights.values())
    result = {kind: exact.get(kind, 0) for kind in FURTHER}
    if whole <= 0:
        return result
    parts = {kind: extra * weight / whole for kind, weight in weights.items()}
    full = {kind: most for kind, most in LIMITS.items() if parts.get(kind, 0) > most}
    if full and len(full) < sum(1 for weight in weights.values() if weight):
        return _shared(extra - sum(full.values()), shares, {**exact, **full})
    for kind, part in parts.items():
        result[kind] = int(part)
    missing = extra - sum(int(part) for part in parts.values())
    for kind in sorted(parts, key=lambda kind: (int(parts[kind]) - parts[kind], kind))[:missing]:
        result[kind] += 1
    return result
