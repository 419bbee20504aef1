"""What a card copies runs the same experiment again."""

from __future__ import annotations

import shlex

import pytest

import simulator
from benlab_tui import arguments, registry
from benlab_tui.as_code import experiment_line, experiment_python, job_line, job_python

RUNS = [
    ("run_phase", {"phase_type": "spt_cluster", "system_size": 8, "depth": 2, "seed": 3}),
    ("run_phase", {"phase_type": "pseudorandom", "system_size": 4, "bias": 0.123456789, "shots": 100, "depth": 1}),
    ("tri", {"phase_type": "ising_symmetry_breaking", "bias": 1.0, "system_size": 6}),
    ("echo", {"phase_type": "trivial_product", "system_size": 6, "delta": 0.01}),
    ("replay_drift", {"phase_type": "spt_cluster", "depth_factors": [1, 3], "system_size": 6}),
]


@pytest.mark.parametrize(("name", "params"), RUNS)
def test_line_and_python_give_the_same_experiment_id(name, params):
    result = simulator.run_now(name, **params)
    line = experiment_line(result)
    words = shlex.split(line)
    assert words[:2] == ["benlab", "experiment"]
    variant, parsed = arguments.parse(registry.find("experiment", "headless"), words[2:])
    assert simulator.run_now(variant, **parsed.model_dump())["experiment_id"] == result["experiment_id"]
    scope: dict = {}
    exec(experiment_python(result), scope)
    assert scope["result"]["experiment_id"] == result["experiment_id"]


def test_defaults_are_left_out():
    result = simulator.run_now("run_phase", phase_type="spt_cluster")
    assert experiment_line(result) == "benlab experiment run_phase phase_type=spt_cluster"


def test_a_job_is_copied_as_its_command_and_as_its_call():
    params = {"n_tri": 20, "append": True, "out": "my data.jsonl"}
    assert job_line("generate", params) == "benlab generate n_tri=20 append=yes 'out=my data.jsonl'"
    assert "jobs.start(find_lab(), 'generate', {'n_tri': 20" in job_python("generate", params)
    compile(job_python("generate", params), "copied", "exec")
    sweep = {"name": "sweep", "params": {"seeds": 3, "system_sizes": [8, 16]}}
    assert job_line("experiment", sweep) == "benlab experiment sweep system_sizes=8,16 seeds=3"


async def test_keys_on_a_card_copy_it(lab, engine, console, typed, settled):
    from benlab_tui.widgets.experiment_card import ExperimentCard

    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "/experiment run_phase phase_type=spt system_size=8", 60)
        app.main.query_one(ExperimentCard).focus()
        await pilot.press("s")
        await settled(app)
        assert app.clipboard == "benlab experiment run_phase phase_type=spt_cluster system_size=8"
        await pilot.press("n")
        await settled(app)
        assert app.clipboard.endswith("simulator.run_now('run_phase', phase_type='spt_cluster', system_size=8)\n")
