"""How a running training is told to stop or to wait: a signal, and a file in its run folder.

Cancel: SIGTERM or SIGINT to the job's process group. Pause: make `pause` in the run's folder; go on:
remove it. A cancel is seen between two micro-batches, a pause between two steps, and a checkpoint is written first.
"""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

PAUSE = "pause"


class Control:
    """Asked between micro-batches; costs one flag and a stat or two.

    `job` is the folder of the job that trains, where that is another one than the run's: a resumed run has both.
    """

    def __init__(self, run: Path, job: Path | None = None) -> None:
        self._flags = {folder / PAUSE for folder in (run, job) if folder is not None}
        self.cancelled = False

    def listen(self) -> None:
        """Takes SIGTERM and SIGINT from now on (main thread only)."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    @property
    def paused(self) -> bool:
        """Whether somebody asks for a pause."""
        return any(flag.exists() for flag in self._flags)

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self.cancelled = True


def is_paused(run: Path) -> bool:
    """Whether that run folder asks for a pause."""
    return (run / PAUSE).exists()


def set_pause(run: Path, on: bool) -> None:
    """Asks the training in that run folder to pause, or to go on."""
    if on:
        (run / PAUSE).touch()
    else:
        (run / PAUSE).unlink(missing_ok=True)
