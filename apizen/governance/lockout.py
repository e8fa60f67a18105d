"""The lock-out: who fails too often in a minute is refused for a while, 1002.

>>> import asyncio
>>> from apizen.governance.stores.memory import MemoryCounters
>>> lockout = Lockout(MemoryCounters(), '2/minute', 300)
>>> for attempt in ('first', 'second'):
...     lockout.refuse('192.0.2.7')
...     asyncio.run(lockout.failed('192.0.2.7'))
>>> lockout.refuse('192.0.2.7')
Traceback (most recent call last):
apizen.exception.ApiSysExceptions.app_call_limited: 限制时间内调用失败次数，已达 2 次，请在 300 秒后重试
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from apizen.exception import ApiException, ApiSysExceptions
from apizen.governance.address import caller_of, network_of
from apizen.governance.error import CountersError, CountersFull
from apizen.governance.limit import parse_rate
from apizen.governance.stores.base import Counters, Group, outcome_of
from apizen.governance.stores.window import Decision
from apizen.throttled_log import ThrottledLog

if TYPE_CHECKING:
    from limits import RateLimitItem

__all__ = ["Lockout"]

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 0.5
_MOST_LOCKED = 10_000
# What a key begins with: who calls, and the calls that pages of other sites may have caused there.
_ADDRESS, _CROSS_SITE = "address", "cross-site"


class Lockout:
    """Which addresses are locked out, of all calls or of those only that pages of other sites may have caused there.

    ``limit`` failures, as ``20/minute``, lock a caller out for ``seconds``; an empty limit locks nobody out.
    An IPv6 network of 64 bits is one caller. An unknown address, an empty one, is none: it would lock out all
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
    def waits(self) -> bool:
        """Whether `failed` may wait, for a store on another machine."""
        return self._counters.waits

    @property
    def active(self) -> bool:
        """Whether there is anybody whom `refuse` could mean."""
        return bool(self._locked)

    def refuse(self, address: str, *, cross_site: bool = False) -> None:
        """Raises 1002 when the address is locked out, of all calls or of those from other sites, and this is one."""
        if not self._locked:
            return
        now = time.time()
        if now >= self._next_end:
            self._keep(self._locked, now)
        caller = caller_of(address)
        until = max(
            self._locked.get(f"{kind}:{each}", 0.0)
            for kind in ((_ADDRESS, _CROSS_SITE) if cross_site else (_ADDRESS,))
            for each in (caller, network_of(caller))
        )
        if until > now:
            raise self._refusal(until - now)

    async def failed(self, address: str, *, cross_site: bool = False) -> None:
        """Counts a failed call, of those from other sites where it is one. Raises 1002 when that is one too many.

        The failure that reaches the limit locks out, so the next call is refused.
        """
        if self._limit is None or not address:
            return
        try:
            key, decision = await self._hit(self._limit, _CROSS_SITE if cross_site else _ADDRESS, caller_of(address))
            if decision.remaining == 0:
                self._lock(key)
                await outcome_of(self._counters.lock(key, self._seconds))
        except CountersError as error:
            self._throttled_log.warning("the store of lock-outs fails, failed calls are not counted: %s", error)
            return
        if not decision.allowed:
            raise self._refusal(self._seconds)

    async def _hit(self, limit: RateLimitItem, kind: str, caller: str) -> tuple[str, Decision]:
        """Counts a failure; says for whom."""
        key, hit = f"{kind}:{caller}", self._counters.hit
        try:
            (decision,) = await outcome_of(hit([(limit, f"lockout:{key}")], Group.FAILED))
        except CountersFull:
            key = f"{kind}:{network_of(caller)}"
            (decision,) = await outcome_of(hit([(limit, f"lockout:{key}")], Group.FAILED_NETWORKS))
        return key, decision

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

    def _lock(self, key: str) -> None:
        now = time.time()
        if len(self._locked) >= _MOST_LOCKED and key not in self._locked:
            del self._locked[min(self._locked, key=self._locked.__getitem__)]
        self._locked[key] = now + self._seconds
        self._next_end = self._next_end or now + self._seconds

    def _keep(self, locked: Mapping[str, float], now: float) -> None:
        """Keeps the lock-outs that have not ended."""
        self._locked = {key: until for key, until in locked.items() if until > now}
        self._next_end = min(self._locked.values(), default=0.0)

    def _refusal(self, seconds: float) -> ApiException:
        wait = max(1, math.ceil(seconds))
        times = self._limit.amount if self._limit else 0
        return ApiSysExceptions.app_call_limited(
            f"已达 {times} 次，请在 {wait} 秒后重试", headers={"Retry-After": str(wait)}
        )
