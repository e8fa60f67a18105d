"""The revisions of the schema: what they make, that they come with the package, and what a newer one is told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from setuptools import find_packages

from apizen.governance import migrations
from apizen.governance.error import DatabaseError
from apizen.governance.records import tables
from apizen.governance.records.apps import Apps
from apizen.governance.records.bans import Bans
from apizen.governance.records.database import Database
from apizen.governance.records.secret import SecretKey
from tests.process import ROOT

FOLDER = Path(migrations.__file__).parent

BROKEN = """
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

def upgrade():
    op.create_table("half", sa.Column("name", sa.Text))
    op.execute("CREATE nonsense")
"""


@pytest.fixture
def database(url: str, data: Path) -> Iterator[Database]:
    with closing(Database.open(url, data)) as database:
        yield database


def test_the_newest_revision_is_the_one_that_is_expected() -> None:
    assert ScriptDirectory(str(FOLDER)).get_current_head() == tables.SCHEMA


def test_the_revisions_make_the_tables(database: Database) -> None:
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_down_and_up_again(database: Database, url: str, data: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with database.reading() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
    with closing(Database.open(url, data)) as again:
        assert again.state().revision == 0


def test_a_database_of_the_first_revision_gets_its_lineage(database: Database, url: str, data: Path) -> None:
    Bans(database).add("192.0.2.7")
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with database.reading() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    with closing(Database.open(url, data)) as again:
        assert again.state()[:2] == (1, None)
        assert again.state().lineage > 0


def test_a_database_of_the_second_revision_keeps_what_it_has(
    database: Database, apps: Apps, url: str, data: Path
) -> None:
    made = apps.create("shop")
    Bans(database).add("192.0.2.7")
    database.set_maintenance("back at noon")
    before = database.state()
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with database.reading() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
        assert [column["name"] for column in sa.inspect(connection).get_columns("state")] == [
            "id", "revision", "maintenance", "lineage",
        ]  # fmt: skip
    with closing(Database.open(url, data)) as again:
        assert again.state()[:3] == before[:3] == (3, "back at noon", before.lineage)
        assert Apps(again, SecretKey("", data)).find("shop").app_key == made.app_key
        # From here on each change has a stamp.
        unstamped = again.state()
        Bans(again).add("192.0.2.8")
        assert again.state().ban_stamp != unstamped.ban_stamp
        assert again.state().app_stamp == unstamped.app_stamp


def test_the_revisions_come_with_the_package() -> None:
    packages = find_packages(str(ROOT), include=["apizen*"])
    assert {"apizen.governance.migrations", "apizen.governance.migrations.versions"} <= set(packages)


def test_from_a_folder_with_a_strange_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: Path) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "100 %(here)s")
    monkeypatch.setattr(migrations, "__file__", str(copy / "__init__.py"))
    with closing(Database.open("", data)) as database:
        assert database.state().revision == 0


def test_a_newer_schema(database: Database, url: str, data: Path) -> None:
    with database.reading() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(DatabaseError) as caught:
        Database.open(url, data)
    assert str(caught.value) == (
        f"{database.name} has the schema '0999', which is newer than this program: update the program"
    )


def test_a_revision_is_applied_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, database: Database, url: str, data: Path, tmp_path: Path
) -> None:
    Bans(database).add("192.0.2.7")
    copy = shutil.copytree(FOLDER, tmp_path / "migrations")
    (copy / "versions" / "r0004_broken.py").write_text(BROKEN)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "__file__", str(copy / "__init__.py"))
        patched.setattr(tables, "SCHEMA", "0004")
        with pytest.raises(DatabaseError, match="nonsense"):
            Database.open(url, data)
    with database.reading() as connection:
        assert "half" not in sa.inspect(connection).get_table_names()
    with closing(Database.open(url, data)) as again:
        assert [ban.network for ban in Bans(again).all()] == ["192.0.2.7/32"]
