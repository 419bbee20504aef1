"""What each experiment's result holds for a reader: its numbers, one line of meaning, and what marks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from simulator.fingerprint import FEATURE_UNITS
from simulator.notebook_search import number_of
from simulator.number_text import figure
from simulator.verdict_sentences import MARK, meaning

Result = Mapping[str, Any]

_LISTED = 8
_USUAL = {"shots", "workers", "iterations"}
"""Settings that a list of runs leaves out."""


@dataclass(frozen=True, slots=True)
class Form:
    """`numbers` by name, `more` as one further line, `marks` as the names that a comparison starts with."""

    numbers: dict[str, Any]
    meaning: str = ""
    more: str = ""
    marks: tuple[str, ...] = field(default=())


def clipped(value: Any, length: int) -> str:
    """Return the value as one line of at most `length` characters."""
    text = " ".join(str(value)[: 4 * length].split())
    return text if len(text) <= length else text[: length - 1] + "…"


def shown(value: Any) -> str:
    """Return a value as messages show it: numbers with three significant digits, long lists by their first items."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return str(value) if abs(value) < 10**15 else figure(float(value))
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(shown(item) for item in value[:_LISTED])}{_rest(value)}]"
    return clipped(value, 60)


def value_text(value: Any) -> str:
    """Return a setting as messages show it: fractions in full (0.65), long lists by their first items."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(value_text(item) for item in value[:_LISTED])}{_rest(value)}]"
    return shown(value)


def _rest(value: Sequence[Any]) -> str:
    return f", … {len(value)} values" if len(value) > _LISTED else ""


def _features(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(values[name]) for name in FEATURE_UNITS}


def _run_phase(result: Result) -> Form:
    mark = MARK.get(str(result["phase_type"]))
    return Form(_features(result["features"]), meaning(result), marks=(mark,) if mark else ())


def _tri(result: Result) -> Form:
    bias = float(result["params"]["bias"])
    shares = sorted(result["contributions"].items(), key=lambda share: -abs(share[1]))
    carriers = [name for name, share in shares[:3] if figure(share) != "0"]
    ways = (result["forward_features"], result["reverse_features"])
    both = [
        f"{name} {figure(ways[0][name])} at bias {bias:g} and {figure(ways[1][name])} at bias {1 - bias:g}"
        for name in carriers
    ]
    return Form(
        {"TRI": float(result["TRI"])}, meaning(result), f"Carried by: {'; '.join(both)}" if both else "", ("TRI",)
    )


def _echo(result: Result) -> Form:
    course = ", ".join(f"{row['depth']}: {figure(row['echo'])}" for row in result["by_depth"][:_LISTED])
    numbers = {"echo": result["echo"], "bits_per_site": result["bits_per_site"]}
    return Form(numbers, meaning(result), f"Echo by depth: {course}", ("echo", "bits_per_site"))


def _replay_drift(result: Result) -> Form:
    runs = ", ".join(f"{run['depth']}: {figure(run['drift'])}" for run in result["runs"][:16])
    numbers = {
        "largest_drift": float(max(run["drift"] for run in result["runs"])),
        "growth_exponent": result["growth_exponent"],
        "replay_sensitivity_index": result["replay_sensitivity_index"],
    }
    return Form(numbers, meaning(result), f"Drift by depth: {runs}", tuple(numbers))


_SCORES = ("purity", "adjusted_rand_index", "normalized_mutual_information")


def _discovery(result: Result) -> Form:
    numbers = {name: result[name] for name in ("num_samples", "num_clusters", *_SCORES)}
    clusters = "; ".join(
        f"cluster {index} holds {', '.join(f'{count} {phase}' for phase, count in counts.items())}"
        for index, counts in enumerate(result["cluster_label_stats"][:10])
    )
    return Form(numbers, meaning(result), clusters, _SCORES)


def _classify(result: Result) -> Form:
    chances = sorted(result["probabilities"].items(), key=lambda pair: -pair[1])
    told = ", ".join(f"{name} {figure(chance)}" for name, chance in chances)
    read = clipped(result["phase_type"], 40)
    truth = result.get("true_phase")
    said = "" if not truth else f", and it is {truth}: " + ("right" if truth == read else "wrong")
    return Form({}, f"{clipped(result['source'], 60)} reads as {read}{said}.", f"Probabilities: {told}")


def _sweep(result: Result) -> Form:
    numbers = {name: result[name] for name in ("num_samples", "num_new", "num_known")}
    names = ("entropy_final", *dict.fromkeys(MARK.values()))
    rows = "; ".join(
        f"{phase}: " + ", ".join(f"{name} {figure(row['mean'][name])}" for name in dict.fromkeys(names))
        for phase, row in islice(result["phases"].items(), 8)
    )
    return Form(numbers, more=f"Means by phase: {rows}")


def _scientist(result: Result) -> Form:
    agent, best = str(result["agent"]), result["best"]
    interval = result.get("gain_interval")
    numbers: dict[str, Any] = {
        f"mean reward of {agent}": result["mean_reward"][agent],
        "mean reward of random search": result["mean_reward"]["random"],
        "gain": result["gain"],
    }
    if interval:
        numbers["95 % interval of the gain"] = list(interval)
    numbers["trials in which it was better"] = result["better_trials"]
    settings = ", ".join(f"{name} {value_text(value)}" for name, value in best["params"].items() if name != "shots")
    sure = interval and (interval[0] > 0 or interval[1] < 0)
    told = ("earns more than" if result["gain"] > 0 else "earns less than") if sure else "is not told apart from"
    more = f"Best experiment: reward {figure(best['reward'])} with {settings}"
    return Form(numbers, f"{agent} {told} random search.", more)


def _notebook(result: Result) -> Form:
    """A line for each run found: settings, then the number asked for; of a single run, all that it measured."""
    rows, number = result["runs"], result["params"].get("number")
    lines = []
    for row in rows:
        run = row["result"]
        wanted = {number: number_of(run, number)} if number else _numbers(run) if len(rows) == 1 else {}
        said = ", ".join(f"{name} {shown(value)}" for name, value in wanted.items())
        said = said or clipped(run.get("summary", ""), 120)
        marks = [row["created"], *row["tags"], *([clipped(row["note"], 80)] if row["note"] else [])]
        marks += ["older physics, not comparable"] if row["older_physics"] else []
        settings = ", ".join(f"{name} {value_text(value)}" for name, value in _short_settings(run).items())
        lines.append(f"{run['experiment']} {run['experiment_id']} ({', '.join(marks)}): {settings}: {said}")
    return Form({"matching": result["matching"]}, more="\n".join(lines) or "No run matches.")


def _numbers(run: Result) -> dict[str, Any]:
    """What the run measured; nothing if it is of a kind or a release that has no form here."""
    try:
        return FORMS[str(run.get("experiment"))](run).numbers
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return {}


def _short_settings(run: Result) -> dict[str, Any]:
    return {name: value for name, value in run["params"].items() if value is not None and name not in _USUAL}


FORMS: dict[str, Callable[[Result], Form]] = {
    "run_phase": _run_phase,
    "tri": _tri,
    "echo": _echo,
    "replay_drift": _replay_drift,
    "discovery": _discovery,
    "classify": _classify,
    "sweep": _sweep,
    "scientist": _scientist,
    "notebook": _notebook,
}
