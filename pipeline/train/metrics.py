"""metrics.jsonl: one line a step, and TensorBoard files where asked for."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.errors import MissingExtra
from pipeline.files import write_text_atomic
from simulator.extras import install_line
from simulator.private_files import opener, read_text


class MetricsLog:
    """Appends each step's numbers to `metrics.jsonl` in the run's folder, whole lines only."""

    def __init__(self, run: Path, resumed_at: int, tensorboard: bool) -> None:
        self._path = run / "metrics.jsonl"
        self._drop_after(resumed_at)
        self._file = open(self._path, "a", encoding="utf-8", opener=opener)  # noqa: SIM115
        self._board = _board(run / "tensorboard") if tensorboard else None

    def write(self, step: int, values: dict[str, float]) -> None:
        """One line: {"step": …, name: number, …}. A full disk costs the line, not the run."""
        with suppress(OSError):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
            if self._board is not None:
                for name, value in values.items():
                    self._board.add_scalar(f"train/{name}", value, step)

    def close(self) -> None:
        """Ends the files."""
        with suppress(OSError):
            self._file.close()
        if self._board is not None:
            with suppress(OSError):
                self._board.close()

    def _drop_after(self, step: int) -> None:
        """Takes away lines of steps that a resumed run does again, and half a line that a kill left."""
        kept = []
        for line in read_text(self._path).splitlines() if self._path.exists() else []:
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError, TypeError):
                continue
        write_text_atomic(self._path, "".join(kept))


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtra(f"tensorboard files need TensorBoard: run `{install_line('tensorboard')}`") from error
    return SummaryWriter(str(folder))
