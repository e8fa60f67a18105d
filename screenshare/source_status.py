"""What is known of a source without looking at it: its name and size, how often it changes, and what is wrong.

It belongs to one thread. Others may read `hangs` and single values, and call `rouse`.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from screenshare.failure import Failure, silence
from screenshare.meter import Meter

__all__ = ["Report", "SourceStatus"]

# A source that hasn't answered for so long hangs: its last picture is shown no more.
_HANGS_AFTER = 3.0


class Report(NamedTuple):
    """A `SourceStatus` at one moment, for another process."""

    name: str
    size: tuple[int, int]
    version: int
    taken: tuple[float, float]
    looked_at: float
    failure: Failure | None


class SourceStatus:
    """``version`` rises with each picture that differs from the one before. ``name`` and ``size`` are the source's.

    ``taken``: the monotonic and the wall clock at the last look, which ended at ``looked_at``. ``failure``: why the
    source gives no picture.
    """

    def __init__(self) -> None:
        self.name = ""
        self.size = (0, 0)
        self.version = 0
        self.taken = (0.0, 0.0)
        self.looked_at = 0.0
        self.failure: Failure | None = None
        self._lock = threading.Lock()
        self._meter = Meter()  # guarded by the lock

    def report(self) -> Report:
        return Report(self.name, self.size, self.version, self.taken, self.looked_at, self.failure)

    def follow(self, report: Report) -> None:
        """Takes over what the status in another process was when it made the report."""
        if report.version != self.version and report.failure is None:
            self.count(report.taken[0], report.version)
        roused_at = self.looked_at
        self.name, self.size, self.version, self.taken, self.looked_at, self.failure = report
        self.looked_at = max(self.looked_at, roused_at)

    def count(self, now: float, version: int) -> None:
        """A new picture has come."""
        with self._lock:
            self._meter.add(now, version)

    def rouse(self) -> None:
        """Somebody watches again. The time in which nobody did is not counted as silence of the source."""
        self.looked_at = time.monotonic()

    @property
    def hangs(self) -> bool:
        """Whether the picture can't be called the present any more, since the source doesn't answer."""
        return self.failure is None and time.monotonic() - self.looked_at > _HANGS_AFTER

    @property
    def problem(self) -> Failure | None:
        """``failure``, or that the source hangs."""
        failure = self.failure
        silent = time.monotonic() - self.looked_at
        return silence(silent) if failure is None and silent > _HANGS_AFTER else failure

    @property
    def fps(self) -> float:
        """New pictures a second."""
        with self._lock:
            return self._meter.fps(time.monotonic())
