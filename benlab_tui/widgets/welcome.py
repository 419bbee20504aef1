"""What an empty session shows: the first steps, and the one key that fetches a model where none is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from pipeline.lab import Lab

_STEPS = (
    ("/experiment tri phase_type=ising_symmetry_breaking", "run an experiment"),
    ("/loop quick=yes", "data, training, install: everything once"),
    ("/", "all commands, with their parameters"),
)


class Welcome(Static):
    """Goes with the first thing that is sent."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(markup=False, id="welcome")
        self._lab = lab

    def render(self) -> Content:
        """Title, the missing model if any, first steps."""
        from benlab_tui.facts import bases

        lines = [
            Content.styled("Ben Lab", "bold $accent"),
            Content("Chat with a model that learned from your experiments."),
        ]
        if not bases(self._lab):
            lines.append(Content(""))
            lines.append(
                Content.assemble(
                    ("F4", "bold reverse"), " fetches the base model SmolLM2-135M (98 MB), to chat and train with."
                )
            )
        lines.append(Content(""))
        width = max(len(step) for step, _ in _STEPS) + 2
        for step, what in _STEPS:
            lines.append(Content.assemble((f"{step:<{width}}", "$accent"), (what, "$foreground-muted")))
        return Content("\n").join(lines)
