"""Starts a server as one process on one core, asks it, measures it from outside, and stops it. Linux only."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import Case
from benchmarks.signer import Signer
from benchmarks.tree import cost_of

__all__ = ["BenchmarkError", "Cores", "ServerProcess", "choose_cores", "run_python", "running"]

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.002


class BenchmarkError(Exception):
    """What keeps the benchmark from giving numbers that mean something."""


@dataclass(frozen=True, slots=True)
class Cores:
    """How many this process may use, and which one the servers get; None where there is no other for the load."""

    available: int
    server: int | None


def choose_cores() -> Cores:
    """Takes the first two cores that this process may use, and moves this process to the second."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        return Cores(1, None)
    os.sched_setaffinity(0, {available[1]})
    return Cores(len(available), available[0])


@dataclass(slots=True)
class ServerProcess:
    """A server that runs, with the processes that it starts.

    ``data`` is the folder that it writes to, ``signer`` signs its calls, where they must be.
    ``start_seconds`` is the time from starting it to its first right answer.
    """

    process: subprocess.Popen[bytes]
    port: int
    target: str
    data: Path
    signer: Signer | None = None
    start_seconds: float = 0.0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}{self.target}"

    def resident_megabytes(self) -> float:
        """The memory that it holds (RSS), in units of 1 000 000 bytes."""
        return cost_of(self.process.pid).megabytes

    def cpu_seconds(self) -> float:
        """The CPU time that it has used."""
        return cost_of(self.process.pid).cpu_seconds

    def threads(self) -> int:
        return cost_of(self.process.pid).threads

    def ask(self) -> tuple[int, bytes]:
        """Sends the one request that the server is measured with, signed where it must be; gives status and body."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", self.target if self.signer is None else self.signer.target())
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@contextmanager
def running(case: Case, cores: Cores) -> Iterator[ServerProcess]:
    """The server of a case from its first answer on; it is stopped in any event."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        signer = _signer(case, folder) if case.signed else None
        started = time.perf_counter()
        process = subprocess.Popen(
            _command(case, port, folder, cores),
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the benchmark, which then stops its servers in order
        )
        try:
            server = ServerProcess(process, port, case.target, Path(folder), signer)
            _wait_until_it_answers(server, case, output.fileno())
            server.start_seconds = time.perf_counter() - started
            yield server
            if process.poll() is not None:
                raise BenchmarkError(f"{case.name} ended while it was measured:\n{_text(output.fileno())}")
        finally:
            _stop(process)


def _signer(case: Case, folder: str) -> Signer:
    """Makes an app for a server that will have this data folder."""
    app = json.loads(run_python("run.py", "app", "create", "bench", "--json", "--data", folder))
    return Signer(case.target, app["app_key"], app["secret"])


def run_python(*arguments: str) -> str:
    """What a fresh Python prints, started in the project's folder."""
    finished = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise BenchmarkError(f"{' '.join(arguments)} failed: {finished.stderr.strip()}")
    return finished.stdout


def _command(case: Case, port: int, folder: str, cores: Cores) -> list[str]:
    command = [part.format(port=port, data=folder) for part in case.command]
    return command if cores.server is None else ["taskset", "--cpu-list", str(cores.server), *command]


def _environment() -> dict[str, str]:
    """The environment without settings that would make one machine's run differ from another's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("APIZEN_", "PYTHON"))}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(server: ServerProcess, case: Case, output: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            status, body = server.ask()
        except OSError:
            time.sleep(_POLL_SECONDS)
            continue
        if status != 200:
            raise BenchmarkError(f"{case.name} answers {status}: {body.decode(errors='replace')}")
        return
    raise BenchmarkError(f"{case.name} does not answer:\n{_text(output)}")


def _text(output: int) -> str:
    size = os.fstat(output).st_size
    return os.pread(output, size, 0).decode(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        process.kill()
        process.wait()
