"""Reads a database again and again: of apps and bans only what has changed, and never one that lacks what was read.

>>> reader = Reader('', Path('nowhere'), '')
>>> reader.read() == NOTHING, reader.outdated
(True, False)
"""

from __future__ import annotations

import logging
import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from apizen.governance.error import DatabaseError, GovernanceError, LostDatabaseError, SecretError
from apizen.governance.folder import database_file, exists
from apizen.governance.records.models import App
from apizen.governance.records.snapshot import NOTHING, BanIndex, Snapshot

if TYPE_CHECKING:
    from apizen.governance.records.apps import Sealed
    from apizen.governance.records.database import Database, DatabaseState
    from apizen.governance.records.secret import SecretKey

__all__ = ["Reader"]

logger = logging.getLogger(__name__)


class Reader:
    """Keeps a database open to read it. For one thread at a time.

    Where the database is the file in the data folder, it is not made here: until a command does, it is empty. Once
    a database was read, one that lacks what was read is a `LostDatabaseError`, in the processes that are forked
    from this one, too: a file that has gone, an empty one, another one, an older state of the same.
    """

    def __init__(self, url: str, data: Path, secret_key: str) -> None:
        self._url = url
        self._data = data
        self._secret_key = secret_key
        self._database: Database | None = None
        self._path: Path | None = None
        self._file: tuple[int, int] | None = None
        # What was read last, and the state before it; None where all must be read.
        self._state: DatabaseState | None = None
        self._snapshot = NOTHING
        self._secrets = _Secrets()
        # What this process and its fellow workers have seen, in memory that they share, so that a worker that is
        # started again knows it: the newest revision that any of them read plus one, 0 for none; the lineage of its
        # database; and a number that stands for what calls are checked against there, this process's own beside it.
        self._seen = memoryview(mmap.mmap(-1, 24)).cast("q")
        self._checked_against = 0

    @property
    def outdated(self) -> bool:
        """Whether another process has read other apps, bans or maintenance since this one read."""
        return self._seen[2] != self._checked_against

    def read(self) -> Snapshot:
        """What is there now; what has not changed is not read again. Raises `GovernanceError`."""
        try:
            return self._read()
        except GovernanceError as error:
            self.close()  # what is there the next time may be anything
            if isinstance(error, LostDatabaseError) and not self._seen[0]:
                raise DatabaseError(str(error)) from error  # nothing was read that it could lack
            raise

    def _read(self) -> Snapshot:
        seen = self._seen[0]  # before the rest: meanwhile another process may see what is newer
        database = self._open()
        if database is None:
            return NOTHING
        state = database.state()
        self._compare(database, state, seen)
        self._snapshot = self._updated(database, state)
        # Read before the rest: what changes meanwhile has a stamp of its own, and is found next time.
        self._state = state
        self._tell(state)
        return self._snapshot

    def _tell(self, state: DatabaseState) -> None:
        """Tells all processes what was read."""
        self._checked_against = hash((state.app_stamp, state.ban_stamp, state.maintenance))
        self._seen[1] = state.lineage
        if state.revision + 1 >= self._seen[0]:
            self._seen[0], self._seen[2] = state.revision + 1, self._checked_against

    def _compare(self, database: Database, state: DatabaseState, seen: int) -> None:
        """Whether what was seen before is in a database that has this state."""
        if seen and state.lineage != self._seen[1]:
            raise LostDatabaseError(f"{database.name} is not the database that was read before")
        if state.revision + 1 < seen:
            raise LostDatabaseError(f"{database.name} is at revision {state.revision}, and {seen - 1} was read before")

    def close(self) -> None:
        """Closes the database; the next `read` opens it again, and reads all that is there."""
        self._state = None
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> Database | None:
        if self._database is not None and self._file != _identity(self._database.file):
            self.close()  # another file has taken its place
        if self._database is not None:
            return self._database
        file = self._path or (None if self._url else database_file(self._data))
        if file is not None and not exists(file):
            if self._seen[0]:
                raise LostDatabaseError(f"{file} has gone")
            return None
        from apizen.governance.records.database import Database  # heavy: only where there is something to read

        self._database = Database.open(self._url, self._data, make=not self._seen[0])
        self._file = _identity(self._database.file)
        self._path = self._database.file if self._file else None
        return self._database

    def _key(self) -> SecretKey:
        from apizen.governance.records.secret import SecretKey

        return SecretKey(self._secret_key, self._data)  # made anew: its file may be another one now

    def _updated(self, database: Database, state: DatabaseState) -> Snapshot:
        """The snapshot of a state: of the last one all that has not changed since."""
        last, key = self._state, self._key()
        snapshot = self._snapshot._replace(maintenance=state.maintenance)
        if last is None or state.app_stamp != last.app_stamp or self._secrets.helped_by(key):
            snapshot = self._with_apps(snapshot, database, key)
        if last is None or state.ban_stamp != last.ban_stamp:
            snapshot = _with_bans(snapshot, database)
        return snapshot

    def _with_apps(self, snapshot: Snapshot, database: Database, key: SecretKey) -> Snapshot:
        from apizen.governance.records.apps import Apps

        apps, unreadable = self._secrets.unseal(Apps(database, key).sealed(), key)
        keys = frozenset(app.app_key for app in unreadable if app.enabled)
        return snapshot._replace(apps={app.app_key: app for app in apps}, unreadable=keys)


def _with_bans(snapshot: Snapshot, database: Database) -> Snapshot:
    from apizen.governance.records.bans import Bans

    bans = Bans(database).all()
    return snapshot._replace(bans=BanIndex(bans) if bans else None)


class _Secrets:
    """Decrypts secrets, and remembers them: a key that is gone for a while takes no app away."""

    def __init__(self) -> None:
        self._by_token: dict[str, str] = {}
        self._unreadable: list[str] = []
        self._said: set[str] = set()

    def unseal(self, sealed: Iterable[Sealed], key: SecretKey) -> tuple[list[App], list[App]]:
        """The apps with their secrets, and without those whose secret can't be had. Logs why, each time once."""
        found: dict[str, str] = {}
        apps, unreadable, tokens, lines = [], [], [], set()
        for app, token in sealed:
            try:
                found[token] = key.decrypt(token)
            except SecretError as error:
                if token in self._by_token:
                    found[token] = self._by_token[token]
                    lines.add(f"the secret of app {app.name!r} that was read before is used: {error}")
                else:
                    unreadable.append(app)
                    tokens.append(token)
                    lines.add(f"the calls of app {app.name!r} are refused: {error}")
            if token in found:
                apps.append(app._replace(secret=found[token]))
        for line in sorted(lines - self._said):
            logger.error("%s", line)
        self._by_token, self._unreadable, self._said = found, tokens, lines
        return apps, unreadable

    def helped_by(self, key: SecretKey) -> bool:
        """Whether a key decrypts a secret that could not be had."""
        return any(_decrypts(key, token) for token in self._unreadable)


def _decrypts(key: SecretKey, token: str) -> bool:
    try:
        key.decrypt(token)
    except SecretError:
        return False
    return True


def _identity(file: Path | None) -> tuple[int, int] | None:
    """What tells a file from another one of the same name; None for no file."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None
