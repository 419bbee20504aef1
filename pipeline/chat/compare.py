"""Several models of one base side by side: one server, one copy of the base, an adapter each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ChatError

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.chat.embedded import EmbeddedEngine
    from pipeline.lab import Lab


async def open_side_by_side(lab: Lab, models: Sequence[str]) -> list[EmbeddedEngine]:
    """An engine for each of "base", "ben-lab", an installed version, or an adapter's path (peft folder or GGUF).

    They share one embedded server, so nothing is loaded twice, and each has a slot of its own. Close all of
    them; the server ends with the first. Raises ChatError where they do not share a base.
    """
    return await asyncio.to_thread(_open, lab, models)


def _open(lab: Lab, models: Sequence[str]) -> list[EmbeddedEngine]:
    from pipeline.bases import locate
    from pipeline.chat.decoding import decoding
    from pipeline.chat.embedded import EmbeddedEngine
    from pipeline.chat.open import base_name
    from pipeline.chat.server import EmbeddedServer
    from pipeline.errors import PipelineError
    from pipeline.modelfile import load

    if not models:
        raise ChatError("there is nothing to compare: name two models, such as base and ben-lab")
    modelfile = load(lab)
    try:
        base = locate(lab, base_name(lab))
        adapters = {model: _adapter(lab, model, base) for model in models if model != "base"}
    except ChatError:
        raise
    except PipelineError as error:
        raise ChatError(str(error)) from error
    files = list(dict.fromkeys(adapters.values()))
    context = min(base.context_length, 2048)
    server = EmbeddedServer(base, files, parallel=len(models), context=context, log=lab.models / "compare.log")
    server.open()
    return [
        EmbeddedEngine(
            server,
            model,
            adapter=files.index(adapters[model]) if model in adapters else False,
            defaults=decoding(modelfile, base),
            system=modelfile.system,
            owns_server=number == 0,
        )
        for number, model in enumerate(models)
    ]


def _adapter(lab: Lab, model: str, base: Base) -> Path:
    """The model's adapter as GGUF; a checkpoint's peft folder is converted beside itself."""
    from pipeline.export.adapter import convert_adapter
    from pipeline.install.registry import Registry

    path = Path(model).expanduser()
    path = path if path.is_absolute() else lab.root / path
    if path.is_file():
        return path
    if (path / "adapter_config.json").is_file():
        out = path.with_name(path.name + ".gguf")
        convert_adapter(path, base.path, out, base_sha256=base.sha256)
        return out
    registry = Registry(lab)
    version = registry.find(model)
    if version is None:
        known = ", ".join(["base", "ben-lab", *(version.version for version in registry.versions())][:12])
        raise ChatError(f"there is no model {model!r} to compare: use {known}, or an adapter's folder")
    if version.base_sha256 != base.sha256:
        raise ChatError(
            f"{version.version} has the base {version.base} and the one in use has {base.name}: compare one base"
        )
    return registry.adapter_path(version)
