"""The stage `eval`: base, base with help and tuned on the same tasks, graded by the simulator."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import simulator
from pipeline.bases import locate_gguf
from pipeline.bases.base import Base
from pipeline.chat import Message
from pipeline.errors import BadInput
from pipeline.evaluate import baselines
from pipeline.evaluate.adapter_source import locate_adapter, training_files
from pipeline.evaluate.conversation.grading import grade_dialogue
from pipeline.evaluate.conversation.play import grammar_of_calls, play
from pipeline.evaluate.conversation.render import render
from pipeline.evaluate.conversation.results import Results
from pipeline.evaluate.conversation.script import Dialogue
from pipeline.evaluate.conversation.talker import Talker
from pipeline.evaluate.generation import Part, choice_grammar, outcomes_of
from pipeline.evaluate.graders import NUMBER_GRAMMAR, grade
from pipeline.evaluate.model_copies import LARGEST_COPY, EngineFiles, copies, gains_by_copies, remove_copies, served
from pipeline.evaluate.params import EvalParams
from pipeline.evaluate.question import Question
from pipeline.evaluate.question_sampling import Means, Trained, make_questions, training_means
from pipeline.evaluate.report import write_report
from pipeline.evaluate.scoring import Answer, PlayedDialogue, conversation_scores, question_scores
from pipeline.evaluate.sealed import EvaluationSet, evaluation_set
from pipeline.files import sha256_of
from pipeline.lab import Lab, current_run
from pipeline.modelfile import load
from simulator.events import Event, Metric, Note, Progress, Result


@dataclass
class _Exam:
    """What is asked, and what came back."""

    lab: Lab
    params: EvalParams
    chosen: EvaluationSet
    folder: Path
    system: str
    learned_tools: bool
    results: Results = field(default_factory=Results)
    questions: list[Question] = field(default_factory=list)
    dialogues: list[Dialogue] = field(default_factory=list)
    left_out: int = 0
    means: Means = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    played: list[PlayedDialogue] = field(default_factory=list)

    def scores(self) -> dict[str, Any]:
        """The scores so far."""
        return {**conversation_scores(self.played), **question_scores(self.answers, self.means)}


def run(lab: Lab, params: EvalParams) -> Iterator[Event]:
    """Live scores as metrics, then a Result with scores by kind and model, and the report's paths.

    Raises BadInput, BaseError, ChatError, ExportError, InstallError or LabError.
    """
    started = time.monotonic()
    folder = current_run(lab, "eval")
    adapter = locate_adapter(lab, params, folder)
    base = locate_gguf(lab, params.base or adapter.base)
    chosen = evaluation_set(params.set or "")
    if chosen.retired:
        yield Note(f"the evaluation set {chosen.name} is retired ({chosen.retired}): its scores flatter what saw it")
    exam = _Exam(lab, params, chosen, folder, load(lab).system, adapter.learned_tools)
    files_read = training_files(lab, adapter)
    yield from _prepare(exam, Trained.of(*files_read))
    compared = any(adapter.data_sha256 == sha256_of(path) for path in files_read)
    if not compared:
        yield Note("the file that this adapter was trained on is not here, so leakage was not checked against it")
    copied = not params.served and gains_by_copies(base.path)
    try:
        files = yield from _files(base.path, adapter.gguf, params, folder, copied)
        yield from _ask(exam, base, files)
        memory = yield from _forgetting(exam, base, adapter.gguf, files, copied)
    finally:
        remove_copies(folder)
    value: dict[str, Any] = {
        **exam.scores(),
        **memory,
        "base": {"name": base.name, "sha256": base.sha256},
        "adapter": lab.relative(adapter.source),
        "adapter_sha256": adapter.sha256,
        "engine": "copies in Q8_0" if copied else "as served",
        "set": chosen.as_dict(),
        "questions": len(exam.questions) + len(exam.dialogues),
        "left_out": exam.left_out,
        "compared_with_training_data": compared,
        "seed": params.seed,
        "physics_version": simulator.PHYSICS_VERSION,
        "seconds": round(time.monotonic() - started, 1),
    }
    yield Result({**value, "report": write_report(folder, value, exam.answers, exam.played)})


def _prepare(exam: _Exam, trained: Trained) -> Iterator[Event]:
    """Makes the questions and dialogues. Raises BadInput if none is left."""
    yield Progress("eval", 0, None, "making questions")
    kinds = exam.params.kinds
    exam.questions, exam.left_out = make_questions(exam.params, exam.chosen, trained)
    if "conversation" in kinds:
        rendered = render(exam.chosen, exam.results, exam.params.seed)
        unseen = [item for item in rendered if not any(trained.saw(turn.text, turn.calls) for turn in item.turns)]
        exam.left_out += len(rendered) - len(unseen)
        exam.dialogues = unseen[: exam.params.questions]
    if not exam.questions and not exam.dialogues and "forgetting" not in kinds:
        raise BadInput("no question is left: the training data has seen all of them, so ask with another seed")
    if exam.left_out:
        yield Note(f"{exam.left_out} questions were skipped because the training data has seen them")
    exam.means = training_means() if "numeric" in kinds else {}


def _files(
    base: Path, adapter: Path, params: EvalParams, folder: Path, copied: bool
) -> Generator[Event, None, dict[str, EngineFiles]]:
    """What the engine loads for each model: the served files, or copies of them in the run's folder."""
    if not copied:
        return served(base, adapter)
    yield Note("asking copies in Q8_0, which answer faster than Q4_1 and Q5_1; served=yes asks the served files")
    return (yield from copies(base, adapter, folder, base=not params.skip_base))


