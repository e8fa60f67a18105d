"""Counters in Redis, for several machines.

Every answer is awaited, for a second at most. Where none comes, nothing is asked for a second: calls are told at
once instead of waiting one after the other; then one of them tries again while the others are still told. An
answer that is an error, as for a key of another type, fails that call only.

What belongs together is one script, which Redis runs as a whole and by its own clock, so machines whose
clocks differ count alike. All keys begin with ``apizen:`` and end by themselves: a window when its caller was idle
for it, a claim after its time. There is no table that could be full, but Redis' memory may be. It must not evict
keys (``maxmemory-policy noeviction``, the default), a replay could pass; so it answers with an error, and the
store fails as when Redis is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from apizen.governance.error import CountersError
from apizen.governance.stores.base import MOST_LOCKS, Group, Hit
from apizen.governance.stores.digest_table import digest_of
from apizen.governance.stores.window import GRAINS, Decision, grain_of

__all__ = ["RedisCounters"]

_SECONDS_OF_WAITING = 1.0
_SECONDS_OF_REST = 1.0
_CONNECTIONS = 32

# A window is kept as {end of grain, time, count, time, count, …}: the window module in Lua.
_HIT = f"""
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local windows, allowed = {{}}, true
for i, key in ipairs(KEYS) do
    local amount, seconds = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
    local kept, window, total = redis.call('GET', key), {{0}}, 0
    local old = kept and cmsgpack.unpack(kept) or window
    if #old > 1 and old[#old - 1] <= now + 1 then
        window[1] = old[1]
        for at = 2, #old, 2 do
            if old[at] > now - seconds then
                window[#window + 1] = old[at]
                window[#window + 1] = old[at + 1]
                total = total + old[at + 1]
            end
        end
    end
    windows[i] = {{window, total, total < amount}}
    allowed = allowed and total < amount
end
local decisions = {{}}
for i, key in ipairs(KEYS) do
    local amount, seconds, grain = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
    local window, total, free = unpack(windows[i])
    if allowed then
        if #window > 1 and (now < window[1] or #window > 2 * {GRAINS}) then
            window[#window - 1] = now
            window[#window] = window[#window] + 1
        else
            window[1] = now + grain
            window[#window + 1] = now
            window[#window + 1] = 1
        end
        total = total + 1
        redis.call('SET', key, cmsgpack.pack(window), 'EX', seconds + 1)
    end
    local reset = window[2] and window[2] + seconds - now or 0
    decisions[#decisions + 1] = free and 1 or 0
    decisions[#decisions + 1] = math.max(0, amount - total)
    decisions[#decisions + 1] = string.format('%.6f', reset)
end
return decisions
"""

_CLAIM = """
for _, key in ipairs(KEYS) do
    if not redis.call('SET', key, 1, 'NX', 'PX', ARGV[1]) then
        return 0
    end
end
return 1
"""

_LOCK = f"""
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= {MOST_LOCKS} and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
    redis.call('ZPOPMIN', KEYS[1])
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
"""

_LOCKS = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.6f', now), '+inf', 'WITHSCORES')
for at = 2, #found, 2 do
    found[at] = string.format('%.6f', found[at] - now)
end
return found
"""


class RedisCounters:
    """Counters in the Redis at a URL, as ``redis://localhost:6379/0``. Raises ValueError for what is no URL of one."""

    shared = True
    waits = True

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            protocol=2,  # with 3, redis-py uses connections that the server has closed: a call would see the restart
            max_connections=_CONNECTIONS,
            timeout=_SECONDS_OF_WAITING,
            socket_connect_timeout=_SECONDS_OF_WAITING,
            socket_timeout=_SECONDS_OF_WAITING,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=pool)
        self._hit = self._redis.register_script(_HIT)
        self._claim = self._redis.register_script(_CLAIM)
        self._lock = self._redis.register_script(_LOCK)
        self._locks = self._redis.register_script(_LOCKS)
        self._rests_until = 0.0
        self._trying = False
        self.times_full = 0

    async def hit(self, hits: Sequence[Hit], group: Group = Group.ADDRESSES) -> list[Decision]:
        keys = [f"apizen:window:{digest_of(limit.key_for(key)).hex()}" for limit, key in hits]
        arguments: list[float] = []
        for limit, _ in hits:
            seconds = limit.get_expiry()
            arguments += [limit.amount, seconds, grain_of(limit.amount, seconds)]
        found = iter(await self._ask(lambda: self._hit(keys, arguments)))
        return [
            Decision(bool(allowed), remaining, float(reset))
            for allowed, remaining, reset in zip(found, found, found, strict=True)
        ]

    async def claim(self, keys: Sequence[str], seconds: float) -> bool:
        names = _names(keys)
        milliseconds = max(1, round(seconds * 1000))
        return bool(await self._ask(lambda: self._claim(names, [milliseconds])))

    async def is_any_claimed(self, keys: Sequence[str]) -> bool:
        return bool(await self._ask(lambda: self._redis.exists(*_names(keys))))

    async def lock(self, key: str, seconds: float) -> None:
        await self._ask(lambda: self._lock(["apizen:locks"], [key, seconds]))

    async def locks(self) -> Mapping[str, float]:
        found = iter(await self._ask(lambda: self._locks(["apizen:locks"])))
        now = time.time()
        return {key.decode(errors="replace"): now + float(seconds) for key, seconds in zip(found, found, strict=True)}

    async def close(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    async def _ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        """Asks Redis, unless it failed a moment ago or somebody is just trying whether it is back."""
        failed_before = self._rests_until > 0
        if failed_before and (self._trying or time.monotonic() < self._rests_until):
            raise CountersError("Redis failed a moment ago")
        self._trying = failed_before
        try:
            async with asyncio.timeout(_SECONDS_OF_WAITING):
                answer = await _cancellable(question())
        except (RedisError, OSError) as error:
            silent = isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError))
            self._rests_until = time.monotonic() + _SECONDS_OF_REST if silent else 0.0
            self.times_full += isinstance(error, OutOfMemoryError)
            raise CountersError(f"Redis: {type(error).__name__}: {error}") from error
        finally:
            if failed_before:
                self._trying = False
        self._rests_until = 0.0
        return answer


def _names(keys: Sequence[str]) -> list[str]:
    return [f"apizen:claim:{digest_of(key).hex()}" for key in keys]


async def _cancellable(question: Awaitable[Any]) -> Any:
    """Awaits an answer. redis-py sends by `asyncio.wait_for`, which before Python 3.12 may drop a cancellation."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        return await question
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
