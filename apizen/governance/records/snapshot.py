"""One state of apps, bans and maintenance that calls are checked against, and how it is read.

A snapshot never changes: what has changed in the database makes a new one.

>>> bans = BanIndex([Ban('10.0.0.0/8', None, 'guests'), Ban('2001:db8::/32', None, 'scans')])
>>> [ban.reason for ban in bans.over('10.1.2.3')], bans.over('192.0.2.1')
(['guests'], ())
"""

from __future__ import annotations

import ipaddress
import logging
import mmap
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from apizen.governance.address import parse_address
from apizen.governance.error import DatabaseError, GovernanceError, LostDatabaseError, SecretError
from apizen.governance.records.folder import database_file, exists
from apizen.governance.records.models import App, Ban

if TYPE_CHECKING:
    from apizen.governance.records.apps import Sealed
    from apizen.governance.records.database import Database, State
    from apizen.governance.records.secret import SecretKey

__all__ = ["NOTHING", "BanIndex", "Reader", "Snapshot"]

logger = logging.getLogger(__name__)

_REMEMBERED_ADDRESSES = 4096


class BanIndex:
    """Bans, found by address: a dict of networks for each length of prefix that occurs."""

    def __init__(self, bans: Iterable[Ban]) -> None:
        self._levels: dict[int, dict[int, dict[int, Ban]]] = {4: {}, 6: {}}
        for ban in bans:
            network = ipaddress.ip_network(ban.network)
            shift = network.max_prefixlen - network.prefixlen
            self._levels[network.version].setdefault(shift, {})[int(network.network_address) >> shift] = ban
        #: The bans that an address falls under; one may have expired while another one holds.
        self.over = lru_cache(_REMEMBERED_ADDRESSES)(self._over)

    def _over(self, text: str) -> tuple[Ban, ...]:
        address = parse_address(text)
        if address is None:
            return ()
        number = int(address)
        levels = self._levels[address.version].items()
        return tuple(networks[number >> shift] for shift, networks in levels if number >> shift in networks)


class Snapshot(NamedTuple):
    """All that calls are checked against. ``bans`` is None where nobody is banned.

    ``apps`` are by app_key. ``unreadable`` are the app_keys of those apps that may call, but whose secret can't be
    decrypted now, and could not be before: nobody can tell whether their calls are theirs.
    """

    apps: Mapping[str, App]
    unreadable: frozenset[str]
    bans: BanIndex | None
    maintenance: str | None


NOTHING = Snapshot({}, frozenset(), None, None)


class Reader:
    """Reads a database again and again; it stays open in between. For one thread at a time.

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
        self._revision: int | None = None
        self._secrets = _Secrets()
        # One more than the revision that was read last, here and in any process of the same parent; 0 for none.
        # Then the lineage of that database. In memory that they share: a worker that is started again must know
        # what others have seen.
        self._seen_here = 0
        self._seen = memoryview(mmap.mmap(-1, 16)).cast("q")

    @property
    def outdated(self) -> bool:
        """Whether another process has read something else since this one read."""
        return self._seen[0] != self._seen_here

    def read(self) -> Snapshot | None:
        """What is there now; None where nothing has changed since. Raises `GovernanceError`."""
        try:
            return self._read()
        except GovernanceError as error:
            self.close()  # what is there the next time may be anything
            if isinstance(error, LostDatabaseError) and not self._seen[0]:
                raise DatabaseError(str(error)) from error  # nothing was read that it could lack
            raise

    def _read(self) -> Snapshot | None:
        seen = self._seen[0]  # before the rest: meanwhile another process may see what is newer
        database = self._open()
        if database is None:
            return NOTHING
        state = database.state()
        self._compare(database, state, seen)
        if state.revision == self._revision and not self._secrets.helped_by(self._key()):
            return None
        snapshot = self._snapshot(database, state.maintenance)
        # Read before the rest: what changes meanwhile has a revision of its own, and is found next time.
        self._revision = state.revision
        self._seen_here = state.revision + 1
        self._seen[1] = state.lineage
        self._seen[0] = max(self._seen[0], self._seen_here)
        return snapshot

    def _compare(self, database: Database, state: State, seen: int) -> None:
        """Whether what was seen before is in a database that has this state."""
        if seen and state.lineage != self._seen[1]:
            raise LostDatabaseError(f"{database.name} is not the database that was read before")
        if state.revision + 1 < seen:
            raise LostDatabaseError(f"{database.name} is at revision {state.revision}, and {seen - 1} was read before")

    def close(self) -> None:
        """Closes the database; the next `read` opens it again, and gives what is there."""
        self._revision = None
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

    def _snapshot(self, database: Database, maintenance: str | None) -> Snapshot:
        from apizen.governance.records.apps import Apps
        from apizen.governance.records.bans import Bans

        key = self._key()
        apps, unreadable = self._secrets.unseal(Apps(database, key).sealed(), key)
        bans = Bans(database).all()
        keys = frozenset(app.app_key for app in unreadable if app.enabled)
        return Snapshot({app.app_key: app for app in apps}, keys, BanIndex(bans) if bans else None, maintenance)


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
