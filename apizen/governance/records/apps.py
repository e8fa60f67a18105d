"""The apps in the database."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from apizen.governance.address import Networks
from apizen.governance.error import RecordError, SecretError
from apizen.governance.records import tables
from apizen.governance.records.database import Database
from apizen.governance.records.models import App
from apizen.governance.records.secret import SecretKey
from apizen.suggestion import hint_at

__all__ = ["Apps", "Sealed"]

_table = tables.app


class Sealed(NamedTuple):
    """An app without its secret, and the secret as it is stored, which `SecretKey.decrypt` takes."""

    app: App
    token: str


class Apps:
    """Makes and finds apps. Their secrets are in the clear only in what `create` and `rotate` give.

    >>> import contextlib, tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder, contextlib.closing(Database.open('', Path(folder))) as database:
    ...     apps = Apps(database, SecretKey('', Path(folder)))
    ...     made = apps.create('shop', methods=['shop.*'])
    ...     len(made.app_key), len(made.secret), apps.find('shop').secret
    (10, 32, '')
    """

    def __init__(self, database: Database, key: SecretKey) -> None:
        self._database = database
        self._key = key

    def create(self, name: str, addresses: Networks | None = None, rate: str = "", methods: Iterable[str] = ()) -> App:
        """A new app. Raises `RecordError` where the name is taken, `SecretError` where the key is the wrong one."""
        secret = secrets.token_hex(16)
        networks = addresses or Networks.of([])
        with self._database.writing([_table]) as connection:
            if connection.execute(sa.select(_table.c.name).where(_table.c.name == name)).first() is not None:
                raise RecordError(f"there is an app {name!r} already")
            self._check_key(connection)
            app = App(name, _free_key(connection), secret, True, networks, rate, tuple(methods))
            values = {"addresses": list(networks), "methods": list(app.methods), "secret": self._key.encrypt(secret)}
            connection.execute(_table.insert().values({**app._asdict(), **values}))
        return app

    def all(self) -> list[App]:
        """Every app, by name, without secrets."""
        with self._database.reading() as connection:
            return [_app(row) for row in connection.execute(sa.select(_table).order_by(_table.c.name))]

    def find(self, name: str) -> App:
        """One app without its secret. Raises `RecordError` where there is none."""
        with self._database.reading() as connection:
            return _find(connection, name)

    def enable(self, name: str, enabled: bool) -> App:
        """Lets an app call, or no longer. Raises `RecordError`."""
        with self._database.writing([_table]) as connection:
            app = _find(connection, name)
            connection.execute(_table.update().where(_table.c.name == name).values(enabled=enabled))
        return app._replace(enabled=enabled)

    def rotate(self, name: str) -> App:
        """Gives an app a new secret, in the clear. Raises `RecordError`.

        That needs no key that decrypts the old one: it is the way out where the key is lost.
        """
        secret = secrets.token_hex(16)
        with self._database.writing([_table]) as connection:
            app = _find(connection, name)
            values = {"secret": self._key.encrypt(secret)}
            connection.execute(_table.update().where(_table.c.name == name).values(values))
        return app._replace(secret=secret)

    def sealed(self) -> list[Sealed]:
        """Every app, by name, with its secret as it is stored."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(_table).order_by(_table.c.name))
            return [Sealed(_app(row), row.secret) for row in rows]

    def _check_key(self, connection: sa.Connection) -> None:
        """A key that decrypts none of the secrets is the wrong one: the servers have another."""
        tokens = connection.execute(sa.select(_table.c.secret)).scalars().all()
        failure: SecretError | None = None
        for token in tokens:
            try:
                self._key.decrypt(token)
                return
            except SecretError as error:
                failure = error
        if failure is not None:
            raise SecretError(f"{failure}; set the right key, or rotate the secret of each app") from failure


def _app(row: sa.Row[Any]) -> App:
    networks = Networks.of(row.addresses)
    return App(row.name, row.app_key, "", row.enabled, networks, row.rate, tuple(row.methods))


def _find(connection: sa.Connection, name: str) -> App:
    row = connection.execute(sa.select(_table).where(_table.c.name == name)).one_or_none()
    if row is None:
        names = list(connection.execute(sa.select(_table.c.name)).scalars())
        raise RecordError(f"there is no app {name!r}, {hint_at(name, names)}" if names else "there are no apps yet")
    return _app(row)


def _free_key(connection: sa.Connection) -> str:
    """Ten digits that are no app's key."""
    while True:
        app_key = str(10**9 + secrets.randbelow(9 * 10**9))
        if connection.execute(sa.select(_table.c.name).where(_table.c.app_key == app_key)).first() is None:
            return app_key
