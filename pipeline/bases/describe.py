"""Reads from a base's own files what a record keeps: architecture, context, template, special tokens, digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.bases.base import Base
from pipeline.bases.catalogue import find_entry
from pipeline.bases.template import CHATML
from pipeline.errors import BaseError, ExportError
from pipeline.files import sha256_of
from pipeline.gguf_head import read_head
from simulator.private_files import read_text


def describe_gguf(
    name: str, path: Path, source: str, sha256: str | None = None, progress: Callable[[int], None] | None = None
) -> Base:
    """The base in a GGUF file. Raises BaseError where the file is no GGUF of a language model."""
    fields = _gguf_fields(path)
    architecture = str(fields("general.architecture") or "")
    if not architecture or fields(f"{architecture}.block_count") is None:
        raise BaseError(f"{path} is a GGUF file without a language model in it: choose a base model's file")
    tokens = fields("tokenizer.ggml.tokens")

    def token(kind: str) -> str:
        number = fields(f"tokenizer.ggml.{kind}_token_id")
        return str(tokens[number]) if tokens and number is not None else ""

    return Base(
        name=name,
        path=path,
        kind="gguf",
        sha256=sha256 or sha256_of(path, progress),
        size=path.stat().st_size,
        source=source,
        architecture=architecture,
        context_length=int(fields(f"{architecture}.context_length") or 2048),
        chat_template=fields("tokenizer.chat_template") or _fallback_template(name),
        bos_token=token("bos"),
        eos_token=token("eos"),
        add_bos=_gguf_adds_bos(fields),
    )


def describe_folder(name: str, path: Path, source: str) -> Base:
    """The base in a folder as transformers saves it. Raises BaseError where weights or config are missing."""
    weights = sorted(path.glob("*.safetensors"))
    config, tokens = _json(path / "config.json"), _json(path / "tokenizer_config.json")
    missing = [what for what, there in (("*.safetensors", weights), ("config.json", config)) if not there]
    if missing:
        raise BaseError(
            f"{path} has no {' and no '.join(missing)}: give a folder with safetensors, config and tokenizer "
            "(pickled weights are never read)"
        )
    template = path / "chat_template.jinja"
    digests = "".join(f"{file.name} {sha256_of(file)}\n" for file in weights)
    own = read_text(template) if template.exists() else tokens.get("chat_template")
    return Base(
        name=name,
        path=path,
        kind="hf",
        sha256=hashlib.sha256(digests.encode()).hexdigest(),
        size=sum(file.stat().st_size for file in weights),
        source=source,
        architecture=str(config.get("model_type", "")),
        context_length=int(config.get("max_position_embeddings") or 2048),
        chat_template=_default_of(own) or _fallback_template(name),
        bos_token=_text(tokens.get("bos_token")),
        eos_token=_text(tokens.get("eos_token")),
        add_bos=_folder_adds_bos(path, tokens),
    )


def _gguf_fields(path: Path) -> Callable[[str], Any]:
    """Looks up a metadata key of the file; None where it is not there."""
    from gguf import GGUFReader

    try:
        read_head(path)
        reader = GGUFReader(path)
    except ExportError as error:
        raise BaseError(str(error)) from error
    except (ValueError, OSError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise BaseError(f"{path} is not a readable GGUF file ({error}): fetch it again or choose another") from error

    def field(key: str) -> Any:
        found = reader.get_field(key)
        return None if found is None else found.contents()

    return field


def _gguf_adds_bos(fields: Callable[[str], Any]) -> bool:
    """llama.cpp's rule: the file's flag, and where it has none, SentencePiece vocabularies start with it."""
    flag = fields("tokenizer.ggml.add_bos_token")
    return bool(flag) if flag is not None else fields("tokenizer.ggml.model") == "llama"


def _folder_adds_bos(path: Path, tokens: dict[str, Any]) -> bool:
    """Whether the tokenizer puts begin-of-text before an empty text."""
    file, bos = path / "tokenizer.json", _text(tokens.get("bos_token"))
    if not bos or not file.exists():
        return bool(tokens.get("add_bos_token", False))
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    return tokenizer.encode("").ids[:1] == [tokenizer.token_to_id(bos)]


def _fallback_template(name: str) -> str:
    entry = find_entry(name)
    return entry.chat_template if entry and entry.chat_template else CHATML


def _default_of(template: Any) -> str | None:
    """A tokenizer may hold several named templates; `default` is the chat's."""
    if isinstance(template, list):
        return next((t.get("template") for t in template if t.get("name") == "default"), None)
    return template


def _text(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(read_text(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise BaseError(f"{path} is not readable JSON ({error}): fetch the base again") from error
