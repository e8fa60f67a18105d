"""One state of apps, bans and maintenance that calls are checked against, and how it is read.

A snapshot never changes: what has changed in the database makes a new one.

>>> bans = BanIndex([Ban('10.0.0.0/8', None, 'guests'), Ban('2001:db8::/32', None, 'scans')])
>>> [ban.reason for ban in bans.over('10.1.2.3')], bans.over('192.0.2.1')
(['guests'], ())
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from apizen.governance.error import DatabaseError
from apizen.governance.folder import database_file
from apizen.governance.record import App, Ban

if TYPE_CHECKING:
    from apizen.governance.database import Database

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
        try:
            address = ipaddress.ip_address(text)
        except ValueError:  # the peer of a Unix socket
            return ()
        address = getattr(address, "ipv4_mapped", None) or address
        number = int(address)
        levels = self._levels[address.version].items()
        return tuple(networks[number >> shift] for shift, networks in levels if number >> shift in networks)


class Snapshot(NamedTuple):
    """All that calls are checked against. ``apps`` are by app_key; ``bans`` is None where nobody is banned."""

    apps: Mapping[str, App]
    bans: BanIndex | None
    maintenance: str | None


NOTHING = Snapshot({}, None, None)


class Reader:
    """Reads a database again and again; it stays open in between. For one thread.

    Where the database is the file in the data folder, it is not made here: until a command does, it is empty.
    """

    def __init__(self, url: str, data: Path, secret_key: str) -> None:
        self._url = url
        self._data = data
        self._secret_key = secret_key
        self._database: Database | None = None
        self._file: tuple[int, int] | None = None
        self._revision: int | None = None
        self._seen = False

    def read(self) -> Snapshot | None:
        """What is there now; None where nothing has changed since. Raises `GovernanceError`."""
        database = self._open()
        if database is None:
            return NOTHING
        state = database.state()
        if state.revision == self._revision:
            return None
        snapshot = self._snapshot(database, state.maintenance)
        # Read before the rest: what changes meanwhile has a revision of its own, and is found next time.
        self._revision = state.revision
        return snapshot

    def close(self) -> None:
        self._revision = None
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> Database | None:
        if self._database is not None and self._file != _identity(self._database.file):
            self.close()  # another file has taken its place
        if self._database is not None:
            return self._database
        file = database_file(self._data)
        if not self._url and not file.exists():
            if self._seen:
                raise DatabaseError(f"{file} has gone")
            return None
        from apizen.governance.database import Database  # heavy: only where there is something to read

        self._database = Database.open(self._url, self._data)
        self._file = _identity(self._database.file)
        self._seen = True
        return self._database

    def _snapshot(self, database: Database, maintenance: str | None) -> Snapshot:
        from apizen.governance.apps import Apps
        from apizen.governance.bans import Bans
        from apizen.governance.secret import SecretKey

        apps, unreadable = Apps(database, SecretKey(self._secret_key, self._data)).readable()
        for name, reason in unreadable.items():
            logger.error("the calls of app %r are refused: %s", name, reason)
        bans = Bans(database).all()
        return Snapshot({app.app_key: app for app in apps}, BanIndex(bans) if bans else None, maintenance)


def _identity(file: Path | None) -> tuple[int, int] | None:
    """What tells a file from another one of the same name; None for no file."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None
