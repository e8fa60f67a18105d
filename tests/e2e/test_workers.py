"""Several processes behind one address, as their operator meets them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from apizen.cli import _check_workers
from apizen.settings import Settings
from tests.process import ROOT, Program, environment, run, running
from tests.support import HOST, Answer, until

CREW = """
import os
import threading
import time
from apizen import ApiMethodBase, version
from apizen.worker import worker_index

def who():
    return {"index": worker_index(), "process": os.getpid(), "parent": os.getppid()}

def nap(seconds: float):
    open(f"nap-{time.monotonic_ns()}", "x").close()
    time.sleep(seconds)
    return os.getpid()

def die(status: int):
    os._exit(status)

@version("crew-1")
class Crew(ApiMethodBase):
    api_methods = {"who": {"func": who}, "nap": {"func": nap}, "die": {"func": die}}
"""

Nap = Future[Answer]

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")


@contextmanager
def crew(folder: Path, workers: int = 2) -> Iterator[Program]:
    (folder / "crew.py").write_text(CREW, "utf-8")
    with running("--workers", str(workers), "--methods", "crew", "--access-log", "off", cwd=folder) as program:
        yield program


def who(program: Program) -> dict[str, int]:
    found: dict[str, int] = program.get("v=crew-1&method=who").response
    return found


def members(program: Program, count: int = 2) -> dict[int, int]:
    """The process of each worker, by the worker's index; connections are made until each has answered."""
    found: dict[int, int] = {}

    def complete() -> bool:
        with ThreadPoolExecutor(8) as clients:
            for answer in clients.map(lambda _: who(program), range(16)):
                assert answer["parent"] == program.process.pid
                found[answer["index"]] = answer["process"]
        return len(found) == count

    assert until(complete), found
    return found


