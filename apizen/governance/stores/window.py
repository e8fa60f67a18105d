"""The moving window: how many calls somebody made in the seconds before now.

The library `limits` says what a limit is and how its text is read. Its own storage in memory inserts each
call at the start of a list, holds one object per call and starts a thread; at a limit of a million a minute
one call took 25 µs of it. A `Window` holds at most `GRAINS` numbers, whatever the limit: up to that limit
the time of each call, above it calls that came together as one, which leave the window together with the
last of them: up to a 126th of the window late, never early.

It is written here for memory and the file, which share it, and again in Lua, since Redis counts a call in one step. A
generic cell rate lets up to twice the amount into one window and a sliding-window counter estimates: neither is exact
up to `GRAINS`, and ``remaining`` and ``reset`` in the answers would change.

>>> import limits
>>> limit, window = limits.parse('2/minute'), Window()
>>> [tuple(decide([(limit, window)], now)[0]) for now in (100, 130, 130, 160)]
[(True, 1, 60.0), (True, 0, 30.0), (False, 0, 30.0), (True, 0, 30.0)]
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import limits

__all__ = ["GRAINS", "Decision", "Window", "decide", "grain_of"]

GRAINS = 128

# A clock that was set back makes times lie in the future: they can't be, and are forgotten.
_CLOCK_TOLERANCE = 1.0


class Decision(NamedTuple):
    """What a limit says of one call. ``reset``: seconds until the oldest call leaves the window."""

    allowed: bool
    remaining: int
    reset: float


class Window:
    """The calls that one caller made under one limit: ``counts[i]`` of them until ``times[i]``."""

    __slots__ = ("counts", "grain_end", "times", "total")

    def __init__(self) -> None:
        self.times = array("d")
        self.counts = array("I")
        self.total = 0
        self.grain_end = 0.0

    def forget(self, now: float, seconds: float) -> None:
        """Drops the calls that have left the window."""
        times = self.times
        if not times:
            return
        if times[0] <= now - seconds:
            gone = bisect_right(times, now - seconds)
            self.total -= sum(self.counts[:gone])
            del times[:gone], self.counts[:gone]
        elif times[-1] > now + _CLOCK_TOLERANCE:
            del times[:], self.counts[:]
            self.total, self.grain_end = 0, 0.0

    def add(self, now: float, grain: float) -> None:
        """Counts a call. ``grain``: for so many seconds after a number is begun, calls are added to it."""
        if now < self.grain_end or len(self.times) == GRAINS:
            self.times[-1] = now
            self.counts[-1] += 1
        else:
            self.times.append(now)
            self.counts.append(1)
            self.grain_end = now + grain
        self.total += 1


def grain_of(amount: int, seconds: float) -> float:
    """How many seconds of calls are counted as one under a limit; 0 where each is counted by itself."""
    return 0.0 if amount <= GRAINS else seconds / (GRAINS - 2)


def decide(windows: Sequence[tuple[limits.RateLimitItem, Window]], now: float) -> list[Decision]:
    """Counts a call in every window, or in none of them when one is full."""
    allowed = True
    for limit, window in windows:
        window.forget(now, limit.get_expiry())
        if window.total >= limit.amount:
            allowed = False
    decisions = []
    for limit, window in windows:
        seconds = limit.get_expiry()
        free = window.total < limit.amount
        if allowed:
            window.add(now, grain_of(limit.amount, seconds))
        reset = window.times[0] + seconds - now if window.times else 0.0
        decisions.append(Decision(free, max(0, limit.amount - window.total), reset))
    return decisions
