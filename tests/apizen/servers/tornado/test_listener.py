"""Accepting, where the system or the server can't go on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.httpserver import HTTPServer

from apizen.servers.tornado.listener import Listener
from tests.support import HOST, RunningServer, serving, until

METHODS = {"quick": {"func": lambda: "quick", "run": "inline"}}


class Short:
    """A listening socket whose accept fails a few times."""

    def __init__(self, real: socket.socket, failures: list[OSError]) -> None:
        self._real = real
        self._failures = failures

    def accept(self) -> tuple[socket.socket, Any]:
        if self._failures:
            raise self._failures.pop()
        return self._real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    monkeypatch.setattr("apizen.servers.tornado.listener._SHORTAGE_SECONDS", 0.05)
    with serving(METHODS) as running:
        yield running


def fail(server: RunningServer, monkeypatch: pytest.MonkeyPatch, failures: list[OSError]) -> None:
    on_connection = Listener._on_connection
    monkeypatch.setattr(
        Listener, "_on_connection", lambda self, real, events: on_connection(self, Short(real, failures), events)
    )
    listener = server.server._listener
    assert listener is not None

    async def begin_again() -> None:
        listener._ignore()
        listener.start()

    server.do(begin_again())


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM])
def test_a_shortage_is_waited_for(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    failures = [OSError(number, "as it happens") for _ in range(3)]
    fail(server, monkeypatch, failures)
    assert server.get("v=1.0&method=quick").response == "quick"
    assert failures == []
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("apizen.servers.tornado.listener", "WARNING")
    assert record.getMessage() == (
        f"no connection can be accepted, which is tried again each second: [Errno {number}] as it happens"
    )


@pytest.mark.parametrize("error", [BlockingIOError(errno.EAGAIN, "later"), ConnectionAbortedError(errno.ECONNABORTED)])
def test_a_connection_that_another_took_is_none(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: OSError
) -> None:
    monkeypatch.setattr("apizen.servers.tornado.listener._SHORTAGE_SECONDS", 60)
    fail(server, monkeypatch, [error] * 3)
    assert server.get("v=1.0&method=quick").response == "quick"
    assert not caplog.records


def test_a_connection_that_can_not_be_served_is_closed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:

        def broken(self: HTTPServer, stream: Any, address: Any) -> None:
            raise RuntimeError("no room for it")

        patch.setattr(HTTPServer, "handle_stream", broken)
        with socket.create_connection((HOST, server.port), timeout=5) as connection:
            assert connection.recv(100) == b""
    assert until(lambda: caplog.records)
    assert len(server.server.connections) == 0
    assert [record.getMessage() for record in caplog.records] == ["a connection could not be served"]
    assert "no room for it" in caplog.text
    assert server.get("v=1.0&method=quick").response == "quick"


def test_closing_while_it_pauses(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apizen.servers.tornado.listener._SHORTAGE_SECONDS", 0.01)
    failures = [OSError(errno.EMFILE, "Too many open files")] * 1000
    fail(server, monkeypatch, failures)
    with socket.create_connection((HOST, server.port), timeout=5):
        server.do(server.server.close(0))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, server.port))
