"""LoRA-fine-tune a base on the data: `benlab train`. The guide's values are the recipe `guide`."""

import sys

from benlab_tui.cli import main

BASE_MODEL = (
    "smollm2"  # or meta-llama/Llama-3.2-1B-Instruct, TinyLlama/TinyLlama-1.1B-Chat-v1.0, Qwen/Qwen2.5-1.5B-Instruct
)
OUTPUT_DIR = "ben-lab-lora"

if __name__ == "__main__":
    sys.exit(main(["train", "--base", BASE_MODEL, *sys.argv[1:]]))
