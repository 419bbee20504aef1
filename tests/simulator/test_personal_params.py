"""What only a person may choose: worker processes, and a scheduler whose code is run here."""

from __future__ import annotations

import os

import pytest

import simulator
from benlab_tui.arguments import parse
from benlab_tui.help import command_help
from benlab_tui.registry import find
from simulator.errors import BadParameter
from simulator.experiments import sweep
from simulator.study_params import PersonalSweep

FOREIGN = [
    "tcp://192.0.2.1:8786",
    "ws://192.0.2.1:8786",
    "tcp://127.0.0.1.example:8786",
    "tcp://localhost.example:8786",
    "tcp://2130706433:8786",
    "tcp://0.0.0.0:8786",
    "tcp://[2001:db8::1]:8786",
    "tcp://[::1",
    "tcp://[::ffff:192.0.2.1]:8786",
    "tcp://10.0.0.1:8786",
    "tcp://:8786",
]
ALLOWED = [
    "tls://192.0.2.1:8786",
    "wss://scheduler.example:8786",
    "tcp://127.0.0.1:8786",
    "tcp://[::1]:8786",
    "tcp://localhost:8786",
    "ws://127.0.0.2:8786",
    None,
]


@pytest.mark.parametrize("address", FOREIGN)
def test_another_machine_is_reached_over_tls_only(address: str) -> None:
    with pytest.raises(BadParameter, match=r"use (tls|wss)://"):
        simulator.validate(PersonalSweep, {"cluster": address})


@pytest.mark.parametrize("address", ALLOWED)
def test_tls_and_this_machine_are_allowed(address: str | None) -> None:
    assert simulator.validate(PersonalSweep, {"cluster": address}).cluster == address


def test_a_person_may_type_cluster_and_its_help_says_what_it_does() -> None:
    for where in ("headless", "console"):
        _, params = parse(find("experiment", where), ["sweep", "cluster=tls://192.0.2.1:8786", "workers=2"])
        assert isinstance(params, PersonalSweep) and params.cluster == "tls://192.0.2.1:8786"
        text = command_help(find("experiment", where), ["sweep"], slash=where == "console")
        assert "runs code that the scheduler sends" in text and "trusted hosts only" in text and "tls://" in text


def test_a_sweep_never_has_more_workers_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(chunks: object, workers: int) -> object:
        asked.append(workers)
        return real(chunks, workers)  # type: ignore[arg-type]

    real = sweep.local_results
    monkeypatch.setattr(sweep, "local_results", counted)
    simulator.run_now("sweep", system_sizes=[4], depths=[1], seeds=1, phases=["spt_cluster"], workers=64)
    assert asked == [len(os.sched_getaffinity(0))]
