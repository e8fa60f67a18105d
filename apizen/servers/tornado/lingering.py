"""The end of a connection whose client is refused while it may still be sending."""

from __future__ import annotations

import asyncio

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPConnection

__all__ = ["Lingering"]

_SECONDS = 5.0
_BYTES = 64 * 1024 * 1024


class Lingering:
    """Ends a connection whose answer is written.

    A client that still ``sends`` its body would see a reset instead of the answer: so the body is read and thrown
    away for a while, as nginx's lingering_close does it.
    """

    def __init__(self, connection: HTTPConnection, sends: bool) -> None:
        self._connection = connection
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None
        if sends:
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self.end)
        else:
            connection.finish()

    def receive(self, size: int) -> None:
        """So many more bytes of the body have come."""
        self._received += size
        if self._received > _BYTES:
            self.end()

    def end(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self.cancel()
            self._connection.finish()
            if isinstance(self._connection, HTTP1Connection):
                self._connection.close()

    def cancel(self) -> None:
        """The connection has ended by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
