"""A process and all that it has started, as one: their processor time, memory and threads. Linux only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Cost", "cost_of"]

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Cost(NamedTuple):
    """``cpu_seconds`` has that of processes that have ended, too. ``megabytes`` is RSS; what is shared counts twice."""

    cpu_seconds: float
    megabytes: float
    threads: int


def cost_of(root: int) -> Cost:
    """What a process and all below it have used and hold."""
    parents, costs = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ends just now
            fields = path.read_text().rpartition(")")[2].split()
            pid = int(path.parent.name)
            parents[pid] = int(fields[1])
            seconds = sum(map(int, fields[11:15])) / _TICKS_PER_SECOND
            costs[pid] = Cost(seconds, int(fields[21]) * _PAGE / 1e6, int(fields[17]))
    return Cost(*map(sum, zip(*(costs[pid] for pid in costs if _is_below(pid, root, parents)), strict=True)))


def _is_below(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid and pid != root:
        pid = parents.get(pid, 0)
    return pid == root
