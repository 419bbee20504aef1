"""What asking both models at once gains: `python bench/answering.py --lab DIR [--questions 12] [--rounds 2]`.

The lab holds a base and a trained adapter. The same questions go to base and tuned, in copies in Q8_0 as `eval` asks
them: at the same time, a server and a share of the cores each; and one after the other with all cores. The ways take
turns. Prints the seconds of both, and how many times as fast the first is.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

# This folder is on the path first, and a file in it has the simulator's name.
sys.path[0] = str(Path(__file__).resolve().parents[1])


from pipeline.bases import locate_gguf  # noqa: E402
from pipeline.evaluate.generation import Part, outcomes_of  # noqa: E402
from pipeline.evaluate.model_copies import copies  # noqa: E402
from pipeline.evaluate.params import EvalParams  # noqa: E402
from pipeline.evaluate.question_sampling import Trained, make_questions  # noqa: E402
from pipeline.evaluate.sealed import evaluation_set  # noqa: E402
from pipeline.evaluate.stage import asking  # noqa: E402
from pipeline.export.adapter import convert_adapter  # noqa: E402
from pipeline.lab import Lab  # noqa: E402
from pipeline.modelfile import load  # noqa: E402


def main() -> None:
    """Prints a line a round and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=12, help="of each kind")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=4)
    options = parser.parse_args()
    lab = Lab.at(options.lab)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        parts = asked(lab, Path(folder), options.questions)
        answers = sum(len(part.tasks) for part in parts)
        for _ in range(options.rounds):
            for together, seen in seconds.items():
                started = time.perf_counter()
                found = sum(1 for _ in outcomes_of(parts, parallel=options.parallel, together=together))
                seen.append(time.perf_counter() - started)
                assert found == answers
                print(f"{answers} answers, {'at once' if together else 'in turn'}: {seen[-1]:.1f} s", flush=True)
    once, turn = (statistics.median(seconds[together]) for together in (True, False))
    print(f"at once {once:.1f} s, in turn {turn:.1f} s: {turn / once:.2f} times as fast")


def asked(lab: Lab, folder: Path, count: int) -> list[Part]:
    """Base and tuned with the evaluation's questions, inside the training grid."""
    base = locate_gguf(lab, "smollm2")
    convert_adapter(lab.adapter_dir, base.path, folder / "adapter.gguf", base_sha256=base.sha256)
    params = EvalParams(questions=count, extrapolation=False)
    questions, _ = make_questions(params, evaluation_set(), Trained())
    making = copies(base.path, folder / "adapter.gguf", folder)
    while True:
        try:
            next(making)
        except StopIteration as end:
            files = end.value
            break
    system = load(lab).system
    tasks = [
        (q, asking(q, [{"role": "system", "content": system}, {"role": "user", "content": q.prompt}]))
        for q in questions
    ]
    return [
        Part(name, replace(base, path=files[name].gguf), (), tasks, folder / f"{name}.log")
        for name in ("base", "tuned")
    ]


if __name__ == "__main__":
    main()
