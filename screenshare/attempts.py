"""Counts wrong PINs, so that nobody finds the right one by trying.

>>> attempts = Attempts(clock=lambda: 0.0)
>>> for pin in ('1111', '2222', '3333', '4444', '4444'):
...     attempts.add('192.0.2.7', pin)
>>> attempts.locked('192.0.2.7')
0.0
>>> attempts.add('192.0.2.7', '5555')
>>> attempts.locked('192.0.2.7'), attempts.locked('192.0.2.8'), attempts.closed()
(60.0, 0.0, 0.0)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Attempts"]

logger = logging.getLogger(__name__)

_WRONG_PINS = 5
# Each further five wrong PINs lock a network for longer.
_LOCKS = (60.0, 300.0, 900.0, 3600.0)
# Wrong PINs of all networks within an hour, after which none is taken from anybody for an hour: of six digits a
# swarm tries one in ten thousand. It bounds the memory, too: nothing is kept but for a wrong PIN that was counted.
_MOST = 100
_HOUR = 3600.0


class _Record(NamedTuple):
    """What is held against a network. Times are seconds of the clock."""

    wrong: int
    locked_until: float
    forgotten_at: float


class Attempts:
    """The wrong PINs of each network and of all together. ``clock`` gives seconds.

    Five lock a network for 1 minute, five more for 5, then 15, then 60; an hour without a lock and without
    a wrong PIN, or the right one, forgets them. A hundred within an hour close the door to all for an hour.

    The same wrong PIN counts once in an hour, whoever enters it: it tells nobody anything new. So pages that
    enter the PIN of before by themselves, and a room that reads an old one from the wall, lock nobody out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}
        self._wrong: dict[str, float] = {}  # when each PIN was entered
        self._closed_until = 0.0

    def locked(self, network: str) -> float:
        """Seconds for which a network may try no PIN."""
        record = self._records.get(network)
        return 0.0 if record is None else max(0.0, record.locked_until - self._clock())

    def closed(self) -> float:
        """Seconds for which nobody may try a PIN."""
        return max(0.0, self._closed_until - self._clock())

    def add(self, network: str, pin: str) -> None:
        """Counts a wrong PIN, which may be given as a digest of it. For who is neither locked nor closed out."""
        self._forget_old()
        if pin in self._wrong:
            return
        now = self._wrong[pin] = self._clock()
        record = self._records.get(network)
        wrong = 1 if record is None else record.wrong + 1
        lock = _lock_after(wrong)
        self._records[network] = _Record(wrong, now + lock, now + lock + _HOUR)
        if lock:
            logger.warning("%s is locked for %d s after %d wrong PINs", network, lock, wrong)
        if len(self._wrong) >= _MOST:
            self._closed_until = now + _HOUR
            logger.warning("%d wrong PINs within an hour: for %d s none is taken, only links are", _MOST, _HOUR)

    def clear(self, network: str) -> None:
        """Forgets the wrong PINs of a network, which has entered the right one."""
        self._records.pop(network, None)

    def _forget_old(self) -> None:
        now = self._clock()
        self._records = {network: record for network, record in self._records.items() if record.forgotten_at > now}
        self._wrong = {pin: entered for pin, entered in self._wrong.items() if entered + _HOUR > now}


def _lock_after(wrong: int) -> float:
    """
    >>> [_lock_after(wrong) for wrong in (4, 5, 6, 10, 15, 20, 25)]
    [0.0, 60.0, 0.0, 300.0, 900.0, 3600.0, 3600.0]
    """
    locks, rest = divmod(wrong, _WRONG_PINS)
    return 0.0 if rest else _LOCKS[min(locks, len(_LOCKS)) - 1]
