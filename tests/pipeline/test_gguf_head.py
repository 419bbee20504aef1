"""GGUF headers of strangers: every count, length and type is bounded before a library sees the file."""

from __future__ import annotations

import struct
import time
import tracemalloc
from pathlib import Path

import pytest

from pipeline.bases.describe import describe_gguf
from pipeline.errors import BaseError, ExportError
from pipeline.gguf_head import read_head


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


def file(settings: bytes = b"", count: int = 1, tensors: bytes = b"", tensor_count: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensor_count, count) + settings + tensors + bytes(64)


def setting(kind: int, value: bytes, key: bytes = b"a") -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: bytes = b"t", shape: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


HUGE = 2**64 - 1
ATTACKS = {
    "empty": b"",
    "magic": b"GGUF",
    "version 1": file(version=1),
    "version 4": file(version=4),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + bytes(64),
    "settings": file(count=HUGE),
    "settings 2^40": file(count=2**40),
    "tensors": file(count=0, tensor_count=HUGE),
    "many tensors": file(count=0, tensor_count=100_001, tensors=tensor() * 100),
    "key": file(text(b"", HUGE)),
    "key of a megabyte": file(setting(4, bytes(4), b"k" * 1_000_000)),
    "value": file(setting(8, text(b"", HUGE))),
    "value of 2^62": file(setting(8, text(b"", 2**62))),
    "type": file(setting(99, bytes(8))),
    "list of unknown": file(setting(9, struct.pack("<IQ", 99, 5))),
    "list of lists": file(setting(9, struct.pack("<IQ", 9, 5))),
    "list of numbers": file(setting(9, struct.pack("<IQ", 10, HUGE))),
    "list of 2^61 numbers": file(setting(9, struct.pack("<IQ", 10, 2**61))),
    "list past the end": file(setting(9, struct.pack("<IQ", 10, 1000))),
    "list of texts": file(setting(9, struct.pack("<IQ", 8, HUGE))),
    "empty texts": file(setting(9, struct.pack("<IQ", 8, 1_300_000) + bytes(8 * 1_300_000))),
    "texts in two lists": file(
        b"".join(setting(9, struct.pack("<IQ", 8, 700_000) + bytes(8 * 700_000), key) for key in (b"a", b"b")), 2
    ),
    "twice": file(setting(4, bytes(4)) * 2, 2),
    "alignment 0": file(setting(4, bytes(4), b"general.alignment")),
    "alignment 3": file(setting(4, struct.pack("<I", 3), b"general.alignment")),
    "alignment text": file(setting(8, text(b"32"), b"general.alignment")),
    "alignment nan": file(setting(6, struct.pack("<f", float("nan")), b"general.alignment")),
    "alignment inf": file(setting(12, struct.pack("<d", float("inf")), b"general.alignment")),
    "dimensions": file(count=0, tensor_count=1, tensors=text(b"t") + struct.pack("<I", HUGE % 2**32)),
    "shape": file(count=0, tensor_count=1, tensors=tensor(shape=(2**63, 2**63))),
    "offset": file(count=0, tensor_count=1, tensors=tensor(offset=HUGE)),
    "tensor type": file(count=0, tensor_count=1, tensors=tensor(kind=77)),
    "tensor name": file(count=0, tensor_count=1, tensors=tensor(name=b"n" * 600)),
    "same tensor twice": file(count=0, tensor_count=2, tensors=tensor() * 2),
}


@pytest.mark.parametrize("data", ATTACKS.values(), ids=ATTACKS)
def test_a_malicious_header_is_one_sentence_and_costs_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(ExportError) as caught:
        read_head(path)
    assert time.monotonic() - started < 10 and tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    with pytest.raises(BaseError):
        describe_gguf("x", path, "test", sha256="0")


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_header_cut_anywhere_is_one_sentence(tmp_path: Path, cut: int) -> None:
    whole = file(setting(8, text(b"llama"), b"general.architecture"), 1, tensor(), 1)[:-64]
    path = tmp_path / "model.gguf"
    path.write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(ExportError):
        read_head(path)


def test_the_library_never_sees_a_refused_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gguf.GGUFReader.__init__", lambda *_: pytest.fail("the library was asked"))
    path = tmp_path / "model.gguf"
    path.write_bytes(ATTACKS["settings"])
    with pytest.raises(BaseError):
        describe_gguf("x", path, "test", sha256="0")
