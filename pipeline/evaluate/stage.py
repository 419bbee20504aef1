"""The stage `eval`: base and tuned on the same questions, graded by the simulator."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pipeline.evaluate.graders  # noqa: F401  (registers the graders)
import simulator
from pipeline.bases import locate_gguf
from pipeline.bases.base import Base
from pipeline.chat import Message
from pipeline.data.paths import clipped, given_path
from pipeline.errors import BadInput, ExportError
from pipeline.evaluate.answering import Asked, answers_of
from pipeline.evaluate.asking import Means, Trained, make_questions, training_means
from pipeline.evaluate.engine import LARGEST_COPY, EngineFiles, copies, gains_by_copies, remove_copies, served
from pipeline.evaluate.params import EvalParams
from pipeline.evaluate.question import Question
from pipeline.evaluate.report import write_report
from pipeline.evaluate.tally import Answer, judge, scores
from pipeline.files import sha256_of
from pipeline.lab import Lab, current_run
from pipeline.modelfile import load
from simulator.events import Event, Metric, Note, Progress, Result


def run(lab: Lab, params: EvalParams) -> Iterator[Event]:
    """Live scores as metrics, then a Result with scores by kind and model, and the report's paths.

    Raises BadInput, BaseError, ChatError, ExportError, InstallError or LabError.
    """
    started = time.monotonic()
    folder = current_run(lab, "eval")
    adapter = _adapter(lab, params, folder)
    base = locate_gguf(lab, params.base or adapter.base)
    yield Progress("eval", 0, None, "making questions")
    files_read = _data_files(lab, adapter)
    questions, left_out = make_questions(params, Trained.of(*files_read))
    if not questions:
        raise BadInput("no question is left: the training data has seen all of them, so ask with another seed")
    if left_out:
        yield Note(f"{left_out} questions are left out because the training data has seen them")
    compared = any(adapter.data_sha256 == sha256_of(path) for path in files_read)
    if not compared:
        yield Note("the file that this adapter was trained on is not here: whether it holds a question was not checked")
    answers: list[Answer] = []
    means = training_means() if "numeric" in params.kinds else {}
    copied = not params.served and gains_by_copies(base.path)
    try:
        files = yield from _files(base.path, adapter.gguf, params, folder, copied)
        yield from _ask(lab, base, files, questions, params, answers, means, folder)
    finally:
        remove_copies(folder)
    value: dict[str, Any] = {
        **scores(answers, means),
        "base": {"name": base.name, "sha256": base.sha256},
        "adapter": lab.relative(adapter.source),
        "adapter_sha256": adapter.sha256,
        "engine": "copies in Q8_0" if copied else "as served",
        "questions": len(questions),
        "left_out": left_out,
        "compared_with_training_data": compared,
        "seed": params.seed,
        "physics_version": simulator.PHYSICS_VERSION,
        "seconds": round(time.monotonic() - started, 1),
    }
    yield Result({**value, "report": write_report(folder, value, answers)})


def _files(
    base: Path, adapter: Path, params: EvalParams, folder: Path, copied: bool
) -> Generator[Event, None, dict[str, EngineFiles]]:
    """What the engine loads for each model: the served files, or copies of them in the run's folder."""
    if not copied:
        return served(base, adapter)
    yield Note("asking copies in Q8_0, which answer faster than Q4_1 and Q5_1; served=yes asks the served files")
    return (yield from copies(base, adapter, folder, base=not params.skip_base))


