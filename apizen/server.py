"""The server: listening sockets, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import add_accept_handler, bind_sockets

from apizen.handler import Front
from apizen.runner import Runner

__all__ = ["Server"]

logger = logging.getLogger(__name__)

_GRACE_SECONDS = 10.0
_IDLE_SECONDS = 75.0
_BODY_SECONDS = 300.0
# What Tornado writes by itself, below every delegate, for a message that it can't parse.
_BARE_400 = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class _Stream(IOStream):
    """A connection that never sends Tornado's bare 400, and that keeps TCP_NODELAY on.

    Tornado switches Nagle's algorithm off and on again for each answer, which is two system calls; every
    answer of ours is one write, so there is nothing that Nagle could gather.
    """

    def __init__(self, connection: socket.socket, malformed: Callable[[], bytes]) -> None:
        super().__init__(connection)
        self._malformed = malformed
        super().set_nodelay(True)

    def set_nodelay(self, value: bool) -> None:
        pass

    def write(self, data: bytes | memoryview) -> asyncio.Future[None]:
        return super().write(self._malformed() if data == _BARE_400 else data)


class Server:
    """Serves a `Front` on one address.

    >>> async def main(front, runner):
    ...     server = Server(front, runner, '127.0.0.1', 8010)
    ...     server.start()
    ...     await server.run()          # until SIGTERM or Ctrl-C
    """

    def __init__(self, front: Front, runner: Runner, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._front = front
        self._runner = runner
        self._http = HTTPServer(front, idle_connection_timeout=_IDLE_SECONDS, body_timeout=_BODY_SECONDS)
        self._streams: weakref.WeakSet[_Stream] = weakref.WeakSet()
        self._sockets: list[socket.socket] = []
        self._stop_accepting: list[Callable[[], None]] = []

    def start(self) -> None:
        """Binds and listens; port 0 takes a free one. Raises OSError where the address can't be had."""
        self._sockets = bind_sockets(self.port, self.host)
        self.port = self._sockets[0].getsockname()[1]
        self._stop_accepting = [add_accept_handler(listener, self._accept) for listener in self._sockets]

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT, then closes; a second signal ends the process at once."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if stopped.is_set():
                os._exit(1)
            stopped.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        await stopped.wait()
        await self.close()

    async def close(self, grace: float = _GRACE_SECONDS) -> None:
        """Stops accepting, answers new requests with 1001, and closes.

        Waits up to ``grace`` seconds for the calls that run and for their answers to be sent.
        """
        self._front.gateway.draining = True
        for stop in self._stop_accepting:
            stop()
        for listener in self._sockets:
            listener.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while any(self._busy()):
                    await asyncio.sleep(0.02)
        for task in list(self._front.tasks):
            task.cancel()
        await asyncio.sleep(0)
        await self._http.close_all_connections()
        self._runner.close()

    def _busy(self) -> Iterator[Any]:
        yield from self._front.tasks
        yield from (stream for stream in self._streams if stream.writing())

    def _accept(self, connection: socket.socket, address: Any) -> None:
        try:
            stream = _Stream(connection, self._front.malformed)
            self._streams.add(stream)
            self._http.handle_stream(stream, address)
        except Exception:
            logger.exception("a connection could not be served")
            connection.close()
