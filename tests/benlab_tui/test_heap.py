"""No full collection falls into an answer, and what is unused goes in the end."""

from __future__ import annotations

import gc
import weakref

import pytest

from benlab_tui.heap import EVERY, Heap, hold, release


class Circle:
    def __init__(self):
        self.me = self


@pytest.fixture(autouse=True)
def collector():
    usual = gc.get_threshold()
    yield
    gc.set_threshold(*usual)
    gc.unfreeze()


def test_old_objects_are_left_alone_while_an_answer_comes():
    heap, usual = Heap(), gc.get_threshold()
    heap(True)
    assert gc.get_threshold()[:2] == usual[:2]
    assert gc.get_threshold()[2] > 10_000
    assert gc.get_freeze_count() > 0
    heap(False)
    assert gc.get_threshold() == usual


def test_what_was_set_aside_and_is_unused_goes_after_some_answers():
    heap, circle = Heap(), Circle()
    seen = weakref.ref(circle)
    heap(True)
    del circle
    for _ in range(EVERY):
        heap(False)
    assert seen() is None


def test_nothing_is_collected_until_the_first_screen_stands():
    gc.unfreeze()
    hold()
    try:
        assert not gc.isenabled()
        release()
        assert gc.isenabled() and gc.get_freeze_count() > 0
        frozen = gc.get_freeze_count()
        release()
        assert gc.get_freeze_count() <= frozen
    finally:
        gc.enable()
