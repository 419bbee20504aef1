"""Results of other physics versions: kept and marked, and never averaged or compared with this version's."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from simulator.catalogue import EXPERIMENTS
from simulator.errors import BadParameter
from simulator.fingerprint import PHYSICS_VERSION


def is_other_physics(result: Mapping[str, Any]) -> bool:
    """Return whether a stored result was made with another physics version than this one."""
    return result.get("physics_version", PHYSICS_VERSION) != PHYSICS_VERSION


def mark(result: Mapping[str, Any]) -> str:
    """Return the words that mark a result of another physics version; empty for this version's."""
    return f"physics {result['physics_version']}, now {PHYSICS_VERSION}" if is_other_physics(result) else ""


def refuse_other_physics(result: Mapping[str, Any]) -> None:
    """Raise BadParameter if a result may not be read beside this version's numbers."""
    if is_other_physics(result):
        raise BadParameter(
            f"experiment {result.get('experiment_id')} was made with physics version {result['physics_version']} and "
            f"this is {PHYSICS_VERSION}: run it again with `{command_of(result)}`",
            "experiment_id",
        )


def command_of(result: Mapping[str, Any]) -> str:
    """Return the command line that runs a stored experiment again; defaults are left out."""
    name = str(result.get("experiment"))
    known = EXPERIMENTS[name].params.model_fields if name in EXPERIMENTS else {}
    params = result.get("params") or {}
    words = [f"{key}={_text(value)}" for key, value in params.items() if key in known and value != _default(known[key])]
    return " ".join(["benlab experiment", shlex.quote(name), *words])


def _default(field: Any) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _text(value: Any) -> str:
    """The value as a shell reads it back: a row of lab.db may be somebody else's, and a person copies the command."""
    if isinstance(value, list):
        return shlex.quote(",".join(map(str, value)))
    return shlex.quote(value if isinstance(value, str) else json.dumps(value))
