"""How every child process of Ben Lab starts: this installation's code, and none of the current folder's.

`python -m NAME` puts the current folder first on the child's path, and so does an empty or relative entry of
PYTHONPATH. A person's own `pipeline.py`, `pip.py` or `random.py` would then run in place of ours. `-P` keeps the
current folder out of the child, and PYTHONSAFEPATH out of what the child starts in turn (torch's launcher, say).
`-I` would do more than is wanted: it also drops PYTHONPATH and the user's site-packages, from which dependencies may
come.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
"""The folder that holds `simulator`, `pipeline` and `benlab_tui`."""


def command(module: str, *arguments: str) -> list[str]:
    """Return the argv that runs `module` in a child; start it with `environment()`."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment for a child, with `more` in it and nothing of the current folder on its path.

    This installation comes first on PYTHONPATH, so that the child runs the same code as its parent.
    """
    path = os.pathsep.join([SOURCE, *_absolute_entries()])
    return {**os.environ, **(more or {}), "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def _absolute_entries() -> list[str]:
    """Return the entries of PYTHONPATH that name a folder other than the current one, wherever the child runs."""
    here = _current_folder()
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [e for e in entries if os.path.isabs(e) and os.path.realpath(e) != here and e != SOURCE]  # noqa: PTH117


def _current_folder() -> str:
    try:
        return os.path.realpath(os.getcwd())  # noqa: PTH109
    except OSError:  # it was removed
        return ""
