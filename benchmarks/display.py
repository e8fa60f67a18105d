"""An X server without a screen, and the desktop on it; both are stopped in any event."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.desktop import HEIGHT, WIDTH
from benchmarks.servers import ROOT, BenchmarkError

__all__ = ["Changes", "display", "moving", "require_xvfb", "stopping"]

DISPLAY = 91

#: Gives the number of changes that the desktop has made.
Changes = Callable[[], int]

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0


def require_xvfb() -> None:
    if shutil.which("Xvfb") is None:
        raise BenchmarkError("Xvfb is missing. It is in a Debian package: sudo apt-get install xvfb")


@contextmanager
def display() -> Iterator[int]:
    """Starts the X server and sets DISPLAY; gives its process's number."""
    socket = Path(f"/tmp/.X11-unix/X{DISPLAY}")
    if socket.exists():
        raise BenchmarkError(f"there is a display :{DISPLAY} already: {socket}")
    screen = f"{WIDTH}x{HEIGHT}x24"
    command = ["Xvfb", f":{DISPLAY}", "-screen", "0", screen, "-nolisten", "tcp", "-noreset"]
    with tempfile.TemporaryFile() as output, stopping(_start(command, output.fileno())) as process:
        _wait(process, socket.exists, "Xvfb")
        os.environ["DISPLAY"] = f":{DISPLAY}"
        yield process.pid


@contextmanager
def moving(changes_per_second: float) -> Iterator[Changes]:
    """Starts the desktop."""
    with tempfile.TemporaryFile() as dots:
        command = [sys.executable, "-m", "benchmarks.desktop", str(changes_per_second)]
        with stopping(_start(command, dots.fileno())) as process:

            def changes() -> int:
                if process.poll() is not None:
                    raise BenchmarkError("the desktop has ended")
                return os.fstat(dots.fileno()).st_size

            if changes_per_second:
                _wait(process, changes, "the desktop")
            time.sleep(1)
            yield changes


def _start(command: list[str], output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, start_new_session=True)


@contextmanager
def stopping(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Ends a process when the block is left."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _wait(process: subprocess.Popen[bytes], is_there: Callable[[], object], name: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_there():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchmarkError(f"{name} does not start")
        time.sleep(0.05)
