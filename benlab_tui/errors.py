"""The console's exceptions.

    ConsoleError
    ├── UnknownCommand   a word that names no command
    ├── BadArgument      an argument that a command does not take, or a value outside its bounds
    ├── Cancelled        the person stopped it
    └── Declined         the person said no

Every message is one sentence: what value, what bound, what to do.
"""

from __future__ import annotations


class ConsoleError(Exception):
    """The root of what the console raises on purpose."""


class UnknownCommand(ConsoleError):
    """A word that names no command."""


class BadArgument(ConsoleError):
    """An argument that a command does not take, or a value outside its bounds."""


class Cancelled(ConsoleError):
    """The person stopped it."""


class Declined(ConsoleError):
    """The person said no."""
