"""The stage `export`: the adapter, or the whole merged model, as one GGUF file."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import BadInput
from pipeline.export.adapter import convert_adapter
from pipeline.export.params import ExportParams
from pipeline.export.sources import adapter_and_base
from pipeline.lab import Lab, current_run
from simulator.events import Event, Note, Progress, Result

if TYPE_CHECKING:
    from pipeline.bases.base import Base


def run(lab: Lab, params: ExportParams) -> Iterator[Event]:
    """Progress, then a Result with the file, its size, and what went into it.

    Raises BadInput, BaseError, ExportError or LabError; a file that was there before then stays as it was.
    """
    if params.quantize != "none" and not params.merged:
        raise BadInput(f"quantize {params.quantize} is for merged models, an adapter stays F32: add --merged")
    started = time.perf_counter()
    adapter, base = adapter_and_base(lab, params.adapter, params.base)
    default = lab.root / "ben-lab-merged.gguf" if params.merged else lab.adapter_gguf
    out = Path(params.out).expanduser() if params.out else default
    if out.is_dir():
        raise BadInput(f"{out} is a folder: name the file to write, such as {out / default.name}")
    yield Progress("export", 0, 1, f"{adapter.name} for {base.name}")
    if params.merged:
        from pipeline.export.merged import merge

        facts = yield from merge(adapter, base.path, out, base_sha256=base.sha256, quantize=params.quantize)
        if params.quantize != "none":
            facts["agreement"] = yield from _agreement(lab, adapter, base, out)
    else:
        facts = convert_adapter(adapter, base.path, out, base_sha256=base.sha256)
    yield Progress("export", 1, 1, out.name)
    value = {"file": lab.relative(out), "base": base.name, "adapter": lab.relative(adapter), **facts}
    yield Result({**value, "seconds": round(time.perf_counter() - started, 3)})


def _agreement(lab: Lab, adapter: Path, base: Base, merged: Path) -> Generator[Event, None, dict[str, Any]]:
    """What the quantised model changes, measured and said."""
    from pipeline.export.agreement import measure_agreement
    from pipeline.install.receipt import prompts
    from pipeline.modelfile import load

    gguf = current_run(lab, "export") / "adapter.gguf"
    convert_adapter(adapter, base.path, gguf)
    found = yield from measure_agreement(base, gguf, merged, prompts(load(lab).system))
    yield Note(
        f"{merged.name} chooses the same word as the adapter at run time at {found['agreeing']} of {found['tokens']} "
        f"places ({found['share']:.1%})"
    )
    return found
