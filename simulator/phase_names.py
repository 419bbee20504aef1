"""The four phases, and the shorter names that people type for them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator

Phase = Literal["ising_symmetry_breaking", "spt_cluster", "trivial_product", "pseudorandom"]
PHASES: tuple[str, ...] = get_args(Phase)
SHORT_NAMES: dict[str, str] = {
    "ising": "ising_symmetry_breaking",
    "spt": "spt_cluster",
    "cluster": "spt_cluster",
    "trivial": "trivial_product",
    "product": "trivial_product",
    "random": "pseudorandom",
}


def _letters(text: str) -> str:
    """The name without case, blanks, hyphens and underscores, and without a closing "phase"."""
    return re.sub(r"[\s_-]+", "", text.casefold()).removesuffix("phase")


_BY_LETTERS = {_letters(name): phase for name, phase in [*SHORT_NAMES.items(), *zip(PHASES, PHASES, strict=True)]}
LONGEST = 60


def full_name(value: Any) -> Any:
    """Return the phase that a typed name means ("Ising", "spt-cluster"), and any other value unchanged."""
    if not isinstance(value, str) or len(value) > LONGEST:
        return value
    return _BY_LETTERS.get(_letters(value), value)


PhaseName = Annotated[Phase, BeforeValidator(full_name)]
"""A phase as people type it; its value is always the full name, so ids and files do not depend on the spelling."""
