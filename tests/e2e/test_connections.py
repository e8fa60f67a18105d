"""The program with more connections than it can have, as they come from real clients."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.process import Program, running
from tests.support import HOST, until

CALL = "v=1.0&method=matrix.api.class-func&name=jim"

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")

both = pytest.mark.parametrize("workers", [1, 2])


def members(program: Program, workers: int) -> list[int]:
    """The processes that serve."""
    parent = program.process.pid
    if workers == 1:
        return [parent]
    return [int(process) for process in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def descriptors(process: int) -> int:
    return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


def processor_seconds(processes: list[int]) -> float:
    """What the processes have had of the processor so far."""
    fields = [Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in processes]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


@contextmanager
def connections(program: Program, count: int) -> Iterator[list[socket.socket]]:
    """So many connections on which nothing is sent."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection((HOST, program.port), timeout=10)) for _ in range(count)]


def log_after(program: Program) -> list[str]:
    """The lines of the program's log, after it was told to end."""
    program.signal(signal.SIGTERM)
    log = program.process.communicate(timeout=20)[1]
    return [line.partition(" WARNING ")[2] for line in log.splitlines()]


@both
def test_without_descriptors_it_waits(workers: int) -> None:
    with running("--workers", str(workers)) as program:
        assert program.get(CALL).response == {"name": "jim"}
        processes = members(program, workers)
        limits = {process: descriptors(process) + 40 for process in processes}
        for process, limit in limits.items():
            resource.prlimit(process, resource.RLIMIT_NOFILE, (limit, limit))
        with connections(program, 300):
            assert until(lambda: all(descriptors(process) >= limit for process, limit in limits.items()))
            before, started = processor_seconds(processes), time.monotonic()
            time.sleep(1.5)  # this is what is measured
            spent = processor_seconds(processes) - before
            assert spent < 0.2 * workers * (time.monotonic() - started)
        assert program.get(CALL).response == {"name": "jim"}
        lines = [line for line in log_after(program) if "accepted" in line]
    short = (
        "apizen.servers.tornado.listener: no connection can be accepted, which is tried again each second: [Errno 24] "
    )
    assert len(lines) == workers
    assert all(line.startswith(short) for line in lines)


@both
def test_idle_connections_keep_nobody_out(workers: int) -> None:
    most = 128
    with running("--workers", str(workers), "--max-connections", str(most)) as program, ExitStack() as stack:
        processes = members(program, workers)
        others = max(descriptors(process) for process in processes)
        kept = http.client.HTTPConnection(HOST, program.port, timeout=10)
        stack.callback(kept.close)
        kept.request("GET", f"/api/router/rest?{CALL}")
        assert kept.getresponse().read()
        opened = []
        for _ in range(10):
            opened += stack.enter_context(connections(program, most * workers))
            assert program.get(CALL).response == {"name": "jim"}
            assert all(descriptors(process) <= others + most + 8 for process in processes)
        assert kept.sock is not None
        assert kept.sock.recv(1) == b""  # it was closed, and not reset
        assert opened[0].recv(1) == b""
        lines = log_after(program)
    full = f"apizen.servers.tornado.listener: {most} connections are open, which is the limit (max_connections): "
    assert len(lines) == workers
    assert all(line.startswith(full) for line in lines)


@both
def test_the_limit_on_open_files_is_raised(workers: int) -> None:
    arguments = ("--workers", str(workers), "--max-connections", "5000")
    with running(*arguments, files=(128, 512)) as program:
        for process in members(program, workers):
            assert resource.prlimit(process, resource.RLIMIT_NOFILE) == (512, 512)
        lines = log_after(program)
    assert lines == [
        "apizen.cli: max_connections is 5000: with a limit of 512 open files (ulimit -n) only 320 connections are taken"
    ]


def test_a_small_limit_on_open_files_is_enough() -> None:
    """With half of them for connections there is one for each other thing that is opened."""
    with running(files=(64, 64)) as program, connections(program, 200):
        assert program.get(CALL).response == {"name": "jim"}
        metrics = program.send("GET", "/metrics").body.decode()
        (shown,) = re.findall(r"^apizen_connections (.*)$", metrics, re.MULTILINE)
        assert 30 <= float(shown) <= 32  # the caller's own comes and goes
        assert not [line for line in log_after(program) if "accepted" in line]


def test_calls_of_a_burst_are_all_answered() -> None:
    """More clients at once than there may be connections: they wait, and none is refused."""
    with running("--max-connections", "20") as program, ExitStack() as stack:
        clients = [http.client.HTTPConnection(HOST, program.port, timeout=20) for _ in range(200)]
        for client in clients:
            stack.callback(client.close)
            client.connect()
            client.request("GET", f"/api/router/rest?{CALL}", headers={"Connection": "close"})
        for client in clients:
            assert json.loads(client.getresponse().read())["meta"]["code"] == 1000
