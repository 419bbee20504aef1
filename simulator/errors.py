"""The simulator's exceptions.

    SimulatorError
    ├── BadParameter        a value outside its bounds
    ├── UnknownName         a phase, experiment or feature that does not exist
    ├── UnknownExperiment   an experiment id that is in no notebook
    ├── MissingExtra        an optional package that is not installed
    └── NotebookError       lab.db cannot be opened, read or written

Every message is one sentence: what value, what bound, what to do.
"""

from __future__ import annotations

from simulator.masking import mask_addresses


class SimulatorError(Exception):
    """The root of what the simulator raises on purpose."""

    def __str__(self) -> str:
        """The sentence, with no password of an address in it, wherever it is shown or logged."""
        return mask_addresses(super().__str__())


class BadParameter(SimulatorError, ValueError):
    """`field` has a value outside its bounds. `errors` holds pydantic's details where there are any."""

    def __init__(self, message: str, field: str = "", errors: list[dict[str, object]] | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.errors = errors or []


class UnknownName(SimulatorError, KeyError):
    """A name that is in no table."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UnknownExperiment(SimulatorError, LookupError):
    """An experiment id that the notebook does not hold."""


class MissingExtra(SimulatorError):
    """A package of an optional extra is not installed."""


class NotebookError(SimulatorError):
    """lab.db cannot be opened, read or written."""
