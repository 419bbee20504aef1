"""Ranks over GF(2), many matrices at once, sixty-four columns a word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def pack(bits: NDArray[np.bool_]) -> Words:
    """(batch, rows, columns) of bits as (batch, rows, words); column c is bit c % 64 of word c // 64."""
    batch, rows, columns = bits.shape
    padded = np.zeros((batch, rows, -(-columns // 64) * 64), dtype=np.uint8)
    padded[:, :, :columns] = bits
    packed = np.packbits(padded, axis=2, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64, copy=False)


def prefix_ranks(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(batch, columns): entry c is the rank of the first c + 1 columns.

    Elimination from left to right: a column raises the rank where some row that is not
    yet a pivot has a one in it.
    """
    rest = pack(bits)
    batch, rows, columns = bits.shape
    free = np.ones((batch, rows), dtype=bool)
    raised = np.zeros((batch, columns), dtype=np.int64)
    every = np.arange(batch)
    for column in range(columns):
        word, shift = divmod(column, 64)
        ones = (rest[:, :, word] & np.uint64(1 << shift)) != 0
        ones &= free
        pivot = ones.argmax(axis=1)
        found = ones[every, pivot]
        raised[:, column] = found
        free[every, pivot] &= ~found
        ones[every, pivot] = False
        tail = rest[:, :, word:]
        tail ^= tail[every, pivot][:, None, :] * ones[:, :, None]
    return np.cumsum(raised, axis=1)


def rank(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(batch,): the rank of each matrix."""
    if bits.shape[2] == 0:
        return np.zeros(len(bits), dtype=np.int64)
    return prefix_ranks(bits)[:, -1]
