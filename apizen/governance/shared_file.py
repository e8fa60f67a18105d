"""A file that several processes read and write, one at a time.

Others wait in the kernel (`flock`), which also takes the lock from a process that dies. Each process opens
the file for itself when it first needs it, so an object that was made before a fork serves the children.

The file is a cache. Nothing forces it to the disk. A file that was deleted, cut or replaced is noticed within
a second and made anew; what happens to it before that is a `SharedFileError`.

It is read and written by calls and not mapped: a mapped file that is cut, or has no room on its disk, kills
the process.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["SharedFile", "SharedFileError"]

T = TypeVar("T")

_CHECK_SECONDS = 1.0


class SharedFileError(Exception):
    """The file can't be used."""


class SharedFile:
    """A file of ``size`` bytes that begins with ``header``; all others are zero at first.

    It is sparse: what was never written takes no room on the disk. For one thread of each process.
    """

    def __init__(self, path: Path, header: bytes, size: int) -> None:
        self._path = path
        self._header = header
        self._size = size
        self._descriptor = -1
        self._process = -1
        self._check_at = 0.0

    def locked(self, operation: Callable[[], T]) -> T:
        """Runs an operation while no other process uses the file. Raises `SharedFileError`."""
        try:
            if self._process != os.getpid() or time.monotonic() >= self._check_at:
                self._check()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                return operation()
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError as error:
            self._check_at = 0.0
            raise SharedFileError(f"{self._path}: {error.strerror or error}") from error

    def read(self, offset: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, offset)
        if len(data) != size:
            raise OSError("the file was cut")
        return data

    def write(self, offset: int, data: bytes) -> None:
        if os.pwrite(self._descriptor, data, offset) != len(data):
            raise OSError("the disk is full")

    def reset(self) -> None:
        """Makes all bytes zero again. To be called as an operation."""
        os.ftruncate(self._descriptor, 0)
        os.ftruncate(self._descriptor, self._size)
        self.write(0, self._header)

    def close(self) -> None:
        if self._descriptor != -1:
            os.close(self._descriptor)
        self._descriptor = self._process = -1

    def _check(self) -> None:
        """Opens the file, unless it is open; makes it anew, unless it is whole."""
        if self._process != os.getpid() or not self._is_in_place():
            self.close()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._process = os.getpid()
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            found = os.pread(self._descriptor, len(self._header), 0)
            if found != self._header or os.fstat(self._descriptor).st_size != self._size:
                self.reset()
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._check_at = time.monotonic() + _CHECK_SECONDS

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))  # noqa: PTH116 (called often)
        except FileNotFoundError:
            return False
