"""The databases that the tests of this folder run against: SQLite's file, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from apizen.governance.records.apps import Apps
from apizen.governance.records.database import Database
from apizen.governance.records.secret import SecretKey
from tests.services import new_database, postgresql


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The setting ``database``: empty for the file in the data folder."""
    if request.param == "sqlite":
        return ""
    return new_database(request.getfixturevalue("postgresql_server"))


@pytest.fixture
def database(url: str, data: Path) -> Iterator[Database]:
    with closing(Database.open(url, data)) as database:
        yield database


@pytest.fixture
def apps(database: Database, data: Path) -> Apps:
    return Apps(database, SecretKey("", data))
