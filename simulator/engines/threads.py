"""One BLAS thread: at these matrix sizes more threads wait for each other, badly so on a busy machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def single_threaded() -> AbstractContextManager[Any]:
    """While it lasts, BLAS uses one thread. Looking for the libraries costs milliseconds and is done once."""
    return _controller().limit(limits=1, user_api="blas")
