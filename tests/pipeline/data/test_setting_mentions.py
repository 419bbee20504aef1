"""A number that is told of a setting belongs to a run with that setting, in training lines and in answers."""

from __future__ import annotations

import re

import pytest

from pipeline.data.check import check_samples
from pipeline.data.duplicates import Seen
from pipeline.data.kinds.numeric import NAMED, VARIED
from pipeline.data.regions import PHASES, TRAIN
from pipeline.data.samples import make
from pipeline.data.source import InProcess
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
