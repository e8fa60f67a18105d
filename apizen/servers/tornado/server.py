"""The server: listening sockets, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

from tornado.httpserver import HTTPServer

from apizen.application import Application
from apizen.servers.descriptors import connection_limit
from apizen.servers.tornado.connections import Connections
from apizen.servers.tornado.front import Front
from apizen.servers.tornado.listener import Listener, bind
from apizen.servers.tornado.web_application import web_application
from apizen.service import Services

__all__ = ["Server"]

logger = logging.getLogger(__name__)

_GRACE_SECONDS = 10.0
_IDLE_SECONDS = 75.0
_BODY_SECONDS = 300.0


class Server:
    """Serves an application on one address.

    >>> async def main(app):
    ...     server = Server(app, '127.0.0.1', 8010)
    ...     await server.start()
    ...     await server.run(lambda: print('ready'))        # until SIGTERM or Ctrl-C
    """

    def __init__(self, app: Application, host: str, port: int) -> None:
        settings, log = app.settings, app.observation.log
        self.host = host
        self.port = port
        self.connections = Connections(connection_limit(settings))
        handlers = web_application(app.handlers, app.gateway.refuse, log)
        self.front = Front(app.faces, handlers, settings.max_body, app.observation.observers, app.check_ban)
        app.observation.connections = lambda: len(self.connections)
        self._pipeline = app.pipeline
        self._services = Services(app.services)
        self._http = HTTPServer(self.front, body_timeout=_BODY_SECONDS)
        self._http.conn_params.header_timeout = None  # see Connection
        self._listener: Listener | None = None
        self._shared = False

    async def start(self, sockets: Sequence[socket.socket] = (), shared: bool = False) -> None:
        """Starts the services, and accepts connections on ``sockets``, else on the address; port 0 takes a free one.

        ``shared`` are sockets that other workers accept from, too. Raises OSError where the address can't be had.
        """
        self._shared = shared
        listening = list(sockets) or bind(self.host, self.port)
        await self._services.start()
        self.port = listening[0].getsockname()[1]
        self._listener = Listener(listening, self.connections, self._serve, shared)
        self._listener.start()

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
        self._pipeline.draining = True
        if self._listener is not None:
            self._listener.close()
        await self._services.drain()
        await self.front.in_flight.finish(grace, writing=lambda: self.connections.writing)
        await self._http.close_all_connections()
        self._pipeline.runner.close()
        await self._services.close()

    async def _end_late_connections(self) -> None:
        while True:
            await asyncio.sleep(_IDLE_SECONDS / 15)
            for connection in self.connections.late():
                connection.close()
            while (oldest := self.connections.oldest(_IDLE_SECONDS)) is not None:
                oldest.close()
                await asyncio.sleep(0)  # thousands may have come at the same time

    def _serve(self, accepted: socket.socket, address: Any) -> None:
        connection = self.connections.open(accepted, self.front.bad_request)
        try:
            self._http.handle_stream(connection, address)
        except Exception:
            connection.close()
            raise


def _on_signals(stop: Callable[[], None], numbers: Sequence[signal.Signals]) -> None:
    loop = asyncio.get_running_loop()
    for number in numbers:
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
