"""The console against a bare Textual chat: `python bench/console.py [paint] [stream] [stall] [history] [soak]`.

Both sides run interleaved in one go; what is printed are medians and ratios, since machines differ.

paint    whole process to first paint, prompt focused and last turn visible: median of 15
stream   tokens/s of the engine alone and through the console, idle and while another process keeps the cores busy
stall    the event loop's longest waits (p99) while an answer streams and a job reports
history  a session of 10,000 messages: time to open, and to scroll a page
soak     memory over a simulated day of turns (accelerated)
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Not the benchmarks beside this file, some of which are named after the packages they measure.
sys.path[:] = [place for place in sys.path if Path(place).resolve() != HERE]
PAINT = """
import sys, time
from pathlib import Path
from pipeline.lab import Lab
from benlab_tui.app import BenLabApp
app = BenLabApp(Lab.at(Path(sys.argv[1])))
async def painted():
    app.exit()
app.main._settle = painted
app.run(headless=True)
"""


def lab_with(messages: int, folder: Path):
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


def busy_process() -> subprocess.Popen[bytes]:
    """A training job's stand-in for the load alone: matrix products on every core."""
    code = "import numpy as np\na = np.random.rand(700, 700)\nwhile True:\n    a = a @ a; a /= abs(a).max()"
    return subprocess.Popen([sys.executable, "-c", code])


async def alone(engine, prompt: str, tokens: int) -> float:
    """Tokens a second with nobody watching."""
    from pipeline.chat.events import ChatOptions, Delta

    count, start = 0, 0.0
    messages = [{"role": "user", "content": prompt}]
    async with aclosing(engine.chat(messages, options=ChatOptions(max_tokens=tokens, temperature=0.0))) as events:
        async for event in events:
            if isinstance(event, Delta):
                start = start or time.perf_counter()
                count += 1
    return (count - 1) / (time.perf_counter() - start)


class Bounded:
    """The engine with a bound on length and its pieces counted as they are handed to the console."""

    def __init__(self, engine, tokens: int) -> None:
        self._engine, self._tokens = engine, tokens
        self.label, self.model, self.is_remote = engine.label, engine.model, False
        self.context_length = engine.context_length
        self.rate, self.first = 0.0, 0.0

    async def chat(self, messages, *, tools=None, options=None):
        from pipeline.chat.events import ChatOptions, Delta

        count, start = 0, 0.0
        async with aclosing(
            self._engine.chat(messages[-1:], options=ChatOptions(max_tokens=self._tokens, temperature=0.0))
        ) as events:
            async for event in events:
                if isinstance(event, Delta):
                    start = start or time.perf_counter()
                    count += 1
                    end = time.perf_counter()
                yield event
        self.rate = (count - 1) / (end - start)

    async def aclose(self) -> None:
        pass


async def through(lab, engine, prompt: str, tokens: int, waits: list[float]) -> float:
    """Tokens a second as the console takes them, all of them shown at the end."""
    from benlab_tui.app import BenLabApp

    bounded = Bounded(engine, tokens)

    async def opener(_lab, _model):
        return bounded

    app = BenLabApp(lab, opener)
    app.main.after_start = gc.freeze
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(1.5)
        watch = asyncio.create_task(pulse(waits))
        await app.main.send(prompt)
        await asyncio.sleep(0.1)
        while app.main.chat.busy:
            await asyncio.sleep(0.05)
        watch.cancel()
        turn = app.main.transcript.children[-1]
        assert turn.text
    return bounded.rate


