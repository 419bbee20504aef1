"""Threads follow what the machine has to give."""

from __future__ import annotations

from pipeline.train.threads import Threads


class Machine:
    """Clocks of a machine that is told how each second goes."""

    def __init__(self) -> None:
        self.times = [0.0, 0.0, 0.0]

    def wall(self) -> float:
        return self.times[0]

    def own(self) -> float:
        return self.times[1]

    def idle(self) -> float:
        return self.times[2]

    def step(self, threads: Threads, seconds: float, own: float, idle: float) -> int:
        """A step of so many seconds, in which we got `own` and nobody got `idle` seconds of the cores."""
        threads.start()
        self.times = [a + b for a, b in zip(self.times, (seconds, own, idle), strict=True)]
        return threads.stop()


def test_an_idle_machine_keeps_all_threads() -> None:
    machine = Machine()
    threads = Threads(2, machine)
    assert [machine.step(threads, 1.0, 1.96, 0.04) for _ in range(5)] == [2] * 5


def test_a_busy_machine_gets_one_and_an_idle_one_gets_them_back() -> None:
    machine = Machine()
    threads = Threads(2, machine)
    assert machine.step(threads, 7.0, 3.0, 0.0) == 1
    assert machine.step(threads, 3.0, 1.3, 0.1) == 1
    assert machine.step(threads, 1.0, 1.0, 1.0) == 1  # too soon after the step back
    assert machine.step(threads, 30.0, 20.0, 5.0) == 1  # not idle enough
    assert machine.step(threads, 1.0, 1.0, 0.95) == 2


def test_many_cores_shrink_to_what_a_quota_gives() -> None:
    machine = Machine()
    threads = Threads(64, machine)
    counts = [machine.step(threads, 1.0, min(2.0, threads.now), 60.0) for _ in range(8)]
    assert counts == [32, 16, 8, 4, 2, 2, 2, 2]
