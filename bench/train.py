"""Training speed against trl's SFTTrainer: `python bench/train.py [--steps 12] [--rounds 2] [--batch 8]`.

Same base, data, rank, batch, optimizer, rate and precision; the sides take turns in processes of their own, and the
clock runs inside the steps alone (no start, no validation). trl is installed from PyPI into a folder of its own,
without its dependencies, which are here already. After the last round both adapters are measured on one held-out
set by one judge: plain transformers in float32. Prints the ratio, the share of this machine's GEMM peak that our
whole step reaches, and where the rest of the step goes.
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

# This folder has a simulator.py of its own: the packages of the repository come first.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
TRL = "trl==1.16.0"
SEED, RANK, ALPHA, RATE = 0, 16, 32, 5e-4


def main() -> None:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument(
        "--no-checkpointing", action="store_true", help="trl without its default gradient checkpointing"
    )
    parser.add_argument("--side", choices=["ours", "trl", "judge", "profile"], help="used by the script itself")
    options = parser.parse_args()
    if options.side:
        {"ours": ours, "trl": theirs, "judge": judge, "profile": profile}[options.side](options)
        return
    lab = prepare()
    print(f"{options.steps} steps of {options.batch} samples, {options.rounds} rounds, {options.precision}, {lab.data}")
    speeds: dict[str, list[float]] = {"ours": [], "trl": []}
    for _ in range(options.rounds):
        for side, values in speeds.items():
            found = child(side, options)
            values.append(found["samples_per_second"])
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


def cache() -> Path:
    """Where the lab, trl and the adapters of this benchmark lie."""
    from platformdirs import user_cache_path

    folder = user_cache_path("benlab-bench")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prepare():
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


def child(side: str, options: argparse.Namespace) -> dict:
    """One side in a process of its own; its last line is its result."""
    from pipeline.train.stage import _environment

    arguments = [f"--steps={options.steps}", f"--batch={options.batch}", f"--precision={options.precision}"]
    arguments += ["--no-checkpointing"] if options.no_checkpointing else []
    environment = _environment() if side in ("ours", "profile") else dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent.parent), str(cache() / "trl")])
    command = [sys.executable, __file__, "--side", side, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


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


def ours(options: argparse.Namespace) -> None:
    """Our stage's own training, in this process."""
    from pipeline.lab import Lab
    from pipeline.train.control import Control
    from pipeline.train.params import TrainParams
    from pipeline.train.run import run_training
    from simulator.events import Metric, last_result

    lab, peak = Lab(cache() / "lab"), [0.0]
    params = TrainParams(
        recipe="smollm2",
        evals_per_epoch=0,
        num_train_epochs=1000,
        warmup_ratio=0.0,
        lora_r=RANK,
        lora_alpha=ALPHA,
        precision=options.precision,
        out=str(cache() / "adapter-ours"),
        **values(options),
    )
    run = lab.new_run("train")

    def watched():
        for event in run_training(lab, run, params, Control(run), 0):
            if isinstance(event, Metric):
                peak[0] = max(peak[0], event.values["memory_mb"])
            yield event

    result = last_result(watched())
    print(json.dumps({"samples_per_second": result["samples_per_second"], "memory_mb": peak[0]}))


def theirs(options: argparse.Namespace) -> None:
    """trl's SFTTrainer as it comes, on the same dense model (a GGUF base it would refuse)."""
    import psutil
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    lab, base, tokenizer, system = parts()
    from pipeline.train.model import load_model
    from pipeline.train.samples import messages_of, read_lines

    rows = [messages_of(sample, system) for sample in read_lines(lab.data)]
    data = Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in rows])
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    spent, started = [], [0.0]

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            started[0] = time.perf_counter()

        def on_step_end(self, *_, **__):
            spent.append(time.perf_counter() - started[0])

    config = SFTConfig(
        output_dir=str(cache() / "adapter-trl"),
        bf16=options.precision == "bf16",
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.1},
        logging_steps=1,
        **({"gradient_checkpointing": False} if options.no_checkpointing else {}),
        **values(options),
    )
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    model = load_model(lab, base, dtype)
    trainer = SFTTrainer(
        model, config, train_dataset=data, processing_class=tokenizer, peft_config=lora, callbacks=[Clock()]
    )
    trainer.train()
    trainer.save_model()
    speed = options.batch * len(spent) / sum(spent)
    peak = psutil.Process().memory_info().rss / 1e6
    print(json.dumps({"samples_per_second": speed, "memory_mb": peak}))


