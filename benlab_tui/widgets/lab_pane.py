"""The lab pane: what is here, what runs, what ran last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from benlab_tui.text import inert

if TYPE_CHECKING:
    from benlab_tui.watch import JobView

_MOST_JOBS = 6


class LabPane(VerticalScroll, can_focus=False):
    """Facts of the lab on top, then a card a job, the newest first."""

    def __init__(self) -> None:
        super().__init__(id="lab-pane")
        self._facts = Static("", markup=False, id="facts")

    async def fill(self) -> None:
        """Mounts what the pane holds, once the first paint is done."""
        none = Static(Content.styled("none yet", "$foreground-muted"), id="no-jobs", markup=False)
        await self.mount(self._facts, Static("Jobs", classes="heading", markup=False), none)

    def show_facts(self, facts: dict[str, str]) -> None:
        """A line a fact; names are padded to one width."""
        width = max((len(name) for name in facts), default=0)
        rows = [
            Content.assemble((f"{name:<{width}}  ", "$foreground-muted"), inert(value))
            for name, value in facts.items()
            if value
        ]
        self._facts.update(Content("\n").join(rows))

    async def show_jobs(self, views: list[JobView]) -> None:
        """Adds cards for jobs that have none, and drops the oldest that have ended."""
        from benlab_tui.widgets.job_card import JobCard

        known = {card.view.id: card for card in self.query(JobCard)}
        self.query_one("#no-jobs").display = not views and not known
        for view in sorted(views, key=lambda view: view.started):
            if view.id not in known:
                known[view.id] = JobCard(view)
                await self.mount(known[view.id], after=self.query_one("#no-jobs"))
        ended = [card for card in known.values() if card.view.state != "running"]
        for card in sorted(ended, key=lambda card: card.view.started)[: max(0, len(known) - _MOST_JOBS)]:
            await card.remove()
