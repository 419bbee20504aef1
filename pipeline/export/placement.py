"""Where a module's LoRA pair goes in a GGUF base: names, permuted rows, and fused or split attention weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.errors import ExportError
from pipeline.export.peft_adapter import Pair
from pipeline.gguf_head import GgufHead

if TYPE_CHECKING:
    import numpy as np
    from gguf import TensorNameMap

ARCHITECTURES = ("llama", "qwen2", "qwen3", "phi2", "phi3", "gemma", "gemma2", "gemma3")
"""Mistral files say llama. Others permute or fold weights in ways that are not known here."""

EMBEDDING = "token_embd.weight"
HEAD = "output.weight"
_FUSED = re.compile(r"^(blk\.\d+)\.attn_(qkv|q|k|v)\.weight$")


def place(pairs: Mapping[str, Pair], head: GgufHead, *, untie_head: bool = False) -> dict[str, Pair]:
    """The pairs by GGUF tensor name, fitted to the base's own layout.

    `untie_head`: a pair of lm_head may go to `output.weight` even where the base ties the head to the embedding
    and has no such tensor. Raises ExportError where a pair does not fit this base.
    """
    if head.architecture not in ARCHITECTURES:
        raise ExportError(
            f"bases of the architecture {head.architecture!r} are not supported: use one of {', '.join(ARCHITECTURES)}"
        )
    names = _names(head)
    placed: dict[str, Pair] = {}
    for module, pair in pairs.items():
        name = _tensor_name(module, names, head, untie_head)
        placed[name] = _permuted(name, pair, head)
    placed = _match_attention(placed, head)
    for name, pair in placed.items():
        _check_shape(name, pair, head)
    return dict(sorted(placed.items(), key=lambda item: _natural(item[0])))


def expected_shape(pair: Pair, name: str) -> tuple[int, int]:
    """(rows, columns) of the weight that the pair changes; an embedding's A is (rank, words), B (width, rank)."""
    rows, columns = pair.b.shape[0], pair.a.shape[1]
    return (columns, rows) if name == EMBEDDING else (rows, columns)


