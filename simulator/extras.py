"""How a missing extra is installed: the line that fits how Ben Lab itself came here."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


def install_line(extra: str) -> str:
    """The pip line for `extra`, from a clone, a wheel file or a package index."""
    try:
        origin = json.loads(distribution("benlab").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    return line_for(extra, origin if isinstance(origin, dict) else {}, Path(sys.prefix))


def line_for(extra: str, origin: Mapping[str, Any], prefix: Path) -> str:
    """The line for a package whose direct_url.json (PEP 610) is `origin`, in the environment at `prefix`."""
    url = str(origin.get("url", ""))
    folder = Path(unquote(urlsplit(url).path)) if url.startswith("file:") else None
    if "dir_info" in origin and folder is not None:
        editable = "-e " if origin["dir_info"].get("editable") else ""
        if prefix.parent == folder:
            return f"{prefix.name}/bin/pip install {editable}'.[{extra}]'"
        return f"{shlex.quote(str(prefix / 'bin' / 'pip'))} install {editable}{shlex.quote(f'{folder}[{extra}]')}"
    if folder is not None and folder.suffix == ".whl":
        return f"pip install {shlex.quote(f'{folder}[{extra}]')}"
    return f"pip install 'benlab[{extra}]'"
