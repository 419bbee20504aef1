"""What is evaluated: an adapter as GGUF, where it comes from, and the files that it was trained on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.bases import locate_gguf
from pipeline.data.paths import clipped, given_path
from pipeline.errors import BadInput, ExportError
from pipeline.evaluate.params import EvalParams
from pipeline.files import sha256_of
from pipeline.lab import Lab
from simulator.private_files import read_text


@dataclass(frozen=True)
class Adapter:
    """What is evaluated: the GGUF that the engine loads, where it comes from, that source's digest, and its base.

    `data_sha256` is of the file it was trained on, "" where that is not known.
    """

    gguf: Path
    source: Path
    sha256: str
    base: str
    data_sha256: str = ""
    learned_tools: bool = False


def locate_adapter(lab: Lab, params: EvalParams, folder: Path) -> Adapter:
    """The adapter as GGUF, converted into the run's folder where it is a peft folder."""
    if params.version and params.adapter:
        raise BadInput("version and adapter are both given: give one of them")
    if params.version:
        from pipeline.install.registry import Registry

        registry = Registry(lab)
        version = registry.named(params.version)
        path = registry.adapter_path(version)
        return Adapter(path, path, sha256_of(path), version.base, version.data_sha256, bool(version.tools))
    path = given_path(params.adapter) if params.adapter else lab.adapter_dir
    try:
        if path.is_file():
            return Adapter(path, path, sha256_of(path), params.base or "smollm2")
    except OSError as error:
        raise ExportError(f"{clipped(str(path))} cannot be read ({error.strerror}): give another --adapter") from error
    weights = path / "adapter_model.safetensors"
    if not weights.is_file():
        raise ExportError(f"there is no adapter at {path}: train first (`benlab train`), or give one with --adapter")
    from pipeline.export.adapter import convert_adapter

    base = locate_gguf(lab, params.base or _base_of(path))
    out = folder / "eval-adapter.gguf"
    convert_adapter(path, base.path, out, base_sha256=base.sha256)
    manifest = _manifest(path)
    return Adapter(
        out, path, sha256_of(weights), base.name, str(manifest.get("data_sha256", "")), bool(manifest.get("tools"))
    )


def training_files(lab: Lab, adapter: Adapter) -> list[Path]:
    """The training files that are here and that the adapter may have seen: the lab's, and those that manifests name."""
    named = [_table(folder, "data").get("file") for folder in (adapter.source, lab.adapter_dir)]
    paths = dict.fromkeys([lab.data, *(lab.root / name for name in named if isinstance(name, str))])
    return [path for path in paths if path.is_file()]


def _base_of(folder: Path) -> str:
    """The name of the base that an adapter was trained on, by its manifest."""
    return str(_table(folder, "base").get("name", "smollm2"))


def _table(folder: Path, name: str) -> dict[str, Any]:
    """One table of an adapter's manifest; {} where there is none."""
    found = _manifest(folder).get(name)
    return found if isinstance(found, dict) else {}


def _manifest(folder: Path) -> dict[str, Any]:
    """An adapter's manifest; {} where there is none."""
    try:
        found = json.loads(read_text(folder / "manifest.json"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
