"""How it looks: SVG snapshots of one fixture app at three sizes, and of each card and dialog."""

from __future__ import annotations

import asyncio

import pytest

from benlab_tui.app import BenLabApp
from benlab_tui.registry import find
from benlab_tui.screens.help import Help
from benlab_tui.watch import JobView
from benlab_tui.widgets.job_card import JobCard, _table
from pipeline.chats import Chats
from simulator.events import Metric, Progress

ANSWER = """The **string order** of `spt_cluster` stays high:

1. depth 4: 0.85
2. depth 8: 0.74

```python
simulator.run_now("run_phase", phase_type="spt_cluster")
```

| phase | order |
|---|---|
| spt_cluster | hidden |
"""
RESULT = {
    "experiment": "run_phase",
    "experiment_id": "0123456789abcdef",
    "phase_type": "spt_cluster",
    "params": {"phase_type": "spt_cluster", "system_size": 16, "depth": 4, "seed": 3},
    "features": {"entropy_final": 2.05, "string_order": 0.85, "magnetization": 0.0},
    "entropy_by_layer": [2.0, 2.01, 2.03, 2.05],
    "summary": "spt_cluster, 16 qubits, 4 layers: string order 0.85.",
}


@pytest.fixture
def app(lab, engine):
    """A lab with one conversation, shown with nothing that changes from run to run."""
    chats = Chats(lab.database)
    session = chats.start()
    chats.add(session.id, "user", "How does the string order change with depth?")
    chats.add(
        session.id,
        "assistant",
        ANSWER,
        engine="scripted engine · ben-lab",
        tokens_per_second=42.0,
        prompt_tokens=100,
        completion_tokens=24,
        context_length=4096,
        chips=[{"ok": True, "text": "string_order 0.85"}, {"ok": False, "text": "depth 9 (the simulator says 8)"}],
    )
    chats.add(session.id, "command", "/experiment run_phase phase_type=spt_cluster")
    chats.close()

    async def opener(lab, model):
        return engine

    made = BenLabApp(lab, opener)
    return made


async def still(pilot):
    """No blinking cursor, and everything of the start is done."""
    async with asyncio.timeout(20):
        while not pilot.app.main.query("#prompt"):
            await asyncio.sleep(0.02)
        pilot.app.main.query_one("#prompt").cursor_blink = False
        await asyncio.sleep(0.2)
        while any(worker.is_running for worker in pilot.app.workers):
            await asyncio.sleep(0.05)
    await pilot.pause(0.2)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (250, 80)])
def test_the_console_at_three_sizes(snap_compare, app, size):
    assert snap_compare(app, terminal_size=size, run_before=still)


def test_a_running_and_a_finished_job(snap_compare, app, monkeypatch):
    async def jobs(pilot):
        await still(pilot)
        view = JobView("job-1", "train", started=1000.0)
        for step in range(1, 60):
            view.take(Progress("train", step, 100), now=float(step))
            view.take(Metric("train", step, {"loss": 3.0 / step, "samples_per_second": 4.2}), now=float(step))
        monkeypatch.setattr("benlab_tui.widgets.job_card.time.time", lambda: 1059.0)
        done = JobView("job-2", "generate", started=1000.0, state="done", ended=1005.0)
        lost = JobView("job-3", "loop", started=1000.0, state="interrupted", ended=1005.0)
        await pilot.app.main.pane.show_jobs([view, done, lost])
        await pilot.app.main.show_card(JobCard(view))
        await pilot.pause(0.3)

    assert snap_compare(app, terminal_size=(140, 40), run_before=jobs)


async def test_an_evaluation_s_card_is_a_live_table(lab, engine, console):
    view = JobView("eval-1", "eval")
    view.take(Metric("eval", 10, {"phase_identification/base": 0.1, "numeric/base": 0.04}))
    view.take(Metric("eval", 20, {"phase_identification/base": 0.0, "phase_identification/tuned": 1.0}))
    async with console(lab, engine) as (app, pilot):
        card = JobCard(view)
        await app.main.show_card(card)
        await pilot.pause(0.2)
        assert str(card._words.content).splitlines()[-3:] == [
            "                       base  tuned",
            "phase identification   0.00   1.00",
            "numeric                0.04      –",
        ]


