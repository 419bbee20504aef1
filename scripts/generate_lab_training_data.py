"""Experiments into data/lab_instructions.jsonl: `benlab generate`, with the guide's counts."""

import sys

from benlab_tui.cli import main

N_PER_PHASE, N_TRI, N_DISCOVERY, N_REPLAY_DRIFT = 40, 60, 15, 40
COUNTS = {"n_per_phase": N_PER_PHASE, "n_tri": N_TRI, "n_discovery": N_DISCOVERY, "n_replay_drift": N_REPLAY_DRIFT}

if __name__ == "__main__":
    sys.exit(main(["generate", *(f"{name}={count}" for name, count in COUNTS.items()), *sys.argv[1:]]))
