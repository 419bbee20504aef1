"""A number that is told of a setting belongs to a run with that setting, in training lines and in answers."""

from __future__ import annotations

import re

import pytest

import simulator
from pipeline.data.check import check_samples
from pipeline.data.claims import Run
from pipeline.data.duplicates import Seen
from pipeline.data.kinds.numeric import NAMED, VARIED
from pipeline.data.regions import PHASES, TRAIN
from pipeline.data.samples import make
from pipeline.data.source import InProcess
from pipeline.evaluate.contradictions import count
from pipeline.evaluate.question import Question, grade
from simulator.setting_mentions import strange_setting

PARAMS = {"phase_type": "ising_symmetry_breaking", "system_size": 32, "depth": 4, "bias": 0.65, "seed": 20001}


@pytest.fixture(scope="module")
def predictions():
    return list(make("numeric", 120, 0, TRAIN, InProcess(), Seen()))


@pytest.mark.parametrize(
    ("text", "strange"),
    [
        ("zz_long at depth 4: ", None),
        ("zz_long at size 32, depth 16: ", "depth 16"),
        ("zz_long for system_size = 8 and depth 4 is", "system_size = 8"),
        ("magnetization at bias .65:", None),
        ("zz_long at depth 4, layers 9", None),
    ],
)
def test_settings_that_a_run_has_not(text: str, strange: str | None) -> None:
    assert strange_setting(text, PARAMS) == strange


def test_every_number_says_what_decides_it(predictions) -> None:
    swept = 0
    for sample in predictions:
        phase = sample.output.split(":")[0]
        told = {**VARIED[phase], **NAMED.get(phase, {})}
        items = sample.output.removeprefix(f"{phase}: ").rstrip(".").split("; ")
        for item in items:
            named = tuple(re.findall(r"(size|depth|bias) [\d.]+", item))
            deciding = tuple(name.removeprefix("system_") for name in told.get(item.split()[0], ()))
            assert named == deciding, item
        swept += len({item.split()[0] for item in items}) < len(items)
    assert not check_samples(list(enumerate(predictions)))
    assert {sample.output.split(":")[0] for sample in predictions} == set(PHASES)
    assert swept > 20


def asked(feature: str) -> Question:
    prompt = f"{feature} for system_size 32, depth 4, bias 0.65?"
    result = simulator.run_now("run_phase", **PARAMS)
    return Question("numeric", "interpolation", prompt, [Run("run_phase", PARAMS)], [result], feature=feature)


@pytest.mark.parametrize(
    ("feature", "answer", "right", "checked"),
    [
        ("correlation_range", "correlation_range at size 8: 3; correlation_range at size 32: 14.", True, 1),
        (
            "transverse",
            "transverse at depth 1: 0.00; transverse at depth 4: 0.35; transverse at depth 8: 0.25",
            True,
            1,
        ),
        ("zz_nearest", "zz_nearest at depth 16: 0.83", False, 0),
        ("zz_nearest", "zz_nearest at size 32, depth 4: 0.83", True, 1),
        ("zz_nearest", "zz_nearest for depth=4 is about 0.1", False, 1),
        ("magnetization", "magnetization at bias .65: 0.27", True, 1),
    ],
)
def test_numbers_of_other_settings_are_no_answer(feature: str, answer: str, right: bool, checked: int) -> None:
    assert grade(asked(feature), answer).right is right
    found = count(asked(feature), answer)
    assert (found.checked, found.contradicted) == (checked, int(checked and not right))
