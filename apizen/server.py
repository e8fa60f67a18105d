"""The server: listening sockets, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from tornado.httpserver import HTTPServer
from tornado.netutil import add_accept_handler, bind_sockets

from apizen.connection import Connection
from apizen.handler import Front
from apizen.runner import Runner

__all__ = ["Server"]

logger = logging.getLogger(__name__)

_GRACE_SECONDS = 10.0
_IDLE_SECONDS = 75.0
_BODY_SECONDS = 300.0


class Service(Protocol):
    """Something that is served beside the gateway."""

    def announce(self, origins: Sequence[str]) -> Sequence[str]:
        """Lines to print at start. ``origins`` are the server's, as ``http://127.0.0.1:8010``."""

    async def close(self) -> None:
        """Ends it, before the server ends: nothing of it may still be sending."""


class Server:
    """Serves a `Front` on one address.

    >>> async def main(front, runner):
    ...     server = Server(front, runner, '127.0.0.1', 8010)
    ...     server.start()
    ...     await server.run(lambda: print('ready'))        # until SIGTERM or Ctrl-C
    """

    def __init__(self, front: Front, runner: Runner, host: str, port: int, services: Sequence[Service] = ()) -> None:
        self.host = host
        self.port = port
        self._front = front
        self._runner = runner
        self._services = services
        self._http = HTTPServer(front, body_timeout=_BODY_SECONDS)
        self._http.conn_params.header_timeout = None  # see Connection
        self._streams: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._sockets: list[socket.socket] = []
        self._stop_accepting: list[Callable[[], None]] = []

    def start(self) -> None:
        """Binds and listens; port 0 takes a free one. Raises OSError where the address can't be had."""
        self._sockets = bind_sockets(self.port, self.host)
        self.port = self._sockets[0].getsockname()[1]
        self._stop_accepting = [add_accept_handler(listener, self._accept) for listener in self._sockets]

    async def run(self, announce: Callable[[], None]) -> None:
        """Serves until SIGTERM or SIGINT, then closes; a second signal ends the process at once.

        ``announce`` is called as soon as signals are heeded.
        """
        stopped = asyncio.Event()
        idle = asyncio.create_task(self._end_idle_connections())

        def stop() -> None:
            if stopped.is_set():
                os._exit(1)
            stopped.set()

        _on_signals(stop)
        announce()
        await stopped.wait()
        idle.cancel()
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
        for service in self._services:
            await service.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while any(self._busy()):
                    await asyncio.sleep(0.02)
        late = list(self._front.tasks)
        for task in late:
            task.cancel()  # its client gets 1001
        if late:
            await asyncio.wait(late, timeout=1)
            await asyncio.sleep(0)
        await self._http.close_all_connections()
        self._runner.close()

    async def _end_idle_connections(self) -> None:
        while True:
            await asyncio.sleep(_IDLE_SECONDS / 15)
            oldest = time.monotonic() - _IDLE_SECONDS
            for stream in list(self._streams):
                if stream.waits_since is not None and stream.waits_since < oldest:
                    stream.close()

    def _busy(self) -> Iterator[Any]:
        yield from self._front.tasks
        yield from (stream for stream in self._streams if stream.writing())

    def _accept(self, connection: socket.socket, address: Any) -> None:
        try:
            stream = Connection(connection, self._front.malformed)
            self._streams.add(stream)
            self._http.handle_stream(stream, address)
        except Exception:
            logger.exception("a connection could not be served")
            connection.close()


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
