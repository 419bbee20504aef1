"""Training speed against trl's SFTTrainer: `python bench/train.py [--steps 12] [--rounds 2] [--batch 8]`.

`--layers 15 --lines 32` trains our side as the smollm2 recipe does, adapters on the upper half of the layers, over
several epochs of 32 lines; trl trains on the same lines with adapters on all layers. `--loraplus 8` gives our B
matrices eight times the rate of trl's, as the smollm2 recipe does.

Without these: same base, data, rank, batch, optimizer, rate and precision; the sides take turns in processes of their
own, and the clock runs inside the steps alone (no start, no validation). trl is installed from PyPI into a folder of
its own, without its dependencies, which are here already. After the last round both adapters are measured on one
held-out set by one judge: plain transformers in float32. Prints the ratio, the share of this machine's GEMM peak that
our whole step reaches, and where the rest of the step goes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

# This folder has a simulator.py of its own: the packages of the repository come first.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
from bench.train_profile import profile  # noqa: E402
from bench.train_setup import ALPHA, RANK, cache, lines, parts, prepare, values  # noqa: E402

if TYPE_CHECKING:
    from transformers import TrainerCallback


def main() -> None:
    """Runs one side where it is named, else the rounds."""
    options = arguments()
    sides = {"ours": ours, "trl": theirs, "judge": judge, "profile": profile}
    if options.side:
        sides[options.side](options)
    else:
        compare(options)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--layers", type=int, help="our side: adapters on so many of the uppermost layers")
    parser.add_argument("--lines", type=int, help="train on so many lines, several times where the steps are more")
    parser.add_argument("--loraplus", type=float, default=1, help="our side: B's rate is so many times A's")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument(
        "--no-checkpointing", action="store_true", help="trl without its default gradient checkpointing"
    )
    parser.add_argument("--side", choices=["ours", "trl", "judge", "profile"], help="used by the script itself")
    return parser.parse_args()


def compare(options: argparse.Namespace) -> None:
    """Runs the rounds and prints the table."""
    lab = prepare()
    data = lines(lab, options)
    upper = f", ours on the upper {options.layers} layers" if options.layers else ""
    upper += f" with B's rate {options.loraplus:g} times A's" if options.loraplus > 1 else ""
    print(
        f"{options.steps} steps of {options.batch} samples, {options.rounds} rounds, {options.precision}, {data}{upper}"
    )
    speeds: dict[str, list[float]] = {"ours": [], "trl": []}
    for _ in range(options.rounds):
        for side, reached in speeds.items():
            found = child(side, options)
            reached.append(found["samples_per_second"])
            print(
                f"  {side:5} {found['samples_per_second']:.2f} samples/s, peak memory {found['memory_mb']:,.0f} MB",
                flush=True,
            )
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["trl"], strict=True)]
    losses = child("judge", options)
    print(f"samples/s: ours {statistics.median(speeds['ours']):.2f}, trl {statistics.median(speeds['trl']):.2f}")
    print(f"ratio (median of rounds): {statistics.median(ratios):.2f}")
    print(
        f"held-out loss: ours {losses['ours']:.4f}, trl {losses['trl']:.4f} ({losses['ours'] / losses['trl'] - 1:+.2%})"
    )
    print(child("profile", options)["report"])


def child(side: str, options: argparse.Namespace) -> dict:
    """One side in a process of its own; its last line is its result."""
    from pipeline.train.stage import _environment

    given = [f"--steps={options.steps}", f"--batch={options.batch}", f"--precision={options.precision}"]
    given += [f"--{name}={value}" for name in ("layers", "lines", "loraplus") if (value := getattr(options, name))]
    given += ["--no-checkpointing"] if options.no_checkpointing else []
    environment = _environment() if side in ("ours", "profile") else dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent.parent), str(cache() / "trl")])
    command = [sys.executable, __file__, "--side", side, *given]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def ours(options: argparse.Namespace) -> None:
    """Our stage's own training, in this process."""
    from pipeline.lab import Lab
    from pipeline.train.control import Control
    from pipeline.train.params import TrainParams
    from pipeline.train.run import run_training
    from simulator.events import last_result

    lab = Lab(cache() / "lab")
    params = TrainParams(
        recipe="guide",
        base="smollm2",
        evals_per_epoch=0,
        num_train_epochs=1000,
        warmup_ratio=0.0,
        lora_r=RANK,
        lora_alpha=ALPHA,
        lora_layers=options.layers,
        loraplus_lr_ratio=options.loraplus,
        data=str(lines(lab, options)),
        precision=options.precision,
        out=str(cache() / "adapter-ours"),
        **values(options),
    )
    run = lab.new_run("train")
    result = last_result(run_training(lab, run, params, Control(run), 0))
    print(json.dumps({"samples_per_second": result["samples_per_second"], "memory_mb": peak_memory()}))


def peak_memory() -> float:
    """The most that this process has held at once (MB), by the kernel's count."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def theirs(options: argparse.Namespace) -> None:
    """trl's SFTTrainer as it comes, on the same dense model (a GGUF base it would refuse)."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    lab, base, tokenizer, system = parts()
    from pipeline.train.model import load_model
    from pipeline.train.samples import messages_of, read_lines

    rows = [messages_of(sample, system) for sample in read_lines(lines(lab, options))]
    data = Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in rows])
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    config = SFTConfig(
        output_dir=str(cache() / "adapter-trl"),
        bf16=options.precision == "bf16",
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        lr_scheduler_type="cosine",
        logging_steps=1,
        **({"gradient_checkpointing": False} if options.no_checkpointing else {}),
        **values(options),
    )
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    model = load_model(lab, base, dtype)
    spent: list[float] = []
    trainer = SFTTrainer(
        model, config, train_dataset=data, processing_class=tokenizer, peft_config=lora, callbacks=[stopwatch(spent)]
    )
    trainer.train()
    trainer.save_model()
    speed = options.batch * len(spent) / sum(spent)
    print(json.dumps({"samples_per_second": speed, "memory_mb": peak_memory()}))


def stopwatch(spent: list[float]) -> TrainerCallback:
    """A callback that adds each step's seconds to `spent`."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        started = 0.0

        def on_step_begin(self, *_, **__) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *_, **__) -> None:
            spent.append(time.perf_counter() - self.started)

    return Clock()


def judge(options: argparse.Namespace) -> None:
    """Held-out loss of both adapters (nats an answer token), by plain transformers in float32."""
    import torch
    from peft import PeftModel

    from pipeline.train.batches import collate, pieces
    from pipeline.train.forward import SharedPrefixLoss
    from pipeline.train.model import load_model
    from pipeline.train.samples import encode, read_lines

    lab, base, tokenizer, system = parts()
    held = read_lines(lab.data.with_name("lab_validation.jsonl"))[:40]
    tokens = encode(held, base, tokenizer, system, 1024)
    found = {}
    for side in ("ours", "trl"):
        model = PeftModel.from_pretrained(load_model(lab, base, torch.float32), cache() / f"adapter-{side}")
        loss = SharedPrefixLoss(model)
        with torch.no_grad():
            split = pieces(tokens, list(range(len(tokens.samples))), 8, 4096, 64)
            total = sum(float(loss(collate(tokens, part))) for part in split)
        found[side] = total / tokens.answer_tokens
    print(json.dumps(found))


if __name__ == "__main__":
    main()
