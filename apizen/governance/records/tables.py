"""The tables. A change here needs a revision in ``migrations/versions``, and its number in `SCHEMA`.

Servers keep all apps and bans in memory, and read one row of the database every second, the state. It says which of
them they must read again: a write of anything else costs them nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, DateTime, Dialect, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator

__all__ = ["SCHEMA", "STAMPS", "app", "ban", "metadata", "state"]

#: The newest revision, so that a database that is up to date is opened without Alembic.
SCHEMA = "0003"


class Utc(TypeDecorator[datetime]):
    """A time in UTC. It is stored without its zone, in every database, since SQLite has none."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData()

app = Table(
    "app",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("app_key", String(32), nullable=False, unique=True),
    Column("secret", Text, nullable=False),  # encrypted
    Column("enabled", Boolean, nullable=False),
    Column("addresses", JSON, nullable=False),
    Column("rate", String(100), nullable=False),
    Column("methods", JSON, nullable=False),
)

ban = Table(
    "ban",
    metadata,
    Column("network", String(50), primary_key=True),
    Column("until", Utc),
    Column("reason", Text, nullable=False),
)

# One row. Each change of anything adds one to the revision. The lineage is a random number from the making of the
# database, which its copies keep. A stamp is a random number too, a new one after each change of its table: two copies
# that were changed apart may have the same revision, but not the same stamps.
state = Table(
    "state",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("maintenance", Text),
    Column("lineage", BigInteger, nullable=False, server_default="0"),
    Column("app_stamp", BigInteger, nullable=False, server_default="0"),
    Column("ban_stamp", BigInteger, nullable=False, server_default="0"),
)

#: The tables that servers keep in memory, with the column of their stamp.
STAMPS = {app: state.c.app_stamp, ban: state.c.ban_stamp}