def ended(process: int) -> bool:
    """Whether a process has ended; one that waits for its parent to ask has."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def all_ended(processes: dict[int, int]) -> bool:
    return until(lambda: all(ended(process) for process in processes.values()), 20)


def log_of(program: Program) -> str:
    """What the program wrote to its log, once it has ended."""
    assert program.process.stderr is not None
    return program.process.stderr.read()


def napping(program: Program, folder: Path, clients: ThreadPoolExecutor, seconds: float, count: int) -> list[Nap]:
    """Calls that run for some seconds; they have begun."""
    naps = [clients.submit(program.get, f"v=crew-1&method=nap&seconds={seconds}") for _ in range(count)]
    assert until(lambda: len(list(folder.glob("nap-*"))) == count)
    return naps


def test_workers_share_the_address(tmp_path: Path) -> None:
    with crew(tmp_path, 3) as program:
        processes = members(program, 3)
        assert sorted(processes) == [0, 1, 2]
        assert len(set(processes.values())) == 3
        assert len(list(Path(f"/proc/{program.process.pid}/task").iterdir())) == 1  # the parent has no thread but one
        program.signal(signal.SIGTERM)
        assert program.wait(20) == 0
        assert all_ended(processes)
        assert program.process.stdout is not None
        assert program.process.stdout.read() == ""  # the addresses were printed once
        assert log_of(program) == ""


def test_request_ids_differ_between_workers(tmp_path: Path) -> None:
    with crew(tmp_path) as program:
        prefixes: dict[int, set[str]] = {}

        def both() -> bool:
            answer = program.get("v=crew-1&method=who")
            prefix = answer.headers["X-Request-Id"].partition("-")[0]
            prefixes.setdefault(answer.response["index"], set()).add(prefix)
            return len(prefixes) == 2

        assert until(both)
        first, second = prefixes.values()
        assert len(first) == len(second) == 1
        assert first != second


def test_a_killed_worker_is_started_again(tmp_path: Path) -> None:
    with crew(tmp_path) as program:
        before = members(program)
        os.kill(before[1], signal.SIGKILL)
        for _ in range(50):  # none is refused, none is lost
            assert who(program)["process"] != before[1]
        after = members(program)
        assert after[0] == before[0]
        assert after[1] != before[1]
        assert ended(before[1])
        program.signal(signal.SIGTERM)
        assert program.wait(20) == 0
        line = f"worker 1: process {before[1]} was ended by signal 9, Killed; the next starts at once"
        assert log_of(program).count(line) == 1


def test_a_worker_that_ends_itself_takes_only_its_own_calls(tmp_path: Path) -> None:
    with crew(tmp_path) as program, ThreadPoolExecutor(8) as clients:
        before = members(program)
        naps = napping(program, tmp_path, clients, 1.5, 8)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            program.get("v=crew-1&method=die&status=3")
        finished, lost = [], 0
        for nap in naps:
            try:
                finished.append(nap.result().response)
            except (http.client.HTTPException, ConnectionError):
                lost += 1
        after = members(program)
        (dead,) = set(before.items()) - set(after.items())
        assert dead[1] not in finished
        assert lost + len(finished) == 8
        program.signal(signal.SIGTERM)
        assert program.wait(20) == 0
        assert f"worker {dead[0]}: process {dead[1]} ended with status 3; the next starts" in log_of(program)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("to_all", [False, True], ids=["to the parent", "to all"])
def test_signal_lets_calls_finish(tmp_path: Path, number: signal.Signals, to_all: bool) -> None:
    with crew(tmp_path) as program, ThreadPoolExecutor(8) as clients:
        processes = members(program)
        naps = napping(program, tmp_path, clients, 1.5, 6)
        program.signal(number)
        if to_all:  # as a terminal does for Ctrl-C, and systemd for its unit
            for process in processes.values():
                os.kill(process, number)
        assert all(nap.result().response in processes.values() for nap in naps)
        assert program.wait(20) == 0
        assert all_ended(processes)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, program.port))


def test_new_connections_are_refused_while_calls_finish(tmp_path: Path) -> None:
    with crew(tmp_path) as program, ThreadPoolExecutor(8) as clients:
        (nap,) = napping(program, tmp_path, clients, 2, 1)
        program.signal(signal.SIGTERM)

        def refused() -> bool:
            try:
                socket.create_connection((HOST, program.port)).close()
            except ConnectionRefusedError:
                return True
            except ConnectionError:  # it came just when the last worker closed the listener
                return False
            return False

        assert until(refused)
        assert not nap.done()
        assert nap.result().status == 200
        assert program.wait(20) == 0


def test_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    with crew(tmp_path) as program, ThreadPoolExecutor(8) as clients:
        processes = members(program)
        naps = napping(program, tmp_path, clients, 8, 4)
        program.signal(signal.SIGINT)
        time.sleep(0.3)
        program.signal(signal.SIGINT)
        assert program.wait() == 1  # after the first alone it is 0
        assert all(ended(process) for process in processes.values())
        for nap in naps:
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                nap.result()


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    with crew(tmp_path) as program, ThreadPoolExecutor(8) as clients:
        processes = members(program)
        naps = napping(program, tmp_path, clients, 1.5, 2)
        program.signal(signal.SIGKILL)
        assert all(nap.result().status == 200 for nap in naps)  # what runs is finished
        assert all_ended(processes)
        with socket.create_server((HOST, program.port)):  # the address is free for the next
            pass


def test_a_stuck_thread_does_not_keep_workers_alive(tmp_path: Path) -> None:
    (tmp_path / "crew.py").write_text(CREW, "utf-8")
    with running("--workers", "2", "--methods", "crew", "--timeout", "0.2", cwd=tmp_path) as program:
        assert program.get("v=crew-1&method=nap&seconds=60").meta == (1029, "处理超时")
        program.signal(signal.SIGTERM)
        assert program.wait(20) == 0


def test_port_in_use() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--workers", "2", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"Error: can't listen on 127.0.0.1:{port}: Address already in use"


def indexes(program: Program, count: int) -> list[int]:
    """The indexes of the workers that serve some connections, all open at once."""
    connections = [http.client.HTTPConnection(HOST, program.port, timeout=10) for _ in range(count)]
    for connection in connections:
        connection.connect()
    for connection in connections:
        connection.request("GET", "/api/router/rest?v=crew-1&method=who")
    answers = [json.loads(connection.getresponse().read()) for connection in connections]
    for connection in connections:
        connection.close()
    return [answer["response"]["index"] for answer in answers]


def test_connections_are_spread(tmp_path: Path) -> None:
    with crew(tmp_path) as program:
        # On a busy machine one of them may sleep while all the connections come.
        assert until(lambda: 8 <= sum(indexes(program, 64)) <= 56, 30)


def test_one_worker_is_no_process_more(tmp_path: Path) -> None:
    with crew(tmp_path, 1) as program:
        assert who(program)["process"] == program.process.pid


def test_debug_takes_one_worker() -> None:
    done = run("serve", "--workers", "4", "--debug")
    assert done.returncode == 2
    assert "Error: --debug reloads one process: it can't be used with --workers 4" in " ".join(done.stderr.split())


def test_a_system_without_fork_takes_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(click.UsageError, match="this system can't fork processes: it takes no more than --workers 1"):
        _check_workers(Settings(workers=2))


SERVED = """
import time
from apizen import ApiMethodBase, cli, version
from apizen.application import make_app
from apizen.service import Service
from apizen.service import StartError
from apizen.worker import worker_index

