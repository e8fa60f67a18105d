"""A file that several processes read and write, one at a time.

The lock is one of the kernel (`flock`), which takes it from a process that dies. Others wait for it, but not
long: a process that is stopped, or keeps the lock, must not stop all. Each process opens the file for itself
when it first needs it, so an object that was made before a fork serves the children.

The file is a cache. A file that was deleted, cut or replaced is noticed within a second and made anew; what
happens to it before that is a `SharedFileError`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from apizen.governance.error import FolderError
from apizen.governance.stores.checked_file import CheckedFile

try:
    import fcntl
except ImportError:  # Windows, where one process serves
    fcntl = None  # type: ignore[assignment]  # never asked for there

__all__ = ["SharedFile", "SharedFileError"]

T = TypeVar("T")

_CHECK_SECONDS = 1.0
_SECONDS_OF_WAITING = 0.05
# After it was waited for in vain, until it is had again: calls are told at once instead of waiting in a row.
_SECONDS_WHILE_HELD = 0.001
_FIRST_PAUSE = 0.00002
_LONGEST_PAUSE = 0.0002


class SharedFileError(Exception):
    """The file can't be used."""


class SharedFile(CheckedFile):
    """A file of ``size`` bytes that begins with ``header``; all others are zero at first.

    It is sparse: what was never written takes no room on the disk. For one thread of each process.
    """

    def __init__(self, path: Path, header: bytes, size: int) -> None:
        super().__init__(path, header, size)
        self._process = -1
        self._check_at = 0.0
        self._patience = _SECONDS_OF_WAITING

    def locked(self, operation: Callable[[], T]) -> T:
        """Runs an operation while no other process uses the file. Raises `SharedFileError`."""
        try:
            if self._process != os.getpid() or time.monotonic() >= self._check_at:
                self._check()
            self._lock()
            try:
                return operation()
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except FolderError as error:
            raise SharedFileError(str(error)) from error
        except OSError as error:
            self._check_at = 0.0
            raise SharedFileError(f"{self.path}: {error.strerror or error}") from error

    def close(self) -> None:
        super().close()
        self._process = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait_for_lock()
        self._patience = _SECONDS_OF_WAITING

    def _wait_for_lock(self) -> None:
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return
        self._patience = _SECONDS_WHILE_HELD
        raise SharedFileError(f"{self.path}: another process keeps it locked")

    def _check(self) -> None:
        """Opens the file, unless it is open; makes it anew, unless it is whole."""
        if self._process != os.getpid() or not self._is_in_place():
            self._open()
            self._process = os.getpid()
        self._lock()
        try:
            if not self._is_whole():
                self._make_anew()
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._check_at = time.monotonic() + _CHECK_SECONDS
