"""What a model scores that was not trained: the base told what it needs, the base with passages, and a mean."""

from __future__ import annotations

import simulator
from pipeline.data.glossary import entries
from pipeline.lab import Lab

BASE, TOLD, RETRIEVAL = "base", "base_told", "base_retrieval"
TUNED, TUNED_RETRIEVAL = "tuned", "retrieval"


def told(system: str) -> str:
    """Return the system prompt with the phases, the glossary and the experiments behind it."""
    phases = ", ".join(simulator.PHASES)
    terms = "\n".join(f"- {entry.term}: {entry.text}" for entry in entries())
    return f"{system}\n\nEvery run belongs to one of four phases: {phases}.\nThe lab's terms:\n{terms}"


def prompt_for(lab: Lab, prompt: str, model: str) -> str:
    """Return the question, with the lab's passages in front if the model draws on them. Raises LabError."""
    if model not in (RETRIEVAL, TUNED_RETRIEVAL):
        return prompt
    from pipeline.retrieval import augment

    return augment(lab, prompt)[0]
