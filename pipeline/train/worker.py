"""The process that trains: `python -m pipeline.train.worker --lab DIR --folder DIR --params JSON`.

The stage `train` starts it and passes its events on. It is a process of its own so that the stage stays
small, and outlives a kill of the kernel for memory. Several GPUs: it starts itself once a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

from pipeline.errors import PipelineError
from pipeline.lab import Lab
from pipeline.train.control import Control
from pipeline.train.params import TrainParams
from simulator.errors import SimulatorError
from simulator.events import Event, Failed, to_line
from simulator.private_files import UMASK
from simulator.python_child import command, environment

_PR_SET_PDEATHSIG = 1
"""linux/prctl.h: the signal that this process gets where its parent dies."""


def main() -> int:
    """Trains as the command line says; prints one event a line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.train.worker")
    parser.add_argument("--lab", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--params", required=True)
    parser.add_argument("--micro", type=int, default=0, help="the largest micro-batch")
    options = parser.parse_args()
    os.umask(UMASK)
    params = TrainParams.model_validate(json.loads(options.params))
    if params.threads:
        os.environ["OMP_NUM_THREADS"] = str(params.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    job = os.environ.get("BENLAB_RUN_DIR")
    control = Control(Path(options.folder), Path(job) if job else None)
    control.listen()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to the log
    if "RANK" in os.environ:
        _end_with_launcher()
    elif (gpus := _gpus()) > 1:
        _once_a_gpu(gpus, stream)
    try:
        for event in _events(Lab(Path(options.lab)), Path(options.folder), params, control, options.micro):
            if os.environ.get("RANK", "0") == "0":
                stream.write(to_line(event) + "\n")
        return 0
    except (PipelineError, SimulatorError) as error:
        stream.write(to_line(Failed(str(error), type(error).__name__)) + "\n")
        return 1


def _events(lab: Lab, run: Path, params: TrainParams, control: Control, micro: int) -> Iterator[Event]:
    from pipeline.train.run import run_training

    yield from run_training(lab, run, params, control, micro)


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


def _end_with_launcher() -> None:
    """The launcher starts each process in a session of its own, which a kill of the job's group does not reach."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _once_a_gpu(count: int, stream: IO[str]) -> NoReturn:
    """Replaces this process by torch's launcher, which starts it once a GPU. Their events go where ours went."""
    os.dup2(stream.fileno(), 1)
    launched = ["--standalone", f"--nproc-per-node={count}", "-m", "pipeline.train.worker", *sys.argv[1:]]
    argv = command("torch.distributed.run", *launched)
    os.execve(argv[0], argv, environment())  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
