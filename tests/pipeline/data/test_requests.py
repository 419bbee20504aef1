"""Requests for a tool: settings in any order, lists that end where one can see it, and English."""

import re
from random import Random

import pytest

from pipeline.data.kinds.tools import NAMES, PRACTISED, arguments, spoken
from pipeline.data.regions import TRAIN
from pipeline.data.wordings import request_wordings


@pytest.mark.parametrize("experiment", sorted(set(PRACTISED)))
def test_every_setting_comes_first_and_last_somewhere(experiment: str) -> None:
    drawn = [list(arguments(Random(index), experiment, TRAIN)) for index in range(200)]
    every = {name for names in drawn for name in names}
    assert {names[0] for names in drawn} == {names[-1] for names in drawn} == every
    assert len(every) >= 4


def test_a_list_ends_before_the_next_setting() -> None:
    said = {spoken(Random(index), {"depth_factors": [1, 2, 5], "system_size": 8}) for index in range(60)}
    assert any("1/2/5" in text for text in said) and any("[1, 2, 5]" in text for text in said)
    assert any("1, 2 and 5" in text for text in said)
    assert not any("2, 5, 8" in text or "2, 5 and" in text for text in said)


def test_one_layer_is_no_layers() -> None:
    said = {spoken(Random(index), {"depth": 1}) for index in range(20)}
    assert said == {"depth 1", "1 layer"}


@pytest.mark.parametrize("experiment", sorted(set(PRACTISED)))
def test_no_request_has_two_articles(experiment: str) -> None:
    for phrase in request_wordings(experiment):
        for name in (name for names in NAMES.values() for name in names):
            assert not re.search(r"\b(?:an?|the) (?:an?|the)\b", phrase.format(name=name, values="seed 3")), phrase
