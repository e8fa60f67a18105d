"""A file that one process has for itself, mapped into its memory: as quick as memory, and there after a restart.

What was written stays when the process ends or is killed. Nothing forces it to the disk: a loss of power may
take it.

A mapped file whose disk is full, or that is cut, kills the process. So its blocks are allocated when it is made,
and nobody but its owner may write to it.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from apizen.governance.error import FolderError
from apizen.governance.folder import make_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # CAN_OWN tells

__all__ = ["CAN_OWN", "OwnedFileError", "owned"]

#: Whether this system has the locks that it takes.
CAN_OWN = fcntl is not None

_AT_ONCE = 2**20


class OwnedFileError(Exception):
    """The file can't be had."""


def owned(path: Path, header: bytes, size: int) -> mmap.mmap:
    """A file of ``size`` bytes that begins with ``header``; one of another size or header is made anew, of zeros.

    It is this process's own until the map is closed or the process ends. Raises `OwnedFileError`.

    >>> path, header = getfixture('tmp_path') / 'claims', b'apizen claims 1'
    >>> memory = owned(path, header, 4096)
    >>> owned(path, header, 4096)
    Traceback (most recent call last):
    apizen.governance.owned_file.OwnedFileError: another process uses .../claims: each server needs its own data folder
    >>> memory[100:104] = b'kept'
    >>> memory.close()
    >>> owned(path, header, 4096)[100:104]
    b'kept'
    """
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.pread(descriptor, len(header), 0) != header or os.fstat(descriptor).st_size != size:
                _make_anew(descriptor, header, size)
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)  # the map has its own, which keeps the lock
    except FolderError as error:
        raise OwnedFileError(str(error)) from error
    except BlockingIOError as error:
        raise OwnedFileError(f"another process uses {path}: each server needs its own data folder") from error
    except OSError as error:
        raise OwnedFileError(f"{path}: {error.strerror or error}") from error


def _make_anew(descriptor: int, header: bytes, size: int) -> None:
    os.ftruncate(descriptor, 0)
    try:
        _allocate(descriptor, size)
    except OSError:
        os.ftruncate(descriptor, 0)
        raise
    # Last: a file that is not whole has none, and is made anew.
    os.pwrite(descriptor, header, 0)


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    for offset in range(0, size, _AT_ONCE):  # macOS
        data = bytes(min(_AT_ONCE, size - offset))
        if os.pwrite(descriptor, data, offset) != len(data):
            raise OSError("the disk is full")
