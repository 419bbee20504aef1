"""What a model may ask for, and the question that a person is asked before it runs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable

import pytest

import simulator
from benlab_tui.screens.confirm import Confirm
from benlab_tui.text import inert
from benlab_tui.widgets.prompt import Prompt
from pipeline.chat.events import ToolCall
from pipeline.chat.lab_tools import Refused, check, question, schemas

NOT_FOR_MODELS = re.compile(r"cluster|worker|host|address|url|path|file|folder|dir|port\b|token|key", re.I)
ATTACKS = [
    {"cluster": "tcp://198.51.100.7:8786"},
    {"cluster": "tls://198.51.100.7:8786"},
    {"cluster": "tcp://127.0.0.1:8786"},
    {"cluster": None},
    {"workers": 64},
    {"workers": 0},
    {"Cluster": "tcp://198.51.100.7:8786"},
    {"cluster ": "tcp://198.51.100.7:8786"},
    {"host": "198.51.100.7"},
    {"lab": "/etc"},
]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


def test_no_tool_has_an_address_a_path_or_a_count_of_workers() -> None:
    for tool in schemas():
        for name, field in tool["function"]["parameters"]["properties"].items():
            assert not NOT_FOR_MODELS.search(name), (tool["function"]["name"], name)
            assert not re.search("scheduler|://", json.dumps(field)), (tool["function"]["name"], name)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
@pytest.mark.parametrize("name", sorted(simulator.EXPERIMENTS))
def test_a_call_with_a_personal_parameter_is_refused(name: str, attack: dict) -> None:
    with pytest.raises(Refused, match=f"{next(iter(attack)).strip()} ?' is not a parameter of {name}"):
        check(name, attack)


def test_the_question_names_what_the_model_chose_before_the_defaults() -> None:
    params = check("sweep", {"seeds": 5000, "first_seed": 7, "shots": 0})
    lines = question("sweep", params).splitlines()
    chosen, usual = lines.index("Chosen by the model:"), lines.index("Left at the default:")
    assert lines[chosen + 1 : usual - 1] == ["  seeds = 5000", "  first_seed = 7"]
    assert any(line.startswith("  depths = ") for line in lines[usual:])
    assert {line.split(" = ")[0].strip() for line in lines if " = " in line} == set(type(params).model_fields)


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 10), (40, 8), (30, 7)], ids=str)
async def test_a_long_question_scrolls_and_the_buttons_stay_in_view(console, lab, size) -> None:
    long = "\n".join(["Run it?", *(f"  setting {number} = {number}" for number in range(200)), "  last = hidden"])
    async with console(lab, size=size) as (app, pilot):
        app.push_screen(dialog := Confirm(long))
        await pilot.pause()
        inside = dialog.query_one(".dialog").content_region
        for name in ("#yes", "#no"):
            assert inside.contains_region(dialog.query_one(name).region), name
        assert dialog.focused is dialog.query_one("#no")
        text = dialog.query_one(".question")
        assert 0 < text.size.height < 201 and text.max_scroll_y > 150
        await pilot.press("pagedown")
        assert text.scroll_offset.y == min(8, text.max_scroll_y)
        dialog.action_scroll(1000)
        await pilot.pause()
        assert text.scroll_offset.y == text.max_scroll_y
        await pilot.press("enter")
        assert app.screen is app.main


async def test_a_letter_of_the_line_being_typed_is_no_yes(console, lab, monkeypatch) -> None:
    monkeypatch.setattr("benlab_tui.screens.confirm.HELD_SECONDS", 1.0)
    async with console(lab) as (app, pilot):
        app.main.query_one(Prompt).put("ma")
        answer = app.run_worker(app.main.ask("Run it?"))
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        assert isinstance(app.screen, Confirm)
        await asyncio.sleep(1.0)
        await pilot.press("y")
        assert await asyncio.wait_for(answer.wait(), 10) is True


async def test_the_sweep_that_a_model_asks_for_waits_for_a_yes_and_enter_is_a_no(console, scripted, lab) -> None:
    call = ToolCall("1", "sweep", {"system_sizes": [4], "depths": [1], "seeds": 1})
    engine = scripted([call], "I did not run it.")
    async with console(lab, engine) as (app, pilot):
        app.main.query_one(Prompt).put("sweep please")
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        await until(lambda: not app.main.chat.busy)
        assert "did not want" in json.dumps(engine.seen[-1])
        assert not app.main.jobs.views


def test_the_question_is_inert() -> None:
    assert "\x1b" not in inert(question("sweep\x1b[2J", check("sweep", {})))
