"""How many pictures a second go by, and how many are missed: over the last three seconds."""

from __future__ import annotations

from collections import deque

__all__ = ["Meter"]

_WINDOW = 3.0


class Meter:
    """Counts numbered pictures. Times are seconds of any one clock and never go back.

    >>> meter = Meter()
    >>> for number in range(0, 62, 2):
    ...     meter.add(number / 20, number)      # every second one of 20 a second
    >>> round(meter.fps(3.0), 1), round(meter.lost(60), 2)
    (10.0, 0.5)
    >>> meter.fps(7.0)
    0.0
    """

    def __init__(self) -> None:
        # The first mark is the last one before the window: what came after it is counted.
        self._marks: deque[tuple[float, int]] = deque()

    def add(self, now: float, number: int) -> None:
        """A picture went by."""
        self._marks.append((now, number))
        self._forget(now)

    def fps(self, now: float) -> float:
        """Pictures a second; 0 before the second one."""
        self._forget(now)
        if len(self._marks) < 2:
            return 0.0
        return (len(self._marks) - 1) / max(0.5, now - max(self._marks[0][0], now - _WINDOW))

    def lost(self, newest: int) -> float:
        """The share, up to 1, that did not go by of all pictures up to the number ``newest``."""
        if not self._marks or newest <= self._marks[0][1]:
            return 0.0
        return 1.0 - (len(self._marks) - 1) / (newest - self._marks[0][1])

    def _forget(self, now: float) -> None:
        while len(self._marks) > 1 and self._marks[1][0] < now - _WINDOW:
            self._marks.popleft()
