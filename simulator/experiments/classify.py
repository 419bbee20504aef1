"""classify: which phase a fingerprint belongs to, and how sure the PhaseDetector is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulator.batch import Run, measure_runs
from simulator.detector import UNKNOWN, PhaseDetector
from simulator.detector_training import train
from simulator.editions import refuse_other_physics
from simulator.errors import BadParameter, UnknownExperiment
from simulator.events import Event, Note
from simulator.experiments.common import answer, finish, tidy
from simulator.fingerprint import FEATURE_NAMES
from simulator.notebook import Notebook
from simulator.params import PHASES, PHASES_WITH_SECTORS, Classify

DETECTOR_FILE = Path("models", "phase-detector.json")

_in_memory: list[PhaseDetector] = []


def run(params: Classify, notebook: Notebook | None = None) -> Iterator[Event]:
    """Yield the phase, or `unknown`, and the probabilities of the four, with the detector's own accuracy.

    `novelty` is the distance to the nearest phase's training runs in units of its reach: above 1 is `unknown`. The
    probabilities are those of the four phases if it is one of them.

    The first call in a lab trains the detector and keeps it in the lab's models folder.
    """
    features, truth, source = _features(params, notebook)
    detector: PhaseDetector | None = None
    for step in ready_detector(notebook):
        if isinstance(step, PhaseDetector):
            detector = step
        else:
            yield step
    assert detector is not None
    chances = detector.probabilities([features])[0]
    ranked = sorted(zip(PHASES, chances.tolist(), strict=True), key=lambda pair: -pair[1])
    novelty = tidy(float(detector.novelty([features])[0]))
    values: dict[str, Any] = {
        "phase_type": UNKNOWN if novelty > 1 else ranked[0][0],
        "novelty": novelty,
        "probability": tidy(ranked[0][1]),
        "probabilities": {phase: tidy(chance) for phase, chance in zip(PHASES, chances, strict=True)},
        "true_phase": truth,
        "source": source,
        "features": dict(zip(FEATURE_NAMES, features, strict=True)),
        "feature_vector": features,
        "detector": detector.report,
        "phases": list(PHASES),
        "summary": _summary(source, ranked, novelty),
    }
    yield finish(answer("classify", params, values), notebook)


def _summary(source: str, ranked: list[tuple[str, float]], novelty: float) -> str:
    (first, chance), (second, other) = ranked[:2]
    if novelty > 1:
        return (
            f"{source} is unlike every phase that the detector knows (novelty {novelty:.3g}, unknown above 1); "
            f"the nearest reading is {first}."
        )
    return f"{source} reads as {first} with probability {chance:.4f}, then {second} with {other:.4f}."


def _features(params: Classify, notebook: Notebook | None) -> tuple[list[float], str | None, str]:
    """The fingerprint to read, the phase it was made in where that is known, and what it came from."""
    if params.features is not None:
        return [float(value) for value in params.features], None, "the given fingerprint"
    if params.phase_type is not None:
        run = Run(params.phase_type, params.system_size, params.depth, params.seed, params.bias, params.shots)
        return measure_runs([run])[0].features, params.phase_type, f"a run of {params.system_size} qubits"
    wanted = str(params.experiment_id)
    if notebook is None:
        raise UnknownExperiment(f"no experiment {wanted!r} can be looked up without a lab: name the lab folder")
    stored = notebook.get(wanted)
    vector = stored.get("feature_vector")
    if not isinstance(vector, list) or len(vector) != len(FEATURE_NAMES):
        raise BadParameter(
            f"experiment_id {wanted!r} is a {stored['experiment']}, which has no fingerprint: give a run_phase's id",
            "experiment_id",
        )
    refuse_other_physics(stored)
    _refuse_one_sector(wanted, stored)
    # A classification's phase is a guess; what it knows of the truth stands beside it.
    truth = stored.get("true_phase" if stored["experiment"] == "classify" else "phase_type")
    return vector, truth, f"experiment {wanted}"


def _refuse_one_sector(wanted: str, stored: dict[str, Any]) -> None:
    """Raise BadParameter if the fingerprint has one sector's entropies: the detector knows the mixture's."""
    sector = stored.get("params", {}).get("sector", "mixture")
    if sector != "mixture" and stored.get("phase_type") in PHASES_WITH_SECTORS:
        raise BadParameter(
            f"experiment_id {wanted!r} has the entropies of the {sector} sector alone, and the detector knows those of "
            "the mixture: run it again with sector=mixture and classify that",
            "experiment_id",
        )


def ready_detector(notebook: Notebook | None) -> Iterator[Event | PhaseDetector]:
    """The lab's detector, or this process's where there is no lab; trained where there is none yet."""
    path = notebook.path.parent / DETECTOR_FILE if notebook else None
    if path and path.exists():
        try:
            yield PhaseDetector.load(path)
            return
        except BadParameter as error:
            yield Note(f"{error}; doing so now")
    if not _in_memory:
        for step in train():
            if isinstance(step, PhaseDetector):
                _in_memory.append(step)
            else:
                yield step
    if path:
        try:
            _in_memory[0].save(path)
        except OSError as error:
            yield Note(
                f"the detector cannot be kept in {path.parent} ({error.strerror}): it is trained again next time"
            )
    yield _in_memory[0]
