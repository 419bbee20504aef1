"""LoRA-fine-tune a base on the data: `benlab train`, with the guide's numbers; words after it override them."""

import sys

from benlab_tui.cli import main

BASE_MODEL = "meta-llama/Llama-3.2-1B-Instruct"  # `benlab pull` fetches it; --base smollm2 needs no account
OUTPUT_DIR = ""  # a folder; where none is named, ben-lab-lora in the lab folder
TRAINING = {
    "num_train_epochs": 1,
    "per_device_train_batch_size": 2,
    "learning_rate": 2e-4,
    "gradient_accumulation_steps": 4,
}

if __name__ == "__main__":
    given = [f"{name}={value}" for name, value in TRAINING.items()]
    given += [f"out={OUTPUT_DIR}"] if OUTPUT_DIR else []
    sys.exit(main(["train", "recipe=guide", f"base={BASE_MODEL}", *given, *sys.argv[1:]]))
