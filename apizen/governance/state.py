"""Where the state lives that calls share, and so which processes may serve together.

====================================  ===============  ==============================  ==========================
state                                 one process      workers that one parent forks   with a store (Redis)
====================================  ===============  ==============================  ==========================
calls that count for rates, failed    its memory       the file ``counters``           the store
calls, lock-outs
claims: signatures, nonces, familiar  the file         the file ``claims``             the store
apps                                  ``claims``
metrics                               its memory       memory that the parent made     as without
snapshot of apps, bans, maintenance   its memory,      the memory of each, read from   as without
                                      from the         the database; how far, in
                                      database         memory that the parent made
methods that are switched off after   nobody sees it   memory that the parent made     as without
deaths of workers
====================================  ===============  ==============================  ==========================

`Homes` decides where there is a choice: for the counters, and for the methods that are switched off. The rest is made
in one way, whatever the number of workers: what the parent makes before it forks is shared.

So processes that nobody forked together, as two servers or what another program spawns, need a store. Without one each
would allow every caller the whole rate, and a call could be sent again to the next process. Where they have one data
folder on one machine this is seen, and the second one does not start. It is not seen over a network file system, whose
locks hold for one machine only.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from apizen.governance.error import FolderError
from apizen.governance.folder import FolderLock
from apizen.service import StartError
from apizen.settings import Settings

if TYPE_CHECKING:
    from apizen.governance.stores.base import Counters

__all__ = ["Home", "Homes", "SharedState"]

logger = logging.getLogger(__name__)

# Longer than the workers of a server that was killed go on with their calls, which hold its folder until then.
_TRIES = 40
_PAUSE_SECONDS = 0.5


class Home(Enum):
    """Who shares a piece of state."""

    PROCESS = "nobody"
    MACHINE = "the processes that one parent has forked"
    STORE = "every server that names the store"


class Homes(NamedTuple):
    """Where the state lives that can be made in several ways.

    ``counters`` have all that is counted about callers: calls, lock-outs, claims. ``dead_methods`` are those that are
    switched off after deaths of workers.
    """

    counters: Home
    dead_methods: Home

    @classmethod
    def of(cls, settings: Settings) -> Homes:
        """As the settings want it.

        >>> homes = Homes.of(Settings(workers=2, store='redis://localhost'))
        >>> homes.counters, homes.dead_methods
        (<Home.STORE: 'every server that names the store'>, <Home.MACHINE: 'the processes that one parent has forked'>)
        """
        server = Home.MACHINE if settings.workers > 1 else Home.PROCESS
        return cls(counters=Home.STORE if settings.store else server, dead_methods=server)


class SharedState:
    """What is counted about callers: made when it is first asked for, since most servers count nothing.

    ``sleep`` waits for so many seconds.
    """

    def __init__(self, settings: Settings, sleep: Callable[[float], object] = time.sleep) -> None:
        self._settings = settings
        self._sleep = sleep
        self._home = Homes.of(settings).counters
        self._counters: Counters | None = None
        self._lock = FolderLock(Path(settings.data))

    @property
    def counters(self) -> Counters:
        """Where it is counted. Raises ValueError for a store that can't be one."""
        if self._counters is None:
            self._counters = _counters(self._home, self._settings)
        return self._counters

    @property
    def times_full(self) -> int:
        """How often this process had no place in which to count somebody."""
        return 0 if self._counters is None else self._counters.times_full

    def occupy(self) -> None:
        """Takes the data folder for this server, its workers included, where it counts and has no store.

        Where another server has it, it waits for some seconds, as that one may be about to end, and raises `StartError`
        where it keeps it. Where that can't be seen a line in the log says so.
        """
        if self._counters is None or self._home is Home.STORE:
            return
        try:
            taken = self._take()
        except FolderError as error:
            logger.warning("whether another server uses the same data folder can't be seen: %s", error)
            return
        if not taken:
            raise StartError(
                f"another server process uses the data folder {self._settings.data}. Only workers of one server "
                "(--workers) share limits, lock-outs and nonces: give each server its own folder (--data), "
                "or all of them one Redis (--store)"
            )

    def _take(self) -> bool:
        """Takes the folder, now or a little later; False where another server keeps it. Raises `FolderError`."""
        if self._lock.take():
            return True
        logger.warning(
            "the data folder %s is in use, maybe by last calls of a server that was killed: waiting up to %d seconds",
            self._settings.data,
            _TRIES * _PAUSE_SECONDS,
        )
        for _ in range(_TRIES):
            self._sleep(_PAUSE_SECONDS)
            if self._lock.take():
                return True
        return False

    async def close(self) -> None:
        """Closes the counters, and leaves the data folder to others."""
        if self._counters is not None:
            closing = self._counters.close()
            if inspect.isawaitable(closing):
                await closing
        self._lock.release()


def _counters(home: Home, settings: Settings) -> Counters:
    if home is Home.STORE:
        from apizen.governance.stores.redis import RedisCounters

        return RedisCounters(settings.store)
    data = Path(settings.data)
    if home is Home.MACHINE:
        from apizen.governance.stores.file import FileCounters

        return FileCounters(data / "counters", callers=settings.counted_callers)
    from apizen.governance.stores.memory import MemoryCounters

    return MemoryCounters(data / "claims", callers=settings.counted_callers)
