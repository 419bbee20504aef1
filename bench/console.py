"""The console against a bare Textual chat: `python bench/console.py [paint] [peers] [history] [soak]`.

Both sides run interleaved in one go; what is printed are medians and ratios, since machines differ.

paint    whole process to first paint, prompt focused and last turn visible: median of 15
peers    start to the first words on a real (pseudo-)terminal, beside oterm and posting in one run: median of 7.
         Once: `python -m venv /tmp/peers && /tmp/peers/bin/pip install oterm posting 'tree-sitter<0.26'` (0.26 crashes
         posting on Python 3.11); BENLAB_BENCH_OTERM=/tmp/peers/bin/oterm, BENLAB_BENCH_POSTING=/tmp/peers/bin/posting
         name them; a row without its program is left out
history  a session of 10,000 messages: time to open, and to scroll a page
soak     memory over a simulated day of turns (accelerated)
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
# The repository, not this folder: some benchmarks are named after the packages that they measure.
sys.path[0] = str(HERE.parent)

from bench.console_engines import Script  # noqa: E402
from bench.console_terminal import seconds_until  # noqa: E402

if TYPE_CHECKING:
    from pipeline.lab import Lab

PAINT = """
import sys, time
from benlab_tui.heap import hold
hold()
from pathlib import Path
from pipeline.lab import Lab
from benlab_tui.app import BenLabApp
app = BenLabApp(Lab.at(Path(sys.argv[1])))
async def painted():
    app.exit()
app.main._settle = painted
app.run(headless=True)
"""


def lab_with(messages: int, folder: Path) -> Lab:
    """A lab whose newest session has that many messages."""
    from pipeline.chats import Chats
    from pipeline.lab import Lab

    lab = Lab.at(folder)
    chats = Chats(lab.database)
    session = chats.start("bench")
    chats._conn.execute("BEGIN")
    for index in range(messages):
        role = "user" if index % 2 == 0 else "assistant"
        chats._conn.execute(
            "INSERT INTO chat_messages (session_id, role, content, meta, created) VALUES (?, ?, ?, '{}', '')",
            (session.id, role, f"message {index}: **TRI** is a *distance* between two runs, `{index}`"),
        )
    chats._conn.execute("COMMIT")
    chats.close()
    return lab


def paint(rounds: int = 15) -> dict[str, float]:
    """Whole processes, start to exit right after the first paint."""
    with tempfile.TemporaryDirectory() as folder:
        lab = lab_with(2, Path(folder))
        sides = {
            "skeleton": [sys.executable, str(HERE / "console_skeleton.py")],
            "console": [sys.executable, "-c", PAINT, str(lab.root)],
            "version": [sys.executable, "-m", "benlab_tui", "--version"],
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds + 1):
            for name, argv in sides.items():
                start = time.perf_counter()
                subprocess.run(argv, check=True, capture_output=True, cwd=HERE.parent)
                times[name].append(time.perf_counter() - start)
    medians = {f"{name}_ms": 1000 * statistics.median(values[1:]) for name, values in times.items()}
    return {**medians, "ratio": medians["console_ms"] / medians["skeleton_ms"]}


def peers(rounds: int = 7) -> dict[str, float]:
    """Whole processes in a pseudo-terminal of 120 × 40, until what their first screen says is written."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        lab = lab_with(2, Path(folder) / "lab")
        skeleton = "from bench.console_skeleton import Skeleton; Skeleton.painted = lambda self: None; Skeleton().run()"
        sides = {
            "skeleton": ([sys.executable, "-c", skeleton], b"distance"),
            "console": ([sys.executable, "-m", "benlab_tui", "--lab", str(lab.root)], b"distance"),
            "oterm": ([os.environ.get("BENLAB_BENCH_OTERM", "")], b"TUI Ollama client"),
            "posting": ([os.environ.get("BENLAB_BENCH_POSTING", "")], b"Collection"),
        }
        sides = {name: side for name, side in sides.items() if side[0][0]}
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds + 1):
            for name, (argv, words) in sides.items():
                times[name].append(seconds_until(words, argv, home, HERE.parent))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    found = {f"{name}_ms": 1000 * value for name, value in medians.items()}
    return found | {f"{name}_ratio": value / medians["skeleton"] for name, value in medians.items()}


def history(messages: int = 10_000) -> dict[str, float]:
    """Opens a long session, and scrolls to its window's top."""
    from benlab_tui.app import BenLabApp

    async def opener(_lab, _model) -> Script:
        return Script("hi")

    async def run(lab) -> dict[str, float]:
        start = time.perf_counter()
        app = BenLabApp(lab, opener)
        async with app.run_test(size=(120, 40)) as pilot:
            while not app.main.transcript.children:
                await asyncio.sleep(0.005)
            opened = time.perf_counter() - start
            while any(worker.is_running for worker in app.workers):
                await asyncio.sleep(0.01)
            await pilot.pause(0.3)
            pages = []
            for _ in range(5):
                first, start = app.main.transcript.first, time.perf_counter()
                app.main.transcript.scroll_home(animate=False)
                while app.main.transcript.first == first and time.perf_counter() - start < 5:
                    await asyncio.sleep(0.005)
                pages.append(time.perf_counter() - start)
                await pilot.pause(0.3)
        return {"messages": messages, "open_ms": 1000 * opened, "page_ms": 1000 * statistics.median(pages)}

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(lab_with(messages, Path(folder))))


def soak(turns: int = 400) -> dict[str, float]:
    """Memory after 50 turns and after all of them: a day at a turn every three and a half minutes."""
    import psutil

    from benlab_tui.app import BenLabApp
    from pipeline.lab import Lab

    text = "\n\n".join(f"Paragraph {i} of **bold** and `code`." for i in range(8))

    async def opener(_lab, _model) -> Script:
        return Script(text)

    async def run(folder: Path) -> tuple[float, float]:
        app, early = BenLabApp(Lab.at(folder), opener), 0.0
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause(1.5)
            for turn in range(turns):
                await app.main.send(f"question {turn}")
                await asyncio.sleep(0)
                while app.main.chat.busy:
                    await asyncio.sleep(0.005)
                if turn == 100:
                    early = psutil.Process().memory_info().rss / 1e6
            return early, psutil.Process().memory_info().rss / 1e6

    with tempfile.TemporaryDirectory() as folder:
        early, late = asyncio.run(run(Path(folder)))
    return {"turns": turns, "early_mb": early, "late_mb": late, "growth_mb": late - early}


PARTS = {"paint": paint, "peers": peers, "history": history, "soak": soak}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        print(name, json.dumps({key: round(value, 3) for key, value in PARTS[name]().items()}), flush=True)
