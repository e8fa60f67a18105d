"""Which connections give way to new ones, on real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.web import RequestHandler

from apizen.application import make_app
from apizen.servers.tornado.connections import Connections
from apizen.servers.tornado.listener import _CHANCE_SECONDS
from apizen.settings import Settings
from tests.support import HOST, RunningServer, registry_of, until

GET = b"GET /api/router/rest?v=1.0&method=%s HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /api/router/rest?v=1.0&method=quick HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"


class Stream(RequestHandler):
    """Sends for ever, on a connection that it takes from Tornado, as the screen's stream does."""

    async def get(self) -> None:
        stream = self.detach()
        await stream.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stream.closed():
            await stream.write(b"frame")
            await asyncio.sleep(0.02)


class FullServer(RunningServer):
    """A server for so many connections, and how they are opened."""

    def __init__(self, limit: int) -> None:
        self.go_on = threading.Event()
        methods = {
            "quick": {"func": lambda: "quick", "run": "inline"},
            "block": {"func": self._block, "run": "inline"},
            "wait": {"func": lambda: self.go_on.wait(10)},
        }
        settings = Settings(access_log="off", max_connections=limit)
        super().__init__(make_app(settings, registry_of(methods), handlers=[("/stream", Stream)]))
        self.blocking = threading.Event()
        self.stack = ExitStack()

    def _block(self) -> str:
        self.blocking.set()
        assert self.go_on.wait(10)
        time.sleep(0.05)  # what the test did meanwhile reaches the kernel
        return "blocked"

    def open(self, sent: bytes = b"", answer: bytes = b"") -> socket.socket:
        """A connection that the server has taken, on which it has answered so."""
        before = len(self.connections)
        connection = self.stack.enter_context(socket.create_connection((HOST, self.port), timeout=5))
        connection.sendall(sent)
        assert answer in (connection.recv(65536) if answer else b"")
        assert len(self.connections) == self.connections.limit or until(lambda: len(self.connections) > before)
        return connection

    @property
    def connections(self) -> Connections:
        return self.server.connections

    def waiting(self, seconds: float = _CHANCE_SECONDS) -> bool:
        """Whether some connection may give way by now."""

        async def look() -> bool:
            return self.connections.oldest(seconds) is not None

        found: bool = self.do(look())
        return found

    def call(self) -> bytes:
        """Calls on a new connection. All that comes back until it is closed or nothing comes for long."""
        return self.raw((GET % b"quick").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), 5)


@contextmanager
def full_server(limit: int) -> Iterator[FullServer]:
    server = FullServer(limit)
    with server.stack, server:
        yield server
        server.go_on.set()


def is_open(connection: socket.socket) -> bool:
    """Whether the server still has it; where not, it was closed without a reset."""
    connection.setblocking(False)
    try:
        return connection.recv(65536) != b""
    except BlockingIOError:
        return True
    finally:
        connection.settimeout(5)


IDLE: dict[str, tuple[bytes, bytes]] = {
    "silent": (b"", b""),
    "half a header": ((GET % b"quick")[:-2], b""),
    "between two requests": (GET % b"quick", b'"response":"quick"'),
    "after a refusal": (GET % b"nothing", b'"code":1013'),
}


@pytest.mark.parametrize(("sent", "answer"), IDLE.values(), ids=IDLE.keys())
def test_the_oldest_idle_gives_way(sent: bytes, answer: bytes) -> None:
    with full_server(3) as server:
        connections = [server.open(sent, answer) for _ in range(3)]
        for number in range(3):
            assert b'"response":"quick"' in server.call()
            # The connection of the call has ended, so there is room: it is taken again.
            assert [is_open(each) for each in connections] == [False] * (number + 1) + [True] * (2 - number)
            server.open(sent, answer)


def test_a_request_makes_a_connection_young_again() -> None:
    with full_server(3) as server:
        first, second, third = (server.open(GET % b"quick", b"quick") for _ in range(3))
        first.sendall(GET % b"quick")
        assert b"quick" in first.recv(65536)
        assert b"quick" in server.call()
        assert [is_open(each) for each in (first, second, third)] == [True, False, True]


