"""The lock-out: who fails too often in a minute is refused for a while, 1002.

>>> from apizen.governance.stores.counters import MemoryCounters
>>> lockout = Lockout(MemoryCounters(), '2/minute', 300)
>>> for attempt in ('first', 'second'):
...     lockout.refuse('address:192.0.2.7')
...     lockout.failed('address:192.0.2.7')
>>> lockout.refuse('address:192.0.2.7')
Traceback (most recent call last):
apizen.exception.ApiSysExceptions.app_call_limited: 限制时间内调用失败次数，已达 2 次，请在 300 秒后重试
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from functools import lru_cache

from limits import RateLimitItem

from apizen.exception import ApiException, ApiSysExceptions
from apizen.governance.address import caller_of, network_of
from apizen.governance.limit import parse_rate
from apizen.governance.stores.counters import (
    Counters,
    CountersError,
    CountersFull,
    Decision,
    Group,
    Outcome,
    begun,
    outcome_of,
)
from apizen.throttled_log import ThrottledLog

__all__ = ["Lockout"]

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 0.5
_MOST_LOCKED = 10_000
# The kinds of keys that end with an address.
_OF_ADDRESSES = ("address", "cross-site")
_UNKNOWN = frozenset(f"{kind}:" for kind in _OF_ADDRESSES)


@lru_cache(maxsize=4096)
def _caller(key: str) -> str:
    """The key of a caller: an address stands for its IPv6 network."""
    kind, _, address = key.partition(":")
    return f"{kind}:{caller_of(address)}" if kind in _OF_ADDRESSES else key


def _network(caller: str) -> str:
    """The key of a caller's wider network."""
    kind, _, address = caller.partition(":")
    return f"{kind}:{network_of(address)}" if kind in _OF_ADDRESSES else caller


class Lockout:
    """Who is locked out: by an address, ``address:192.0.2.7``, or an app, ``app:12345678``.

    ``cross-site:192.0.2.7`` are the calls of an address that the pages of other sites may have caused there.
    ``limit`` failures, as ``20/minute``, lock a caller out for ``seconds``; an empty limit locks nobody out.
    An IPv6 network of 64 bits is one caller. An unknown address, ``address:``, is none: it would lock out all
    whose address is unknown. Where the store has no place for one more caller, its failures count for its network,
    of IPv6 48 bits, of IPv4 24, and that is locked out. While the store fails, failures are not counted.
    """

    def __init__(self, counters: Counters, limit: str, seconds: float) -> None:
        self._counters = counters
        self._limit = parse_rate(limit) if limit else None
        self._seconds = seconds
        self._locked: dict[str, float] = {}
        self._next_end = 0.0
        self._throttled_log = ThrottledLog(logger, 60)

    @property
    def active(self) -> bool:
        """Whether there is anybody whom `refuse` could mean."""
        return bool(self._locked)

    def refuse(self, *keys: str) -> None:
        """Raises 1002 when one of them is locked out."""
        if not self._locked:
            return
        now = time.time()
        if now >= self._next_end:
            self._keep(self._locked, now)
        callers = [_caller(key) for key in keys]
        until = max((self._locked.get(each, 0.0) for each in (*callers, *map(_network, callers))), default=0.0)
        if until > now:
            raise self._refusal(until - now)

    def failed(self, *keys: str) -> Outcome[None]:
        """Counts a failed call of each of them. Raises 1002, at once or when awaited, when that is one too many.

        The failure that reaches the limit locks out, so the next call is refused.
        """
        if self._limit is None:
            return None
        callers = [_caller(key) for key in keys if key not in _UNKNOWN]
        return begun(self._counters, self._count(self._limit, callers))

    async def _count(self, limit: RateLimitItem, callers: list[str]) -> None:
        exceeded = False
        for caller in callers:
            try:
                counted, decision = await self._hit(limit, caller)
                if decision.remaining == 0:
                    self._lock(counted)
                    await outcome_of(self._counters.lock(counted, self._seconds))
            except CountersError as error:
                self._throttled_log.warning("the store of lock-outs fails, failed calls are not counted: %s", error)
            else:
                exceeded = exceeded or not decision.allowed
        if exceeded:
            raise self._refusal(self._seconds)

    async def _hit(self, limit: RateLimitItem, caller: str) -> tuple[str, Decision]:
        """Counts a failure; says for whom."""
        try:
            return caller, await outcome_of(self._counters.hit(limit, f"lockout:{caller}", Group.FAILED))
        except CountersFull:
            network = _network(caller)
            return network, await outcome_of(self._counters.hit(limit, f"lockout:{network}", Group.FAILED_NETWORKS))

    async def watch(self) -> None:
        """Learns twice a second whom other processes locked out. Ends at once where no others are."""
        while self._counters.shared:
            try:
                locks = await outcome_of(self._counters.locks())
            except CountersError as error:
                self._throttled_log.warning("the store of lock-outs fails, failed calls are not counted: %s", error)
            else:
                self._keep({**self._locked, **locks}, time.time())
            await asyncio.sleep(_REFRESH_SECONDS)

    def _lock(self, caller: str) -> None:
        now = time.time()
        if len(self._locked) >= _MOST_LOCKED and caller not in self._locked:
            del self._locked[min(self._locked, key=self._locked.__getitem__)]
        self._locked[caller] = now + self._seconds
        self._next_end = self._next_end or now + self._seconds

    def _keep(self, locked: Mapping[str, float], now: float) -> None:
        """Keeps the lock-outs that have not ended."""
        self._locked = {caller: until for caller, until in locked.items() if until > now}
        self._next_end = min(self._locked.values(), default=0.0)

    def _refusal(self, seconds: float) -> ApiException:
        wait = max(1, math.ceil(seconds))
        times = self._limit.amount if self._limit else 0
        return ApiSysExceptions.app_call_limited(
            f"已达 {times} 次，请在 {wait} 秒后重试", headers={"Retry-After": str(wait)}
        )
