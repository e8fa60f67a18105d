"""The database of apps, bans and maintenance: a SQLite file in the data folder, or PostgreSQL by URL.

Opening it brings its schema up to date; several processes may do so at once.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder, closing(Database.open('', Path(folder))) as database:
...     database.set_maintenance('back at noon')
...     database.state()[:2]
(1, 'back at noon')
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.exc import DatabaseError as Damaged

from apizen.governance import migrations
from apizen.governance.error import DatabaseError, LostDatabaseError
from apizen.governance.folder import database_file, make_file, make_folder
from apizen.governance.records import tables
from apizen.settings import SettingsError

__all__ = ["Database", "DatabaseState"]

_WAIT_SECONDS = 30.0
_UPGRADE_LOCK = 0x6170697A656E  # "apizen"; any number that other programs of the same PostgreSQL don't use
_POSTGRESQL = {"connect_timeout": 5, "tcp_user_timeout": 5000}


class DatabaseState(NamedTuple):
    """What servers look at every second.

    ``revision`` grows with every change. ``maintenance`` is None while it is off, else a message, which may be empty.
    ``lineage`` is a number that a database shares with its copies only. ``app_stamp`` is another number after each
    change of an app, ``ban_stamp`` after each change of a ban.
    """

    revision: int
    maintenance: str | None
    lineage: int
    app_stamp: int
    ban_stamp: int


class Database:
    """An open database. Made by `open`; its methods raise `DatabaseError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        #: Its URL without password.
        self.name = engine.url.render_as_string()
        #: SQLite's file.
        self.file = Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None

    @classmethod
    def open(cls, url: str, data: Path, *, make: bool = True) -> Database:
        """Opens and brings up to date. Raises SettingsError for a URL that can't be one, else `DatabaseError`.

        An empty database gets its tables, unless ``make`` is False: then it is a `LostDatabaseError`.
        """
        found = _url(url, data)
        if make and not url:
            make_folder(data)
        database = cls(_engine(found))
        if make and database.file is not None and not str(database.file).startswith("file:"):
            make_file(database.file)  # SQLite gives its further files the mode of this one
        try:
            database._upgrade(make)
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read with."""
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, changes: Collection[sa.Table] = tuple(tables.STAMPS)) -> Iterator[sa.Connection]:
        """A transaction that changes something. One at a time: others wait until it has ended.

        ``changes`` are the tables that it changes, of those that servers keep in memory: servers read these again.
        """
        stamps = {tables.STAMPS[table].name: secrets.randbits(63) for table in changes}
        with self._explained(), self._transaction() as connection:
            # First, since it locks the row: nobody else writes between a look whether a name is free and its use.
            connection.execute(tables.state.update().values(revision=tables.state.c.revision + 1, **stamps))
            yield connection

    def state(self) -> DatabaseState:
        """One row, cheap enough to be read every second."""
        with self.reading() as connection:
            columns = [tables.state.c[name] for name in DatabaseState._fields]
            row = connection.execute(sa.select(*columns)).one_or_none()
        if row is None:
            raise LostDatabaseError(f"{self.name} has lost its state")
        return DatabaseState(*row)

    def set_maintenance(self, message: str | None) -> None:
        """Begins maintenance with a message for callers, or ends it with None."""
        with self.writing(changes=()) as connection:  # servers look at the state in any case
            connection.execute(tables.state.update().values(maintenance=message))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # SQLite raises this very class for a damaged file only, and subclasses for all else.
            kind = LostDatabaseError if type(error) is Damaged else DatabaseError
            raise kind(f"{self.name}: {_reason(error)}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self._engine.connect().execution_options(writing=True) as connection, connection.begin():
            yield connection

    def _upgrade(self, make: bool) -> None:
        with self._explained():
            with self._engine.begin() as connection:
                found = _revision(connection)
            if found == tables.SCHEMA:
                return
            if found is None and not make:
                raise LostDatabaseError(f"{self.name} is empty")
            if self.file is not None:
                self._write_ahead()
            with self._transaction() as connection:
                if self.file is None:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
                self._run_revisions(connection)

    def _write_ahead(self) -> None:
        """Makes SQLite let servers read while a command writes; the file remembers it."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                with closing(self._engine.raw_connection()) as connection:
                    connection.cursor().execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:  # it doesn't wait for another process that does the same
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise DatabaseError(f"{self.name}: {error}") from error
                time.sleep(0.01)

    def _run_revisions(self, connection: sa.Connection) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        folder = str(Path(migrations.__file__).parent)
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", folder.replace("%", "%%"))
        found = _revision(connection)
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseError(
                f"{self.name} has the schema {found!r}, which is newer than this program: update the program"
            ) from error


def _revision(connection: sa.Connection) -> str | None:
    """The schema's revision; None in an empty database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _url(text: str, data: Path) -> sa.URL:
    if not text:
        return sa.URL.create("sqlite", database=str(database_file(data)))
    try:
        url = sa.make_url(text)
    except ArgumentError:
        raise SettingsError("database must be a URL as postgresql://user:password@host/name") from None
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite":
        raise SettingsError(f"database must be postgresql://… or sqlite:///…, not {url.drivername}://…")
    if url.database in (None, "", ":memory:"):
        raise SettingsError("database must name SQLite's file, as sqlite:////var/lib/shop/apizen.db")
    return url


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": _WAIT_SECONDS, "check_same_thread": False})
        sa.event.listen(engine, "connect", _no_implicit_transactions)
        sa.event.listen(engine, "begin", _begin)
        return engine
    options = {name: value for name, value in _POSTGRESQL.items() if name not in url.query}
    try:
        return sa.create_engine(url, connect_args=options, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise SettingsError("database: PostgreSQL needs psycopg: pip install 'psycopg[binary]'") from error


def _no_implicit_transactions(connection: Any, record: object) -> None:
    # Python's driver begins transactions at the wrong places, and none at all for CREATE TABLE.
    connection.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    # SQLite refuses, without waiting, what begins as a reader and writes after another one has written.
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _reason(error: SQLAlchemyError) -> str:
    """What the driver says, in one line and without the statement and its values."""
    return " ".join(str(getattr(error, "orig", None) or type(error).__name__).split())
