"""The simulator's speed, beside qiskit-aer's and quimb's matrix product states.

    python -m venv /tmp/bench && /tmp/bench/bin/pip install numpy scipy stim scikit-learn pydantic qiskit-aer quimb
    /tmp/bench/bin/python bench/simulator.py [--growth]

All sides take turns in one run, each with one thread and timed in CPU seconds, which a busy
machine disturbs less than seconds on the wall. The peers follow the same Ising circuit (n = 32, depth
8) and compute no feature; the simulator computes all thirteen. Medians over rounds;
ratios are of times measured next to each other. Where a peer is not installed it is left out.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# This folder is on the path first, and this file has the package's name: the repository takes its place.
sys.path[0] = str(Path(__file__).resolve().parents[1])
os.environ["PYTHONPATH"] = sys.path[0]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402

import simulator  # noqa: E402
from simulator.batch import Run, measure_runs  # noqa: E402
from simulator.detector_training import train  # noqa: E402
from simulator.engines.circuit import TIME_STEP, couplings  # noqa: E402
from simulator.params import PHASES, RunPhase  # noqa: E402
from simulator.pool import local_results  # noqa: E402

SIZE, DEPTH, SEED = 32, 8, 3
ROUNDS = 7
TURN_SECONDS = 1.0
ISING = "ising_symmetry_breaking"
ISING_BATCH = 100


def clock(work: Callable[[], object], now: Callable[[], float] = time.process_time) -> float:
    """CPU seconds of one call, of all threads; seconds on the wall where `now` says so."""
    begin = now()
    work()
    return now() - begin


def steady(work: Callable[[], object]) -> float:
    """CPU seconds of one call, the mean over a second after the first, which finds the caches full of others' data."""
    work()
    calls, used = 0, 0.0
    while used < TURN_SECONDS:
        used += clock(work)
        calls += 1
    return used / calls


def of_children() -> float:
    """CPU seconds of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours_on_ising() -> float:
    """Seconds for one Ising circuit with all features, in a batch of 100 on one core as the peers have one."""
    runs = [Run(ISING, SIZE, DEPTH, seed) for seed in range(ISING_BATCH)]
    return steady(lambda: measure_runs(runs)) / ISING_BATCH


def aer() -> Callable[[], float] | None:
    """The same circuit in qiskit-aer's MPS simulator, which returns the MPS and nothing else."""
    try:
        from qiskit import QuantumCircuit
        from qiskit_aer import AerSimulator
    except ImportError:
        return None
    circuit = QuantumCircuit(SIZE)
    for name, sites, angle in ising_gates():
        # exp(i t P) is a rotation by -2 t in qiskit's convention.
        getattr(circuit, {"ZZ": "rzz", "X": "rx"}[name])(-2 * angle, *sites)
    circuit.save_matrix_product_state()
    backend = AerSimulator(method="matrix_product_state", max_parallel_threads=1)
    return lambda: steady(lambda: backend.run(circuit, shots=1).result().data()["matrix_product_state"])


def quimb() -> Callable[[], float] | None:
    """The same circuit in quimb's CircuitMPS, truncated as it does by default."""
    try:
        from quimb.tensor import CircuitMPS
    except ImportError:
        return None

    def follow() -> None:
        circuit = CircuitMPS(SIZE)
        for name, sites, angle in ising_gates():
            circuit.apply_gate({"ZZ": "RZZ", "X": "RX"}[name], -2 * angle, *sites)

    return lambda: steady(follow)


def ising_gates() -> Iterator[tuple[str, tuple[int, ...], float]]:
    """Pauli, sites and angle of every gate of the circuit with seed 3."""
    strengths = couplings(ISING, SIZE, [SEED])
    for _ in range(DEPTH):
        yield from (("ZZ", (i, i + 1), float(TIME_STEP * j)) for i, j in enumerate(strengths.zz[0]))
        yield from (("X", (i,), float(TIME_STEP * g)) for i, g in enumerate(strengths.x[0]))


def against_peers() -> None:
    """One Ising circuit: ours with all features, theirs with none."""
    sides: dict[str, Callable[[], float] | None] = {"ours": ours_on_ising, "qiskit-aer": aer(), "quimb": quimb()}
    times: dict[str, list[float]] = {name: [] for name, side in sides.items() if side}
    for _ in range(ROUNDS):
        for name, taken in times.items():
            side = sides[name]
            assert side
            taken.append(side())
    print(f"\n## One Ising circuit, n = {SIZE}, depth {DEPTH}, one core (median of {ROUNDS} turns of a second)\n")
    print("| | ms | ratio to ours |\n|---|---|---|")
    for name, taken in times.items():
        ratios = [theirs / mine for theirs, mine in zip(taken, times["ours"], strict=True)]
        print(f"| {name} | {1e3 * statistics.median(taken):.2f} | {statistics.median(ratios):.0f} |")


