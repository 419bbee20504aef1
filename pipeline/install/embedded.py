"""Install for the embedded engine: convert, prove with a receipt, publish in one rename."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.chat.decoding import parameters
from pipeline.errors import InstallError
from pipeline.export.adapter import convert_adapter
from pipeline.export.sources import manifest_of
from pipeline.files import replacing_folder, write_text_atomic
from pipeline.install.receipt import Receipt, measure
from pipeline.install.registry import Registry, Version
from simulator.events import Event, Progress

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.lab import Lab
    from pipeline.modelfile import Modelfile

ADAPTER = "adapter.gguf"


@dataclass(frozen=True, slots=True)
class Job:
    """What one install works with. `run_folder` keeps the receipt of a failed install, too."""

    lab: Lab
    name: str
    adapter: Path
    base: Base
    modelfile: Modelfile
    run_folder: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """The adapter's own account of how it was made."""
        return manifest_of(self.adapter)

    @property
    def run(self) -> str:
        """The training run that made the adapter, as part of a version's name."""
        named = re.sub(r"[^A-Za-z0-9._-]", "-", Path(str(self.manifest.get("run", ""))).name)
        return named or time.strftime("%Y%m%d-%H%M%S")

    @property
    def version(self) -> str:
        """`ben-lab:<run>`."""
        return f"{self.name}:{self.run}"


def install_embedded(job: Job) -> Generator[Event, None, Version]:
    """Publishes the version's folder once its receipt has passed; the registry is left to the caller.

    Raises ExportError for an adapter of another base, InstallError for a receipt that failed; what was
    installed before then stays as it was.
    """
    registry = Registry(job.lab, job.name)
    target = registry.folder_of(job.version)
    yield Progress("install", 0, 3, "converting the adapter")
    with replacing_folder(target) as fresh:
        convert_adapter(job.adapter, job.base.path, fresh / ADAPTER, base_sha256=job.base.sha256)
        write_companions(job, fresh)
        yield Progress("install", 1, 3, "proving that it answers as it was trained")
        receipt = yield from _receipt(job, fresh / ADAPTER)
        (fresh / "receipt.json").write_text(_json(receipt.as_dict()), encoding="utf-8")
    yield Progress("install", 2, 3, "published")
    return _version(job, target / ADAPTER, receipt)


def _receipt(job: Job, adapter: Path) -> Generator[Event, None, Receipt]:
    from pipeline.chat.server import EmbeddedServer

    receipt: Receipt | None = None
    with EmbeddedServer(job.base, [adapter], parallel=1, context=1024, log=job.run_folder / "engine.log") as server:
        for item in measure(job.lab, job.base, job.adapter, server, job.modelfile.system):
            if isinstance(item, Receipt):
                receipt = item
            else:
                yield item
    assert receipt is not None
    path = job.run_folder / "receipt.json"
    write_text_atomic(path, _json(receipt.as_dict()))
    if not receipt.passed:
        raise InstallError(
            f"the receipt failed ({'; '.join(receipt.failures)}): {job.name} stays as it was, "
            f"see {job.lab.relative(path)}"
        )
    return receipt


def write_companions(job: Job, folder: Path) -> None:
    """The Modelfile for `ollama create ben-lab -f Modelfile`, and where the adapter comes from."""
    from pipeline.install.template import go_template
    from pipeline.modelfile import render

    text = render(
        ollama_source(job.base),
        adapter=f"./{ADAPTER}",
        parameters=parameters(job.modelfile, job.base),
        system=job.modelfile.system,
        template=go_template(job.base),
    )
    (folder / "Modelfile").write_text(text, encoding="utf-8")
    for name in ("manifest.json", "adapter_config.json"):
        if (job.adapter / name).is_file():
            shutil.copyfile(job.adapter / name, folder / name)


def ollama_source(base: Base) -> str:
    """FROM for this base: the tag where Ollama serves these very bytes, else the GGUF file."""
    kind, _, tag = base.source.partition(" ")
    return tag if kind == "ollama" and tag else str(base.path)


def _version(job: Job, adapter: Path, receipt: Receipt) -> Version:
    manifest = job.manifest
    summary = {key: value for key, value in receipt.as_dict().items() if key != "answers"}
    return Version(
        version=job.version,
        adapter=job.lab.relative(adapter),
        base=job.base.name,
        base_sha256=job.base.sha256,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        run=job.run,
        physics_version=str(manifest.get("physics_version", "")),
        tools=", ".join(map(str, manifest.get("tools") or ())),
        recipe=str(manifest.get("recipe_name", "")),
        data_sha256=str(manifest.get("data_sha256", "")),
        receipt=summary,
    )


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