BUSY: dict[str, tuple[bytes, bytes]] = {
    "a call that runs": (GET % b"wait", b""),
    "a body on its way": (POST + b"{", b""),
    "a stream": (b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK"),
}


@pytest.mark.parametrize(("sent", "answer"), BUSY.values(), ids=BUSY.keys())
def test_the_busy_do_not_give_way(sent: bytes, answer: bytes) -> None:
    with full_server(3) as server, ThreadPoolExecutor(1) as clients:
        busy = [server.open(sent, answer), server.open(sent, answer)]
        idle = server.open()
        assert b'"response":"quick"' in server.call()
        assert not is_open(idle)
        assert all(is_open(each) for each in busy)
        busy.append(server.open(sent, answer))
        late = clients.submit(server.call)
        with pytest.raises(TimeoutError):
            late.result(2 * _CHANCE_SECONDS)  # it waits, and is not refused
        assert all(is_open(each) for each in busy)
        busy[1].close()
        assert b'"response":"quick"' in late.result(5)


def test_calls_that_end_make_room() -> None:
    with full_server(2) as server, ThreadPoolExecutor(8) as clients:
        busy = [server.open(GET % b"wait"), server.open(GET % b"wait")]
        late = [clients.submit(server.call) for _ in range(8)]
        assert len(server.connections) == 2
        server.go_on.set()
        assert all(b'"response":"quick"' in each.result(5) for each in late)
        assert all(b'"response":true' in each.recv(65536) for each in busy)


def test_a_connection_has_a_chance() -> None:
    """None is closed before a client that is a little slow has sent its request."""
    with full_server(4) as server, ThreadPoolExecutor(16) as clients:

        def slow_call() -> bytes:
            with socket.create_connection((HOST, server.port), timeout=10) as connection:
                time.sleep(_CHANCE_SECONDS / 5)
                connection.sendall(GET % b"quick")
                return connection.recv(65536)

        answers = list(clients.map(lambda _: slow_call(), range(16)))
        assert all(b'"response":"quick"' in answer for answer in answers)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at the backlog in /proc")
def test_a_request_that_was_not_read_yet_is_answered() -> None:
    with full_server(2) as server, ThreadPoolExecutor(2) as clients:
        idle = server.open()
        assert until(server.waiting)
        blocking = clients.submit(server.raw, (GET % b"block"), 2)
        assert server.blocking.wait(5)
        late = clients.submit(server.call)  # the loop meets this one first when it goes on
        assert until(lambda: queued(server.port))
        idle.sendall(GET % b"quick")
        server.go_on.set()
        assert b'"response":"quick"' in idle.recv(65536)
        assert b'"response":"quick"' in late.result(5)
        assert b'"response":"blocked"' in blocking.result(5)


def queued(port: int) -> bool:
    """Whether a connection waits to be accepted."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if state == "0A" and int(local.rpartition(":")[2], 16) == port:
            return int(queues.partition(":")[2], 16) > 0
    raise LookupError(f"nobody listens on port {port}")


def test_closed_connections_are_not_counted() -> None:
    with full_server(100) as server:
        opened = [server.open(sent, answer) for sent, answer in [*IDLE.values(), *BUSY.values()]]
        assert b"1025" in server.raw(b"garbage\r\n\r\n")
        assert until(lambda: len(server.connections) == len(opened))
        for connection in opened:
            connection.close()
        server.go_on.set()
        assert until(lambda: len(server.connections) == 0)
        assert server.do(waiting_of(server.connections)) == 0


async def waiting_of(connections: Connections) -> int:
    connections.oldest(0)
    return len(connections._waiting)


def test_the_look_for_the_oldest_does_not_grow() -> None:
    """A look is as quick with many connections as with few, and what is busy is looked at once."""

    def looks(count: int) -> int:
        seen = 0

        class Stand:
            """What `Connections` knows of a connection."""

            def __init__(self, busy: bool) -> None:
                self._busy = busy
                self.socket = quiet

            @property
            def waits_since(self) -> float | None:
                nonlocal seen
                seen += 1
                return None if self._busy else 0.0

        connections = Connections()
        stands: list[Any] = [Stand(busy=number % 2 == 0) for number in range(count)]
        for each in stands:
            connections._on_wait(each)
        for _ in range(count // 2):
            oldest = connections.oldest(0)
            assert oldest is not None
            connections._on_close(oldest)
        return seen

    quiet, other = socket.socketpair()
    with quiet, other:
        quiet.setblocking(False)
        assert looks(800) <= 8.1 * looks(100)


def test_an_idle_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apizen.servers.tornado.server._IDLE_SECONDS", 0.3)
    with full_server(10) as server:
        ending = asyncio.run_coroutine_threadsafe(server.server._end_late_connections(), server._loop)
        silent = server.open()
        half = server.open((GET % b"quick")[:-2])
        busy = server.open(GET % b"wait")
        assert silent.recv(100) == half.recv(100) == b""
        assert is_open(busy)
        assert until(lambda: len(server.connections) == 1)
        ending.cancel()
