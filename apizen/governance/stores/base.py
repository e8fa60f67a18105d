"""What is counted about callers: their calls, the signed calls that were seen, and who is locked out.

A store of counters answers at once, or, where it must ask another machine, gives an awaitable; `begun`
hides the difference from who asks.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping, Sequence
from enum import IntEnum
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from apizen.governance.error import CountersFull
from apizen.governance.stores.window import Decision
from apizen.throttled_log import ThrottledLog

if TYPE_CHECKING:
    import limits

__all__ = [
    "COUNTED_CALLERS",
    "MOST_LOCKS",
    "Counters",
    "Fullness",
    "Group",
    "Hit",
    "Outcome",
    "begun",
    "outcome_of",
    "places_of",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: What a store answers: at once, or when it is awaited.
Outcome: TypeAlias = T | Coroutine[Any, Any, T]
#: A limit, and the key under which a call counts.
Hit: TypeAlias = "tuple[limits.RateLimitItem, str]"

#: How many addresses are counted by themselves, where nothing else is said.
COUNTED_CALLERS = 65_536
MOST_LOCKS = 8192

_ENDED = object()


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

    def hit(self, hits: Sequence[Hit], group: Group = Group.ADDRESSES) -> Outcome[list[Decision]]:
        """Counts a call in the moving windows of several limits, or in none of them when one has no room.

        Raises `CountersFull` when the group has no place for a new key.
        """

    def claim(self, keys: Sequence[str], seconds: float) -> Outcome[bool]:
        """True for whoever claims each of several keys first; they can be claimed again after the seconds.

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


def begun(work: Coroutine[Any, Any, None], *, waits: bool) -> Outcome[None]:
    """Runs to its end, at once, what never ``waits``: no event loop is needed for it. Gives back what does.

    So code that asks a store is written once, as a coroutine, and ``waits`` is what the store says of itself.
    """
    if waits:
        return work
    # Its end as a value: to catch StopIteration takes twice as long.
    if next(work.__await__(), _ENDED) is not _ENDED:
        raise RuntimeError(f"{work} waits, though nothing was to wait")
    return None


async def outcome_of(outcome: Outcome[T]) -> T:
    """What a store answers."""
    # Not the abstract class of coroutines, which takes four times as long.
    if isinstance(outcome, CoroutineType):
        answer: T = await outcome
        return answer
    return outcome  # type: ignore[return-value]  # it is no coroutine
