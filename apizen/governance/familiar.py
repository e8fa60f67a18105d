"""The apps that an address has used well of late.

A lock-out is for strangers who guess. An address may be that of a whole office, where one program is wrong and the
others are right: what was right an hour ago is still looked at.

It is kept where claims are, so that all workers and machines know it, after a restart too: as a claim on a pair of
address and app in a third of an hour. A process asks the store only where it does not know by itself.

>>> import asyncio
>>> from apizen.governance.stores.memory import MemoryCounters
>>> counters = MemoryCounters()
>>> asyncio.run(FamiliarApps(counters).add('2001:db8::7', '12345678'))
>>> other = FamiliarApps(counters)
>>> asyncio.run(other.has('2001:db8::8', '12345678')), asyncio.run(other.has('2001:db8::7', '87654321'))
(True, False)
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from apizen.governance.address import caller_of
from apizen.governance.error import CountersError
from apizen.governance.stores.base import Counters, outcome_of
from apizen.throttled_log import ThrottledLog

__all__ = ["FamiliarApps"]

_SLOT_SECONDS = 1200
_SLOTS = 4  # the present one, and those of an hour
#: Pairs of an address and an app that a process knows by itself: some 300 bytes each.
MOST_PAIRS = 10_000

_Pair = tuple[str, str]


class FamiliarApps:
    """Who used which app in the last hour, and up to 20 minutes longer.

    An IPv6 network of 64 bits is one address. Only a right signature gets in, so nobody without a secret of their own
    can make it forget others. Where the store fails, it knows what this process does.
    """

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.time) -> None:
        self._counters = counters
        self._clock = clock
        # The slot in which a pair was seen last; those that were not for longest come first.
        self._seen: OrderedDict[_Pair, int] = OrderedDict()
        # What was noted in the present slot, and when that ends: nearly every call ends here.
        self._noted: set[_Pair] = set()
        self._ends = 0.0
        self._throttled_log = ThrottledLog(logging.getLogger(__name__), 60)

    def has_noted(self, address: str, app_key: str) -> bool:
        """Whether `add` would do nothing: so it is for nearly every good call."""
        return (address, app_key) in self._noted and self._clock() < self._ends

    async def add(self, address: str, app_key: str) -> None:
        """Notes a good call."""
        slot = self._slot()
        self._note((address, app_key), slot)
        pair = caller_of(address), app_key
        if self._seen.get(pair) == slot:
            return
        self._seen[pair] = slot
        self._seen.move_to_end(pair)
        if len(self._seen) > MOST_PAIRS:
            self._seen.popitem(last=False)
        try:
            await outcome_of(self._counters.claim([_key(pair, slot)], _SLOTS * _SLOT_SECONDS))
        except CountersError as error:
            self._throttled_log.warning("apps that are used well can't be kept: %s", error)

    async def has(self, address: str, app_key: str) -> bool:
        """Whether the address used the app well in the last hour."""
        pair = caller_of(address), app_key
        slot = self._slot()
        if slot - self._seen.get(pair, -_SLOTS) < _SLOTS:
            return True
        keys = [_key(pair, slot - back) for back in range(_SLOTS)]
        try:
            return await outcome_of(self._counters.is_any_claimed(keys))
        except CountersError as error:
            self._throttled_log.warning("apps that were used well can't be looked up: %s", error)
            return False

    def _note(self, pair: _Pair, slot: int) -> None:
        ends = float((slot + 1) * _SLOT_SECONDS)
        if ends != self._ends or len(self._noted) >= MOST_PAIRS:
            self._noted.clear()
            self._ends = ends
        self._noted.add(pair)

    def _slot(self) -> int:
        return int(self._clock()) // _SLOT_SECONDS


def _key(pair: _Pair, slot: int) -> str:
    return f"familiar:{slot}:{pair[1]}:{pair[0]}"
