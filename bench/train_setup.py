"""What both sides of the training benchmark start from: the lab, the data, trl, and the hyper-parameters."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.bases import Base
    from pipeline.lab import Lab

TRL = "trl==1.16.0"
SEED, RANK, ALPHA, RATE = 0, 16, 32, 5e-4


def cache() -> Path:
    """Where the lab, trl and the adapters of this benchmark lie."""
    from platformdirs import user_cache_path

    folder = user_cache_path("benlab-bench")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prepare() -> Lab:
    """A lab with the base, the guide's 275 samples and a validation file; trl in a folder beside it."""
    from pipeline.__main__ import run_stage
    from pipeline.lab import Lab
    from simulator.events import last_result

    lab = Lab.at(cache() / "lab")
    last_result(run_stage(lab, "pull", {}))
    if not lab.data.exists():
        last_result(run_stage(lab, "generate", {"guide_only": True}))
    if not (cache() / "trl").is_dir():
        target = str(cache() / "trl")
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, TRL], check=True)
    return lab


def lines(lab, options: argparse.Namespace) -> Path:
    """The file to train on: the guide's samples, or the first `--lines` of them."""
    if not options.lines:
        return lab.data
    path = cache() / f"first-{options.lines}.jsonl"
    kept = lab.data.read_text(encoding="utf-8").splitlines(keepends=True)[: options.lines]
    path.write_text("".join(kept), encoding="utf-8")
    return path


def parts() -> tuple[Lab, Base, Any, str]:
    """(lab, base, tokenizer, system prompt)."""
    from pipeline.bases import locate
    from pipeline.lab import Lab
    from pipeline.modelfile import load
    from pipeline.train.model import load_tokenizer

    lab = Lab(cache() / "lab")
    base = locate(lab, "smollm2")
    return lab, base, load_tokenizer(lab, base), load(lab).system.strip()


def values(options: argparse.Namespace) -> dict:
    """The hyper-parameters under the names that both sides share."""
    return {
        "learning_rate": RATE,
        "per_device_train_batch_size": options.batch,
        "gradient_accumulation_steps": 1,
        "max_steps": options.steps,
        "max_length": 1024,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": SEED,
    }
