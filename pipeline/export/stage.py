"""The stage `export`: the adapter, or the whole merged model, as one GGUF file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.export.adapter import convert_adapter
from pipeline.export.params import ExportParams
from pipeline.export.sources import adapter_and_base
from pipeline.lab import Lab
from simulator.events import Event, Progress, Result


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
    else:
        facts = convert_adapter(adapter, base.path, out, base_sha256=base.sha256)
    yield Progress("export", 1, 1, out.name)
    value = {"file": lab.relative(out), "base": base.name, "adapter": lab.relative(adapter), **facts}
    yield Result({**value, "seconds": round(time.perf_counter() - started, 3)})
