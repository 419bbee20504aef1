"""Streaming through the console against the engine alone: `python bench/console_stream.py [stream] [stall]`.

Both sides run interleaved in one go; what is printed are medians and ratios, since machines differ.

stream   tokens/s of the engine alone and through the console, idle and while another process keeps the cores busy;
         BENLAB_BENCH_LAB names a lab with a pulled base
stall    the event loop's waits while an answer streams and a job reports
long     the same for an answer of 4,000 words with tables, code and lists, its first quarter beside its last; cpu_ is
         the processor time of the loop's thread between two pulses, which other programs do not lengthen
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
from contextlib import aclosing
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The repository, not this folder: some benchmarks are named after the packages that they measure.
sys.path[0] = str(HERE.parent)

from bench.console_engines import Bounded, Script  # noqa: E402


def busy_process() -> subprocess.Popen[bytes]:
    """A training job's stand-in for the load alone: matrix products on every core."""
    code = "import numpy as np\na = np.random.rand(700, 700)\nwhile True:\n    a = a @ a; a /= abs(a).max()"
    return subprocess.Popen([sys.executable, "-c", code])


async def alone(engine, prompt: str, tokens: int) -> float:
    """Tokens a second with nobody watching."""
    from pipeline.chat.events import ChatOptions, Delta, Done

    rate, start = 0.0, 0.0
    messages = [{"role": "user", "content": prompt}]
    async with aclosing(engine.chat(messages, options=ChatOptions(max_tokens=tokens, temperature=0.0))) as events:
        async for event in events:
            if isinstance(event, Delta):
                start = start or time.perf_counter()
            if isinstance(event, Done):
                rate = (event.completion_tokens - 1) / (time.perf_counter() - start)
    return rate


async def through(lab, engine, prompt: str, tokens: int, waits: list[float]) -> float:
    """Tokens a second as the console takes them, all of them shown at the end."""
    from benlab_tui.app import BenLabApp
    from benlab_tui.heap import Heap

    bounded = Bounded(engine, tokens)

    async def opener(_lab, _model) -> Bounded:
        return bounded

    app = BenLabApp(lab, opener)
    app.main.on_busy = Heap()
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


async def pulse(waits: list[float], spent: list[float] | None = None) -> None:
    """How late a 5 ms timer fires: the time that the loop was held; `spent` gets its thread's processor time."""
    while True:
        start, used = time.perf_counter(), time.thread_time()
        await asyncio.sleep(0.005)
        waits.append(time.perf_counter() - start - 0.005)
        if spent is not None:
            spent.append(time.thread_time() - used)


def stream(rounds: int = 5, tokens: int = 200) -> dict[str, float]:
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


def stall() -> dict[str, float]:
    """Loop waits at 100 words a second of markdown while a job reports 200 metrics a second."""
    from benlab_tui.app import BenLabApp
    from benlab_tui.heap import Heap
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
        async def opener(_lab, _model) -> Script:
            return Script(text, 0.01)

        app = BenLabApp(Lab.at(folder), opener)
        app.main.on_busy = Heap()
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
    return quantiles(waits)


def quantiles(waits: list[float], name: str = "") -> dict[str, float]:
    """Median, 95th and 99th percentile and the longest, in milliseconds."""
    ordered = sorted(waits)
    found = {f"{name}p{p}_ms": 1000 * ordered[int(p / 100 * len(ordered))] for p in (50, 95, 99)}
    return found | {f"{name}max_ms": 1000 * ordered[-1]}


def long_answer(words: int = 4000) -> str:
    """Markdown as models write it: headings, paragraphs, lists, a table of 60 rows, a code block of 120 lines."""
    table = "\n".join(
        ["| size | depth | entropy |", "|---|---|---|", *(f"| {i} | {2 * i} | {i / 7:.3f} |" for i in range(60))]
    )
    code = "```python\n" + "\n".join(f"value_{i} = measure(chain, layer={i})" for i in range(120)) + "\n```"
    parts: list[str] = []
    while sum(len(part.split()) for part in parts) < words:
        number = len(parts)
        parts += [
            f"## Part {number}",
            f"Paragraph {number} says in **bold** words and `code` what a run measures. " * 5,
            "\n".join(f"- item {i} of a list with *some* words in it" for i in range(12)),
            table if number % 12 == 0 else code if number % 12 == 6 else "A plain sentence stands here. " * 6,
        ]
    return "\n\n".join(parts)


def long() -> dict[str, float]:
    """Loop waits while 4,000 words stream at 200 a second."""
    from benlab_tui.app import BenLabApp
    from benlab_tui.heap import Heap
    from pipeline.lab import Lab

    text = long_answer()
    waits: list[float] = []
    spent: list[float] = []

    async def run(folder: Path) -> float:
        async def opener(_lab, _model) -> Script:
            return Script(text, 0.005)

        app = BenLabApp(Lab.at(folder), opener)
        app.main.on_busy = Heap()
        async with app.run_test(size=(160, 48)) as pilot:
            await pilot.pause(2)
            watch = asyncio.create_task(pulse(waits, spent))
            start = time.perf_counter()
            await app.main.send("go")
            await asyncio.sleep(0.1)
            while app.main.chat.busy:
                await asyncio.sleep(0.05)
            watch.cancel()
            assert app.main.transcript.children[-1].text.split() == text.split()
            return len(text.split()) / (time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as folder:
        rate = asyncio.run(run(Path(folder)))
    quarter = len(spent) // 4
    return {
        "words": len(text.split()),
        "words_per_second": rate,
        **quantiles(waits),
        **quantiles(spent, "cpu_"),
        **quantiles(spent[:quarter], "first_quarter_cpu_"),
        **quantiles(spent[-quarter:], "last_quarter_cpu_"),
    }


PARTS = {"stream": stream, "stall": stall, "long": long}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        print(name, json.dumps({key: round(value, 3) for key, value in PARTS[name]().items()}), flush=True)
