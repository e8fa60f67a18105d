"""Which of several worker processes this one is."""

from __future__ import annotations

__all__ = ["become_worker", "worker_index"]

_index = 0


def worker_index() -> int:
    """The number of this process among the workers, from 0. One that is started again keeps it."""
    return _index


def become_worker(index: int) -> None:
    """Called once in a process that was forked to be this worker."""
    global _index
    _index = index
