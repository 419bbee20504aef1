"""A run as text that runs it again: a line for the shell, and lines of Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import simulator
from simulator.errors import SimulatorError


def experiment_line(result: Mapping[str, Any]) -> str:
    """Return `benlab experiment NAME …` with the settings that are not at their defaults."""
    return _line(["benlab", "experiment", str(result["experiment"])], _chosen(result))


def experiment_python(result: Mapping[str, Any]) -> str:
    """Return a call of `simulator.run_now` with the same settings."""
    settings = "".join(f", {name}={value!r}" for name, value in _chosen(result).items())
    return f"import simulator\n\nresult = simulator.run_now({str(result['experiment'])!r}{settings})\n"


def job_line(kind: str, params: Mapping[str, Any]) -> str:
    """Return the command that starts the job again."""
    if kind == "experiment":
        return experiment_line({"experiment": params["name"], "params": params.get("params") or {}})
    return _line(["benlab", kind], params)


def job_python(kind: str, params: Mapping[str, Any]) -> str:
    """Return the call that starts the job again in a lab."""
    if kind == "experiment":
        return experiment_python({"experiment": params["name"], "params": params.get("params") or {}})
    given = f"{kind!r}, {dict(params)!r}"
    return f"from pipeline import jobs\nfrom pipeline.lab import find_lab\n\njob = jobs.start(find_lab(), {given})\n"


def _chosen(result: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults; all of them if this release does not know the experiment."""
    name, params = str(result["experiment"]), dict(result.get("params") or {})
    # Only names are settings: anything else would be code of whoever wrote the row.
    given = {key: value for key, value in params.items() if value is not None and str(key).isidentifier()}
    try:
        model = simulator.validate(simulator.EXPERIMENTS[name].params, given)
    except (KeyError, SimulatorError):
        return given
    return model.model_dump(mode="json", exclude_defaults=True)


def _line(words: list[str], params: Mapping[str, Any]) -> str:
    return shlex.join([*words, *(f"{name}={_word(value)}" for name, value in params.items() if value is not None)])


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(_word, value)) if isinstance(value, list | tuple) else str(value)
