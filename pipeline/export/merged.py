"""Base + adapter → one GGUF: the changed tensors as F16 (or Q8_0), all other bytes as they were.

Streamed: a tensor is dequantised, changed and written some million numbers at a time, so that a base of any size
needs little memory. The settings (vocabulary, template, …) are copied byte for byte.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Container, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pipeline.errors import ExportError
from pipeline.export.adapter import check_base
from pipeline.export.peft_adapter import Pair, read_adapter
from pipeline.export.placement import EMBEDDING, HEAD, place
from pipeline.files import remove_leftovers, replacing, require_space
from pipeline.gguf_head import GgufHead, TensorInfo, bytes_of, read_head
from simulator.events import Event, Progress

if TYPE_CHECKING:
    import numpy as np

_F16, _Q8_0 = 1, 8
_AT_ONCE = 4 << 20
_COPIED_AT_ONCE = 8 << 20


@dataclass(frozen=True, slots=True)
class _Planned:
    """A tensor of the new file: what it is made from, and its new type and size."""

    name: str
    source: TensorInfo
    pair: Pair | None
    kind: int
    size: int


def merge(
    adapter_dir: Path, base_gguf: Path, out: Path, *, base_sha256: str | None = None, quantize: str = "none"
) -> Generator[Event, None, dict[str, Any]]:
    """Progress in bytes; returns what was written. `quantize` is "none" (F16) or "q8_0".

    Raises ExportError where the adapter does not fit, LabError where the disk is full; `out` then stays as it was.
    """
    adapter = read_adapter(adapter_dir)
    head = read_head(base_gguf)
    check_base(adapter, base_sha256)
    placed = place(adapter.pairs, head, untie_head=True)
    return (yield from rewrite(head, placed, out, quantize=quantize))


def rewrite(
    head: GgufHead, placed: Mapping[str, Pair], out: Path, *, quantize: str = "none", recast: Container[int] = ()
) -> Generator[Event, None, dict[str, Any]]:
    """Writes the model of `head` with the pairs (by GGUF tensor name) added; as `merge`, with the same errors.

    Tensors whose ggml type is in `recast` are stored anew as well, changed or not.
    """
    plan = _plan(head, placed, _Q8_0 if quantize == "q8_0" else _F16, recast)
    total = sum(tensor.size for tensor in plan)
    remove_leftovers(out.parent, out.name)
    require_space(out.parent, head.settings_end + total + (1 << 20), "the merged model")
    with replacing(out) as temporary, temporary.open("wb") as file, head.path.open("rb") as source:
        view = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
        file.write(_head_bytes(head, view, plan))
        for done in _write_tensors(file, view, plan, head.alignment):
            yield Progress("merge", done, total, out.name)
    size = out.stat().st_size
    return {
        "bytes": size,
        "changed": len(placed),
        "kept": sum(tensor.pair is None and tensor.kind == tensor.source.kind for tensor in plan),
        "precision": quantize_name(quantize),
    }


def quantize_name(quantize: str) -> str:
    """How the changed tensors are stored."""
    return "Q8_0" if quantize == "q8_0" else "F16"


def _plan(head: GgufHead, placed: Mapping[str, Pair], kind: int, recast: Container[int]) -> list[_Planned]:
    plan = [_planned(name, source, placed.get(name), kind, recast) for name, source in head.tensors.items()]
    if HEAD in placed and HEAD not in head.tensors:
        plan.append(_planned(HEAD, head.tensors[EMBEDDING], placed[HEAD], kind, recast))
    return plan


def _planned(name: str, source: TensorInfo, pair: Pair | None, kind: int, recast: Container[int]) -> _Planned:
    if pair is None and source.kind not in recast:
        return _Planned(name, source, None, source.kind, source.size)
    # Q8_0 goes in blocks of 32; a row of another length stays F16.
    kind = _F16 if source.shape[-1] % 32 else kind
    return _Planned(name, source, pair, kind, bytes_of(source.shape, kind))


def _head_bytes(head: GgufHead, view: mmap.mmap, plan: list[_Planned]) -> bytes:
    """Magic, counts, the settings as they were, the new tensor list, and padding up to the first tensor."""
    parts = [struct.pack("<4sIQQ", b"GGUF", head.version, len(plan), head.settings_count), view[24 : head.settings_end]]
    offset = 0
    for tensor in plan:
        name, shape = tensor.name.encode(), tensor.source.shape[::-1]
        parts.append(struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(shape)}Q", len(shape), *shape))
        parts.append(struct.pack("<IQ", tensor.kind, offset))
        offset += tensor.size + (-tensor.size) % head.alignment
    data = b"".join(parts)
    return data + bytes((-len(data)) % head.alignment)


def _write_tensors(file: IO[bytes], view: mmap.mmap, plan: list[_Planned], alignment: int) -> Iterator[int]:
    """Writes all tensors; yields the bytes done after each piece."""
    from threadpoolctl import threadpool_limits

    done = 0
    # The products are thin (rank rows): BLAS threads cost more in waiting for each other than they save.
    with threadpool_limits(1):
        for tensor in plan:
            same = tensor.pair is None and tensor.kind == tensor.source.kind
            pieces = _copied(tensor, view) if same else _changed(tensor, view)
            for piece in pieces:
                file.write(piece)
                done += len(piece)
                yield done
            file.write(bytes((-tensor.size) % alignment))


def _copied(tensor: _Planned, view: mmap.mmap) -> Iterator[bytes]:
    start, end = tensor.source.offset, tensor.source.offset + tensor.source.size
    for at in range(start, end, _COPIED_AT_ONCE):
        yield view[at : min(at + _COPIED_AT_ONCE, end)]


def _changed(tensor: _Planned, view: mmap.mmap) -> Iterator[bytes]:
    """Dequantise, add the delta where there is one, and store: some rows at a time."""
    import numpy as np

    rows, columns = tensor.source.shape
    if pair := tensor.pair:
        a, b = (pair.b.T, pair.a.T) if tensor.name == EMBEDDING else (pair.a, pair.b)
        scaled = b * np.float32(pair.strength / pair.rank)
    row_bytes = tensor.source.size // rows
    step = max(1, _AT_ONCE // columns)
    for row in range(0, rows, step):
        count = min(step, rows - row)
        start = tensor.source.offset + row * row_bytes
        packed = np.frombuffer(view[start : start + count * row_bytes], np.uint8).reshape(count, row_bytes)
        values = _dequantised(packed, tensor.source, count)
        if pair:
            values += scaled[row : row + count] @ a
        yield _stored(values, tensor)


def _dequantised(packed: np.ndarray, source: TensorInfo, rows: int) -> np.ndarray:
    """The rows as float32."""
    import numpy as np
    from gguf import GGMLQuantizationType, dequantize

    kind = GGMLQuantizationType(source.kind)
    plain = {GGMLQuantizationType.F32: np.float32, GGMLQuantizationType.F16: np.float16}
    if kind in plain:
        return packed.view(plain[kind]).astype(np.float32)
    try:
        return dequantize(packed, kind).astype(np.float32, copy=False).reshape(rows, source.shape[-1])
    except NotImplementedError as error:
        raise ExportError(
            f"{source.name} is stored as {kind.name}, which cannot be dequantised here: take a base in Q4_K_M or Q8_0"
        ) from error


def _stored(values: np.ndarray, tensor: _Planned) -> bytes:
    import numpy as np
    from gguf import GGMLQuantizationType, quantize

    if tensor.kind == _Q8_0:
        return quantize(values, GGMLQuantizationType.Q8_0).tobytes()
    if np.abs(values).max() > np.finfo(np.float16).max:
        raise ExportError(f"{tensor.name} grows beyond what F16 holds (65504): train again at a lower learning rate")
    return values.astype(np.float16).tobytes()
