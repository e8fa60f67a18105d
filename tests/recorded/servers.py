"""The program in processes of its own, and what it answers to bytes."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.recorded.cases import APPS, BANNED, MAINTENANCE, SERVERS, Case, Credentials

ROOT = Path(__file__).parent.parent.parent
HOST = "127.0.0.1"

# Several commands of run.py in one process, since to import the program takes most of their time: what each printed.
_COMMANDS = """
import contextlib, io, json, runpy, sys
printed = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["run.py", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_path("run.py", run_name="__main__")
        except SystemExit as end:
            assert not end.code, (arguments, end.code)
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("APIZEN_")}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def _commands(commands: Sequence[Sequence[str]]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, json.dumps(commands)],
        cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed: list[str] = json.loads(done.stdout)
    return printed


class Servers:
    """The running servers, by name, and the apps that may call them."""

    def __init__(self, ports: Mapping[str, int], apps: Mapping[str, Credentials]) -> None:
        self._ports = ports
        self.apps = apps

    def ask(self, case: Case) -> bytes:
        """All that comes for a request until the server ends the connection."""
        port = self._ports[case.server]
        for request in case.before:
            _exchange(port, request)
        return _exchange(port, case.request)


def _exchange(port: int, request: bytes) -> bytes:
    with socket.create_connection((HOST, port), timeout=30) as connection:
        received = b""
        with suppress(BrokenPipeError, ConnectionResetError):  # the server need not wait for the end of it
            connection.sendall(request)
        with suppress(ConnectionResetError):
            while chunk := connection.recv(1 << 20):
                received += chunk
        return received


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Makes the apps, starts all servers, and stops them at the end. ``folder`` is for what they write."""
    apps = _prepare(folder)
    with ExitStack() as stack, ThreadPoolExecutor(len(SERVERS)) as pool:
        processes = {name: stack.enter_context(_process(folder / name, SERVERS[name])) for name in SERVERS}
        ports = dict(zip(processes, pool.map(_port_of, processes.values()), strict=True))
        yield Servers(ports, apps)


def _prepare(folder: Path) -> dict[str, Credentials]:
    """Makes the data folder of each server, all with the same apps and the same ban but for the one maintained."""
    first, *others = (name for name in SERVERS if name != "maintained")
    data = ("--data", str(folder / first))
    maintain = ("maintenance", "on", "--message", MAINTENANCE, "--data", str(folder / "maintained"))
    create = [("app", "create", name, "--json", *options, *data) for name, options in APPS.items()]
    printed = _commands([*create, ("app", "disable", "disabled", *data), ("ban", "add", BANNED, *data), maintain])
    for name in others:
        shutil.copytree(folder / first, folder / name)
    made = [json.loads(each) for each in printed[: len(create)]]
    return {each["name"]: Credentials(each["app_key"], each["secret"]) for each in made}


@contextmanager
def _process(data: Path, options: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    log = data / "stderr"
    arguments = ["serve", "--port", "0", "--methods", "tests.recorded.methods", "--data", str(data)]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "run.py", *arguments, "--access-log", "off", *options],
            cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()  # the workers of one that is killed would end a moment later
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _port_of(process: subprocess.Popen[str]) -> int:
    """Waits until a server says where it is."""
    assert process.stdout is not None
    said = ""
    while line := process.stdout.readline():
        said += line
        found = re.search(r"http://[^:/]+:(\d+)/api/router/rest", said)
        if found is not None:
            return int(found[1])
    raise AssertionError(f"no server: {said}")
