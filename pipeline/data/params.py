"""What `generate` and `data check` can be asked for. Light: pydantic only."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MOST = 1_000_000
"""The largest count of one kind."""


def _count(default: int | None, what: str) -> int | None:
    return Field(default, ge=0, le=MOST, description=what)


class GenerateParams(BaseModel):
    """Options of `generate`. A count that is given wins over the recipe's; what a recipe does not name is none."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    n_per_phase: int = Field(40, ge=0, le=MOST, description="phase explanations for each of the four phase types")
    n_tri: int = Field(60, ge=0, le=MOST, description="time-reversal instability (TRI) explanations")
    n_discovery: int = Field(15, ge=0, le=MOST, description="clustering explanations")
    n_replay_drift: int = Field(40, ge=0, le=MOST, description="replay drift explanations")
    extra: int = Field(
        725, ge=0, le=MOST, description="samples of the further kinds together, where the recipe does not fix each"
    )
    n_fingerprint: int | None = _count(None, "fingerprint readings (which phase?); else the recipe's")
    n_numeric: int | None = _count(None, "predictions of a run's numbers; else the recipe's")
    n_comparison: int | None = _count(None, "comparisons of two runs; else the recipe's")
    n_ordering: int | None = _count(None, "orderings of the four phases by a feature; else the recipe's")
    n_design: int | None = _count(None, "experiment designs for a goal; else the recipe's")
    n_definitions: int | None = _count(None, "definitions of glossary terms; else the recipe's")
    n_tools: int | None = _count(None, "tool choices; else the recipe's")
    n_validation: int | None = _count(
        None, "lines of the validation file; else the recipe's, or a twentieth of the rest, 16 to 200"
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="the same seed and options write the same bytes")
    out: str | None = Field(None, description="the file to write; data/lab_instructions.jsonl in the lab if not given")
    guide_only: bool = Field(False, description="only the guide's four kinds, 275 samples by default")
    recipe: str | None = Field(
        None, description="a mix: the name of a shipped recipe (default, quick, full) or a TOML file", examples=["full"]
    )
    api: str | None = Field(
        None,
        description="run the experiments through a Lab API at this URL (its token, if any, in $BENLAB_API_TOKEN)",
        examples=["http://127.0.0.1:8000"],
    )
    append: bool = Field(
        False, description="add to the data set that is there; with mix and no counts, the mixed-in lines alone"
    )
    mix: list[str] = Field(default_factory=list, description="JSONL files of your own to mix in (instruction or chat)")
    feedback: bool = Field(True, description="mix in the accepted and corrected chat turns of this lab")


class CheckParams(BaseModel):
    """Options of `data check`."""

    model_config = ConfigDict(extra="forbid")

    file: str | None = Field(None, description="the JSONL file to check; the lab's training file if not given")
    limit: int = Field(100, ge=1, le=100_000, description="failures to list at most")
