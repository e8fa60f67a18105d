"""A file that one server has for itself: what it remembers over a restart.

The server holds a lock of the kernel (`flock`) on it for as long as it runs, the one process alone, or its workers
together. Whoever comes later is told that another process uses the file, and the first one goes on.

Its blocks are allocated when it is made: where the disk is full later, the server still has them. A file that was
deleted, cut or replaced is noticed within a second. A process that has it alone keeps all of it in memory too: it
reads from there, and writes it all again to a file that was lost; for workers it begins anew.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from apizen.governance.error import FolderError
from apizen.governance.stores.checked_file import CheckedFile
from apizen.governance.stores.digest_table import MemoryPages

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # CAN_OWN tells

__all__ = ["CAN_OWN", "MirroredFile", "OwnedFile", "OwnedFileError"]

#: Whether this system has the locks that it takes.
CAN_OWN = fcntl is not None

_ZEROS = bytes(2**16)
_CHECK_SECONDS = 1.0


class OwnedFileError(Exception):
    """The file can't be had."""


class OwnedFile(CheckedFile):
    """The file of workers, who take turns at it by another lock.

    >>> path, header = getfixture('tmp_path') / 'claims', b'apizen claims'
    >>> file, other = OwnedFile(path, header, 4096), OwnedFile(path, header, 4096)
    >>> file.check(), other.check()
    (None, None)
    >>> file.write(100, b'kept')
    >>> other.read(100, 4)
    b'kept'
    >>> MirroredFile(path, header, 4096).check()  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    OwnedFileError: another process uses .../claims: each server needs its own data folder
    """

    _alone = False

    def __init__(self, path: Path, header: bytes, size: int) -> None:
        super().__init__(path, header, size)
        self._check_at = 0.0
        self._trouble = ""

    def check(self) -> None:
        """To be called before reading and writing: takes the file, looks once a second whether it is whole, and
        makes it anew where it is not. Raises `OwnedFileError`, for a second the same: on a full disk it takes a while.
        """
        now = time.monotonic()
        if now < self._check_at:
            if self._trouble:
                raise OwnedFileError(self._trouble)
            return
        try:
            self._check()
        except FolderError as error:
            self._trouble = str(error)
        except BlockingIOError:
            self._trouble = f"another process uses {self.path}: each server needs its own data folder"
        except OSError as error:
            self._trouble = f"{self.path}: {error.strerror or error}"
        else:
            self._trouble = ""
        self._check_at = now + _CHECK_SECONDS
        if self._trouble:
            raise OwnedFileError(self._trouble)

    def failed(self, error: OSError) -> OwnedFileError:
        """What to raise where reading or writing failed. The next `check` looks at the file."""
        self._check_at = 0.0
        return OwnedFileError(f"{self.path}: {error.strerror or error}")

    def close(self) -> None:
        super().close()
        self._check_at = 0.0

    def _check(self) -> None:
        if not self._is_in_place():
            self._open()
        if not self._is_whole():
            self._make_anew()

    def _open(self) -> None:
        super()._open()
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_EX if self._alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            CheckedFile.close(self)
            raise
        if hasattr(os, "posix_fadvise"):
            # Else what is read at once lies in one large part of the cache, where Linux takes 5 µs more to write.
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def _extend(self) -> None:
        try:
            self._allocate()
        except OSError:
            os.ftruncate(self._descriptor, 0)
            raise

    def _allocate(self) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, 0, self._size)
            return
        for offset in range(0, self._size, len(_ZEROS)):  # macOS
            CheckedFile.write(self, offset, bytes(min(len(_ZEROS), self._size - offset)))


class MirroredFile(OwnedFile):
    """The file of one process, which reads it from its memory.

    >>> path = getfixture('tmp_path') / 'claims'
    >>> file = MirroredFile(path, b'apizen claims', 4096)
    >>> file.check()
    >>> file.write(100, b'kept')
    >>> _ = path.write_text('overwritten')
    >>> file.read(100, 4)
    b'kept'
    """

    _alone = True

    def __init__(self, path: Path, header: bytes, size: int) -> None:
        super().__init__(path, header, size)
        self._memory = MemoryPages(size)
        self._loaded = False

    def read(self, offset: int, size: int) -> bytes:
        return self._memory.read(offset, size)

    def write(self, offset: int, data: bytes) -> None:
        # The file first: what it does not take was not written.
        if os.pwrite(self._descriptor, data, offset) != len(data):
            raise OSError("the disk is full")
        self._memory.write(offset, data)

    def close(self) -> None:
        super().close()
        self._memory = MemoryPages(self._size)
        self._loaded = False

    def _check(self) -> None:
        super()._check()
        if not self._loaded:
            self._load()

    def _open(self) -> None:
        super()._open()
        if self._loaded:  # and knows more than a file that was put here
            os.ftruncate(self._descriptor, 0)

    def _extend(self) -> None:
        super()._extend()
        if self._loaded:
            for offset in range(0, self._size, len(_ZEROS)):
                data = self._memory.read(offset, min(len(_ZEROS), self._size - offset))
                if data != _ZEROS[: len(data)]:
                    CheckedFile.write(self, offset, data)

    def _load(self) -> None:
        for offset in range(0, self._size, len(_ZEROS)):
            data = CheckedFile.read(self, offset, min(len(_ZEROS), self._size - offset))
            if data != _ZEROS[: len(data)]:
                self._memory.write(offset, data)
        self._memory.write(0, bytes(len(self._header)))
        self._loaded = True
