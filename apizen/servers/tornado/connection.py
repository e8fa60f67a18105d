"""A client's connection: Tornado's stream, with what the server wants of it changed."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Self

from tornado.httputil import HTTPConnection
from tornado.iostream import IOStream

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # _CAN_ASK tells

__all__ = ["Connection"]

# What Tornado writes by itself, below every delegate, for a message that it can't parse.
_BARE_400 = b"HTTP/1.1 400 Bad Request\r\n\r\n"

# An answer must be taken, if only a byte of it, within these seconds, and a body come at this rate, in bytes a second,
# over these.
_STALLED_SECONDS = 30.0
_SLOW_SECONDS = 10.0
_SLOW_RATE = 1024

_CAN_ASK = fcntl is not None


class Connection(IOStream):
    """A connection that never sends Tornado's bare 400, and that costs less than Tornado's own.

    Tornado switches Nagle's algorithm off and on again for each answer, which is two system calls; every
    answer of ours is one write, so there is nothing that Nagle could gather. It also sets a timer for each
    request's headers, a tenth of what a call costs; the server looks at `waits_since` every few seconds.

    ``malformed`` makes the whole answer to a message that is no HTTP. ``on_wait`` is told when the wait for a
    request's headers begins, ``on_close`` when the connection has ended.
    """

    def __init__(
        self,
        connection: socket.socket,
        malformed: Callable[[], bytes],
        on_wait: Callable[[Connection], None],
        on_close: Callable[[Connection], None],
    ) -> None:
        super().__init__(connection)
        self._malformed = malformed
        self._on_wait = on_wait
        self._on_close = on_close
        self._headers: Awaitable[bytes] | None = None
        self._asked_at = 0.0
        self._sent = self._taken = 0
        self._stalled_since: float | None = None
        self._body_since: float | None = None
        self._body_size = 0
        self._refused = False
        super().set_nodelay(True)

    @classmethod
    def of(cls, connection: HTTPConnection) -> Self | None:
        """The stream below a connection of Tornado's, if it is one of these."""
        stream = getattr(connection, "stream", None)
        return stream if isinstance(stream, cls) else None

    @property
    def waits_since(self) -> float | None:
        """When the wait for a request's headers began (monotonic seconds), None while there is none."""
        waiting = isinstance(self._headers, asyncio.Future) and not self._headers.done()
        return self._asked_at if waiting else None

    def expect_body(self) -> None:
        """From now on the client owes a body."""
        self._body_since, self._body_size = time.monotonic(), 0

    def add_body(self, size: int) -> None:
        """So many bytes of it have come."""
        self._body_size += size

    def end_body(self) -> None:
        """It is there, or nobody waits for it."""
        self._body_since = None

    def unhurried(self, pending: Awaitable[None]) -> Awaitable[None]:
        """Takes the time that a handler needs for a piece of a body off that of the client."""

        async def wait() -> None:
            self.end_body()
            await pending
            self.expect_body()

        return wait()

    def refuse(self) -> None:
        """The request is answered, whatever else is wrong with it."""
        self._refused = True
        self.end_body()

    def is_late(self, now: float) -> bool:
        """Whether the client takes no answer, or sends its body too slowly. To be asked every few seconds."""
        return self._is_stalled(now) or self._is_slow(now)

    def _is_stalled(self, now: float) -> bool:
        if not self.writing():
            self._stalled_since = None
            return False
        taken = self._sent - _queued(self.socket)
        if self._stalled_since is None or taken != self._taken:
            self._stalled_since, self._taken = now, taken
        return now - self._stalled_since >= _STALLED_SECONDS

    def _is_slow(self, now: float) -> bool:
        if self._body_since is None or now - self._body_since < _SLOW_SECONDS:
            return False
        slow = self._body_size < _SLOW_RATE * (now - self._body_since)
        self._body_since, self._body_size = now, 0
        return slow

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        self._asked_at = time.monotonic()
        self._on_wait(self)
        self._headers = super().read_until_regex(regex, max_bytes)
        return self._headers

    def close_fd(self) -> None:
        super().close_fd()
        self._on_close(self)

    def set_nodelay(self, value: bool) -> None:
        pass

    def write_to_fd(self, data: memoryview) -> int:
        written = super().write_to_fd(data)
        self._sent += written
        return written

    def write(self, data: bytes | memoryview) -> asyncio.Future[None]:
        if data == _BARE_400:
            data = b"" if self._refused else self._malformed()
        return super().write(data)


def _queued(connection: socket.socket) -> int:
    """The bytes that the kernel keeps until the other side has taken them (tcp(7), SIOCOUTQ).

    Megabytes may be in its queue, and it asks for more only when a third of them is gone: without them a slow client
    would seem to take nothing. 0 where the system does not tell.
    """
    if not _CAN_ASK:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0
