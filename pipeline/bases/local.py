"""Bases that are on this disk already: a .gguf file, a model folder, or the blob behind an Ollama tag."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import httpx

from pipeline.bases.base import Base, load_record, save_record, slug, stamp
from pipeline.bases.catalogue import find_entry
from pipeline.bases.describe import describe_folder, describe_gguf
from pipeline.errors import BaseError
from pipeline.files import sha256_of
from pipeline.lab import Lab
from simulator.private_files import read_text

_BLOB = re.compile(r"sha256-([0-9a-f]{64})")


def register_path(lab: Lab, name: str, path: Path) -> Base:
    """Records a GGUF file or model folder where it lies, without a copy. Raises BaseError.

    Where `name` is its path, the file's own name becomes the base's.
    """
    given, path = name, path.expanduser().resolve()
    short = slug(path.name.removesuffix(".gguf")) if "/" in given or Path(given).exists() else given
    former = load_record(lab, short)
    if former and former.path.resolve() == path and former.seen == stamp(path):
        return former
    if path.is_dir():
        base = describe_folder(short, path, f"folder {path}")
    elif path.is_file():
        base = describe_gguf(short, path, f"file {path}")
    else:
        raise BaseError(f"{path} is neither a file nor a folder: give the path of a .gguf file or a model folder")
    if short != given and _is_anothers(lab, base):
        base = replace(base, name=f"{short}-{base.sha256[:8]}")
    base = replace(base, seen=stamp(path))
    save_record(lab, base)
    return base


def _is_anothers(lab: Lab, base: Base) -> bool:
    """Whether the name is one of the catalogue's, or stands for another file or folder in this lab."""
    former = load_record(lab, base.name)
    return find_entry(base.name) is not None or (former is not None and former.path.resolve() != base.path)


def register_ollama(lab: Lab, name: str, tag: str) -> Base:
    """Records the very bytes that an Ollama tag serves on this machine. Raises BaseError."""
    blob = checked_blob(find_blob(tag), tag)
    base = describe_gguf(name, blob, f"ollama {tag}", sha256=blob.name.removeprefix("sha256-"))
    save_record(lab, base)
    return base


def find_blob(tag: str) -> Path | None:
    """Where Ollama says that the tag's model lies, unchecked; None where it is not here. Raises BaseError."""
    return _blob_from_server(tag) or _blob_from_manifest(tag)


def checked_blob(path: Path | None, tag: str) -> Path:
    """`path`, if it lies under a local Ollama folder and its sha256 is its name. Raises BaseError."""
    if path is None:
        raise BaseError(
            f"Ollama has no local model {tag!r} (asked its server and looked in "
            f"{', '.join(map(str, ollama_folders()))}): run `ollama pull {tag}` first"
        )
    real = path.resolve()
    match = _BLOB.fullmatch(real.name)
    inside = any(real.is_relative_to(folder.resolve() / "blobs") for folder in ollama_folders())
    if not match or not inside or not real.is_file():
        raise BaseError(
            f"{path} is not a blob under a local Ollama folder ({', '.join(map(str, ollama_folders()))}): "
            "set OLLAMA_MODELS to the folder that holds it"
        )
    if sha256_of(real) != match[1]:
        raise BaseError(f"{real} does not have the sha256 of its name: run `ollama pull {tag}` again")
    return real


def ollama_folders() -> list[Path]:
    """Where Ollama keeps models on this machine: $OLLAMA_MODELS, the user's folder, the service's folder."""
    chosen = os.environ.get("OLLAMA_MODELS")
    usual = [Path.home() / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models")]
    return [Path(chosen).expanduser(), *usual] if chosen else usual


def _blob_from_server(tag: str) -> Path | None:
    """The FROM line that a server on this machine shows; None where none answers or it lacks the model."""
    host = os.environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
    address = host if "://" in host else f"http://{host}"
    try:
        url = httpx.URL(address)
        if url.host not in {"127.0.0.1", "localhost", "::1", "0.0.0.0"}:  # noqa: S104
            return None
        answer = httpx.post(f"{address}/api/show", json={"model": tag}, timeout=5.0, trust_env=False)
        text = str(answer.json().get("modelfile", "")) if answer.status_code == 200 else ""
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
        return None
    found = re.search(r"^FROM\s+(\S.*sha256-[0-9a-f]{64})\s*$", text, re.MULTILINE)
    return Path(found[1]) if found else None


def _blob_from_manifest(tag: str) -> Path | None:
    """The model layer in Ollama's own manifest file, so that no server has to run."""
    model, _, version = tag.partition(":")
    parts = (model if "/" in model else f"library/{model}").split("/")
    if not all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", part) for part in [*parts, version or "latest"]):
        raise BaseError(f"{tag!r} is no Ollama tag: write it as name:version, such as llama3.2:1b")
    for folder in ollama_folders():
        manifest = folder.joinpath("manifests", "registry.ollama.ai", *parts, version or "latest")
        try:
            layers = json.loads(read_text(manifest))["layers"]
            digest = next(x["digest"] for x in layers if x["mediaType"] == "application/vnd.ollama.image.model")
        except (OSError, ValueError, KeyError, TypeError, StopIteration, RecursionError):
            continue
        return folder / "blobs" / str(digest).replace(":", "-")
    return None
