"""The real program in a process of its own."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.support import Client

ROOT = Path(__file__).parent.parent


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would set a setting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("APIZEN_")}
    # Nobody reads the log from the pipe, unless a test wants it.
    return {**kept, "APIZEN_ACCESS_LOG": "off", "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1", **(extra or {})}


def run(*arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """``python run.py …``, to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        cwd=cwd, env=environment(env), capture_output=True, text=True, timeout=300,
    )  # fmt: skip


class Program(Client):
    """A running ``python run.py serve``."""

    def __init__(self, process: subprocess.Popen[str], banner: str, port: int) -> None:
        super().__init__(port)
        self.process = process
        self.banner = banner

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 15) -> int:
        return self.process.wait(seconds)


@contextmanager
def running(
    *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, files: tuple[int, int] | None = None
) -> Iterator[Program]:
    """Starts the server on a free port, waits until it says where it is, and stops it at the end.

    ``files`` are the soft and the hard limit on its open files.
    """
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "serve", "--port", "0", *arguments],
        cwd=cwd, env=environment(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=None if files is None else partial(resource.setrlimit, resource.RLIMIT_NOFILE, files),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        banner = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"http://[^:/]+:(\d+)/api/router/rest", banner)
        assert found is not None, banner + (process.communicate(timeout=5)[1] if process.poll() is not None else "")
        yield Program(process, banner, int(found[1]))
    finally:
        process.kill()
        process.communicate()
