"""A file of fixed size, which others may cut, delete or replace: that is noticed, and it is made anew.

It is read and written by calls and not mapped: a mapped file that is cut, or has no room on its disk, kills the
process. Nothing forces it to the disk: what was written stays when the process is killed, a loss of power may
take it.
"""

from __future__ import annotations

import os
from pathlib import Path

from apizen.governance.folder import make_folder

__all__ = ["CheckedFile"]


class CheckedFile:
    """A file of ``size`` bytes that begins with ``header``; all others are zero at first.

    A subclass says when it is opened and looked at, and under which lock. What fails is an OSError.
    """

    def __init__(self, path: Path, header: bytes, size: int) -> None:
        self.path = path
        self._header = header
        self._size = size
        self._descriptor = -1

    def read(self, offset: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, offset)
        if len(data) != size:
            raise OSError("the file was cut")
        return data

    def write(self, offset: int, data: bytes) -> None:
        if os.pwrite(self._descriptor, data, offset) != len(data):
            raise OSError("the disk is full")

    def close(self) -> None:
        if self._descriptor != -1:
            os.close(self._descriptor)
        self._descriptor = -1

    def _open(self) -> None:
        CheckedFile.close(self)
        make_folder(self.path.parent)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _is_in_place(self) -> bool:
        """Whether it is open, and the path still its own."""
        try:
            return self._descriptor != -1 and os.path.samestat(
                os.stat(self.path),  # noqa: PTH116 (called often)
                os.fstat(self._descriptor),
            )
        except FileNotFoundError:
            return False

    def _is_whole(self) -> bool:
        found = os.pread(self._descriptor, len(self._header), 0)
        return found == self._header and os.fstat(self._descriptor).st_size == self._size

    def _make_anew(self) -> None:
        os.ftruncate(self._descriptor, 0)
        self._extend()
        # Last: a file that is not whole has none, and is made anew.
        CheckedFile.write(self, 0, self._header)

    def _extend(self) -> None:
        """Gives an empty file its size."""
        os.ftruncate(self._descriptor, self._size)
