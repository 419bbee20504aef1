"""The head of a GGUF file: its settings, its tensors, and where their bytes lie (format: ggml/docs/gguf.md).

The gguf package's reader builds an object for every token of the vocabulary, which takes seconds; an export that
has less than one needs the settings and the tensor list alone, so arrays are stepped over here.

A file may come from anybody: counts, lengths and types are bounded here before any library parses it.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ExportError
from simulator.private_files import regular

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
MOST_SETTINGS = 10_000
MOST_TENSORS = 100_000
MOST_TEXTS = 1_200_000
"""Texts in all arrays: the largest vocabularies have some 260,000 tokens and 520,000 merges."""
MOST_NUMBERS = 4_000_000
LONGEST_KEY = 65_535
LONGEST_NAME = 512
LONGEST_TEXT = 16 << 20
LARGEST_TENSOR = 1 << 44
"""Bytes."""
_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: `shape` as numpy and transformers write it (rows first), `offset` from the file's start, in bytes."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class GgufHead:
    """`settings` holds scalars and texts; of arrays it holds only the keys, with None. `settings_end` is where the
    tensor list starts, so that bytes [24, settings_end) are all settings, arrays included."""

    path: Path
    version: int
    settings: dict[str, Any]
    settings_count: int
    settings_end: int
    tensors: dict[str, TensorInfo]
    alignment: int

    @property
    def architecture(self) -> str:
        """`general.architecture`: llama, qwen2, phi2…"""
        return str(self.settings.get("general.architecture", ""))

    def number(self, key: str) -> int | None:
        """A whole number `<architecture>.<key>`, or None."""
        value = self.settings.get(f"{self.architecture}.{key}")
        return int(value) if isinstance(value, int | float) else None


def read_head(path: Path) -> GgufHead:
    """Reads the head of `path`. Raises ExportError where it is no GGUF file of version 2 or 3, or ends too early."""
    try:
        with open(path, "rb", opener=regular) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return _Reader(path, view).head()
    except OSError as error:
        raise ExportError(f"{path} cannot be read ({error.strerror or error}): pull the base again") from error
    except (struct.error, ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise ExportError(f"{path} is no whole GGUF file ({error}): pull the base again") from error


class _Reader:
    def __init__(self, path: Path, view: mmap.mmap) -> None:
        self._path, self._view, self._at = path, view, 0
        self._texts = 0

    def head(self) -> GgufHead:
        if self._view[:4] != _MAGIC:
            raise ValueError(f"it starts with {self._view[:4]!r}")
        self._at = 4
        version = self._take("I")
        if version not in (2, 3):
            raise ValueError(f"it has version {version}, and 2 and 3 are known")
        tensor_count, settings_count = self._take("Q"), self._take("Q")
        _at_most("settings", settings_count, MOST_SETTINGS)
        _at_most("tensors", tensor_count, MOST_TENSORS)
        settings: dict[str, Any] = {}
        for _ in range(settings_count):
            key = self._text(LONGEST_KEY)
            if key in settings:
                raise ValueError(f"it has the setting {key[:60]!r} twice")
            settings[key] = self._value(self._take("I"))
        end = self._at
        alignment = settings.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= 65_536 or alignment & (alignment - 1):
            raise ValueError(f"its alignment is {str(alignment)[:40]}, and a power of 2 up to 65536 is needed")
        raw = [self._tensor() for _ in range(tensor_count)]
        start = self._at + (-self._at) % alignment
        return GgufHead(self._path, version, settings, settings_count, end, self._sized(raw, start), alignment)

    def _sized(self, raw: list[tuple[str, tuple[int, ...], int, int]], start: int) -> dict[str, TensorInfo]:
        tensors = {}
        for name, shape, kind, offset in raw:
            size = bytes_of(shape, kind)
            _at_most(f"bytes of {name[:60]}", size, LARGEST_TENSOR)
            if name in tensors:
                raise ValueError(f"it has the tensor {name[:60]!r} twice")
            if start + offset + size > len(self._view):
                raise ValueError(f"the bytes of {name} end after the file does")
            tensors[name] = TensorInfo(name, shape, kind, start + offset, size)
        return tensors

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._text(LONGEST_NAME)
        dimensions = self._take("I")
        if dimensions > 4:
            raise ValueError(f"{name} has {dimensions} dimensions")
        shape = tuple(self._take("Q") for _ in range(dimensions))
        return name, shape[::-1], self._take("I"), self._take("Q")

    def _value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self._take(_SCALARS[kind])
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            raise ValueError(f"a setting has the unknown type {kind}")
        inner, count = self._take("I"), self._take("Q")
        if inner in _SCALARS:
            _at_most("numbers of a list", count, MOST_NUMBERS)
            self._at += count * struct.calcsize(_SCALARS[inner])
        elif inner == _STRING:
            self._skip_texts(count)
        else:
            raise ValueError(f"an array holds the unknown type {inner}")
        if self._at > len(self._view):
            raise ValueError("an array ends after the file does")
        return None

    def _skip_texts(self, count: int) -> None:
        self._texts += count
        _at_most("texts of all lists", self._texts, MOST_TEXTS)
        unpack, view, at = struct.Struct("<Q").unpack_from, self._view, self._at
        for _ in range(count):
            at += 8 + unpack(view, at)[0]
        self._at = at

    def _text(self, longest: int = LONGEST_TEXT) -> str:
        size = self._take("Q")
        _at_most("bytes of a text", size, longest)
        if size > len(self._view) - self._at:
            raise ValueError("a text ends after the file does")
        text = self._view[self._at : self._at + size].decode("utf-8", errors="replace")
        self._at += size
        return text

    def _take(self, form: str) -> Any:
        value = struct.unpack_from(f"<{form}", self._view, self._at)[0]
        self._at += struct.calcsize(form)
        return value


def _at_most(what: str, count: int, most: int) -> None:
    if count > most:
        raise ValueError(f"the {what} are {count}, above the most, {most}")


def bytes_of(shape: tuple[int, ...], kind: int) -> int:
    """Bytes of a tensor of that shape and ggml type."""
    from math import prod

    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    return prod(shape) // block * size
