"""Out of memory: which errors mean it, and how much a process holds."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from contextlib import suppress

import psutil
import torch

from pipeline.errors import BadInput

_SETTLING_STEPS = 4
"""So many steps show what a run needs."""
_GROWTH_MB = 128.0
"""Growth beyond it that is given back."""


def is_out_of_memory(error: BaseException) -> bool:
    """True for what torch raises on a GPU, and for what its CPU allocator, oneDNN and Python raise.

    oneDNN says "could not create a primitive" (or "a memory object") where its own buffers found no room.
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text
        for sign in (
            "can't allocate memory",
            "not enough memory",
            "out of memory",
            "bad allocation",
            "bad_alloc",
            "could not create a",
        )
    )


def free() -> None:
    """Gives back what the failed attempt held, to the system too: oneDNN asks there, not in torch's heap."""
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Heap:
    """Watches what steps leave in the heap, and gives the system back what is free there once it has grown much.

    Batches have many lengths, and the holes that theirs leave fit the next ones badly. Giving back costs
    the next step its page faults, so it is done rarely.
    """

    def __init__(self, read: Callable[[], float] | None = None, give_back: Callable[[], None] | None = None) -> None:
        self._read, self._give_back = read or resident_megabytes, give_back or free
        self._steps, self._usual = 0, 0.0

    def after_step(self) -> float:
        """Memory in use (MB), as it was at the end of the step."""
        held = self._read()
        self._steps += 1
        if torch.cuda.is_available():
            return held
        if self._steps <= _SETTLING_STEPS:
            self._usual = max(self._usual, held)
        elif held > self._usual + _GROWTH_MB:
            self._give_back()
            self._steps, self._usual = 0, 0.0
        return held


def limit(megabytes: int, device: torch.device) -> None:
    """Lets this process grow to `megabytes` (MB) and no further; what asks for more gets an error, not a kill.

    Linux bounds the address space, of which libraries take far more than they use: it may grow by what is left
    between the memory in use and the limit. Raises BadInput where that is nothing, or cannot be bounded.
    """
    if sys.platform != "linux" or device.type != "cpu":
        raise BadInput("memory_limit_mb bounds a training on a Linux CPU alone: leave it out")
    import resource

    used = psutil.Process().memory_info()
    left = megabytes * 1_000_000 - used.rss
    if left <= 0:
        raise BadInput(
            f"memory_limit_mb is {megabytes}, and the base alone takes {used.rss / 1e6:.0f}: allow more, or take a "
            "smaller base"
        )
    resource.setrlimit(resource.RLIMIT_AS, (used.vms + left, resource.getrlimit(resource.RLIMIT_AS)[1]))


def resident_megabytes() -> float:
    """Memory of this process, or of the GPU where one is used (MB)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    return psutil.Process().memory_info().rss / 1e6
