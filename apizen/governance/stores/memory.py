"""Counters in the memory of one process.

>>> counters = MemoryCounters()
>>> counters.hit([(limits.parse('100/minute'), 'address:192.0.2.7')])
[Decision(allowed=True, remaining=99, reset=60.0)]
>>> counters.claim(['nonce:12345678:f3a8'], 600), counters.claim(['nonce:12345678:f3a8'], 600)
(True, False)
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import limits

from apizen.governance.stores.base import COUNTED_CALLERS, MOST_LOCKS, Fullness, Group, Hit, places_of
from apizen.governance.stores.claims import Claims
from apizen.governance.stores.digest_table import TableFull
from apizen.governance.stores.window import Decision, Window, decide

__all__ = ["MemoryCounters"]

_SWEPT_AT_ONCE = 500


class MemoryCounters:
    """Counters of one process.

    Memory is bounded: 55 MB of claims and some 400 bytes (at most 2 KB) for each place of `places_of`, which is
    free again when its caller was idle for the window. What is counted is never forgotten for something new.

    With a path, the claims lie in that file, too: a call that was seen before a restart is known after it.
    """

    shared = False
    waits = False

    def __init__(
        self,
        path: Path | None = None,
        clock: Callable[[], float] = time.time,
        callers: int = COUNTED_CALLERS,
    ) -> None:
        self._clock = clock
        self._windows = [_Windows(places) for places in places_of(callers)]
        self._fullness = Fullness()
        self._claims = Claims(path, alone=True)
        self._locks: dict[str, float] = {}

    @property
    def times_full(self) -> int:
        return self._fullness.times

    def hit(self, hits: Sequence[Hit], group: Group = Group.ADDRESSES) -> list[Decision]:
        try:
            return self._windows[group].hit(hits, self._clock())
        except TableFull:
            raise self._fullness.error(group) from None

    def claim(self, keys: Sequence[str], seconds: float) -> bool:
        now = self._clock()
        return self._claims.claim(keys, now, now + seconds)

    def is_any_claimed(self, keys: Sequence[str]) -> bool:
        return self._claims.has_any(keys, self._clock())

    def lock(self, key: str, seconds: float) -> None:
        if len(self._locks) >= MOST_LOCKS:
            self._locks = dict(self.locks())
        if len(self._locks) >= MOST_LOCKS and key not in self._locks:
            del self._locks[min(self._locks, key=self._locks.__getitem__)]
        self._locks[key] = self._clock() + seconds

    def locks(self) -> Mapping[str, float]:
        now = self._clock()
        return {key: until for key, until in self._locks.items() if until > now}

    def close(self) -> None:
        self._claims.close()


class _Windows:
    """The windows of one group."""

    __slots__ = ("_held", "_kinds", "_most", "_sweep_at")

    def __init__(self, most: int) -> None:
        self._most = most
        # For each length of a window its callers, who called last at the end: the idle ones come first.
        self._kinds: dict[tuple[int, int], OrderedDict[str, Window]] = {}
        self._held = 0
        self._sweep_at = 0.0

    def hit(self, hits: Sequence[Hit], now: float) -> list[Decision]:
        if now >= self._sweep_at or self._held >= self._most:
            self._sweep(now)
        held = self._held
        decisions = decide([(limit, self._window(limit, key)) for limit, key in hits], now)
        if self._held > held:
            self._sweep(now)
        return decisions

    def _window(self, limit: limits.RateLimitItem, key: str) -> Window:
        kind = limit.amount, limit.get_expiry()
        windows = self._kinds.get(kind)
        if windows is None:
            windows = self._kinds[kind] = OrderedDict()
        window = windows.get(key)
        if window is not None:
            windows.move_to_end(key)
            return window
        if self._held >= self._most:
            raise TableFull
        self._held += 1
        window = windows[key] = Window()
        return window

    def _sweep(self, now: float) -> None:
        """Forgets some callers who are idle. Done for every new caller and once a second."""
        self._sweep_at = now + 1
        for (_, seconds), windows in self._kinds.items():
            for _ in range(_SWEPT_AT_ONCE):
                if not windows:
                    break
                key, window = next(iter(windows.items()))
                window.forget(now, seconds)
                if window.total:
                    break
                del windows[key]
                self._held -= 1
