"""Chat turns that were judged land in the next training set, with where they come from."""

import json
from pathlib import Path

import pytest

import simulator
from pipeline.chats import Chats
from pipeline.data.feedback import accepted, judge, judged
from pipeline.data.generate import run
from pipeline.data.params import GenerateParams
from pipeline.errors import BadInput, LabError
from pipeline.lab import Lab
from simulator.events import last_result


@pytest.fixture
def turns(lab: Lab) -> list[int]:
    """Three answers in one chat; their message ids."""
    chats = Chats(lab.database)
    session = chats.start()
    ids = []
    for number in range(3):
        chats.add(session.id, "user", f"Question {number}?")
        chats.add(session.id, "note", "something happened")
        # As the console stores it: a whole answer is marked as not partial.
        ids.append(chats.add(session.id, "assistant", f"Answer {number}.", model="ben-lab:r1", partial=False).id)
    chats.close()
    return ids


def test_accepted_and_corrected_turns_land_in_the_data(lab: Lab, turns: list[int]) -> None:
    judge(lab, turns[0], "accept")
    judge(lab, turns[1], "correct", "A better answer.")
    judge(lab, turns[2], "accept")
    judge(lab, turns[2], "reject")
    options = {"n_per_phase": 1, "n_tri": 0, "n_discovery": 0, "n_replay_drift": 0, "extra": 0, "n_validation": 0}
    value = last_result(run(lab, GenerateParams(**options)))
    assert value["kinds"] == {"phase": 4, "chat": 2}
    rows = [json.loads(line) for line in lab.data.read_text(encoding="utf-8").splitlines()]
    chat = {row["instruction"]: row for row in rows if row["meta"]["kind"] == "chat"}
    assert chat["Question 0?"]["output"] == "Answer 0."
    assert chat["Question 1?"]["output"] == "A better answer."
    provenance = chat["Question 1?"]["meta"]["provenance"]
    assert (provenance["message"], provenance["model"], provenance["verdict"]) == (turns[1], "ben-lab:r1", "correct")
    without = last_result(run(lab, GenerateParams(**options, feedback=False)))
    assert without["kinds"] == {"phase": 4}


def test_appending_follows_what_is_said_of_a_turn_now(lab: Lab, turns: list[int]) -> None:
    options = {"n_per_phase": 1, "n_tri": 0, "n_discovery": 0, "n_replay_drift": 0, "extra": 0, "n_validation": 0}
    for turn in turns:
        judge(lab, turn, "accept")
    last_result(run(lab, GenerateParams(**options)))
    judge(lab, turns[0], "correct", "A better answer.")
    judge(lab, turns[1], "reject")
    last_result(run(lab, GenerateParams(**{**options, "n_per_phase": 0, "n_tri": 1}, append=True)))
    rows = [json.loads(line) for line in lab.data.read_text(encoding="utf-8").splitlines()]
    chat = {row["instruction"]: row["output"] for row in rows if row["meta"]["kind"] == "chat"}
    assert chat == {"Question 0?": "A better answer.", "Question 2?": "Answer 2."}
    assert sum(row["meta"]["kind"] == "phase" for row in rows) == 4


def test_the_newest_answer_needs_no_number(lab: Lab, turns: list[int]) -> None:
    assert judge(lab, "last", "accept")["message_id"] == turns[2]
    assert [turn.answer for turn in judged(lab)] == ["Answer 2."]


def test_a_verdict_outlives_its_chat(lab: Lab, turns: list[int]) -> None:
    judge(lab, turns[0], "accept")
    chats = Chats(lab.database)
    chats.delete(chats.sessions()[0].id)
    chats.close()
    assert [sample.output for sample in accepted(lab)] == ["Answer 0."]
    assert [turn.verdict for turn in judged(lab)] == ["accept"]


@pytest.mark.parametrize(
    "verdict, correction, words",
    [
        ("maybe", "", "not a verdict"),
        ("correct", "  ", "better answer"),
        ("accept", "text", "no correction"),
        ("correct", "x" * 70_000, "above the largest"),
    ],
)
def test_bad_verdicts(lab: Lab, turns: list[int], verdict: str, correction: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        judge(lab, turns[0], verdict, correction)
    assert judged(lab) == []


def test_an_answer_about_a_run_teaches_the_call(lab: Lab) -> None:
    """Its numbers came from the experiment, which the prompt alone does not hold."""
    chats = Chats(lab.database)
    session = chats.start()
    chats.add(session.id, "user", "Run TRI on Ising with 16 qubits.")
    result = simulator.run_now("tri", phase_type="ising_symmetry_breaking", system_size=16)
    chats.add(session.id, "card", "tri", result=result)
    answer = chats.add(session.id, "assistant", "TRI is 0.61.").id
    chats.close()
    judge(lab, answer, "accept")
    line = 'TOOL: {"name": "tri", "arguments": {"phase_type":"ising_symmetry_breaking","system_size":16}}'
    assert [(sample.prompt, sample.output) for sample in accepted(lab)] == [("Run TRI on Ising with 16 qubits.", line)]
    judge(lab, answer, "correct", "TRI is high.")
    assert [sample.output for sample in accepted(lab)] == ["TRI is high."]


@pytest.mark.parametrize("result", [{"experiment": "tri", "params": {"old": 1}}, {"experiment": ["tri"], "params": {}}])
def test_a_card_of_another_version_blocks_no_verdict(lab: Lab, result: dict) -> None:
    chats = Chats(lab.database)
    session = chats.start()
    chats.add(session.id, "user", "Run it.")
    chats.add(session.id, "card", "", result=result)
    answer = chats.add(session.id, "assistant", "TRI is 0.61.").id
    chats.close()
    judge(lab, answer, "reject")
    judge(lab, answer, "correct", "Better.")
    assert [sample.output for sample in accepted(lab)] == ["Better."]


def test_a_cut_off_answer_is_not_accepted(lab: Lab) -> None:
    chats = Chats(lab.database)
    session = chats.start()
    chats.add(session.id, "user", "What is TRI?")
    answer = chats.add(session.id, "assistant", "TRI is the", partial=True).id
    chats.close()
    with pytest.raises(BadInput, match="was cut off: correct it"):
        judge(lab, answer, "accept")
    judge(lab, answer, "correct", "TRI is a distance.")
    assert [sample.output for sample in accepted(lab)] == ["TRI is a distance."]


def test_only_answers_can_be_judged(lab: Lab, turns: list[int]) -> None:
    for message in (turns[0] - 1, turns[0] - 2, 999, -1):
        with pytest.raises(BadInput, match="not an answer"):
            judge(lab, message, "accept")


def test_a_database_that_is_none(tmp_path: Path) -> None:
    lab = Lab.at(tmp_path / "lab")
    assert judged(lab) == []
    lab.database.write_bytes(b"not a database at all" * 100)
    with pytest.raises(LabError):
        judged(lab)
