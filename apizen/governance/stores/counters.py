"""What is counted about callers: their calls, the signed calls that were seen, and who is locked out.

A store of counters answers at once, or, where it must ask another machine, gives an awaitable; `begun`
hides the difference from who asks.

>>> counters = MemoryCounters()
>>> counters.hit(limits.parse('100/minute'), 'address:192.0.2.7')
Decision(allowed=True, remaining=99, reset=60.0)
>>> counters.claim('nonce:12345678:f3a8', 600), counters.claim('nonce:12345678:f3a8', 600)
(True, False)
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import limits

from apizen.governance.error import CountersError, CountersFull
from apizen.governance.stores.claims import Claims
from apizen.governance.stores.digest_table import TableFull
from apizen.governance.stores.window import Decision, Window, decide
from apizen.throttled_log import ThrottledLog

__all__ = [
    "COUNTED_CALLERS",
    "MOST_LOCKS",
    "Counters",
    "CountersError",
    "CountersFull",
    "Decision",
    "Fullness",
    "Group",
    "Hit",
    "MemoryCounters",
    "Outcome",
    "begun",
    "outcome_of",
    "places_of",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

#: What a store answers: at once, or when it is awaited.
Outcome: TypeAlias = T | Awaitable[T]
#: A limit, and the key under which a call counts.
Hit = tuple[limits.RateLimitItem, str]

#: How many addresses are counted by themselves, where nothing else is said.
COUNTED_CALLERS = 65_536
MOST_LOCKS = 8192
_SWEPT_AT_ONCE = 500


class Group(IntEnum):
    """Who is counted in one table, so that nobody takes the places of another group.

    The calls of `ADDRESSES` and of `APPS` are counted for rates, and of `NETWORKS` where the table of addresses is
    full; failed calls for lock-outs, of `FAILED` callers, and of `FAILED_NETWORKS` where that table is full.
    """

    ADDRESSES = 0
    NETWORKS = 1
    APPS = 2
    FAILED = 3
    FAILED_NETWORKS = 4


_FULL = (
    "all places for counted addresses are taken, new ones are counted as networks",
    "all places for counted networks are taken",
    "all places for counted apps are taken",
    "all places for failed calls of addresses are taken, new ones are counted as networks",
    "all places for failed calls of networks are taken",
)


def places_of(callers: int) -> list[int]:
    """How many places each group has where so many addresses are counted by themselves.

    >>> places_of(65_536)
    [65536, 16384, 16384, 16384, 16384]
    """
    return [callers if group == Group.ADDRESSES else callers // 4 for group in Group]


class Fullness:
    """How often a store had no place for somebody. Says so in the log, once a minute for each group."""

    def __init__(self) -> None:
        self.times = 0
        self._throttled_log = [ThrottledLog(logger, 60) for _ in Group]

    def error(self, group: Group) -> CountersFull:
        """What to raise when it happened again."""
        self.times += 1
        self._throttled_log[group].warning("%s: see the setting counted_callers", _FULL[group])
        return CountersFull(_FULL[group])


class Counters(Protocol):
    """A store of counters. Every method raises `CountersError`, at once or when awaited.

    ``shared`` is True where other processes count in it too, ``waits`` where its answers must be awaited.
    ``times_full`` says how often this process was told that a table is full.
    """

    shared: bool
    waits: bool

    @property
    def times_full(self) -> int: ...

    def hit(self, limit: limits.RateLimitItem, key: str, group: Group = Group.ADDRESSES) -> Outcome[Decision]:
        """Counts a call in a moving window, where that has room. Raises `CountersFull` when the group has no place
        for a new key.
        """

    def hit_all(self, hits: Sequence[Hit], group: Group = Group.ADDRESSES) -> Outcome[list[Decision]]:
        """Counts a call under several limits, or under none of them when one has no room. Raises `CountersFull`."""

    def claim(self, key: str, seconds: float) -> Outcome[bool]:
        """True for whoever claims a key first; it can be claimed again after the seconds."""

    def claim_all(self, keys: Sequence[str], seconds: float) -> Outcome[bool]:
        """True for whoever claims each of several keys first.

        They are claimed in their order, up to the first that is taken: of several callers with the same keys
        exactly one gets them. What was claimed before a key that is taken stays claimed.
        """

    def is_any_claimed(self, keys: Sequence[str]) -> Outcome[bool]:
        """Whether somebody has claimed one of several keys, and it is not free again."""

    def lock(self, key: str, seconds: float) -> Outcome[None]:
        """Locks somebody out. Where all places are taken, the lock-out that ends first makes room."""

    def locks(self) -> Outcome[Mapping[str, float]]:
        """Who is locked out, until which `time.time`."""

    def close(self) -> Outcome[None]: ...


def begun(counters: Counters, work: Coroutine[Any, Any, T]) -> Outcome[T]:
    """What a coroutine gives that awaits nothing but outcomes of this store: at once, if the store never waits.

    So code that asks a store is written once, and a store in memory needs no event loop.
    """
    if counters.waits:
        return work
    try:
        work.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    raise RuntimeError(f"{type(counters).__name__} waits, though it says that it does not")


async def outcome_of(outcome: Outcome[T]) -> T:
    """What a store answers."""
    return await outcome if isinstance(outcome, Awaitable) else outcome


class _Windows:
    """The windows of one group."""

    __slots__ = ("_held", "_kinds", "_most", "_sweep_at")

    def __init__(self, most: int) -> None:
        self._most = most
        # For each length of a window its callers, who called last at the end: the idle ones come first.
        self._kinds: dict[tuple[int, int], OrderedDict[str, Window]] = {}
        self._held = 0
        self._sweep_at = 0.0

    def hit_all(self, hits: Sequence[Hit], now: float) -> list[Decision]:
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

    def hit(self, limit: limits.RateLimitItem, key: str, group: Group = Group.ADDRESSES) -> Decision:
        return self.hit_all(((limit, key),), group)[0]

    def hit_all(self, hits: Sequence[Hit], group: Group = Group.ADDRESSES) -> list[Decision]:
        try:
            return self._windows[group].hit_all(hits, self._clock())
        except TableFull:
            raise self._fullness.error(group) from None

    def claim(self, key: str, seconds: float) -> bool:
        return self.claim_all((key,), seconds)

    def claim_all(self, keys: Sequence[str], seconds: float) -> bool:
        now = self._clock()
        return self._claims.claim_all(keys, now, now + seconds)

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
