"""What an Ollama server stored of an install: that base and adapter are in it, and how it decodes.

From 0.30 on a server rewrites every GGUF that it is given for a base, so the digest of the base need not be the one
that was sent. The adapter's stays. A base or a merged model is known by its architecture, its parameter count and its
tensors; that it answers as trained is for the receipt to prove.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import BadInput, InstallError

if TYPE_CHECKING:
    from pipeline.install.ollama_server import OllamaServer

_DIGEST = re.compile(r"^(FROM|ADAPTER) .*sha256[-:]([0-9a-f]{64})", re.MULTILINE)


def check_stored(server: OllamaServer, model: str, base: Path, adapter: tuple[str, str] | None) -> dict[str, str]:
    """Return the digests that the server stored, as {"base", "adapter"}.

    `base` is the file that was sent, `adapter` its name and sha256. Raises InstallError if either is not in the model:
    some servers end in `success` without them (0.5.7).
    """
    shown = server.stored(model)
    found = _DIGEST.findall(str(shown.get("modelfile")))
    digests = {"base": [d for word, d in found if word == "FROM"], "adapter": [d for w, d in found if w == "ADAPTER"]}
    if adapter and adapter[1] not in digests["adapter"]:
        raise _missing(server, model, adapter[0], f"sha256 {adapter[1][:12]}… is not in `ollama show`")
    if not digests["base"]:
        raise _missing(server, model, base.name, "`ollama show` has no FROM with a digest")
    if other := _other_model(shown, base):
        raise _missing(server, model, base.name, other)
    return {name: some[0] for name, some in digests.items() if some}


def _missing(server: OllamaServer, model: str, name: str, why: str) -> InstallError:
    return InstallError(
        f"Ollama at {server.url} created {model} without {name} ({why}): install again, or with target embedded"
    )


def _other_model(shown: Mapping[str, Any], base: Path) -> str:
    """Return how the stored model differs from the file that was sent; empty if nothing shows that it does."""
    from pipeline.gguf_head import read_head

    head = read_head(base)
    info = shown.get("model_info") or {}
    kind = info.get("general.architecture")
    if kind and kind != head.architecture:
        return f"it stores the architecture {kind}, not {head.architecture}"
    sent = {tensor.name: tensor.shape for tensor in head.tensors.values()}
    count, wanted = info.get("general.parameter_count"), sum(math.prod(shape) for shape in sent.values())
    if count and count != wanted:
        return f"it stores {count} parameters, not {wanted}"
    stored = {str(one.get("name")): tuple(reversed(one.get("shape") or ())) for one in shown.get("tensors") or ()}
    differing = next((name for name, shape in sent.items() if stored and stored.get(name) != shape), "")
    return f"its tensor {differing} is missing or of another shape" if differing else ""


def shown_parameters(text: str | None) -> dict[str, Any]:
    """Return `/api/show`'s parameters, a line each, typed; none if a line is broken."""
    from pipeline.modelfile import parse

    try:
        read = parse("FROM x\n" + "\n".join(f"PARAMETER {line}" for line in (text or "").splitlines())).parameters
    except BadInput:
        return {}
    return {
        name: [_unescaped(one) for one in value] if isinstance(value, list) else value for name, value in read.items()
    }


def _unescaped(text: str) -> str:
    """Undo Go's escapes, which Modelfiles do not have: a server shows a line break of a stop string as `\\n`."""
    try:
        return str(ast.literal_eval(f'"{text}"'))
    except (SyntaxError, ValueError):
        return text
