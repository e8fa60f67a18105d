"""What the worst input costs: time as a ratio of two sizes, memory as a multiple of the input."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", str, bytes)

#: How much longer an input of eight times the size may take, where time is linear: the rest is for a busy machine.
LINEAR = 8 * 3


def seconds_of(work: Callable[[], object]) -> float:
    """The least time of this thread on the processor of five attempts: what else runs on the machine doesn't count."""
    least = float("inf")
    for _ in range(5):
        started = time.thread_time()
        work()
        least = min(least, time.thread_time() - started)
    return max(least, 1e-6)


def times_longer(work: Callable[[T], object], small: T, large: T) -> float:
    """How many times longer the large input takes, in time of this thread on the processor."""
    least = [float("inf")] * 2
    for _ in range(5):
        for at, given in enumerate((small, large)):
            started = time.thread_time()
            work(given)
            least[at] = min(least[at], time.thread_time() - started)
    return least[1] / max(least[0], 1e-6)


def times_larger(work: Callable[[T], object], given: T) -> float:
    """The most memory that is taken while an input is worked on, its result included, as a multiple of its size."""
    tracemalloc.start()
    try:
        result = work(given)
        return tracemalloc.get_traced_memory()[1] / len(given)
    finally:
        tracemalloc.stop()
        del result
