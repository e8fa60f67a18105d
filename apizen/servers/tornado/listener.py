"""The listener: takes connections from listening sockets, as many as there is room for."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets

from apizen.servers.tornado.connection import Connection
from apizen.servers.tornado.connections import Connections
from apizen.throttled_log import ThrottledLog

__all__ = ["Listener", "bind"]

logger = logging.getLogger(__name__)

# How many connections the kernel keeps until they are taken; it drops those beyond, whose clients try again after a
# second at the earliest. Linux allows 4096 by default, older ones 128.
_BACKLOG = 1024
# A connection is not closed for a new one while its request may be on its way, sent once more after a loss, too
# (RFC 6298: TCP waits for at least 0.2 s in practice).
_CHANCE_SECONDS = 0.25
# Until it is looked again whether one of the connections can give way.
_FULL_SECONDS = 0.05
_SHORTAGE_SECONDS = 1.0
_LOG_SECONDS = 60.0


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on an address; port 0 takes a free one.

    Raises OSError where the address can't be had, UnicodeError for a name that is none.
    """
    return bind_sockets(port, host, backlog=_BACKLOG)


class Listener:
    """Accepts from ``sockets``, and gives each connection to ``serve`` with the address of its other end.

    Where the connections are full and none gives way, and where the system is short of something, it leaves the rest
    to the kernel's backlog for a while. ``shared`` are sockets that other processes accept from, too.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        connections: Connections,
        serve: Callable[[socket.socket, Any], None],
        shared: bool,
    ) -> None:
        self._sockets = sockets
        self._connections = connections
        self._serve = serve
        self._shared = shared
        self._pausing: asyncio.TimerHandle | None = None
        self._full_log = ThrottledLog(logger, _LOG_SECONDS)
        self._short_log = ThrottledLog(logger, _LOG_SECONDS)

    def start(self) -> None:
        """Begins to accept."""
        self._pausing = None
        for listening in self._sockets:
            IOLoop.current().add_handler(listening, self._on_connection, IOLoop.READ)

    def close(self) -> None:
        """Accepts no more, and closes the sockets."""
        if self._pausing is None:
            self._ignore()
        else:
            self._pausing.cancel()
        for listening in self._sockets:
            listening.close()

    def _ignore(self) -> None:
        for listening in self._sockets:
            IOLoop.current().remove_handler(listening)

    def _pause(self, seconds: float) -> None:
        if self._pausing is None:
            self._ignore()
            self._pausing = asyncio.get_running_loop().call_later(seconds, self.start)

    def _on_connection(self, listening: socket.socket, events: int) -> None:
        # One at a time (Tornado's handler takes all that wait), and after the others have had the processor:
        # else the worker that is first awake takes all connections of a burst, and keeps them.
        if self._shared:
            os.sched_yield()
        if not self._connections.full:
            self._accept(listening, None)
            return
        self._full_log.warning(
            "%d connections are open, which is the limit (max_connections): those that wait for a request give way to "
            "new ones, which wait where there are none",
            len(self._connections),
        )
        oldest = self._connections.oldest(_CHANCE_SECONDS)
        if oldest is None:
            self._pause(_FULL_SECONDS)
        else:
            self._accept(listening, oldest)

    def _accept(self, listening: socket.socket, replaced: Connection | None) -> None:
        try:
            accepted, address = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another worker was faster, or the client is gone
        except OSError as error:  # no descriptors, no memory: the connection stays, to try again at once would fail
            self._short_log.warning("no connection can be accepted, which is tried again each second: %s", error)
            self._pause(_SHORTAGE_SECONDS)
            return
        if replaced is not None:
            replaced.close()
        try:
            self._serve(accepted, address)
        except Exception:
            logger.exception("a connection could not be served")
            accepted.close()
