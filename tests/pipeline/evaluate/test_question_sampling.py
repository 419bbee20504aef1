"""Questions: held out, worded apart from training, fair, and without the answer in the prompt."""

import re
from collections import Counter

import pytest

from pipeline.data.duplicates import Seen
from pipeline.data.glossary import entries
from pipeline.data.kinds import KINDS
from pipeline.data.kinds.definitions import questions as definition_wordings
from pipeline.data.line import Sample
from pipeline.data.regions import BIASES, DEPTHS, PHASES, SIZES, TRAIN, is_test_case
from pipeline.data.samples import make
from pipeline.data.source import InProcess
from pipeline.data.wordings import all_templates
from pipeline.evaluate.graders import CLEAR, gap
from pipeline.evaluate.intervals import score, wilson
from pipeline.evaluate.params import EvalParams
from pipeline.evaluate.question_sampling import Trained, make_questions, plain
from pipeline.evaluate.sealed import evaluation_set
from simulator.number_text import measured, numbers_in


def evaluation_templates() -> list[str]:
    chosen = evaluation_set()
    texts = [text for part in chosen.table("wordings.toml").values() for text in part]
    return texts + [ask for term in chosen.table("definitions.toml")["term"] for ask in term["ask"]]


def words_of(template: str) -> str:
    """A wording without what is filled in."""
    return plain(re.sub(r"\{\w+\}", "*", template))


def test_no_evaluation_wording_is_a_training_wording() -> None:
    training = {words_of(text) for text in all_templates()}
    training |= {words_of(text) for entry in entries() for text in definition_wordings(entry.key)}
    for text in evaluation_templates():
        assert words_of(text) not in training


def test_no_evaluation_wording_is_near_a_training_wording() -> None:
    """Of the words of both, fewer than seven in ten are shared."""
    training = [set(re.findall(r"[a-z]+", words_of(text))) for text in all_templates()]
    training += [set(re.findall(r"[a-z]+", words_of(q))) for entry in entries() for q in definition_wordings(entry.key)]
    for text in evaluation_templates():
        asked = set(re.findall(r"[a-z]+", words_of(text)))
        assert max(len(asked & words) / len(asked | words) for words in training if words) < 0.7, text


def test_no_evaluation_wording_occurs_in_generated_data() -> None:
    prompts = []
    for kind in KINDS:
        count = 12 if kind == "discovery" else 150
        prompts += [plain(sample.prompt) for sample in make(kind, count, 0, TRAIN, InProcess(), Seen())]
    for text in evaluation_templates():
        pattern = re.compile(".*".join(re.escape(part) for part in words_of(text).split("*")), re.DOTALL)
        assert not any(pattern.fullmatch(prompt) for prompt in prompts), text


@pytest.fixture(scope="module")
def asked() -> list:
    return make_questions(EvalParams(questions=26), evaluation_set(), Trained())[0]


def test_every_question_is_held_out(asked: list) -> None:
    assert len(asked) == 26 * 7
    for question in asked:
        for run in question.runs:
            assert is_test_case(run.experiment, run.params)
        inside = all(
            run.params["system_size"] in SIZES and run.params["depth"] in DEPTHS and run.params["bias"] in BIASES
            for run in question.runs
        )
        assert inside is (question.region == "interpolation" or not question.runs)


def test_identification_prompts_give_nothing_away(asked: list) -> None:
    own = [question for question in asked if question.kind == "phase_identification"]
    assert {question.facts["phase"] for question in own} == set(PHASES)
    for question in own:
        assert not re.search("ising|spt|cluster|trivial|product|pseudo|seed|experiment_id", question.prompt, re.I)
        assert str(question.runs[0].params["seed"]) not in question.prompt


def test_numeric_prompts_do_not_hold_the_answer(asked: list) -> None:
    own = [question for question in asked if question.kind == "numeric"]
    assert len({question.feature for question in own}) == 13
    for question in own:
        value = float(measured(question.results[0]["features"][question.feature]))
        assert value not in {float(text) for text in numbers_in(question.prompt)}


def test_orderings_have_a_clear_gap(asked: list) -> None:
    own = [question for question in asked if question.kind == "ordering"]
    forms = Counter((question.region, question.facts["form"]) for question in own)
    assert set(forms.values()) == {13} and {form for _, form in forms} == {"pair", "ranking"}
    for question in own:
        places = range(len(question.runs))
        assert max(gap(question, one, other) for one in places for other in places) >= CLEAR


def test_the_same_seed_asks_the_same(asked: list) -> None:
    again = make_questions(EvalParams(questions=26), evaluation_set(), Trained())[0]
    assert [question.prompt for question in again] == [question.prompt for question in asked]
    other = make_questions(EvalParams(questions=26, seed=1, kinds=["numeric"]), evaluation_set(), Trained())[0]
    assert not {question.prompt for question in other} & {question.prompt for question in asked}


def test_what_the_training_data_holds_is_left_out(asked: list) -> None:
    trained = Trained()
    first = next(question for question in asked if question.kind == "numeric")
    spelled_out = {**first.runs[0].params, "shots": 0, "bias": first.runs[0].params["bias"]}
    run = {"experiment": "run_phase", "params": spelled_out}
    trained.add(Sample("own words", "", "x", {"claims": [run, 7, {"experiment": "run_phase"}]}))
    trained.add(Sample("what are the FOUR phase types in Ben Lab", "", "x"))
    questions, left_out = make_questions(EvalParams(questions=26), evaluation_set(), trained)
    assert left_out == 2
    prompts = {question.prompt for question in questions}
    assert first.prompt not in prompts and "What are the four phase types in Ben Lab?" not in prompts


def test_wilson_intervals() -> None:
    low, high = wilson(38, 40)
    assert (round(low, 4), round(high, 4)) == (0.8350, 0.9862)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0 and wilson(10, 10)[1] == 1.0
    assert score(0, 0)["score"] is None
