"""What `eval` can be asked for. Light: pydantic only."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

QuestionKind = Literal["conversation", "phase_identification", "numeric", "ordering", "definitions", "forgetting"]

KINDS: tuple[QuestionKind, ...] = get_args(QuestionKind)
QUESTIONS_OF_A_KIND = 40
"""Questions of each kind and region by default; of the dialogues, all."""


class EvalParams(BaseModel):
    """Options of `eval`: how many questions of which kinds, and which model."""

    model_config = ConfigDict(extra="forbid")

    questions: int | None = Field(
        None,
        ge=1,
        le=2000,
        description="how many of each kind and region, dialogues included (default: 40, and all dialogues)",
        examples=[40],
    )
    kinds: list[QuestionKind] = Field(
        default_factory=lambda: list(KINDS),
        min_length=1,
        description="the kinds to ask",
    )
    extrapolation: bool = Field(True, description="ask outside the training grid too, reported apart")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="the same seed asks the same questions")
    adapter: str | None = Field(
        None, description="an adapter GGUF, or a peft folder to convert first (default: the lab's newest)"
    )
    base: str | None = Field(None, description="the base to compare with (default: the one the adapter was trained on)")
    version: str | None = Field(None, description="an installed version to evaluate", examples=["ben-lab"])
    parallel: int = Field(4, ge=1, le=64, description="answers generated at once")
    served: bool = Field(
        False, description="ask the very files that the chat loads, not copies in Q8_0 that answer faster (Q4_1 bases)"
    )
    skip_base: bool = Field(False, description="ask the tuned model alone")
    rag: bool = Field(False, description="ask the tuned model once more with the lab's passages in its prompt")
    helped: bool = Field(
        True, description="ask the base with help, too: told the phases and the glossary, and with the lab's passages"
    )
    set: str | None = Field(None, description="the evaluation set to ask (default: the newest sealed one)")