def _ask(exam: _Exam, base: Base, files: dict[str, EngineFiles]) -> Iterator[Event]:
    """Every model does every task; the outcomes are graded as they come."""
    params = exam.params
    parts = [_part(exam, base, files, model) for model in _models(params)]
    total = sum(len(part.tasks) for part in parts)
    if not total:
        return
    small = sum(files[model].gguf.stat().st_size for model in ("base", "tuned") if model in files) <= 2 * LARGEST_COPY
    done = 0
    with closing(outcomes_of(parts, parallel=params.parallel, together=small)) as outcomes:
        for model, item, outcome in outcomes:
            done += 1
            if isinstance(item, Question):
                text, verdict = outcome
                exam.answers.append(Answer(item, model, text, verdict, grade(item, text, verdict)))
            else:
                exam.played.append(PlayedDialogue(item, model, outcome, grade_dialogue(item, outcome, exam.results)))
            yield Progress("eval", done, total, f"{getattr(item, 'kind', 'conversation')}, {model}")
            if done % 10 == 0 or done == total:
                yield Metric("eval", done, _live(exam.scores()))
    exam.answers.sort(key=lambda answer: (exam.questions.index(answer.question), answer.model))
    exam.played.sort(key=lambda item: (exam.dialogues.index(item.dialogue), item.model))


def _models(params: EvalParams) -> list[str]:
    untrained = [] if params.skip_base else [baselines.BASE]
    if params.helped and not params.skip_base:
        untrained += [baselines.TOLD, baselines.RETRIEVAL]
    return [*untrained, baselines.TUNED, *([baselines.TUNED_RETRIEVAL] if params.rag else [])]


def _part(exam: _Exam, base: Base, files: dict[str, EngineFiles], model: str) -> Part:
    """One model's files and tasks. Passages go with single questions alone."""
    own = files["tuned" if model in (baselines.TUNED, baselines.TUNED_RETRIEVAL) else "base"]
    system = baselines.told(exam.system) if model == baselines.TOLD else exam.system
    tasks: list[tuple[Any, Any]] = [
        (
            item,
            asking(
                item,
                [
                    {"role": "system", "content": system},
                    {"role": "user", "content": baselines.prompt_for(exam.lab, item.prompt, model)},
                ],
            ),
        )
        for item in exam.questions
    ]
    if model not in (baselines.RETRIEVAL, baselines.TUNED_RETRIEVAL):
        tasks += [(item, _playing(exam, item, system)) for item in exam.dialogues]
    return Part(
        model,
        replace(base, path=own.gguf),
        own.adapters,
        tasks,
        exam.folder / f"engine-{model}.log",
        learned_tools=exam.learned_tools and model in (baselines.TUNED, baselines.TUNED_RETRIEVAL),
    )


def asking(question: Question, messages: Sequence[Message]) -> Any:
    """Return the work on a question: a free answer, then the verdict under a grammar."""

    def work(talker: Talker) -> tuple[str, str]:
        text = talker.reply(messages, tools=False, most=question.max_tokens).text
        if not question.lead:
            return text, ""
        grammar = choice_grammar(question.options) if question.options else NUMBER_GRAMMAR
        return text, talker.complete(messages, f"{text.strip()}{question.lead}", grammar)

    return work


def _playing(exam: _Exam, dialogue: Dialogue, system: str) -> Any:
    return lambda talker: play(dialogue, talker, exam.results, system, grammar_of_calls())


def _forgetting(
    exam: _Exam, base: Base, adapter: Path, files: dict[str, EngineFiles], copied: bool
) -> Generator[Event, None, dict[str, Any]]:
    """What the tuned model lost beside the base; {} if it was not asked for, or the base is too large for it."""
    if "forgetting" not in exam.params.kinds or exam.params.skip_base:
        return {}
    if base.size > LARGEST_COPY:
        yield Note(f"{base.name} is too large for measuring what was forgotten: it is skipped")
        return {}
    from pipeline.evaluate.forgetting import compared, remember

    if not copied:
        files = yield from copies(base.path, adapter, exam.folder)
    memories = []
    for place, model in enumerate(("base", "tuned")):
        yield Progress("eval", place, 2, f"neutral text and general items, {model}")
        memories.append(remember(exam.lab, base, files[model].gguf, exam.chosen))
    return compared(*memories)


def _live(table: dict[str, Any]) -> dict[str, float]:
    """The scores so far, as `kind/model`."""
    return {
        f"{kind}/{model}": float(entry["score"])
        for kind, models in table.items()
        if kind not in ("extrapolation", "topics")
        for model, entry in models.items()
        if entry["score"] is not None
    }