async def pulse(waits: list[float]) -> None:
    """How late a 5 ms timer fires: the time that the loop was held."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.005)
        waits.append(time.perf_counter() - start - 0.005)


def stream(rounds: int = 3, tokens: int = 200) -> dict[str, float]:
    """The real engine on the default base, alone and through the console, idle and under load."""
    from pipeline.chat import open_engine
    from pipeline.lab import Lab

    root = os.environ.get("BENLAB_BENCH_LAB")
    if not root:
        return {"skipped: set BENLAB_BENCH_LAB to a lab with a pulled base": 0.0}
    prompt = "Write a long list of facts about quantum spin chains."
    found: dict[str, list[float]] = {}
    waits: dict[str, list[float]] = {"idle": [], "busy": []}

    async def both(load: str, engine, folder: Path, number: int) -> None:
        found.setdefault(f"alone_{load}", []).append(await alone(engine, prompt, tokens))
        lab = Lab.at(folder / f"{load}{number}")
        found.setdefault(f"console_{load}", []).append(await through(lab, engine, prompt, tokens, waits[load]))

    async def run() -> None:
        engine = await open_engine(Lab(Path(root)), "base")
        try:
            await alone(engine, prompt, 20)
            with tempfile.TemporaryDirectory() as folder:
                for number in range(rounds):
                    await both("idle", engine, Path(folder), number)
                    load = busy_process()
                    try:
                        await asyncio.sleep(1)
                        await both("busy", engine, Path(folder), number)
                    finally:
                        load.kill()
                        load.wait()
        finally:
            await engine.aclose()

    asyncio.run(run())
    medians = {f"{name}_tokens_per_second": statistics.median(values) for name, values in found.items()}
    for load in ("idle", "busy"):
        pairs = zip(found[f"console_{load}"], found[f"alone_{load}"], strict=True)
        medians[f"ratio_{load}"] = statistics.median(console / engine for console, engine in pairs)
        medians[f"stall_p99_ms_{load}"] = 1000 * sorted(waits[load])[int(0.99 * len(waits[load]))]
    return medians


class Script:
    """An engine that says what it is told, as fast as the console takes it."""

    label, model, is_remote, context_length = "script", "script", False, 4096

    def __init__(self, text: str, pause: float = 0.0) -> None:
        self._words, self._pause = text.split(" "), pause

    async def chat(self, messages, *, tools=None, options=None):
        from pipeline.chat.events import Delta, Done

        for word in self._words:
            yield Delta(word + " ")
            await asyncio.sleep(self._pause)
        yield Done("stop", 10, len(self._words), 1.0, 0.1, 4096)

    async def aclose(self) -> None:
        pass


def stall() -> dict[str, float]:
    """Loop waits at 100 words a second of markdown while a job reports 200 metrics a second."""
    from benlab_tui.app import BenLabApp
    from benlab_tui.watch import JobView
    from pipeline.lab import Lab
    from simulator.events import Metric, Progress

    text = "\n\n".join(
        f"Paragraph {i} of **bold** text and `code`, as long as one line.\n\n- one\n- two" for i in range(12)
    )
    waits: list[float] = []

    async def report(app) -> None:
        view = JobView("job", "train")
        await app.main.show_job(view)
        for step in range(100_000):
            view.take(Progress("train", step, 100_000))
            view.take(Metric("train", step, {"loss": 1 / (step + 1)}))
            if step % 20 == 0:
                app.main.job_changed(view)
            await asyncio.sleep(0.005)

    async def run(folder: Path) -> None:
        async def opener(_lab, _model):
            return Script(text, 0.01)

        app = BenLabApp(Lab.at(folder), opener)
        app.main.after_start = gc.freeze
        async with app.run_test(size=(160, 48)) as pilot:
            await pilot.pause(2)
            job = asyncio.create_task(report(app))
            await asyncio.sleep(0.5)
            watch = asyncio.create_task(pulse(waits))
            await app.main.send("go")
            await asyncio.sleep(0.1)
            while app.main.chat.busy:
                await asyncio.sleep(0.05)
            watch.cancel()
            job.cancel()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
    ordered = sorted(waits)
    return {f"p{p}_ms": 1000 * ordered[int(p / 100 * len(ordered))] for p in (50, 95, 99)} | {
        "max_ms": 1000 * ordered[-1]
    }


def history(messages: int = 10_000) -> dict[str, float]:
    """Opens a long session, and scrolls to its window's top."""
    from benlab_tui.app import BenLabApp

    async def opener(_lab, _model):
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

    async def opener(_lab, _model):
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


PARTS = {"paint": paint, "stream": stream, "stall": stall, "history": history, "soak": soak}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        print(name, json.dumps({key: round(value, 3) for key, value in PARTS[name]().items()}), flush=True)
