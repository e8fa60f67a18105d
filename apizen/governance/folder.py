"""The data folder: everything that the server writes lies in it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from apizen.governance.error import FolderError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["FolderLock", "database_file", "exists", "key_file", "make_file", "make_folder"]


def database_file(data: Path) -> Path:
    """The SQLite file that is the database where none is set."""
    return data / "apizen.db"


def key_file(data: Path) -> Path:
    """The file that holds the key of the secrets where none is set."""
    return data / "secret.key"


def exists(file: Path) -> bool:
    """Whether there is a file. Raises `FolderError` where that can't be seen.

    >>> exists(Path('nowhere') / 'secret.key')
    False
    """
    try:
        return file.exists()
    except OSError as error:
        raise FolderError(f"the data folder {file.parent} can't be searched: {error.strerror}") from error


def make_file(file: Path) -> None:
    """Makes an empty file where there is none, for its owner alone. Where it can't, whoever opens it says why."""
    with contextlib.suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def make_folder(data: Path) -> None:
    """Makes the folder where there is none, for its owner alone. Raises `FolderError`."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"the data folder {data} can't be made: {error.strerror}") from error


class FolderLock:
    """Says that a server uses the data folder: a lock of the kernel (`flock`) on the folder, of which no file is left.

    Whoever is forked from the process that took it has it too. It ends with the last of them, whatever ends it.

    >>> folder = getfixture('tmp_path') / 'data'
    >>> one, other = FolderLock(folder), FolderLock(folder)
    >>> one.take(), one.take(), other.take()
    (True, True, False)
    >>> one.release()
    >>> other.take()
    True
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._descriptor = -1

    def take(self) -> bool:
        """Makes the folder and takes it; False where another server has it. Raises `FolderError`.

        Windows has no such lock: there it is always True.
        """
        if fcntl is None or self._descriptor != -1:
            return True
        make_folder(self._data)
        try:
            self._descriptor = os.open(self._data, os.O_RDONLY)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except OSError as error:
            self.release()
            raise FolderError(f"the data folder {self._data} can't be locked: {error.strerror}") from error
        return True

    def release(self) -> None:
        """Leaves it to others, where this process alone has it."""
        if self._descriptor != -1:
            os.close(self._descriptor)
        self._descriptor = -1
