"""Where the lines of the log go: a descriptor, as that of standard output, or a file that is rotated.

Several processes may write to the same one. Each locks it while it writes, since a pipe that is full tears
long writes apart; and a file is rotated by one of them, which the others notice.
"""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path
from typing import Protocol

try:
    import fcntl
except ImportError:  # Windows, where one process serves
    fcntl = None  # type: ignore[assignment]

__all__ = ["RotatingFile", "Sink", "Stream"]

_MEGABYTE = 1024 * 1024


class Sink(Protocol):
    """Takes lines. Only one thread uses it."""

    def write(self, lines: bytes) -> int:
        """Writes whole lines, waiting as long as it takes. The number of those that were lost."""

    def close(self) -> None:
        """Lets go of what it opened; the next write opens it again."""


class Stream:
    """An open descriptor, as that of standard output.

    >>> reader, writer = os.pipe()
    >>> Stream(writer).write(b'{"code":1000}\\n'), os.read(reader, 100)
    (0, b'{"code":1000}\\n')
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._torn = False  # of the last line only a part could be written

    def write(self, lines: bytes) -> int:
        _lock(self._descriptor)
        try:
            return self._append(lines)
        finally:
            _unlock(self._descriptor)

    def _append(self, lines: bytes) -> int:
        start = b"\n" if self._torn else b""
        written = _write(self._descriptor, start + lines) - len(start)
        if written >= 0:
            self._torn = written > 0 and not lines[:written].endswith(b"\n")
        return lines.count(b"\n", max(0, written))

    def close(self) -> None:
        """Leaves it open: whoever opened it closes it."""


class RotatingFile(Stream):
    """A file that becomes ``path.1`` before it would grow beyond ``limit`` bytes, and that ``path.2``.

    ``kept`` old ones are kept. Raises OSError where it can't be opened.
    """

    def __init__(self, path: Path, limit: int = 50 * _MEGABYTE, kept: int = 10) -> None:
        self._path = path
        self._limit = limit
        self._kept = kept
        super().__init__(_open(path))

    def write(self, lines: bytes) -> int:
        try:
            self._lock_current()
            size = os.fstat(self._descriptor).st_size
            if size and size + len(lines) > self._limit:
                self._rotate()
            return self._append(lines)
        except OSError:
            return lines.count(b"\n")
        finally:
            _unlock(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _lock_current(self) -> None:
        """Locks the file that is at the path now: another process may have rotated it, or somebody moved it."""
        while True:
            if self._descriptor >= 0:
                _lock(self._descriptor)
                if _is_at(self._descriptor, self._path):
                    return
            self.close()
            self._descriptor = _open(self._path)

    def _rotate(self) -> None:
        for number in range(self._kept, 0, -1):
            newer = self._path if number == 1 else self._old(number - 1)
            with contextlib.suppress(FileNotFoundError):
                newer.replace(self._old(number))
        locked = self._descriptor
        self._descriptor = _open(self._path)
        _lock(self._descriptor)
        os.close(locked)  # who waited for it finds that it has moved

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> None:
    # Not flock: processes that were forked share that, and each other's lock with it.
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a descriptor that knows no locks
            fcntl.lockf(descriptor, fcntl.LOCK_EX)


def _unlock(descriptor: int) -> None:
    if fcntl is not None and descriptor >= 0:
        with contextlib.suppress(OSError):
            fcntl.lockf(descriptor, fcntl.LOCK_UN)


def _write(descriptor: int, data: bytes) -> int:
    """Writes it all; less only where the descriptor fails. The number of bytes that were written."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # whoever gave us the pipe made it so
            select.select([], [descriptor], [])
        except OSError:
            break
    return len(data) - len(rest)
