"""Work on blocks of rows: small threads for numpy, which lets go of the interpreter, and one for BLAS."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

_MOST: Final = 8  # threads; beyond these the memory is what takes the time

T = TypeVar("T")
R = TypeVar("R")


def each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` of every item, in their order, several at a time. Raises what the first failing one raises.

    The threads do not inherit `numpy.errstate`.
    """
    threads = min(_MOST, _processors(), len(items))
    if threads < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def spans(rows: int, block: int) -> list[tuple[int, int]]:
    """Row ranges that together are all of `rows`, a share for each thread, cut at multiples of `block`."""
    blocks = -(-rows // block)
    share = max(1, -(-blocks // min(_MOST, _processors()))) * block
    return [(start, min(start + share, rows)) for start in range(0, rows, share)]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """For small matrices, which several threads multiply no faster, and far slower where others work too."""
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError:
        yield
        return
    with threadpool_limits(1, "blas"):
        yield


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