async def test_an_evaluation_s_card_puts_the_models_before_the_baselines(lab, engine, console):
    view = JobView("eval-1", "eval")
    view.take(Metric("eval", 10, {"numeric/base": 0.04, "numeric/phase_mean": 0.7}))
    view.take(Metric("eval", 20, {"numeric/tuned": 0.8}))
    async with console(lab, engine) as (app, pilot):
        card = JobCard(view)
        await app.main.show_card(card)
        await pilot.pause(0.2)
        assert str(card._words.content).splitlines()[-2].split() == ["base", "tuned", "phase", "mean"]


def test_baselines_are_left_out_where_they_do_not_fit():
    scores = {"numeric/phase_mean": 0.7, "numeric/tuned": 0.8, "numeric/base": 0.1}
    assert _table(scores, 80)[0].split() == ["base", "tuned", "phase", "mean"]
    assert _table(scores, 24)[0].split() == ["base", "tuned"]


async def test_a_job_card_shows_its_loss_curve_and_passes_its_keys_on(lab, engine, console):
    view = JobView("train-1", "train")
    for step in range(1, 20):
        view.take(Metric("train", step, {"loss": 3.0 / step}))
    lab.runs.mkdir()
    (lab.runs / view.id).mkdir()
    async with console(lab, engine) as (app, pilot):
        card = JobCard(view)
        await app.main.show_card(card)
        card.focus()
        await pilot.press("l")
        await pilot.pause(0.5)
        assert card.query("FigurePlot")
        await pilot.press("p")
        await pilot.pause(0.2)
        assert (lab.runs / view.id / "pause").exists()
        await pilot.press("p", "l")
        await pilot.pause(0.3)
        assert not (lab.runs / view.id / "pause").exists()
        assert not card.query("FigurePlot")


def test_an_experiment_card_with_its_plot(snap_compare, app):
    async def card(pilot):
        await still(pilot)
        await pilot.app.main.show_experiment(RESULT)
        await still(pilot)

    assert snap_compare(app, terminal_size=(120, 40), run_before=card)


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("drift", {"runs": [{"depth": 4 * n, "drift": 0.1 * n - 0.1} for n in (1, 2, 4, 8)], "growth_exponent": 1.2}),
        ("clusters", {"points": [{"x": i % 5, "y": i % 3, "cluster": i % 4} for i in range(40)]}),
        (
            "confusion",
            {"detector": {"exact": {"confusion": [[9, 1], [2, 8]]}}, "phases": ["spt_cluster", "pseudorandom"]},
        ),
        (
            "reward",
            {"best_curve": {"experiments": [1, 2, 3, 4], "bandit": [1, 2, 3, 4], "random": [1, 1.5, 1.6, 2]}},
        ),
        ("loss", {"losses": [3.0, 2.0, 1.5, 1.2, 1.1]}),
    ],
)
def test_every_plot(snap_compare, app, name, extra):
    async def card(pilot):
        await still(pilot)
        await pilot.app.main.show_experiment({"experiment": name, "experiment_id": "0" * 16, "params": {}, **extra})
        await still(pilot)
        assert pilot.app.main.query("FigurePlot")

    assert snap_compare(app, terminal_size=(100, 36), run_before=card)


def test_completion_with_bounds(snap_compare, app):
    async def complete(pilot):
        await still(pilot)
        await pilot.press(*"/experiment run_phase ")
        await still(pilot)

    assert snap_compare(app, terminal_size=(120, 30), run_before=complete)


def test_help(snap_compare, app):
    async def opened(pilot):
        await still(pilot)
        pilot.app.push_screen(Help({"experiment": find("experiment", "console")}))
        await pilot.pause(0.5)

    assert snap_compare(app, terminal_size=(100, 30), run_before=opened)


def test_the_first_start_offers_the_base(snap_compare, lab):
    from pipeline.errors import ChatError

    async def nothing(lab, model):
        raise ChatError("no model is here: run `benlab pull smollm2`")

    assert snap_compare(BenLabApp(lab, nothing), terminal_size=(100, 30), run_before=still)


def test_a_light_theme(snap_compare, app):
    async def light(pilot):
        pilot.app.theme = "textual-light"
        await still(pilot)

    assert snap_compare(app, terminal_size=(120, 30), run_before=light)
