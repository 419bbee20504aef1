"""The embedded engine against a llama-server of your own build: `python bench/decoding.py LLAMA_SERVER --base FILE`.

Both serve the same GGUF with the same number of threads and slots, and take turns: idle, then beside one process for
each core that never rests. `--spin 0 1000 10000` adds a side for each value of GOMP_SPINCOUNT (how often a waiting
thread of libgomp looks again before it sleeps; 0 is what OMP_WAIT_POLICY=passive does). `--slots 4` asks four questions
at once, as an evaluation does. Prints the medians of the tokens per second and of the time to the first token, and the
ratio to llama-server.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

# This folder is on the path first, and a file in it has the simulator's name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import httpx  # noqa: E402

from pipeline.chat.server import EmbeddedServer, usable_cores  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONTEXT = 4096
WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
STATES = ("idle", "busy")
PROMPT = "Explain, step by step, how a chain of qubits keeps its order while its layers are applied. " * 16


@dataclass
class Side:
    """One server and what was seen of it: (tokens/s, seconds to the first token) a round, idle and busy."""

    name: str
    client: httpx.Client
    seen: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {state: [] for state in STATES})

    def median(self, state: str) -> tuple[float, float]:
        """Tokens per second over all slots, and the first token's seconds."""
        rates, firsts = zip(*self.seen[state], strict=True)
        return statistics.median(rates), statistics.median(firsts)


def main() -> None:
    """Prints a line for each side and state; the ratios come last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_server", type=Path, help="path of a llama-server built on this machine")
    parser.add_argument("--base", type=Path, required=True, help="a GGUF model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--slots", type=int, default=1, help="questions asked at the same time")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--states", nargs="+", choices=STATES, default=STATES)
    parser.add_argument("--spin", nargs="*", default=[], help="values of GOMP_SPINCOUNT to try")
    options = parser.parse_args()
    with ExitStack() as stack:
        sides = [stack.enter_context(native(options)), stack.enter_context(embedded(options, "as shipped"))]
        sides += [stack.enter_context(embedded(options, f"spin {value}", value)) for value in options.spin]
        for side in sides:
            ask(side, 8, options.slots)
        for _ in range(options.rounds):
            for state in options.states:
                with busy_cores(usable_cores() if state == "busy" else 0):
                    for side in sides:
                        side.seen[state].append(ask(side, options.tokens, options.slots))
        report(sides, options.states)


def report(sides: list[Side], states: Sequence[str]) -> None:
    """A line for each side and state, with the ratio to the first side."""
    for state in states:
        peer, _ = sides[0].median(state)
        for side in sides:
            rate, first = side.median(state)
            low, high = (pick(rate for rate, _ in side.seen[state]) for pick in (min, max))
            print(
                f"{state}  {side.name:<14}{rate:7.1f} tokens/s ({low:.0f} to {high:.0f})"
                f"  first token {first * 1000:6.0f} ms  ratio {rate / peer:.2f}"
            )


def ask(side: Side, tokens: int, slots: int) -> tuple[float, float]:
    """Tokens per second of `slots` answers together, and the mean time to their first tokens."""
    with ThreadPoolExecutor(slots) as pool:
        answers = list(pool.map(lambda number: one_answer(side.client, tokens, number), range(slots)))
    return sum(rate for rate, _ in answers), statistics.mean(first for _, first in answers)


def one_answer(client: httpx.Client, tokens: int, number: int) -> tuple[float, float]:
    """One streamed answer of exactly `tokens` tokens: their rate after the first one, and the first one's seconds."""
    body = {
        "prompt": f"{number}. {PROMPT}",
        "n_predict": tokens,
        "temperature": 0.0,
        "ignore_eos": True,
        "cache_prompt": False,
        "stream": True,
    }
    start, first, count = time.perf_counter(), 0.0, 0
    with client.stream("POST", "/completion", json=body) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if line.startswith("data: "):
                count += 1
                first = first or time.perf_counter()
    # The last line carries no token but the end.
    return (count - 2) / (time.perf_counter() - first), first - start


@contextmanager
def embedded(options: argparse.Namespace, name: str, spin: str | None = None) -> Iterator[Side]:
    """The engine as the console starts it; with `spin` the environment overrides its waiting."""
    settings = {"parallel": max(2, options.slots), "context": CONTEXT, "threads": options.threads, "cache_mib": 0}
    with environment(**({"GOMP_SPINCOUNT": spin} if spin is not None else {})):
        server = EmbeddedServer.start(options.base, **settings)
    with server, server.client() as client:
        yield Side(name, client)


@contextmanager
def native(options: argparse.Namespace) -> Iterator[Side]:
    """The llama-server, with the same threads, slots and context."""
    slots = max(2, options.slots)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", options.base, "-t", options.threads, "-np", slots, "-c", slots * CONTEXT, "--cache-ram", 0]
    words += ["--host", "127.0.0.1", "--port", port]
    with environment():
        child = subprocess.Popen(
            [options.llama_server, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600, trust_env=False) as client:
            wait_until_ready(client, child)
            yield Side("llama-server", client)
    finally:
        child.terminate()
        child.wait()


def wait_until_ready(client: httpx.Client, child: subprocess.Popen[bytes]) -> None:
    """Returns once the model is loaded."""
    for _ in range(600):
        if child.poll() is not None:
            raise SystemExit(f"llama-server ended with status {child.returncode} before it answered")
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("llama-server did not load the model within 60 s")


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Children started inside get `values`, and no other setting of how OpenMP threads wait."""
    former = {name: os.environ.pop(name, None) for name in WAITING}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in former.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """`count` processes that never rest."""
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.3 if spinners else 0)
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


if __name__ == "__main__":
    main()
