"""The bans in the database.

>>> import contextlib, tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder, contextlib.closing(Database.open('', Path(folder))) as database:
...     bans = Bans(database)
...     [bans.add('192.0.2.77/24', reason='scans'), *bans.all()] == 2 * [Ban('192.0.2.0/24', None, 'scans')]
True
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from apizen.governance.address import parse_network
from apizen.governance.error import RecordError
from apizen.governance.records import tables
from apizen.governance.records.database import Database
from apizen.governance.records.models import Ban

__all__ = ["Bans"]

_table = tables.ban


class Bans:
    """Adds, lists and removes bans; those that have expired are left out, and cleaned up by the next change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, network: str, until: datetime | None = None, reason: str = "") -> Ban:
        """Bans an address or a network, instead of an earlier ban of the same. Raises ValueError for no network."""
        ban = Ban(str(parse_network(network)), until, reason)
        with self._database.writing([_table]) as connection:
            _clean(connection)
            connection.execute(_table.delete().where(_table.c.network == ban.network))
            connection.execute(_table.insert().values(ban._asdict()))
        return ban

    def all(self) -> list[Ban]:
        """The bans that hold now."""
        holds = sa.or_(_table.c.until.is_(None), _table.c.until > datetime.now(UTC))
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(_table).where(holds).order_by(_table.c.network))
            return [Ban(row.network, row.until, row.reason) for row in rows]

    def remove(self, network: str) -> Ban:
        """Ends a ban. Raises `RecordError` where there is none, ValueError for no network."""
        name = str(parse_network(network))
        with self._database.writing([_table]) as connection:
            _clean(connection)
            row = connection.execute(sa.select(_table).where(_table.c.network == name)).one_or_none()
            if row is None:
                raise RecordError(f"{name} is not banned; a ban is removed by the network that it was added with")
            connection.execute(_table.delete().where(_table.c.network == name))
        return Ban(row.network, row.until, row.reason)


def _clean(connection: sa.Connection) -> None:
    connection.execute(_table.delete().where(_table.c.until <= datetime.now(UTC)))
