"""What the lab pane says of the lab folder: read in a thread, light, and never an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from simulator.errors import SimulatorError
from simulator.private_files import read_text, regular

if TYPE_CHECKING:
    from pipeline.lab import Lab


def facts(lab: Lab) -> dict[str, str]:
    """Folder, base, data, adapter, installed version, experiments; what is missing names its command."""
    return {
        "folder": str(lab.root).replace(str(lab.root.home()), "~", 1),
        "base": ", ".join(bases(lab)) or "none: /pull smollm2",
        "data": _lines(lab),
        "adapter": "trained" if (lab.adapter_dir / "adapter_config.json").is_file() else "none: /train",
        "ben-lab": _version(lab).removeprefix("ben-lab:") or "not installed: /install",
        "receipt": _receipt(lab),
        "runs": _experiments(lab),
    }


def bases(lab: Lab) -> list[str]:
    """Names of the bases that lie in the lab."""
    folder = lab.models / "bases"
    try:
        return sorted(path.parent.name for path in folder.glob("*/base.json"))
    except OSError:
        return []


def _version(lab: Lab) -> str:
    try:
        record = json.loads(read_text(lab.models / "ben-lab" / "registry.json"))
        return str(record.get("current") or "")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""


def _receipt(lab: Lab) -> str:
    """Whether the version in use was shown to answer as it was trained."""
    try:
        record = json.loads(read_text(lab.models / "ben-lab" / "registry.json"))
        current = next(version for version in record["versions"] if version["version"] == record["current"])
        receipt = current["receipt"]
        equal = f"{receipt['tokens_agreeing']} of {receipt['tokens']} tokens agree"
        return f"✓ {equal}" if receipt["passed"] else f"✗ failed, {equal}"
    except (OSError, ValueError, KeyError, TypeError, StopIteration, RecursionError):
        return ""


def _lines(lab: Lab) -> str:
    try:
        with open(lab.data, "rb", opener=regular) as file:
            count = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except OSError:
        return "none: /generate"
    return f"{count:,} samples"


def _experiments(lab: Lab) -> str:
    """How many experiments there are, and how many of them are of an earlier physics version."""
    from simulator.fingerprint import PHYSICS_VERSION

    try:
        with lab.notebook() as notebook:
            versions = notebook.versions()
    except (SimulatorError, PipelineError):
        versions = {}
    count = sum(versions.values())
    old = count - versions.get(PHYSICS_VERSION, 0)
    told = f"{count:,} experiment{'' if count == 1 else 's'}"
    return f"{told}, {old:,} of older physics" if old else told
