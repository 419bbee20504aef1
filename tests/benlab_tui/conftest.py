"""One fixture app for all console tests: a lab in a temporary folder and an engine that is passed in."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from benlab_tui.app import BenLabApp
from pipeline.chat.events import Delta, Done
from pipeline.errors import ChatError
from pipeline.lab import Lab


class ScriptedEngine:
    """A chat engine behind the real protocol. `answers` are played in turn: lists of texts, events or exceptions."""

    label = "scripted engine · ben-lab"
    model = "ben-lab"
    is_remote = False
    context_length = 4096

    def __init__(self, *answers, pause=0.0):
        self.answers = list(answers)
        self.pause = pause
        self.seen = []
        self.closed = False

    async def chat(self, messages, *, tools=None, options=None):
        self.seen.append(list(messages))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        for piece in [answer] if isinstance(answer, str) else answer:
            await asyncio.sleep(self.pause)
            if isinstance(piece, Exception):
                raise piece
            yield Delta(piece) if isinstance(piece, str) else piece
        yield Done("stop", 100, 24, 42.0, 0.08, 4096)

    async def aclose(self):
        self.closed = True


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """An empty lab at ~/lab."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return Lab.at(tmp_path / "lab")


@pytest.fixture
def engine():
    return ScriptedEngine("**TRI** is a distance.")


def opener_of(engine):
    async def opener(lab, model):
        if engine is None:
            raise ChatError("no model is here: run `benlab pull smollm2`")
        return engine

    return opener


@asynccontextmanager
async def _console(lab, engine=None, size=(120, 40)):
    app = BenLabApp(lab, opener_of(engine))
    async with app.run_test(size=size) as pilot:
        await _settled(app)
        yield app, pilot


async def _settled(app, seconds=20.0):
    async with asyncio.timeout(seconds):
        await asyncio.sleep(0.05)
        while app.main.chat.busy or any(worker.is_running for worker in app.workers):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)


async def _typed(app, pilot, text, seconds=20.0):
    await pilot.press(*text, "enter")
    await _settled(app, seconds)


@pytest.fixture
def scripted():
    """The engine's class, for tests that need answers of their own."""
    return ScriptedEngine


@pytest.fixture
def console():
    """`async with console(lab, engine, size) as (app, pilot)`: the running console, its start over."""
    return _console


@pytest.fixture
def settled():
    """`await settled(app)`: no answer, command or start is under way."""
    return _settled


@pytest.fixture
def typed():
    """`await typed(app, pilot, line)`: types and sends a line, and waits for what comes of it."""
    return _typed


@pytest.fixture
def shown():
    """`shown(app)`: the transcript's entries as (class name, text)."""
    return lambda app: [(type(turn).__name__, getattr(turn, "text", "")) for turn in app.main.transcript.children]
