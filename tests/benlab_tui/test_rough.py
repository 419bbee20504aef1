"""Rough treatment: random lines, signals, a suspended terminal, an unwritable lab."""

from __future__ import annotations

import os
import pty
import random
import select
import signal
import subprocess
import sys
import time

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benlab_tui import arguments, registry
from benlab_tui.errors import ConsoleError
from benlab_tui.store import open_chats
from benlab_tui.suggest import suggest
from pipeline.chats import Chats

COMMANDS = {name: command for name, command in registry.commands().items() if command.where != "headless"}
WORDS = [
    *COMMANDS,
    *("run_phase", "tri", "discovery", "phase_type=", "system_size=", "--depth", "seed=", "=", "==", "--", "-"),
    *("1e999", "nan", "-1", "9" * 25, "\x00", "\x1b[2J", "\udcff", "é", "🧪", "\\", "$(id)", "[bold]", "{}", "'", '"'),
]


def act(line):
    """What the console does with a line before the command itself runs: all of it may only fail in words."""
    suggest(line, COMMANDS)
    words = arguments.split(line.strip()[1:])
    try:
        command = registry.find(words[0] if words else "", "console")
        arguments.parse(command, words[1:])
    except ConsoleError as error:
        assert "\n" not in str(error).strip()


def test_ten_thousand_random_lines_are_commands_or_one_sentence():
    rng = random.Random(7)
    for _ in range(10_000):
        parts = [rng.choice(WORDS) + rng.choice(["", rng.choice(WORDS)]) for _ in range(rng.randint(0, 5))]
        act("/" + rng.choice([" ", "", "  "]).join(parts))


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=100), st.sampled_from(["/", *(f"/{name} " for name in COMMANDS)]))
def test_any_text_after_any_command_is_one_sentence(text, start):
    act(start + text)


class Terminal:
    """The console in a real pseudo-terminal."""

    def __init__(self, lab):
        self.master, slave = pty.openpty()
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "OLLAMA_HOST": "127.0.0.1:9",
            "LINES": "30",
            "COLUMNS": "90",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benlab_tui.app", str(lab.root)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )
        os.close(slave)
        self.seen = b""

    def until(self, words, seconds=25):
        """Reads until `words` came."""
        deadline = time.monotonic() + seconds
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen[-2000:]
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    break

    def ended(self, seconds=15):
        """The exit code, the terminal read on meanwhile."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    break
        return self.process.wait(5)

    def close(self):
        """Ends what is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(lab):
    made = Terminal(lab)
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_console_and_gives_the_terminal_back(lab, terminal, number):
    terminal.until(b"Pull smollm2")
    os.write(terminal.master, b"/theme nord\r")
    terminal.until(b"the theme is nord")
    terminal.process.send_signal(number)
    assert terminal.ended() == 0
    assert b"\x1b[?1049l" in terminal.seen
    assert [m.content for m in Chats(lab.database).messages(1)] == ["/theme nord", "the theme is nord"]


def test_ctrl_z_suspends_and_the_console_comes_back(terminal):
    terminal.until(b"Pull smollm2")
    os.write(terminal.master, b"\x1a")
    process = psutil.Process(terminal.process.pid)
    deadline = time.monotonic() + 10
    while process.status() != psutil.STATUS_STOPPED and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.status() == psutil.STATUS_STOPPED
    terminal.seen = b""
    process.send_signal(signal.SIGCONT)
    for words in (b"Ben Lab", b"run an experiment", b"Pull smollm2"):
        terminal.until(words)
    os.write(terminal.master, b"/quit\r")
    assert terminal.ended() == 0


def test_a_lab_db_that_cannot_be_written_is_said_and_done_without(tmp_path, monkeypatch):
    import sqlite3

    path = tmp_path / "lab.db"
    Chats(path).close()

    real = sqlite3.connect

    def readonly(place, *args, **kwargs):
        if str(place) != ":memory:":
            raise sqlite3.OperationalError("attempt to write a readonly database")
        return real(place, *args, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", readonly)
    chats, problem = open_chats(path)
    assert "this session is not kept" in problem
    assert "readonly" in problem
    assert chats.start().id == 1
    assert path.exists()
