from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click
import pytest
from click.testing import CliRunner, Result

from apizen.application import Application, make_app
from apizen.call import Call
from apizen.caller import Caller
from apizen.commands.command import command_of
from apizen.commands.top import _read, top
from apizen.faces.pages import Pages
from apizen.observability.metrics import Gauge, Metrics
from apizen.observability.status import status_pages
from apizen.settings import Settings
from tests.support import HOST, RunningServer, registry_of, until

COMMAND: click.Command = command_of(top, make_app, Settings)


def plain_app() -> Application:
    return make_app(Settings(access_log="off", metrics=False), registry_of({}))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(COMMAND, arguments, prog_name="run.py top")


class Busy(RunningServer):
    """A server whose numbers say that it is called all the time."""

    def __init__(self) -> None:
        super().__init__(plain_app())
        self.scrapes = 0
        names = [("1.0", "math.add"), ("1.0", "matrix.api.set-user"), ("1.0", "never")]
        self.metrics = Metrics(names, [Gauge("apizen_in_flight", "Calls that run", self.load)])
        pages = status_pages(self.metrics, lambda: False, lambda: "")
        gateway = self.app.gateway
        self.app = replace(self.app, faces=(gateway, Pages(pages, gateway.refuse, lambda *facts: None)))
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.count)

    def load(self) -> float:
        self.scrapes += 1
        return 3.0

    def count(self) -> None:
        while not self.ended.wait(0.01):
            for method, code, seconds in [("math.add", 1000, 0.0004)] * 3 + [("matrix.api.set-user", 1022, 60.0)]:
                call = Call(Caller("192.0.2.7", "order-17"))
                call.version, call.method, call.code = "1.0", method, code
                self.metrics.observe(call, "GET", 200, 0, 0, seconds)


@pytest.fixture
def busy() -> Iterator[Busy]:
    with Busy() as server:
        server.thread.start()
        yield server
        server.ended.set()
        server.thread.join(10)


def rows_of(output: str) -> list[list[str]]:
    lines = [line.strip("│┃ ") for line in output.splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in line.replace("┃", "│").split("│")] for line in lines]


@pytest.mark.parametrize("option", ["--port", "--url"])
def test_one_table(busy, option):
    found = run("--once", option, str(busy.port) if option == "--port" else f"http://{HOST}:{busy.port}/")
    assert found.exit_code == 0, found.output
    heading, first, second = rows_of(found.output)
    assert heading == ["version", "method", "calls/s", "errors/s", "p50 ms", "p99 ms"]
    assert first[:2] == ["1.0", "math.add"]
    assert second[:2] == ["1.0", "matrix.api.set-user"]
    assert float(first[2]) > float(second[2]) > 0
    assert (first[3], first[4], first[5]) == ("0.0", "0.5", "1.0")
    assert (second[3], second[4], second[5]) == (second[2], ">30000", ">30000")
    assert "in flight 3" in found.output


def test_table_of_a_quiet_server(busy):
    busy.ended.set()
    busy.thread.join(10)
    found = run("--once", "--port", str(busy.port))
    assert (found.exit_code, rows_of(found.output)[1:]) == (0, [])
    assert "0.0 calls/s" in found.output


def test_live_table_until_interrupted(busy):
    # A program that a shell began in the background inherits that Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        until(lambda: busy.scrapes >= 3)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        found = run("--port", str(busy.port))
    finally:
        signal.signal(signal.SIGINT, before)
    interrupter.join(10)
    assert found.exit_code == 0, found.output
    assert [row[1] for row in rows_of(found.output)] == ["method", "math.add", "matrix.api.set-user"]


def test_no_server():
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        address = f"http://{HOST}:{unused.getsockname()[1]}"
    found = run("--once", "--url", address)
    assert found.exit_code == 1
    assert found.output == (
        f"Error: no server with metrics answers at {address}/metrics: <urlopen error [Errno 111] Connection refused>\n"
    )


def test_server_without_metrics():
    with RunningServer(plain_app()) as server:
        found = run("--once", "--port", str(server.port))
    address = f"http://{HOST}:{server.port}/metrics"
    assert (found.exit_code, found.output) == (
        1, f"Error: {address} answered 404: does the server run with metrics?\n",
    )  # fmt: skip


def test_no_address():
    found = run("--once", "--url", "ftp://127.0.0.1")
    assert found.exit_code == 2
    assert found.output.splitlines()[-1] == (
        "Error: --url must begin with http:// or https://, not 'ftp://127.0.0.1/metrics'"
    )


# Another program's port


@contextmanager
def foreign(answer: bytes) -> Iterator[str]:
    """A server that says the same to everyone; gives its address."""

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if not connection.recv(65536):
                    return
                connection.sendall(answer)

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            socket.create_connection(listener.getsockname()).close()
            thread.join(10)


def page(text: str) -> bytes:
    return b"HTTP/1.0 200 OK\r\n\r\n" + text.encode()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"SSH-2.0-OpenSSH\x1b[2J\r\n", "no server with metrics answers at {}: SSH-2.0-OpenSSH?[2J?"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nx", "no server with metrics answers at {}: "),
        (page('apizen_calls_total{method="m"} 1\n'), "{} answered, but not with this server's metrics"),
        (page('apizen_call_seconds_bucket{method="m"} 1\n'), "{} answered, but not with this server's metrics"),
        (page("<html>\x1b[2J\n"), "{} answered, but not with this server's metrics"),
        (page('a{b="c'), "{} answered, but not with this server's metrics"),
    ],
)
def test_foreign_server(answer, problem):
    with foreign(answer) as address:
        found = run("--once", "--url", address)
    assert found.exit_code == 1
    assert found.output.startswith(f"Error: {problem.format(address + '/metrics')}")
    assert len(found.output.splitlines()) == 1
    assert found.output.rstrip("\n").isprintable()


def test_names_cannot_move_the_cursor(monkeypatch):
    texts = [
        f'apizen_calls_total{{version="1\x1b[2J",method="[red]a\u202e\x9b",code="1000"}} {count}\n' for count in (1, 2)
    ]
    samples = iter(_read(text, float(now)) for now, text in enumerate(texts))
    monkeypatch.setattr("apizen.commands.top._sample", lambda address: next(samples))
    found = run("--once")
    assert found.exit_code == 0, found.output
    assert found.output.replace("\n", "").isprintable()
    assert rows_of(found.output)[1][:2] == ["1?[2J", "[red]a??"]
