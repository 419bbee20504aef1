"""What steps leave in the heap is given back once it has grown, and not before."""

from __future__ import annotations

from pipeline.train.memory import Heap


class Process:
    """A process whose memory grows by `leak` each step and falls back when it is given back."""

    def __init__(self, leak: float) -> None:
        self.leak, self.held, self.times = leak, 1000.0, 0

    def read(self) -> float:
        self.held += self.leak
        return self.held

    def give_back(self) -> None:
        self.times += 1
        self.held = 1000.0


def test_growth_is_given_back_again_and_again() -> None:
    process = Process(leak=10.0)
    heap = Heap(process.read, process.give_back)
    held = [heap.after_step() for _ in range(200)]
    assert process.times >= 5
    assert max(held) < 1300


def test_steady_memory_is_left_alone() -> None:
    process = Process(leak=0.0)
    heap = Heap(process.read, process.give_back)
    assert [heap.after_step() for _ in range(200)] == [1000.0] * 200
    assert process.times == 0
