"""The data folder: everything that the server writes lies in it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from apizen.governance.error import FolderError

__all__ = ["database_file", "exists", "key_file", "make_file", "make_folder"]


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
