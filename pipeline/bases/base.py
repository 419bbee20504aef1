"""A base that is here: its files, its digest, and what a chat with it needs to know."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.bases.catalogue import BaseEntry, catalogue, find_entry
from pipeline.errors import BaseError
from pipeline.files import write_text_atomic
from pipeline.lab import Lab
from simulator.private_files import read_text

_RECORD = "base.json"
_SERVED = "served.json"
"""The GGUF of a base whose own record is a folder of safetensors: training reads the one, llama.cpp the other."""


@dataclass(frozen=True, slots=True)
class Base:
    """A base model on this disk.

    `path` is a .gguf file (`kind` "gguf") or a folder of safetensors and tokenizer ("hf"). `sha256`
    is the file's, or for a folder the digest over its weight files' names and digests. `add_bos` says
    that a prompt starts with the begin-of-text token even where the template does not write it. `seen` is
    the `stamp` of a user's own file or folder when it was described.
    """

    name: str
    path: Path
    kind: str
    sha256: str
    size: int
    source: str
    architecture: str
    context_length: int
    chat_template: str
    bos_token: str
    eos_token: str
    add_bos: bool
    seen: str = ""

    @property
    def entry(self) -> BaseEntry | None:
        """The catalogue's entry, where the base has one."""
        return find_entry(self.name)


def slug(name: str) -> str:
    """The name as a folder's name: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[-80:] or "base"


def base_folder(lab: Lab, name: str) -> Path:
    """Where the lab keeps that base: models/bases/<name>."""
    entry = find_entry(name)
    return lab.models / "bases" / slug(entry.name if entry else name)


def save_record(lab: Lab, base: Base) -> None:
    """Writes base.json, the last step of a pull: without it a base is not here.

    A GGUF and a folder of safetensors of one base stand beside each other: neither takes the other's place.
    """
    former = load_record(lab, base.name)
    if former and former.kind != base.kind:
        _write_record(lab, base if base.kind == "gguf" else former, _SERVED)
        if base.kind == "gguf":
            return
    _write_record(lab, base, _RECORD)


def _write_record(lab: Lab, base: Base, file: str) -> None:
    record = {**asdict(base), "path": lab.relative(base.path)}
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    write_text_atomic(base_folder(lab, base.name) / file, text)


def load_record(lab: Lab, name: str) -> Base | None:
    """The base as it was recorded, or None where it is not here or its file is gone or has another size."""
    return _read_record(lab, name, _RECORD)


def served_record(lab: Lab, name: str) -> Base | None:
    """The base as llama.cpp loads it: its own record where that is a GGUF, else the GGUF beside it, else None."""
    own = load_record(lab, name)
    return own if own and own.kind == "gguf" else _read_record(lab, name, _SERVED)


def _read_record(lab: Lab, name: str, file: str) -> Base | None:
    try:
        record: dict[str, Any] = json.loads(read_text(base_folder(lab, name) / file))
        base = Base(**{**record, "path": lab.root / record["path"]})
        whole = base.path.is_dir() if base.kind == "hf" else base.path.stat().st_size == base.size
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return base if whole else None


def stamp(path: Path) -> str:
    """Names, sizes and times of a model's files: where it is another, they were written anew."""
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    told = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def locate(lab: Lab, name: str) -> Base:
    """The base of that name (catalogue, HF id, Ollama tag, path). Raises BaseError where it is not here.

    A user's own file or folder that was written anew since is described anew.
    """
    if base := load_record(lab, name):
        if base.source.startswith(("file ", "folder ")) and base.seen != stamp(base.path):
            from pipeline.bases.local import register_path

            return register_path(lab, base.name, base.path)
        return base
    path = Path(name).expanduser()
    if path.exists() and not find_entry(name):
        from pipeline.bases.local import register_path

        return register_path(lab, name, path)
    if find_entry(name) or name.startswith("ollama:") or ("/" in name and not is_path(name)):
        raise BaseError(f"the base {name} is not here: run `benlab pull {name}`")
    raise unknown(name)


def locate_gguf(lab: Lab, name: str) -> Base:
    """The base of that name as a GGUF file. Raises BaseError where it, or its GGUF, is not here."""
    found = locate(lab, name)
    if found.kind == "gguf":
        return found
    if served := served_record(lab, name):
        return served
    tag = found.entry.ollama_tag if found.entry else ""
    how = f"`benlab pull ollama:{tag}` fetches it" if tag else "name a .gguf file of it with --base"
    raise BaseError(f"the base {found.name} is a folder of safetensors and this needs its GGUF: {how}")


def is_path(name: str) -> bool:
    """Whether the name can only be meant as a file or folder, not as a name or a Hugging Face id."""
    return name.startswith(("/", "~", "./", "../")) or name.lower().endswith(".gguf") or name in (".", "..")


def unknown(name: str) -> BaseError:
    """The error for a name that is no base at all, or a path where nothing is."""
    if is_path(name):
        return BaseError(f"{name} does not exist: check the path of the .gguf file or model folder")
    known = ", ".join(catalogue())
    return BaseError(
        f"{name!r} is no known base: use one of {known}, a Hugging Face id (org/name), "
        "the path of a .gguf file or model folder, or ollama:TAG"
    )