def parts():
    """(lab, base, tokenizer, system prompt)."""
    from pipeline.bases import locate
    from pipeline.lab import Lab
    from pipeline.modelfile import load
    from pipeline.train.model import load_tokenizer

    lab = Lab(cache() / "lab")
    base = locate(lab, "smollm2")
    return lab, base, load_tokenizer(lab, base), load(lab).system.strip()


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


def profile(options: argparse.Namespace) -> None:
    """Share of the GEMM peak that our step reaches, and where its time goes."""
    import torch

    from pipeline.train.batches import collate, epoch_order, pieces
    from pipeline.train.fused import FusedLoss
    from pipeline.train.model import add_adapters, load_model
    from pipeline.train.samples import encode, read_lines

    lab, base, tokenizer, system = parts()
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    tokens = encode(read_lines(lab.data), base, tokenizer, system, 1024)
    model = add_adapters(load_model(lab, base, dtype), RANK, ALPHA, 0.0, "all-linear", base)
    loss = FusedLoss(model, dtype)
    numbers = epoch_order(tokens, options.batch, SEED, 0)[0]
    batches = [collate(tokens, part) for part in pieces(tokens, numbers, options.batch, 1536, 64)]

    def step() -> None:
        for batch in batches:
            loss(batch).backward()

    seconds, peak = [], peak_speed(model.config, dtype)
    for _ in range(6):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    work = step_work(model.config, batches)
    reached = work / statistics.median(seconds[1:])
    with torch.profiler.profile() as seen:
        step()
    times = sorted(((e.key, e.self_cpu_time_total) for e in seen.key_averages()), key=lambda item: -item[1])
    whole = sum(spent for _, spent in times)
    lines = [
        f"step: {work / 1e9:,.0f} GFLOP of real tokens in {statistics.median(seconds[1:]):.2f} s, "
        f"{reached / 1e9:,.0f} GFLOP/s",
        f"share of the GEMM peak at the model's shapes ({peak / 1e9:,.0f} GFLOP/s): {reached / peak:.0%}",
        *[f"  {spent / whole:6.1%} {name}" for name, spent in times[:12]],
    ]
    print(json.dumps({"report": "\n".join(lines)}))


def step_work(config, batches) -> float:
    """Floating-point operations that one step needs; the prefix once, padding and recomputation not counted."""
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    size = width // config.num_attention_heads
    wide = width + 2 * config.num_key_value_heads * size
    lengths = [length for batch in batches for length in batch.lengths]
    answers = sum(batch.answer_tokens for batch in batches)
    prefix = len(batches[0].prefix)
    rows = sum(lengths) + prefix
    linear = width * wide + width * width + 3 * width * inner
    low = RANK * (3 * width + wide + 2 * width + 2 * (width + inner) + inner + width)
    pairs = prefix * prefix / 2 + sum(n * (prefix + n / 2) for n in lengths)
    attention = 6 * 2 * pairs * width
    head = 2 * 2 * answers * width * config.vocab_size
    return layers * (rows * (2 * 2 * linear + 3 * 2 * low) + attention) + head


def peak_speed(config, dtype) -> float:
    """Floating-point operations a second over one layer's four products, each at its best of eight."""
    import torch

    width, inner, rows = config.hidden_size, config.intermediate_size, 2048
    wide = width + 2 * config.num_key_value_heads * (width // config.num_attention_heads)
    work = spent = 0.0
    for inputs, outputs in ((width, wide), (width, width), (width, 2 * inner), (inner, width)):
        x, weight = torch.randn(rows, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype)
        best = float("inf")
        for _ in range(8):
            start = time.perf_counter()
            x @ weight.t()
            best = min(best, time.perf_counter() - start)
        work, spent = work + 2 * rows * inputs * outputs, spent + best
    return work / spent


if __name__ == "__main__":
    main()