def note(what):
    with open(f"notes-{worker_index()}", "a") as notes:
        notes.write(what + "\\n")

def nap():
    note("nap begins")
    time.sleep(1)
    note("nap ends")

@version("1")
class Methods(ApiMethodBase):
    api_methods = {"nap": {"func": nap}}

class Noted(Service):
    def __init__(self, name):
        self.name = name

    async def start(self):
        note("start " + self.name)

    def announce(self, origins):
        return [f"{self.name} at {len(origins)}"]

    async def drain(self):
        note("drain " + self.name)

    async def close(self):
        note("close " + self.name)

class Broken(Noted):
    async def drain(self):
        raise RuntimeError("drains badly")

class Homeless(Noted):
    async def start(self):
        raise StartError("no room for " + self.name)

cli.main(lambda settings: make_app(settings, services=(Noted("a"), %s("b"), Noted("c"))))
"""


@contextmanager
def served(folder: Path, kind: str, workers: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVED % kind, "serve", "--port", "0", "--workers", str(workers)],
        cwd=folder, env=environment({"PYTHONPATH": str(ROOT)}),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["Noted", "Broken"])
def test_services_start_drain_and_close_in_their_order(tmp_path: Path, kind: str, workers: int) -> None:
    with served(tmp_path, kind, workers) as process, ThreadPoolExecutor(8) as clients:
        assert process.stdout is not None
        banner = [process.stdout.readline() for _ in range(5)]
        assert banner[2:] == ["a at 1\n", "b at 1\n", "c at 1\n"]
        port = int(re.findall(r":(\d+)/", banner[1])[0])
        nap = clients.submit(Program(process, "", port).get, "v=1&method=nap")
        assert until(lambda: any("nap begins" in path.read_text() for path in tmp_path.glob("notes-*")))
        process.send_signal(signal.SIGTERM)
        assert nap.result().status == 200
        log = process.communicate(timeout=20)[1]
        assert process.returncode == 0
    drained = ["drain a", "drain b", "drain c"] if kind == "Noted" else ["drain a", "drain c"]
    ends = [*drained, "close c", "close b", "close a"]
    notes = sorted(((tmp_path / f"notes-{index}").read_text().splitlines() for index in range(workers)), key=len)
    napped = [*drained, "nap ends", "close c", "close b", "close a"]
    begins = ["start a", "start b", "start c"]
    assert notes[-1] == [*begins, "nap begins", *napped]
    assert all(each == [*begins, *ends] for each in notes[:-1])
    assert log.count("Broken did not end well") == (0 if kind == "Noted" else workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_that_can_not_start(tmp_path: Path, workers: int) -> None:
    with served(tmp_path, "Homeless", workers) as process:
        printed, log = process.communicate(timeout=20)
        assert (process.returncode, printed) == (1, "")
    assert log.splitlines()[-1] == "Error: no room for b"
    assert "Traceback" not in log
    assert (tmp_path / "notes-0").read_text().startswith("start a\nclose a\n")  # what had started is closed
