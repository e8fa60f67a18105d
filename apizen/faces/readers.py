"""Where large bodies are read: megabytes of JSON would hold up everybody's calls on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from apizen.exception import ApiSysExceptions

__all__ = ["MOST_WAITING", "Readers"]

T = TypeVar("T")

#: Bodies that are read or wait to be.
MOST_WAITING = 64
# Two hold the interpreter's lock half of the time at most, and what they make of a body is memory.
_THREADS = 2


class Readers:
    """Two threads that read bodies, those that came first before the others.

    >>> async def read():
    ...     return await Readers().run(lambda: len(b'[1, 2]'), seconds=30)
    >>> asyncio.run(read())
    6
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "apizen-reader")
        self._waiting = 0

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """The result of some work. Raises 1030 where too much waits, 1029 where it is not done after the seconds."""
        if self._waiting >= MOST_WAITING:
            raise ApiSysExceptions.service_busy
        self._waiting += 1
        reading = asyncio.get_running_loop().run_in_executor(self._threads, work)
        reading.add_done_callback(self._ended)
        try:
            done, _ = await asyncio.wait({reading}, timeout=seconds)
        finally:
            reading.cancel()  # what has not begun never will
        if not done:
            raise ApiSysExceptions.call_timeout
        return reading.result()

    def _ended(self, reading: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not reading.cancelled():
            reading.exception()  # where nobody waits for it any more
