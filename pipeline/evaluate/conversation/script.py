"""A dialogue as it is played and graded: turns with what is expected of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.data.claims import Run

Relations = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Pair:
    """A feature of two runs, of which one value is clearly larger."""

    feature: str
    first: Run
    second: Run


@dataclass(frozen=True)
class Turn:
    """What the person says, and what a right reply does.

    `calls`: the runs that have to be called, in any order; with none the tools have to stay silent. `value`: a run and
    the path of the number that the answer has to give. `shift`: whether the feature rose or fell. `larger`: which of
    two runs has more. `bound`: the number that the answer has to name, with `bounds` the numbers that it may name.
    `command`: the experiment whose command it has to name. `prose`: numbers are free (general chat and code).
    `silent_result`: the run would ask first, so only its call is graded.
    """

    text: str
    calls: tuple[Run, ...] = ()
    value: tuple[Run, str] | None = None
    shift: Pair | None = None
    larger: Pair | None = None
    bound: float | None = None
    bounds: tuple[float, ...] = ()
    command: str = ""
    needs: Relations = ()
    never: Relations = ()
    prose: bool = False
    silent_result: bool = False


@dataclass(frozen=True)
class Dialogue:
    """Turns on one topic; `tools` is whether experiments can be run where it takes place."""

    name: str
    topic: str
    tools: bool
    turns: Sequence[Turn]

    @property
    def follow_up(self) -> bool:
        """Whether later turns build on a first result."""
        return len(self.turns) > 1 and bool(self.turns[0].calls)
