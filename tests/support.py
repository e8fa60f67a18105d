"""A real server in this process, on a socket of its own, and the plainest of clients."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

from apizen import ApiMethodBase, version
from apizen.application import App, make_app
from apizen.handler import GATEWAY_PATH
from apizen.server import Server
from apizen.settings import Settings
from apizen.version import Registry

HOST = "127.0.0.1"


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def envelope(self) -> Any:
        return json.loads(self.body)

    @property
    def meta(self) -> tuple[int, str]:
        meta = self.envelope["meta"]
        return meta["code"], meta["message"]

    @property
    def response(self) -> Any:
        return self.envelope["response"]


def registry_of(methods: Mapping[str, Any], name: str = "1.0") -> Registry:
    """A registry with one version."""
    registry = Registry()
    version(name, registry=registry)(type("Methods", (ApiMethodBase,), {"api_methods": dict(methods)}))
    return registry


class Client:
    """Sends requests to a port of this machine, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, verb: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request(verb, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, query: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.send("GET", f"{GATEWAY_PATH}?{query}", headers=headers)

    def post(self, query: str, body: bytes, content_type: str | None = "application/json") -> Answer:
        headers = {} if content_type is None else {"Content-Type": content_type}
        return self.send("POST", f"{GATEWAY_PATH}?{query}", body, headers)

    def raw(self, request: bytes) -> bytes:
        """Everything that comes back for some bytes, until the server closes or two seconds pass."""
        with socket.create_connection((HOST, self.port), timeout=2) as connection:
            connection.sendall(request)
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
            except (TimeoutError, ConnectionResetError):
                pass
            return received


class RunningServer(Client):
    """An application behind a real socket; its event loop runs in a thread of its own."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="server")

    def __enter__(self) -> RunningServer:
        self._thread.start()
        assert self._started.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.do(self.server.close(grace=0.5))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._loop.run_forever()
        self._loop.close()

    async def _start(self) -> None:
        self.server = Server(self.app.front, self.app.runner, HOST, 0)
        self.server.start()
        super().__init__(self.server.port)
        self._started.set()

    def do(self, coroutine: Any) -> Any:
        """Runs a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


@contextmanager
def serving(methods: Mapping[str, Any], **settings: Any) -> Iterator[RunningServer]:
    """A server with one version, 1.0, of these entries."""
    with RunningServer(make_app(Settings(**settings), registry_of(methods))) as server:
        yield server
