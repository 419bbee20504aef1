"""How fast data are made and models are evaluated: `python bench/data.py [--lab DIR]`.

Runs `generate` as the console does, a child process each: the guide's 275 samples, then 10,000 of the default mix;
prints seconds, samples a second and the child's peak memory beside the goals. With `--lab`, a lab that holds a trained
adapter, `eval` asks base and tuned 200 questions.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = (
    ("the guide's 275 samples", {"guide_only": True}, "5 s"),
    ("10,000 samples", {"extra": 9725}, "60 s, 1 GB"),
)
QUESTIONS = 29
"""Of each kind and region: 7 lists and 26 definitions make a little over 200."""


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, help="a lab with a trained adapter: evaluate it, too")
    options = parser.parse_args()
    print("| what | seconds | samples/s | peak memory | goal |\n|---|---|---|---|---|")
    for name, params, goal in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            seconds, memory, result = stage("generate", Path(folder), params)
        count = result["samples"]
        print(f"| {name} ({count}) | {seconds:.1f} | {count / seconds:,.0f} | {memory:,.0f} MB | {goal} |", flush=True)
    if options.lab:
        seconds, memory, result = stage("eval", options.lab, {"questions": QUESTIONS})
        asked = result["questions"]
        print(
            f"| {asked} questions × 2 models | {seconds:.0f} | {2 * asked / seconds:.1f} | {memory:,.0f} MB | 300 s |"
        )


def stage(name: str, lab: Path, params: dict) -> tuple[float, float, dict]:
    """(seconds, peak memory in MB, result) of one stage in a child process."""
    command = [sys.executable, "-m", "pipeline", name, "--lab", str(lab), "--params", json.dumps(params)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as child:
        lines = child.stdout.read().splitlines()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    last = json.loads(lines[-1])
    if child.returncode:
        raise SystemExit(f"{name}: {last.get('error')}")
    return seconds, used.ru_maxrss / 1000, last.get("value", last)


if __name__ == "__main__":
    main()
