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
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets

from apizen.connection import Connection
from apizen.handler import Front
from apizen.runner import Runner

__all__ = ["Server", "Service"]

logger = logging.getLogger(__name__)

_GRACE_SECONDS = 10.0
_IDLE_SECONDS = 75.0
_BODY_SECONDS = 300.0


class Service(Protocol):
    """Something that runs beside the gateway. A subclass has what it needs of these; the rest does nothing."""

    def prepare(self) -> None:
        """Reads what all workers begin with, in their parent, before they are forked. Starts nothing.

        Raises `apizen.supervisor.StartError`.
        """
        return

    async def start(self) -> None:
        """Begins, in the process that serves and before the first call comes.

        Raises `apizen.supervisor.StartError` where it can't, with what the operator should know.
        """
        return

    def announce(self, origins: Sequence[str]) -> Sequence[str]:
        """Lines to print at start. ``origins`` are the server's, as ``http://127.0.0.1:8010``.

        With several workers it is called in their parent, where nothing has been started.
        """
        return ()

    async def drain(self) -> None:
        """Ends what goes on by itself, as a stream: no connection comes any more, the calls that run are finished."""
        return

    async def close(self) -> None:
        """Ends it, after the last answer is sent. Services are closed in reverse order, whether they drained or not."""
        return


class Server:
    """Serves a `Front` on one address.

    >>> async def main(front, runner):
    ...     server = Server(front, runner, '127.0.0.1', 8010)
    ...     await server.start_services()
    ...     server.start()
    ...     await server.run(lambda: print('ready'))        # until SIGTERM or Ctrl-C
    """

    def __init__(self, front: Front, runner: Runner, host: str, port: int, services: Sequence[Service] = ()) -> None:
        self.host = host
        self.port = port
        self._front = front
        self._runner = runner
        self._services = services
        self._started: list[Service] = []
        self._http = HTTPServer(front, body_timeout=_BODY_SECONDS)
        self._http.conn_params.header_timeout = None  # see Connection
        self._streams: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._sockets: list[socket.socket] = []
        self._shared = False

    async def start_services(self) -> None:
        """Starts the services in their order. Where one can't, those before it are closed."""
        try:
            for service in self._services:
                await service.start()
                self._started.append(service)
        except BaseException:
            await self.close_services()
            raise

    def start(self, sockets: Sequence[socket.socket] = (), shared: bool = False) -> None:
        """Accepts connections on ``sockets``, else on the address; port 0 takes a free one.

        ``shared`` are sockets that other workers accept from, too. Raises OSError where the address can't be had.
        """
        self._shared = shared
        self._sockets = list(sockets) or bind_sockets(self.port, self.host)
        self.port = self._sockets[0].getsockname()[1]
        for listener in self._sockets:
            IOLoop.current().add_handler(listener, self._on_connection, IOLoop.READ)

    async def run(self, announce: Callable[[], None]) -> None:
        """Serves until SIGTERM or SIGINT, then closes; a second signal ends the process at once.

        ``announce`` is called as soon as signals are heeded. One of several workers leaves SIGINT and the second
        signal to their supervisor: a terminal or systemd sends a signal to all, and the supervisor passes it on.
        """
        stopped = asyncio.Event()
        idle = asyncio.create_task(self._end_late_connections())

        def stop() -> None:
            if stopped.is_set() and not self._shared:
                os._exit(1)
            stopped.set()

        _on_signals(stop, [signal.SIGTERM] if self._shared else [signal.SIGTERM, signal.SIGINT])
        announce()
        await stopped.wait()
        idle.cancel()
        await self.close()

    async def close(self, grace: float = _GRACE_SECONDS) -> None:
        """Stops accepting, answers new requests with 1001, and closes.

        Waits up to ``grace`` seconds for the calls that run and for their answers to be sent.
        """
        self._front.gateway.draining = True
        for listener in self._sockets:
            IOLoop.current().remove_handler(listener)
            listener.close()
        for service in self._started:
            await _safely(service, service.drain())
        await self._finish_calls(grace)
        await self._http.close_all_connections()
        self._runner.close()
        await self.close_services()

    async def _finish_calls(self, grace: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while any(self._busy()):
                    await asyncio.sleep(0.02)
        late = list(self._front.tasks)
        for task in late:
            task.cancel()  # its client gets 1029
        if late:
            await asyncio.wait(late, timeout=1)
            await asyncio.sleep(0)

    async def close_services(self) -> None:
        """Closes those that were started; for one who serves nothing. `close` does it, too."""
        while self._started:
            service = self._started.pop()
            await _safely(service, service.close())

    async def _end_late_connections(self) -> None:
        while True:
            await asyncio.sleep(_IDLE_SECONDS / 15)
            now = time.monotonic()
            for stream in list(self._streams):
                idle = stream.waits_since is not None and stream.waits_since < now - _IDLE_SECONDS
                if idle or stream.is_late(now):
                    stream.close()

    def _busy(self) -> Iterator[Any]:
        yield from self._front.tasks
        yield from (stream for stream in self._streams if stream.writing())

    def _on_connection(self, listener: socket.socket, events: int) -> None:
        # One at a time (Tornado's handler takes all that wait), and after the others have had the processor:
        # else the worker that is first awake takes all connections of a burst, and keeps them.
        if self._shared:
            os.sched_yield()
        try:
            connection, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another worker was faster, or the client is gone
        try:
            stream = Connection(connection, self._front.malformed)
            self._streams.add(stream)
            self._http.handle_stream(stream, address)
        except Exception:
            logger.exception("a connection could not be served")
            connection.close()


async def _safely(service: Service, end: Awaitable[None]) -> None:
    """Ends a service; one that fails must not keep the others from it."""
    try:
        await end
    except Exception:
        logger.exception("%s did not end well", type(service).__name__)


def _on_signals(stop: Callable[[], None], numbers: Sequence[signal.Signals]) -> None:
    loop = asyncio.get_running_loop()
    for number in numbers:
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
