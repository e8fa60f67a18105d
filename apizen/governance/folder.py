"""The data folder: everything that the server writes lies in it."""

from __future__ import annotations

from pathlib import Path

from apizen.governance.error import FolderError

__all__ = ["database_file", "key_file", "make_folder"]


def database_file(data: Path) -> Path:
    """The SQLite file that is the database where none is set."""
    return data / "apizen.db"


def key_file(data: Path) -> Path:
    """The file that holds the key of the secrets where none is set."""
    return data / "secret.key"


def make_folder(data: Path) -> None:
    """Makes the folder where there is none, for its owner alone. Raises `FolderError`."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"the data folder {data} can't be made: {error.strerror}") from error