def throughput() -> None:
    """Four phases mixed, all features: in this process, and over two workers."""
    count = 2000
    params = [RunPhase(phase_type=PHASES[i % 4], system_size=SIZE, depth=DEPTH, seed=i) for i in range(count)]  # type: ignore[arg-type]
    values = [one.model_dump() for one in params]
    values.sort(key=lambda one: one["phase_type"])
    chunks = [values[start : start + 125] for start in range(0, count, 125)]
    # The first chunks start the workers and build the Clifford table; they are not counted.
    warm = [[{**values[-1], "seed": seed}] for seed in range(2)]

    def over_two() -> float:
        results = local_results(iter([*warm, *chunks]), 2)
        for _ in warm:
            next(results)
        return clock(lambda: list(results), time.perf_counter)

    simulator.run_many(values[:8])
    one, two = [], []
    for _ in range(3):
        one.append(count / clock(lambda: simulator.run_many(values)))
        two.append(count / over_two())
    print(f"\n## Four phases mixed, n = {SIZE}, depth {DEPTH}, thirteen features\n")
    print("| | experiments a second (median of 3) |\n|---|---|")
    print(f"| one process, a CPU second | {statistics.median(one):.0f} |")
    print(f"| two worker processes, a second on the wall | {statistics.median(two):.0f} |")


def single() -> None:
    """What a person waits for."""
    code = "import simulator, simulator.params, simulator.study_params; simulator.EXPERIMENTS; simulator.run"
    bare = [clock(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), of_children) for _ in range(5)]
    loaded = [clock(lambda: subprocess.run([sys.executable, "-c", code], check=True), of_children) for _ in range(5)]
    print("\n## What a person waits for\n\n| | CPU seconds |\n|---|---|")
    print(f"| import simulator with its parameter models | {statistics.median(loaded) - statistics.median(bare):.3f} |")
    for phase in PHASES:
        taken = statistics.median(clock(lambda: measure_runs([Run(phase, 256, 32, 1)])) for _ in range(3))  # noqa: B023
        print(f"| {phase}, n = 256, depth 32 | {taken:.2f} |")
    simulator.run_now("discovery")
    taken = statistics.median(clock(lambda: simulator.run_now("discovery", seed=9)) for _ in range(3))
    print(f"| discovery, 4 x 20 | {taken:.3f} |")
    print(f"| PhaseDetector on 4,000 runs, runs included | {clock(lambda: list(train())):.1f} |")


def growth() -> None:
    """Seconds of one experiment over sizes and depths, and the exponents that fit them."""
    sizes, depths = (16, 32, 64, 128, 256, 512, 1024), (1, 2, 4, 8, 16, 32)
    for phase in PHASES:
        print(f"\n### {phase}: CPU seconds of one experiment\n")
        print("| n | " + " | ".join(f"depth {depth}" for depth in depths) + " |\n|---|" + "---|" * len(depths))
        table = {}
        for size in sizes:
            for depth in depths:
                runs = [Run(phase, size, depth, 1)]
                table[size, depth] = min(clock(lambda: measure_runs(runs)) for _ in range(1 if size > 256 else 3))  # noqa: B023
            print(f"| {size} | " + " | ".join(f"{table[size, depth]:.4f}" for depth in depths) + " |", flush=True)
        large = [size for size in sizes if size >= 128]
        in_size = slope(large, [table[size, 8] for size in large])
        in_depth = slope(depths[2:], [table[1024, depth] for depth in depths[2:]])
        print(
            f"\nTime grows as n^{in_size:.2f} (depth 8, n >= 128) and as depth^{in_depth:.2f} (n = 1024, depth >= 4)."
        )


def slope(values: list[int] | tuple[int, ...], seconds: list[float]) -> float:
    """Least-squares slope of log time on log value."""
    return float(np.polyfit([math.log(value) for value in values], [math.log(one) for one in seconds], 1)[0])


def main() -> None:
    """Prints the tables of bench/README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--growth", action="store_true", help="also the table over n = 16..1024 and depth 1..32")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}, Python {sys.version.split()[0]}, numpy {np.__version__}")
    against_peers()
    throughput()
    single()
    if options.growth:
        growth()


if __name__ == "__main__":
    main()
