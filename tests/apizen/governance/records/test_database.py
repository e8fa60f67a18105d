"""Apps, bans and maintenance in a real SQLite and a real PostgreSQL, by one process and by many at once."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from apizen.governance.address import Networks
from apizen.governance.error import DatabaseError, FolderError, LostDatabaseError, RecordError, SecretError
from apizen.governance.records import tables
from apizen.governance.records.apps import Apps
from apizen.governance.records.bans import Bans
from apizen.governance.records.database import Database
from apizen.governance.records.models import Ban
from apizen.governance.records.secret import SecretKey
from apizen.settings import SettingsError
from tests.process import run

SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def bans(database: Database) -> Bans:
    return Bans(database)


def test_the_data_folder_is_for_its_owner_alone(data: Path) -> None:
    Database.open("", data).close()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert {path.name for path in data.iterdir()} == {"apizen.db"}


@pytest.mark.parametrize("url", ["", "sqlite:///{data}/apizen.db"])
def test_the_files_are_for_their_owner_alone(url: str, data: Path) -> None:
    data.mkdir(0o755)
    mask = os.umask(0)
    try:
        with closing(Database.open(url.format(data=data), data)) as database:
            database.set_maintenance("")
            modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in data.iterdir()}
    finally:
        os.umask(mask)
    assert modes == dict.fromkeys(("apizen.db", "apizen.db-wal", "apizen.db-shm"), "0o600")


def test_postgresql_leaves_nothing_in_the_data_folder(postgresql_server: str, data: Path) -> None:
    Database.open(postgresql_server, data).close()
    assert not data.exists()


def test_an_app_as_it_was_made(apps: Apps) -> None:
    made = apps.create("店", Networks.of(["10.0.0.0/8", "::1"]), "100/minute", ["matrix.*", "shop.price"])
    assert made.app_key.isdecimal()
    assert len(made.app_key) == 10
    assert len(bytes.fromhex(made.secret)) == 16
    found = apps.find("店")
    assert (found.name, found.app_key, found.secret, found.enabled) == ("店", made.app_key, "", True)
    assert list(found.addresses) == ["10.0.0.0/8", "::1/128"]
    assert (found.rate, found.methods) == ("100/minute", ("matrix.*", "shop.price"))


def test_an_app_without_limits(apps: Apps) -> None:
    apps.create("plain")
    found = apps.find("plain")
    assert (list(found.addresses), found.rate, found.methods) == ([], "", ())


def test_apps_are_listed_by_name(apps: Apps) -> None:
    assert apps.all() == []
    made = [apps.create(name) for name in ("b", "a", "c")]
    assert [app.name for app in apps.all()] == ["a", "b", "c"]
    assert len({app.app_key for app in made} | {app.secret for app in made}) == 6


def test_an_app_key_is_given_once(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter([7, 7, 7, 8])
    monkeypatch.setattr("secrets.randbelow", lambda limit: next(numbers))
    assert [apps.create(name).app_key for name in ("a", "b")] == ["1000000007", "1000000008"]


def test_disabled_and_enabled(apps: Apps) -> None:
    apps.create("shop")
    assert apps.enable("shop", False).enabled is False
    assert apps.find("shop").enabled is False
    assert apps.enable("shop", True).enabled is True
    assert apps.find("shop").enabled is True


def test_rotated(apps: Apps, data: Path) -> None:
    made = apps.create("shop")
    rotated = apps.rotate("shop")
    assert (rotated.app_key, len(rotated.secret), rotated.secret == made.secret) == (made.app_key, 32, False)
    (sealed,) = apps.sealed()
    assert SecretKey("", data).decrypt(sealed.token) == rotated.secret


REFUSED: list[tuple[Callable[[Apps], Any], str]] = [
    (lambda apps: apps.create("shop"), "there is an app 'shop' already"),
    (lambda apps: apps.find("shpo"), "there is no app 'shpo', did you mean 'shop'?"),
    (lambda apps: apps.enable("x", True), "there is no app 'x', known are: shop"),
    (lambda apps: apps.rotate("x"), "there is no app 'x', known are: shop"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_refused(apps: Apps, database: Database, change: Callable[[Apps], Any], message: str) -> None:
    apps.create("shop")
    before = database.state()
    with pytest.raises(RecordError) as caught:
        change(apps)
    assert str(caught.value) == message
    assert database.state() == before


def test_no_apps_yet(apps: Apps) -> None:
    with pytest.raises(RecordError, match=r"^there are no apps yet$"):
        apps.find("shop")


def test_another_key_makes_no_apps_but_gives_new_secrets(apps: Apps, database: Database, data: Path) -> None:
    apps.create("old")
    other = Apps(database, SecretKey("another", data))
    with pytest.raises(SecretError) as caught:
        other.create("new")
    assert str(caught.value) == (
        "the secrets were encrypted with another key than the one of the setting secret_key; "
        "set the right key, or rotate the secret of each app"
    )
    old, new = other.rotate("old"), other.create("new")
    assert [SecretKey("another", data).decrypt(token) for app, token in other.sealed()] == [new.secret, old.secret]


def test_secrets_are_encrypted_at_rest(data: Path) -> None:
    with closing(Database.open("", data)) as database:
        secret = Apps(database, SecretKey("", data)).create("shop").secret
        files = [path for path in data.iterdir() if path.is_file()]
        assert len(files) >= 3  # the database, what is not yet in it, and the key
        assert not any(secret.encode() in path.read_bytes() for path in files)


BANNED = [
    ("192.0.2.7", "192.0.2.7/32"),
    (" 192.0.2.7/24 ", "192.0.2.0/24"),
    ("2001:DB8::7", "2001:db8::7/128"),
    ("2001:db8::/32", "2001:db8::/32"),
    ("::ffff:192.0.2.7", "192.0.2.7/32"),
    ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ("::/0", "::/0"),
    ("0.0.0.0/0", "0.0.0.0/0"),
]


@pytest.mark.parametrize(("text", "network"), BANNED)
def test_banned(bans: Bans, text: str, network: str) -> None:
    assert bans.add(text, SOON, "扫描") == Ban(network, SOON, "扫描")
    assert bans.all() == [Ban(network, SOON, "扫描")]
    assert bans.remove(text) == Ban(network, SOON, "扫描")
    assert bans.all() == []


@pytest.mark.parametrize("text", ["", "x", "192.0.2.7/33", "192.0.2", "192.0.2.7,192.0.2.8"])
def test_no_network(bans: Bans, text: str) -> None:
    for change in (bans.add, bans.remove):
        with pytest.raises(ValueError, match="is no address and no network"):
            change(text)


def test_a_ban_replaces_an_earlier_one(bans: Bans) -> None:
    bans.add("192.0.2.0/24", SOON, "once")
    bans.add("192.0.2.0/24")
    assert bans.all() == [Ban("192.0.2.0/24", None, "")]


def test_a_ban_that_is_not_there(bans: Bans) -> None:
    bans.add("192.0.2.0/24")
    with pytest.raises(RecordError) as caught:
        bans.remove("192.0.2.7")
    assert str(caught.value) == "192.0.2.7/32 is not banned; a ban is removed by the network that it was added with"


def test_expired_bans_are_left_out_and_cleaned_up(bans: Bans, database: Database) -> None:
    def stored() -> int:
        with database.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(tables.ban)).scalar_one()

    bans.add("192.0.2.1", datetime.now(UTC) - timedelta(seconds=1))
    assert (bans.all(), stored()) == ([], 1)
    bans.add("192.0.2.2", SOON)
    assert stored() == 1


def test_each_change_has_a_revision(apps: Apps, bans: Bans, database: Database) -> None:
    changes: list[Callable[[], Any]] = [
        lambda: apps.create("shop"),
        lambda: apps.enable("shop", False),
        lambda: apps.rotate("shop"),
        lambda: bans.add("192.0.2.7"),
        lambda: bans.remove("192.0.2.7"),
        lambda: database.set_maintenance(""),
        lambda: database.set_maintenance(None),
    ]
    assert database.state()[:2] == (0, None)
    for number, change in enumerate(changes, 1):
        change()
        assert database.state().revision == number


def test_a_change_has_a_stamp_of_its_own(apps: Apps, bans: Bans, database: Database) -> None:
    changes: list[tuple[Callable[[], Any], tuple[bool, bool]]] = [
        (lambda: apps.create("shop"), (True, False)),
        (lambda: apps.enable("shop", False), (True, False)),
        (lambda: apps.rotate("shop"), (True, False)),
        (lambda: bans.add("192.0.2.7"), (False, True)),
        (lambda: bans.remove("192.0.2.7"), (False, True)),
        (lambda: database.set_maintenance(""), (False, False)),
        (lambda: write(database), (True, True)),  # whoever does not say what changes has it all read again
    ]
    for change, changed in changes:
        before = database.state()
        change()
        after = database.state()
        assert (after.app_stamp != before.app_stamp, after.ban_stamp != before.ban_stamp) == changed
        assert after.revision == before.revision + 1


def write(database: Database) -> None:
    with database.writing():
        pass


def test_maintenance(database: Database, url: str, data: Path) -> None:
    for message in ("", "稍后再来", None):
        database.set_maintenance(message)
        with closing(Database.open(url, data)) as other:
            assert other.state().maintenance == message


def test_a_writer_keeps_no_reader_waiting_and_writers_take_turns(database: Database, bans: Bans, url: str) -> None:
    with database.writing() as connection:
        connection.execute(tables.ban.insert().values(network="192.0.2.1/32", until=None, reason=""))
        assert bans.all() == []
        other = threading.Thread(target=bans.add, args=["192.0.2.2"])
        other.start()
        other.join(0.2)
        assert other.is_alive()
    other.join(30)
    assert [ban.network for ban in bans.all()] == ["192.0.2.1/32", "192.0.2.2/32"]


def test_a_change_that_fails_leaves_nothing(database: Database, bans: Bans) -> None:
    def fail() -> None:
        with database.writing() as connection:
            connection.execute(tables.ban.insert().values(network="192.0.2.1/32", until=None, reason=""))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert (bans.all(), database.state().revision) == ([], 0)


def test_processes_at_once_on_a_fresh_database(url: str, tmp_path: Path) -> None:
    variables = {"APIZEN_DATABASE": url, "APIZEN_DATA": str(tmp_path / "data")}

    def create(number: int) -> Any:
        done = run("app", "create", f"app-{number}", "--json", env=variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with ThreadPoolExecutor(4) as processes:
        made = list(processes.map(create, range(4)))
    with closing(Database.open(url, tmp_path / "data")) as database:
        key = SecretKey("", tmp_path / "data")
        sealed = Apps(database, key).sealed()
        secrets = {app.app_key: key.decrypt(token) for app, token in sealed}
        assert secrets == {app["app_key"]: app["secret"] for app in made}
        assert len(sealed) == database.state().revision == 4


def test_one_name_made_by_several_at_once_is_made_once(url: str, data: Path) -> None:
    def create(number: int) -> bool:
        with closing(Database.open(url, data)) as database:
            try:
                Apps(database, SecretKey("a key", data)).create("shop")
            except RecordError:
                return False
        return True

    Database.open(url, data).close()
    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(create, range(8))) == [False] * 7 + [True]


WRONG_URLS = [
    ("nonsense", "database must be a URL as postgresql://user:password@host/name"),
    ("mysql://user:geheim@host/name", "database must be postgresql://… or sqlite:///…, not mysql://…"),
    ("postgresql+asyncpg://host/name", "database must be postgresql://… or sqlite:///…, not postgresql+asyncpg://…"),
    ("sqlite://", "database must name SQLite's file, as sqlite:////var/lib/shop/apizen.db"),
    ("sqlite:///:memory:", "database must name SQLite's file, as sqlite:////var/lib/shop/apizen.db"),
]


@pytest.mark.parametrize(("url", "message"), WRONG_URLS)
def test_wrong_url(url: str, message: str, data: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Database.open(url, data)
    assert str(caught.value) == message
    assert not data.exists()


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"database: PostgreSQL needs psycopg: pip install 'psycopg\[binary\]'"):
        Database.open("postgresql://host/name", data)


def test_a_file_by_url(tmp_path: Path, data: Path) -> None:
    with closing(Database.open(f"sqlite:///{tmp_path}/own.db", data)) as database:
        Bans(database).add("192.0.2.7")
    assert ((tmp_path / "own.db").exists(), data.exists()) == (True, False)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_postgresql_out_of_reach(scheme: str, data: Path) -> None:
    with pytest.raises(DatabaseError) as caught:
        Database.open(f"{scheme}://me:geheim@127.0.0.1:1/shop", data)
    assert str(caught.value).startswith("postgresql+psycopg://me:***@127.0.0.1:1/shop: connection failed: ")
    assert "Connection refused" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database(data: Path) -> None:
    data.mkdir()
    (data / "apizen.db").write_text("something else, and longer than a header of a hundred bytes" * 10)
    with pytest.raises(DatabaseError) as caught:
        Database.open("", data)
    assert str(caught.value) == f"sqlite:///{data}/apizen.db: file is not a database"


def test_an_empty_database_is_not_made_where_it_was_read_before(url: str, data: Path) -> None:
    name = url and "postgresql+psycopg://apizen@/postgres"
    for _ in range(2):
        with pytest.raises(LostDatabaseError) as caught:
            Database.open(url or f"sqlite:///{data.parent}/own.db", data, make=False)
        assert str(caught.value).startswith(name or f"sqlite:///{data.parent}/own.db")
        assert str(caught.value).endswith(" is empty")
    Database.open(url, data).close()
    Database.open(url, data, make=False).close()


def test_a_lineage_is_of_one_database_and_its_copies(database: Database, url: str, data: Path, tmp_path: Path) -> None:
    lineage = database.state().lineage
    assert 0 < lineage < 2**63
    with closing(Database.open(url, data)) as again, closing(Database.open("", tmp_path / "other")) as other:
        assert again.state().lineage == lineage != other.state().lineage


def test_a_state_that_is_not_there(database: Database) -> None:
    with database.reading() as connection:
        connection.execute(tables.state.delete())
    with pytest.raises(LostDatabaseError) as caught:
        database.state()
    assert str(caught.value) == f"{database.name} has lost its state"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(FolderError, match="can't be made: File exists"):
        Database.open("", tmp_path / "data")


def test_the_database_goes_away(database: Database, url: str) -> None:
    if url:
        with database.reading() as connection:
            connection.execute(sa.text("ALTER TABLE state RENAME TO gone"))
        message = 'relation "state" does not exist'
    else:
        assert database.file is not None
        database.close()
        database.file.unlink()
        message = "no such table: state"
    with pytest.raises(DatabaseError, match=message):
        database.state()
