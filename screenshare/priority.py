"""The gateway comes first: the capture has the processor when nobody else wants it, unless the capture would starve."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

__all__ = ["Priority"]

_TASKS = "/proc/self/task"
_TIMES = Path("/proc/thread-self/schedstat")
# A frame starves when it waits for the processor this many times as long as it uses it, and so many seconds more.
_FACTOR, _SECONDS = 4.0, 0.05
# How long frames may starve, one after the other.
_PATIENCE = 2.0
_NICE = 10


class Priority:
    """The priority of the threads that are started after this object was made, by the first thread of a process.

    On Linux they become idle ones: the kernel lets any other thread that wakes up run at once, which no niceness
    does. An idle thread can't be made a normal one again, but a normal one may start others. Elsewhere the whole
    process is nicer.
    """

    def __init__(self) -> None:
        self._spared: frozenset[str] = frozenset()
        self._lowered = False
        self._ran = self._waited = self._starved = 0.0
        # Where the kernel doesn't tell how long a thread waits, nobody would notice that it starves.
        self._tells = sys.platform == "linux" and _times() is not None
        if self._tells:
            self._spared = frozenset(os.listdir(_TASKS))  # noqa: PTH208 (names)
        elif hasattr(os, "nice"):
            with contextlib.suppress(OSError):
                os.nice(_NICE)

    def lower(self) -> None:
        """Lowers it, the first time it is called: after a frame, so that loading and opening wait for nobody."""
        if not self._lowered and self._tells and sys.platform == "linux":
            self._lowered = True
            for task in set(os.listdir(_TASKS)) - self._spared:  # noqa: PTH208 (names)
                with contextlib.suppress(OSError):  # it has ended, or may not be changed
                    os.sched_setscheduler(int(task), os.SCHED_IDLE, os.sched_param(0))
            self._ran, self._waited = _times() or (0.0, 0.0)

    def starves(self) -> bool:
        """Whether the calling thread gets so little that the picture stands still. To be asked after each frame."""
        times = _times() if self._lowered else None
        if times is None:
            return False
        ran, waited = times[0] - self._ran, times[1] - self._waited
        self._ran, self._waited = times
        self._starved = self._starved + waited if waited > _FACTOR * ran + _SECONDS else 0.0
        return self._starved > _PATIENCE


def _times() -> tuple[float, float] | None:
    """For how long this thread has run, and waited for a processor; None where the kernel doesn't tell."""
    try:
        ran, waited, _ = _TIMES.read_text().split()
    except (OSError, ValueError):
        return None
    return (int(ran) / 1e9, int(waited) / 1e9) if int(ran) else None