def _ask(
    lab: Lab,
    base: Base,
    files: dict[str, EngineFiles],
    questions: list[Question],
    params: EvalParams,
    answers: list[Answer],
    means: Means,
    folder: Path,
) -> Iterator[Event]:
    """Fills `answers`: every model is asked every question."""
    system = load(lab).system
    models = [*([] if params.skip_base else ["base"]), "tuned", *(["retrieval"] if params.rag else [])]
    longest = [question.max_tokens for question in questions]
    parts = [
        Asked(
            model,
            replace(base, path=files[model].gguf),
            files[model].adapters,
            [_messages(system, _prompt(lab, question, model)) for question in questions],
            longest,
            folder / f"engine-{model}.log",
        )
        for model in models
    ]
    total = len(questions) * len(models)
    small = sum(files[model].gguf.stat().st_size for model in models) <= 2 * LARGEST_COPY
    with closing(answers_of(parts, parallel=params.parallel, together=small)) as texts:
        for model, place, text in texts:
            answers.append(judge(questions[place], model, text))
            yield Progress("eval", len(answers), total, f"{questions[place].kind}, {model}")
            if len(answers) % 10 == 0 or len(answers) == total:
                yield Metric("eval", len(answers), _live(answers, means))
    answers.sort(key=lambda answer: (questions.index(answer.question), answer.model))


def _messages(system: str, prompt: str) -> list[Message]:
    return [{"role": "system", "content": system}, {"role": "user", "content": prompt}]


def _prompt(lab: Lab, question: Question, model: str) -> str:
    """The question, with the lab's passages in front where the model is to draw on them."""
    if model != "retrieval":
        return question.prompt
    from pipeline.retrieval import augment

    return augment(lab, question.prompt)[0]


def _live(answers: list[Answer], means: Means) -> dict[str, float]:
    """The scores so far, as `kind/model`."""
    table = scores(answers, means)
    return {
        f"{kind}/{model}": float(entry["score"])
        for kind, models in table.items()
        if kind not in ("extrapolation", "contradicted_numbers")
        for model, entry in models.items()
        if entry["score"] is not None
    }


@dataclass(frozen=True)
class _Adapter:
    """What is evaluated: the GGUF that the engine loads, where it comes from, that source's digest, and its base.

    `data_sha256` is of the file it was trained on, "" where that is not known.
    """

    gguf: Path
    source: Path
    sha256: str
    base: str
    data_sha256: str = ""


def _adapter(lab: Lab, params: EvalParams, folder: Path) -> _Adapter:
    """The adapter as GGUF, converted into the run's folder where it is a peft folder."""
    if params.version and params.adapter:
        raise BadInput("version and adapter are both given: give one of them")
    if params.version:
        from pipeline.install.registry import Registry

        registry = Registry(lab)
        version = registry.named(params.version)
        path = registry.adapter_path(version)
        return _Adapter(path, path, sha256_of(path), version.base, version.data_sha256)
    path = given_path(params.adapter) if params.adapter else lab.adapter_dir
    try:
        if path.is_file():
            return _Adapter(path, path, sha256_of(path), params.base or "smollm2")
    except OSError as error:
        raise ExportError(f"{clipped(str(path))} cannot be read ({error.strerror}): give another --adapter") from error
    weights = path / "adapter_model.safetensors"
    if not weights.is_file():
        raise ExportError(f"there is no adapter at {path}: train first (`benlab train`), or give one with --adapter")
    from pipeline.export.adapter import convert_adapter

    base = locate_gguf(lab, params.base or _base_of(path))
    out = folder / "eval-adapter.gguf"
    convert_adapter(path, base.path, out, base_sha256=base.sha256)
    return _Adapter(out, path, sha256_of(weights), base.name, str(_manifest(path).get("data_sha256", "")))


def _data_files(lab: Lab, adapter: _Adapter) -> list[Path]:
    """The training files that are here and that the adapter may have seen: the lab's, and those that manifests name."""
    named = [_table(folder, "data").get("file") for folder in (adapter.source, lab.adapter_dir)]
    paths = dict.fromkeys([lab.data, *(lab.root / name for name in named if isinstance(name, str))])
    return [path for path in paths if path.is_file()]


def _base_of(folder: Path) -> str:
    """The name of the base that an adapter was trained on, by its manifest."""
    return str(_table(folder, "base").get("name", "smollm2"))


def _table(folder: Path, name: str) -> dict[str, Any]:
    """One table of an adapter's manifest; {} where there is none."""
    found = _manifest(folder).get(name)
    return found if isinstance(found, dict) else {}


def _manifest(folder: Path) -> dict[str, Any]:
    """An adapter's manifest; {} where there is none."""
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
