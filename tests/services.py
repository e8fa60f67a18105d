"""Real services for tests, each started in a folder of its own and ended afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


_CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def unavailable(reason: str) -> NoReturn:
    """Skips, but not where all tests must run."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A real browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("Playwright is not installed")
    if not _CHROMIUM.exists():
        unavailable(f"{_CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL of its own, without network; the URL of its empty database."""
    programs = _postgresql_programs()
    # Not pytest's folder: only its owner may enter that one, and PostgreSQL doesn't run as root.
    folder = Path(tempfile.mkdtemp(prefix="apizen-postgresql-"))
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    control = [*user, f"{programs}/pg_ctl", "-D", f"{folder}/cluster", "-w"]
    try:
        _run(*user, f"{programs}/initdb", "-D", f"{folder}/cluster", "-U", "apizen", "-A", "trust", "-E", "UTF8", "-N")
        _run(*control, "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://apizen@/postgres?host={folder}"
        finally:
            _run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def new_database(url: str) -> str:
    """The URL of something like an empty database in a PostgreSQL: a schema, which is made in no time."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{url}&options=-csearch_path%3D{name}"


def _postgresql_programs() -> Path:
    """The folder of PostgreSQL's programs, which Debian keeps out of the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = shutil.which("initdb", path=str(folders[-1]) if folders else None)
    if found is None:
        unavailable("PostgreSQL is not installed")
    return Path(found).parent


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"


class RedisServer:
    """A Redis of its own at ``url``, which keeps nothing on the disk."""

    def __init__(self) -> None:
        if shutil.which("redis-server") is None:
            unavailable("Redis is not installed")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            ["redis-server", *options], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None, "redis-server ended"
            assert time.monotonic() < deadline, "redis-server doesn't answer"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64) == b"+PONG\r\n"
        except OSError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def redis() -> Iterator[RedisServer]:
    """A running Redis, which may be killed and started again."""
    server = RedisServer()
    server.start()
    try:
        yield server
    finally:
        server.kill()
