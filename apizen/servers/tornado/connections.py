"""The open connections of a process: how many there may be, and which of them gives way to a new one."""

from __future__ import annotations

import socket
import sys
import time
from collections import OrderedDict
from collections.abc import Callable

from apizen.servers.tornado.connection import Connection

__all__ = ["Connections"]


class Connections:
    """Opens connections and knows those that are open.

    Where there are ``limit`` of them, the one that has waited longest for a request gives its place to a new one,
    whether it had a request before or never sent any (nginx does the same with its reusable connections). It is
    closed as after the idle timeout. None gives way whose request has come: while its body is read, its call runs,
    its answer is sent, or it streams.
    """

    def __init__(self, limit: int = sys.maxsize) -> None:
        self.limit = limit
        self._open: set[Connection] = set()
        # In the order in which they began to wait. One that got its request stays, until it waits again and goes to
        # the end, or is met at the front: so a look at the oldest costs no more than putting it in did.
        self._waiting: OrderedDict[Connection, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether there are as many as there may be."""
        return len(self._open) >= self.limit

    @property
    def writing(self) -> bool:
        """Whether something is still to be sent on any of them."""
        return any(connection.writing() for connection in self._open)

    def open(self, accepted: socket.socket, malformed: Callable[[], bytes]) -> Connection:
        """A connection on a socket that was accepted. See `Connection` for ``malformed``."""
        connection = Connection(accepted, malformed, self._on_wait, self._on_close)
        self._open.add(connection)
        return connection

    def oldest(self, seconds: float) -> Connection | None:
        """The one that has waited longest for a request, if it has for so many seconds, else None.

        One that has just sent something is passed over: closing it would reset it, and its request may be whole.
        """
        latest = time.monotonic() - seconds
        while self._waiting and next(iter(self._waiting)).waits_since is None:
            self._waiting.popitem(last=False)
        for connection in self._waiting:
            since = connection.waits_since
            if since is not None and since > latest:
                return None
            if since is not None and not _has_sent(connection.socket):
                return connection
        return None

    def late(self) -> list[Connection]:
        """Those whose clients make no progress, see `Connection.is_late`. To be asked every few seconds."""
        now = time.monotonic()
        return [connection for connection in self._open if connection.is_late(now)]

    def _on_wait(self, connection: Connection) -> None:
        self._waiting[connection] = None
        self._waiting.move_to_end(connection)

    def _on_close(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._waiting.pop(connection, None)


def _has_sent(connection: socket.socket) -> bool:
    """Whether the kernel has something from the other side that was not read yet."""
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:  # nothing yet, or the other side is gone
        return False
