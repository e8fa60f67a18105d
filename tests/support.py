"""A real server in this process, on a socket of its own, and the plainest of clients."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

from apizen import ApiMethodBase, version
from apizen.application import Application, make_app
from apizen.call_plan import CallPlan
from apizen.entry import Entry
from apizen.governance.auth import AUTH
from apizen.guard import Guard
from apizen.request import GATEWAY_PATH
from apizen.servers.tornado.server import Server
from apizen.settings import Settings
from apizen.version import Registry

HOST = "127.0.0.1"
#: The secrets of the apps that tests have made; see conftest.
SECRETS: set[str] = set()


def until(holds: Callable[[], object], seconds: float = 10.0) -> bool:
    """Waits until something holds; whether it does."""
    end = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.01)
    return bool(held)


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def envelope(self) -> Any:
        return self.json

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


class Demanding:
    """Makes one guard for each method whose entry says ``auth: sign``."""

    keys = (AUTH,)

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def guard(self, entry: Entry, plan: CallPlan) -> Guard | None:
        return self._guard if entry[AUTH] else None


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

    def raw(self, request: bytes, seconds: float = 2) -> bytes:
        """Everything that comes back for some bytes, until the server closes or is silent for some seconds."""
        with socket.create_connection((HOST, self.port), timeout=seconds) as connection:
            connection.sendall(request)
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
            except (TimeoutError, ConnectionResetError):
                pass
            return received


class ThreadedServer(Client):
    """A server in this process; its event loop runs in a thread of its own, between `begin` and `end`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="server")

    async def begin(self) -> int:
        """Starts to serve; gives the port."""
        raise NotImplementedError

    async def end(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            super().__init__(self.do(self.begin()))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.do(self.end())
        finally:
            self._stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(15)
        assert not self._thread.is_alive()

    def do(self, coroutine: Any) -> Any:
        """Runs a coroutine on the server's loop."""
        return self.begin_to(coroutine).result(10)

    def begin_to(self, coroutine: Any) -> Future[Any]:
        """The same, without waiting for its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


class RunningServer(ThreadedServer):
    """An application behind a real socket."""

    def __init__(self, app: Application) -> None:
        super().__init__()
        self.app = app

    async def begin(self) -> int:
        self.server = Server(self.app, HOST, 0)
        await self.server.start()
        return self.server.port

    async def end(self) -> None:
        await self.server.close(grace=0.5)


@contextmanager
def serving(methods: Mapping[str, Any], **settings: Any) -> Iterator[RunningServer]:
    """A server with one version, 1.0, of these entries."""
    with RunningServer(make_app(Settings(**{"access_log": "off", **settings}), registry_of(methods))) as server:
        yield server