def _names(head: GgufHead) -> TensorNameMap:
    """The gguf package's table from transformers' names to GGUF's."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    architecture = next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == head.architecture)
    return get_tensor_name_map(architecture, head.number("block_count") or 0)


def _tensor_name(module: str, names: TensorNameMap, head: GgufHead, untie_head: bool) -> str:
    found = names.get_name(module)
    if found is None and module == "lm_head":
        found = "output"
    if found is None:
        raise ExportError(f"the base has no layer {module}: the adapter was trained on another base, train on this one")
    name = f"{found}.weight"
    if HEAD not in head.tensors and (name == EMBEDDING or (name == HEAD and not untie_head)):
        raise ExportError(
            f"the adapter changes {module}, which this base ties to "
            f"{'the output head' if name == EMBEDDING else 'the embedding'}, so that llama.cpp cannot tell the two "
            f"apart: {'train without it' if name == EMBEDDING else 'export with --merged, or train without it'}"
        )
    return name


def _permuted(name: str, pair: Pair, head: GgufHead) -> Pair:
    """Rows of q and k in the order of ggml's rotary embedding, which pairs neighbours, as the base has them."""
    match = _FUSED.match(name)
    if head.architecture != "llama" or not match or match[2] not in ("q", "k"):
        return pair
    heads = head.number("attention.head_count") or 1
    if match[2] == "k":
        heads = head.number("attention.head_count_kv") or heads
    rows = pair.b.shape[0]
    if rows % (2 * heads):
        raise ExportError(f"{name} has {heads} heads and the adapter {rows} rows: it was trained on another base")
    b = pair.b.reshape(heads, 2, rows // heads // 2, pair.rank).swapaxes(1, 2).reshape(pair.b.shape)
    return Pair(pair.a, b, pair.strength)


def _match_attention(placed: Mapping[str, Pair], head: GgufHead) -> dict[str, Pair]:
    """Splits a fused q-k-v pair for a base that keeps them apart, and joins separate ones for a fused base."""
    result: dict[str, Pair] = {}
    joined: dict[str, dict[str, Pair]] = {}
    for name, pair in placed.items():
        match = _FUSED.match(name)
        if not match or name in head.tensors:
            result[name] = pair
        elif match[2] == "qkv" and f"{match[1]}.attn_q.weight" in head.tensors:
            result |= _split(match[1], pair, head)
        elif match[2] != "qkv" and f"{match[1]}.attn_qkv.weight" in head.tensors:
            joined.setdefault(match[1], {})[match[2]] = pair
        else:
            result[name] = pair
    return result | {f"{layer}.attn_qkv.weight": _join(layer, parts, head) for layer, parts in joined.items()}


def _split(layer: str, pair: Pair, head: GgufHead) -> dict[str, Pair]:
    """Rows of B belong to q, k and v in turn; A is the same for all three."""
    import numpy as np

    names = [f"{layer}.attn_{part}.weight" for part in "qkv"]
    if any(name not in head.tensors for name in names):
        raise ExportError(f"the base has only some of {', '.join(names)}: pull it again")
    rows = [head.tensors[name].shape[0] for name in names]
    if sum(rows) != pair.b.shape[0]:
        raise ExportError(
            f"{layer} has {sum(rows)} q, k and v rows and the adapter {pair.b.shape[0]}: it was trained on another base"
        )
    pieces = np.split(pair.b, np.cumsum(rows)[:-1])
    return {name: Pair(pair.a, np.ascontiguousarray(b), pair.strength) for name, b in zip(names, pieces, strict=True)}


def _join(layer: str, parts: Mapping[str, Pair], head: GgufHead) -> Pair:
    """One pair whose B is block-diagonal: the ranks add up, and each part's scale goes into its block.

    A part without a pair keeps rows of zeros.
    """
    import numpy as np

    rows = _rows_of_fused(layer, head)
    starts = {"q": 0, "k": rows["q"], "v": rows["q"] + rows["k"]}
    rank = sum(pair.rank for pair in parts.values())
    a = np.concatenate([parts[part].a for part in "qkv" if part in parts])
    b = np.zeros((sum(rows.values()), rank), np.float32)
    column = 0
    for part in (part for part in "qkv" if part in parts):
        pair = parts[part]
        if pair.b.shape[0] != rows[part]:
            raise ExportError(
                f"{layer} has {rows[part]} {part} rows and the adapter {pair.b.shape[0]}: "
                "it was trained on another base, train on this one"
            )
        block = pair.b * np.float32(pair.strength / pair.rank)
        b[starts[part] : starts[part] + rows[part], column : column + pair.rank] = block
        column += pair.rank
    return Pair(a, b, float(rank))


def _rows_of_fused(layer: str, head: GgufHead) -> dict[str, int]:
    total = head.tensors[f"{layer}.attn_qkv.weight"].shape[0]
    heads = head.number("attention.head_count") or 1
    kv = head.number("attention.head_count_kv") or heads
    size = total // (heads + 2 * kv)
    return {"q": heads * size, "k": kv * size, "v": kv * size}


def _check_shape(name: str, pair: Pair, head: GgufHead) -> None:
    known = head.tensors.get(name) or (head.tensors.get(EMBEDDING) if name == HEAD else None)
    if known is None:
        raise ExportError(f"the base has no tensor {name}: the adapter was trained on another base, train on this one")
    wanted = expected_shape(pair, name)
    if known.shape != wanted:
        raise ExportError(
            f"{name} is {_by(known.shape)} in the base and {_by(wanted)} in the adapter: "
            "it was trained on another base, train on this one"
        )


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in name.split(".")]


def contiguous(values: np.ndarray) -> np.ndarray:
    """The values in one piece of memory, row by row, float32: what a GGUF writer takes."""
    import numpy as np

    return np.ascontiguousarray(values, dtype=np.float32)
