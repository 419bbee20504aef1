"""Who may load what: checked in fresh processes, since this one has loaded everything."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

_HEAVY = ("torch", "transformers", "numpy", "scipy", "sklearn", "stim", "xllamacpp", "peft", "datasets")


def _loaded(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after `code`."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import benlab_tui.app",
        "import benlab_tui.cli",
        "from benlab_tui.registry import commands; commands()",
        "import simulator; simulator.EXPERIMENTS",
    ],
)
def test_the_screen_and_the_menus_load_nothing_heavy(code: str) -> None:
    assert not _loaded(code) & set(_HEAVY)


@pytest.mark.parametrize("package", ["simulator", "pipeline"])
def test_the_cores_load_no_screen(package: str) -> None:
    code = f"import {package}, pkgutil, importlib\nfrom pipeline.stages import STAGES\n"
    code += "[s.params_model() for s in STAGES.values()]\n" if package == "pipeline" else ""
    assert not _loaded(code) & {"textual", "rich"}


def test_the_version_is_the_distributions() -> None:
    done = subprocess.run([sys.executable, "-m", "benlab_tui", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"benlab {metadata.version('benlab')}\n"
