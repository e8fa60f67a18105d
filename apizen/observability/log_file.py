"""Where the lines of the log go: a descriptor, as that of standard output, or a file that is rotated.

Several processes may write to the same one. In a pipe that is full their lines could get mixed, so each process locks
it while it writes; in a file that is appended to they can't. One process rotates the file, and the others notice.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path
from typing import Protocol

from apizen.governance.error import FolderError
from apizen.governance.folder import make_folder

try:
    import fcntl
except ImportError:  # Windows, where one process serves
    fcntl = None  # type: ignore[assignment]

__all__ = ["LogFile", "RotatingFile", "Stream"]

_MEGABYTE = 1024 * 1024
_LOOKING_SECONDS = 1.0


class LogFile(Protocol):
    """Takes lines. Only one thread uses it."""

    def write(self, lines: bytes) -> int:
        """Writes whole lines, waiting as long as it takes. The number of those that were lost."""

    def close(self) -> None:
        """Lets go of what it opened; the next write opens it again."""


class Stream:
    """An open descriptor, as that of standard output. It is ``shared`` where several processes write to it.

    >>> reader, writer = os.pipe()
    >>> Stream(writer).write(b'{"code":1000}\\n'), os.read(reader, 100)
    (0, b'{"code":1000}\\n')
    """

    def __init__(self, descriptor: int, *, shared: bool = False) -> None:
        self._descriptor = descriptor
        self._shared = shared
        self._torn = False  # whether only a part of the last line could be written

    def write(self, lines: bytes) -> int:
        if not self._shared:
            return self._append(lines)
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
    """A file that becomes ``path.1`` before it would grow beyond ``limit`` bytes; an old ``path.1`` becomes ``path.2``.

    ``kept`` old files are kept. How much other processes wrote is seen once a second, so a file may grow larger by as
    much. Raises OSError where the file can't be opened, `FolderError` where its folder can't be made.
    """

    def __init__(self, path: Path, limit: int = 50 * _MEGABYTE, kept: int = 10) -> None:
        super().__init__(-1)
        self._path = path
        self._limit = limit
        self._kept = kept
        self._open()

    def write(self, lines: bytes) -> int:
        try:
            if time.monotonic() >= self._look_again or self._is_full(len(lines)):
                self._look(len(lines))
            lost = self._append(lines)
        except (OSError, FolderError):
            return lines.count(b"\n")
        self._size += len(lines)
        return lost

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._look_again = 0.0

    def _is_full(self, length: int) -> bool:
        return self._size > 0 and self._size + length > self._limit

    def _look(self, length: int) -> None:
        """Goes on with the file that is at the path now: another process may have rotated it, or somebody moved it."""
        while not self._is_current():
            self.close()
            self._open()
        if self._is_full(length):
            _lock(self._descriptor)
            if self._is_current():  # no other process rotated it while this one waited
                self._rotate()
            self.close()  # and so unlocks it
            self._open()
        self._look_again = time.monotonic() + _LOOKING_SECONDS

    def _is_current(self) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        self._size = found.st_size
        return self._descriptor >= 0 and (found.st_dev, found.st_ino) == self._identity

    def _open(self) -> None:
        make_folder(self._path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self._path, flags, 0o600)
        opened = os.fstat(self._descriptor)
        self._identity = opened.st_dev, opened.st_ino
        self._size = opened.st_size
        self._look_again = time.monotonic() + _LOOKING_SECONDS

    def _rotate(self) -> None:
        for number in range(self._kept, 0, -1):
            newer = self._path if number == 1 else self._old(number - 1)
            with contextlib.suppress(FileNotFoundError):
                newer.replace(self._old(number))

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _lock(descriptor: int) -> None:
    # Not flock: forked processes share the descriptor and, with flock, the lock.
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a descriptor that knows no locks
            fcntl.lockf(descriptor, fcntl.LOCK_EX)


def _unlock(descriptor: int) -> None:
    if fcntl is not None and descriptor >= 0:
        with contextlib.suppress(OSError):
            fcntl.lockf(descriptor, fcntl.LOCK_UN)


def _write(descriptor: int, data: bytes) -> int:
    """Writes the data, and gives the number of bytes written: fewer than all only where the descriptor fails."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # a pipe that we were given without blocking
            select.select([], [descriptor], [])
        except OSError:
            break
    return len(data) - len(rest)
