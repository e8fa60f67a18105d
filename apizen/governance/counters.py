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

import ipaddress
import mmap
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import limits

from apizen.governance.digest_table import DigestTable, MemoryPages, TableFull, digest_of
from apizen.governance.owned_file import CAN_OWN, OwnedFileError, owned
from apizen.governance.window import Decision, Window, decide

__all__ = [
    "Counters",
    "CountersError",
    "Decision",
    "Hit",
    "MemoryCounters",
    "Outcome",
    "begun",
    "caller_of",
    "outcome_of",
]

T = TypeVar("T")
R = TypeVar("R")

#: What a store answers: at once, or when it is awaited.
Outcome: TypeAlias = T | Awaitable[T]
#: A limit, and the key under which a call counts.
Hit = tuple[limits.RateLimitItem, str]

MOST_WINDOWS = 200_000
MOST_LOCKS = 8192
#: 4 million places of 12 bytes: 2.5 million claims. A signed call makes two, of its signature and of its nonce,
#: which are remembered for 10 minutes: 2000 such calls a second, for as long as they come.
CLAIM_BUCKETS = 32_768
_SWEPT_AT_ONCE = 500
# Changes with the layout: a file of another one is made anew.
_CLAIMS_HEADER = b"apizen claims 1\n"
_CLAIMS_AT = 4096
_SECONDS_OF_REST = 1.0


class CountersError(Exception):
    """The store fails."""


class Counters(Protocol):
    """A store of counters. Every method raises `CountersError`, at once or when awaited.

    ``shared`` is True where other processes count in it too, ``waits`` where its answers must be awaited.
    """

    shared: bool
    waits: bool

    def hit(self, limit: limits.RateLimitItem, key: str) -> Outcome[Decision]:
        """Counts a call in a moving window, where that has room."""

    def hit_all(self, hits: Sequence[Hit]) -> Outcome[list[Decision]]:
        """Counts a call under several limits, or under none of them when one has no room."""

    def claim(self, key: str, seconds: float) -> Outcome[bool]:
        """True for whoever claims a key first; it can be claimed again after the seconds."""

    def claim_all(self, keys: Sequence[str], seconds: float) -> Outcome[bool]:
        """True for whoever claims each of several keys first.

        They are claimed in their order, up to the first that is taken: of several callers with the same keys
        exactly one gets them. What was claimed before a key that is taken stays claimed.
        """

    def lock(self, key: str, seconds: float) -> Outcome[None]:
        """Locks somebody out."""

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


@lru_cache(maxsize=4096)
def caller_of(address: str) -> str:
    """What an address counts as: an IPv6 network of 64 bits is one caller, who has all of its addresses.

    >>> caller_of('192.0.2.7'), caller_of('2001:db8::a:b:c:d')
    ('192.0.2.7', '2001:db8::/64')
    """
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


class MemoryCounters:
    """Counters of one process.

    Memory is bounded: 48 MB of claims and some 400 bytes (at most 2 KB) for each of 200 000 callers, who are
    forgotten when they were idle for their window. What is live is never forgotten for something new: a full
    store raises `CountersError`.

    With a path, the claims lie in a file: a call that was seen before a restart is known after it. The file is
    made and taken with the first claim; where it can't be had, there are no claims.
    """

    shared = False
    waits = False

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._path = path if CAN_OWN else None
        self._clock = clock
        # For each length of a window its callers, who called last at the end: the idle ones come first.
        self._windows: dict[tuple[int, int], OrderedDict[str, Window]] = {}
        self._held = 0
        self._sweep_at = 0.0
        self._claims: DigestTable | None = None
        self._claims_file: mmap.mmap | None = None
        self._rests_until = 0.0
        self._locks: dict[str, float] = {}

    def hit(self, limit: limits.RateLimitItem, key: str) -> Decision:
        return self.hit_all(((limit, key),))[0]

    def hit_all(self, hits: Sequence[Hit]) -> list[Decision]:
        now = self._clock()
        if now >= self._sweep_at or self._held >= MOST_WINDOWS:
            self._sweep(now)
        held = self._held
        decisions = decide([(limit, self._window(limit, key)) for limit, key in hits], now)
        if self._held > held:
            self._sweep(now)
        return decisions

    def _window(self, limit: limits.RateLimitItem, key: str) -> Window:
        kind = limit.amount, limit.get_expiry()
        windows = self._windows.get(kind)
        if windows is None:
            windows = self._windows[kind] = OrderedDict()
        window = windows.get(key)
        if window is not None:
            windows.move_to_end(key)
            return window
        if self._held >= MOST_WINDOWS:
            raise CountersError(f"{MOST_WINDOWS} callers are counted already")
        self._held += 1
        window = windows[key] = Window()
        return window

    def _sweep(self, now: float) -> None:
        """Forgets some callers who are idle. Done for every new caller and once a second."""
        self._sweep_at = now + 1
        for (_, seconds), windows in self._windows.items():
            for _ in range(_SWEPT_AT_ONCE):
                if not windows:
                    break
                key, window = next(iter(windows.items()))
                window.forget(now, seconds)
                if window.total:
                    break
                del windows[key]
                self._held -= 1

    def claim(self, key: str, seconds: float) -> bool:
        return self.claim_all((key,), seconds)

    def claim_all(self, keys: Sequence[str], seconds: float) -> bool:
        now = self._clock()
        claims = self._claims or self._open_claims()
        try:
            for key in keys:
                if not claims.claim(digest_of(key), now, now + seconds):
                    return False
        except TableFull:
            raise CountersError("too many claims are remembered already") from None
        return True

    def _open_claims(self) -> DigestTable:
        """Takes the file, unless that failed a moment ago: on a full disk it takes a while."""
        size = DigestTable.size(CLAIM_BUCKETS)
        if self._path is None:
            self._claims = DigestTable(MemoryPages.anonymous(size), CLAIM_BUCKETS)
            return self._claims
        if time.monotonic() < self._rests_until:
            raise CountersError(f"{self._path} could not be used a moment ago")
        try:
            self._claims_file = owned(self._path, _CLAIMS_HEADER, _CLAIMS_AT + size)
        except OwnedFileError as error:
            self._rests_until = time.monotonic() + _SECONDS_OF_REST
            raise CountersError(str(error)) from error
        self._claims = DigestTable(MemoryPages(self._claims_file), CLAIM_BUCKETS, _CLAIMS_AT)
        return self._claims

    def lock(self, key: str, seconds: float) -> None:
        if len(self._locks) >= MOST_LOCKS:
            self._locks = dict(self.locks())
        if len(self._locks) >= MOST_LOCKS and key not in self._locks:
            raise CountersError(f"{MOST_LOCKS} callers are locked out already")
        self._locks[key] = self._clock() + seconds

    def locks(self) -> Mapping[str, float]:
        now = self._clock()
        return {key: until for key, until in self._locks.items() if until > now}

    def close(self) -> None:
        if self._claims_file is not None:
            self._claims_file.close()
            self._claims = self._claims_file = None
