"""What a server knows of apps, bans and maintenance, and how soon, while commands change a real database."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from apizen.governance.records import live as live_module
from apizen.governance.records import tables
from apizen.governance.records.apps import Apps
from apizen.governance.records.bans import Bans
from apizen.governance.records.database import Database
from apizen.governance.records.live import App, Ban, LiveRecords
from apizen.governance.records.reader import Reader
from apizen.governance.records.secret import SecretKey
from apizen.governance.records.snapshot import BanIndex
from apizen.settings import SettingsError
from tests.process import ROOT, environment
from tests.services import new_database
from tests.support import until
from tests.worst import seconds_of

PAST = datetime.now(UTC) - timedelta(hours=1)
FUTURE = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_LOOK_SECONDS", 0.1)


@contextmanager
def watching(records: LiveRecords) -> Iterator[None]:
    """Runs ``watch`` on a loop in a thread, and sees that nothing of it is left."""

    async def main() -> None:
        task = asyncio.create_task(records.watch())
        while not ended.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    ended = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        assert until(lambda: not [one for one in threading.enumerate() if one.name == "apizen-records"])


def loaded(url: str, data: Path, secret_key: str = "") -> LiveRecords:
    records = LiveRecords(url, data, secret_key)
    records.load()
    return records


def test_an_app_is_found_by_its_key(apps: Apps, url: str, data: Path) -> None:
    made, disabled = apps.create("shop", rate="5/second", methods=["shop.*"]), apps.create("old")
    apps.enable("old", False)
    records = loaded(url, data)
    found = records.find(made.app_key)
    assert isinstance(found, App)
    assert found._replace(addresses=made.addresses) == made
    assert records.known
    old = records.find(disabled.app_key)
    assert (old is not None, old and old.enabled, records.find("1")) == (True, False, None)


def test_no_database_is_an_empty_one(data: Path) -> None:
    records = loaded("", data)
    assert (records.known, records.find("1"), records.ban_of("192.0.2.7")) == (True, None, None)
    assert (records.maintenance, data.exists()) == (None, False)


def test_nothing_is_known_before_the_first_read(data: Path) -> None:
    assert LiveRecords("", data).known is False


def test_without_apps_nothing_heavy_is_loaded(data: Path) -> None:
    code = (
        "import asyncio, sys\nfrom apizen.governance.records.live import LiveRecords\n"
        "records = LiveRecords('', sys.argv[1])\nrecords.load()\n"
        "async def main():\n    task = asyncio.create_task(records.watch())\n    await asyncio.sleep(1.2)\n"
        "asyncio.run(main())\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'cryptography', 'psycopg') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data)], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr, data.exists()) == ("[]", "", False)


def test_a_database_that_is_up_to_date_is_read_without_alembic(apps: Apps, url: str, data: Path) -> None:
    made = apps.create("shop")
    code = (
        "import sys\nfrom apizen.governance.records.live import LiveRecords\n"
        "records = LiveRecords(sys.argv[1], sys.argv[2])\nrecords.load()\n"
        "print(records.find(sys.argv[3]).name, 'alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, url, str(data), made.app_key],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("shop False", "")


def test_every_change_is_noticed(apps: Apps, database: Database, url: str, data: Path) -> None:
    records = loaded(url, data)
    bans = Bans(database)
    with watching(records):
        made = apps.create("shop")
        assert until(lambda: records.find(made.app_key) is not None)
        rotated = apps.rotate("shop")
        assert until(lambda: getattr(records.find(made.app_key), "secret", "") == rotated.secret)
        apps.enable("shop", False)
        bans.add("192.0.2.0/24", None, "scans")
        database.set_maintenance("back soon")
        assert until(lambda: records.maintenance == "back soon")
        assert records.ban_of("192.0.2.7") == Ban("192.0.2.0/24", None, "scans")
        assert getattr(records.find(made.app_key), "enabled", None) is False
        bans.remove("192.0.2.0/24")
        database.set_maintenance(None)
        assert until(lambda: records.maintenance is None)
        assert records.ban_of("192.0.2.7") is None


def test_a_change_is_noticed_within_two_seconds(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.undo()
    with closing(Database.open("", data)) as database:
        records = loaded("", data)
        with watching(records):
            database.set_maintenance("")
            assert until(lambda: records.maintenance is not None)
    assert live_module._LOOK_SECONDS <= 1  # and a look must not last a second


def test_a_database_that_appears_later(data: Path) -> None:
    records = loaded("", data)
    with watching(records), closing(Database.open("", data)) as database:
        made = Apps(database, SecretKey("", data)).create("shop")
        assert until(lambda: records.find(made.app_key) is not None)


def empty(data: Path) -> None:
    (data / "empty").touch()
    (data / "empty").rename(data / "apizen.db")


def change_another(data: Path) -> None:
    with closing(Database.open("", data / "other")) as database:
        for number in range(9):
            Bans(database).add(f"198.51.100.{number}")
    (data / "other" / "apizen.db").rename(data / "apizen.db")


def set_back(data: Path) -> None:
    (data / "older").rename(data / "apizen.db")


def sizes(data: Path) -> list[int]:
    return [file.stat().st_size for file in data.glob("apizen.db")]


LOSSES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "removed": (lambda data: remove(data), "/apizen.db has gone"),
    "replaced by an empty one": (empty, "/apizen.db is empty"),
    "emptied": (lambda data: os.truncate(data / "apizen.db", 0), "/apizen.db"),
    "torn": (lambda data: os.truncate(data / "apizen.db", 5000), "/apizen.db: database disk image is malformed"),
    "overwritten": (
        lambda data: (data / "apizen.db").write_bytes(b"lost " * 2000),
        "/apizen.db: database disk image is malformed",
    ),
    "another one": (change_another, "/apizen.db is not the database that was read before"),
    "set back": (set_back, "/apizen.db is at revision 1, and 2 was read before"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_lost_stands_until_it_is_put_back(loss: str, data: Path, caplog: pytest.LogCaptureFixture) -> None:
    lose, said = LOSSES[loss]
    for address, copy in (("192.0.2.6", "older"), ("192.0.2.7", "newer")):
        with closing(Database.open("", data)) as database:
            Bans(database).add(address)
        shutil.copy(data / "apizen.db", data / copy)
    records = loaded("", data)
    with watching(records):
        assert not until(lambda: records.lost, 0.3)  # it has the file open
        lose(data)
        left = sizes(data)
        assert until(lambda: records.lost)
        assert not until(lambda: not records.lost, 0.3)  # some more looks
        assert records.known
        assert records.ban_of("192.0.2.7") is not None
        [message] = [message for message in caplog.messages if "put it back, or restart the server" in message]
        assert f"{data}{said}" in message
        assert sizes(data) == left  # nothing was made in its place
    assert in_fork(lambda: state_of(records)) == [True, True]  # a worker that is started again
    with watching(records):
        remove(data)
        (data / "newer").rename(data / "apizen.db")
        assert until(lambda: not records.lost)
        with closing(Database.open("", data)) as database:
            Bans(database).add("192.0.2.8")
        assert until(lambda: records.ban_of("192.0.2.8") is not None)


def test_a_server_that_is_started_again_takes_what_is_there(data: Path) -> None:
    with closing(Database.open("", data)) as database:
        Bans(database).add("192.0.2.7")
    assert loaded("", data).ban_of("192.0.2.7") is not None
    empty(data)
    again = loaded("", data)
    assert (again.known, again.lost, again.ban_of("192.0.2.7")) == (True, False, None)


POSTGRESQL_LOSSES = {
    "ALTER SCHEMA {0} RENAME TO {0}_kept; CREATE SCHEMA {0}": (
        "DROP SCHEMA {0}; ALTER SCHEMA {0}_kept RENAME TO {0}", "is empty",
    ),
    "CREATE TABLE kept AS TABLE state; TRUNCATE app, ban, state": (
        "INSERT INTO state SELECT * FROM kept", "has lost its state",
    ),
    "TRUNCATE app; TRUNCATE ban; UPDATE state SET revision = 0": (
        "UPDATE state SET revision = 2", "is at revision 0, and 1 was read before",
    ),
    "UPDATE state SET lineage = lineage - 1, revision = 9": (
        "UPDATE state SET lineage = lineage + 1", "is not the database that was read before",
    ),
}  # fmt: skip


@pytest.mark.parametrize("loss", POSTGRESQL_LOSSES)
def test_what_postgresql_loses_stands_until_it_is_put_back(
    loss: str, postgresql_server: str, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = new_database(postgresql_server)
    schema = url.rpartition("%3D")[2]

    def execute(statements: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statements.format(schema).encode())

    with closing(Database.open(url, data)) as database:
        Bans(database).add("192.0.2.7")
    records = loaded(url, data)
    put_back, said = POSTGRESQL_LOSSES[loss]
    with watching(records):
        execute(loss)
        assert until(lambda: records.lost)
        assert (records.known, records.ban_of("192.0.2.7") is not None) == (True, True)
        assert until(lambda: f"{said}; put it back, or restart the server" in caplog.text)
        execute(put_back)
        assert until(lambda: not records.lost)


def test_a_newer_state_of_the_same_database_in_its_place(data: Path, tmp_path: Path) -> None:
    Database.open("", data).close()
    records = loaded("", data)
    with watching(records):
        shutil.copy(data / "apizen.db", tmp_path / "copy.db")
        with closing(Database.open(f"sqlite:///{tmp_path}/copy.db", data)) as copy:
            Bans(copy).add("192.0.2.7")
        (tmp_path / "copy.db").rename(data / "apizen.db")
        assert until(lambda: records.ban_of("192.0.2.7") is not None)
    assert not records.lost


def test_a_secret_that_cannot_be_decrypted_is_one_app_less(
    apps: Apps, database: Database, url: str, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, foreign = apps.create("shop"), apps.create("foreign")
    token = SecretKey("another", data).encrypt("secret")
    with database.writing() as connection:
        connection.execute(tables.app.update().where(tables.app.c.name == "foreign").values(secret=token))
    records = loaded(url, data)
    assert records.find(made.app_key) is not None
    assert records.find(foreign.app_key) is None
    assert [records.is_unreadable(app.app_key) for app in (made, foreign)] == [False, True]
    assert [record.getMessage() for record in caplog.records] == [
        "the calls of app 'foreign' are refused: the secrets were encrypted with another key than the one of "
        f"{data}/secret.key"
    ]


def test_without_its_key_no_app_may_call(apps: Apps, url: str, data: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = apps.create("shop")
    (data / "secret.key").unlink()
    records = loaded(url, data)
    assert (records.known, records.find(made.app_key)) == (True, None)
    assert records.is_unreadable(made.app_key)
    assert not records.is_unreadable("1")
    assert f"there is no key to read the secrets with: {data}/secret.key is missing" in caplog.text
    assert not (data / "secret.key").exists()


def test_a_key_that_is_gone_for_a_while_takes_no_app_away(
    apps: Apps, database: Database, url: str, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, other = apps.create("shop"), apps.create("other")
    token = SecretKey("another", data).encrypt("secret")
    records = loaded(url, data)
    (data / "secret.key").rename(data / "away")
    with watching(records):  # the first look reads all again
        Bans(database).add("192.0.2.7")
        assert until(lambda: records.ban_of("192.0.2.7") is not None)
        assert getattr(records.find(made.app_key), "secret", "") == made.secret
        assert not records.is_unreadable(made.app_key)
        # What was read before is no longer the secret of an app that has got another one.
        with database.writing() as connection:
            connection.execute(tables.app.update().where(tables.app.c.name == "other").values(secret=token))
        assert until(lambda: records.is_unreadable(other.app_key))
        assert records.find(other.app_key) is None
        assert getattr(records.find(made.app_key), "secret", "") == made.secret
    missing = f"there is no key to read the secrets with: {data}/secret.key is missing"
    assert [record.getMessage() for record in caplog.records] == [
        f"the secret of app 'other' that was read before is used: {missing}",
        f"the secret of app 'shop' that was read before is used: {missing}",
        f"the calls of app 'other' are refused: {missing}",
    ]


class Cost:
    """What a server reads and decrypts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tables: list[str] = []
        self.decrypted = 0
        decrypt = SecretKey.decrypt

        def counted(key: SecretKey, token: str) -> str:
            self.decrypted += 1
            return decrypt(key, token)

        monkeypatch.setattr(SecretKey, "decrypt", counted)

    def note(self, connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("SELECT") and threading.current_thread().name == "apizen-records":
            self.tables += statement.split("FROM ")[1].split()[:1]

    @contextmanager
    def of(self) -> Iterator[None]:
        """What it reads meanwhile."""
        self.tables.clear()
        self.decrypted = 0
        sa.event.listen(sa.Engine, "before_cursor_execute", self.note)
        try:
            yield
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", self.note)


def test_only_what_has_changed_is_read_again(
    apps: Apps, database: Database, url: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_something_else() -> None:
        with database.writing(changes=()) as connection:
            connection.execute(tables.state.update().values(id=1))

    def changed(change: Callable[[], Any], seen: Callable[[], Any]) -> tuple[set[str], int]:
        """The tables that are read for a change, but the state, and how many secrets are decrypted."""
        with cost.of():
            change()
            assert until(seen)
            looks = cost.tables.count("state")
            assert until(lambda: cost.tables.count("state") >= looks + 2)  # and nothing comes late
        return set(cost.tables) - {"state"}, cost.decrypted

    keys = [apps.create(f"app-{number}").app_key for number in range(9)]
    records, bans, cost = loaded(url, data), Bans(database), Cost(monkeypatch)
    with watching(records):
        assert until(lambda: records._reader._state is not None)  # the first look reads all
        for _ in range(3):
            write_something_else()
        revision = database.state().revision + 1
        assert changed(write_something_else, lambda: records._reader._seen[0] == revision + 1) == (set(), 0)
        assert changed(lambda: database.set_maintenance(""), lambda: records.maintenance == "") == (set(), 0)
        assert changed(lambda: bans.add("192.0.2.7"), lambda: records.ban_of("192.0.2.7")) == ({"ban"}, 0)
        assert changed(lambda: bans.remove("192.0.2.7"), lambda: not records.ban_of("192.0.2.7")) == ({"ban"}, 0)
        assert changed(
            lambda: apps.enable("app-0", False), lambda: not getattr(records.find(keys[0]), "enabled", True)
        ) == ({"app"}, 9)
        assert (records.find(keys[1]) is not None, records.maintenance) == (True, "")


def test_what_changes_no_app_and_no_ban_outdates_no_worker(data: Path) -> None:
    with closing(Database.open("", data)) as database:
        Bans(database).add("192.0.2.7")
    records = loaded("", data)
    with closing(Database.open("", data)) as database:
        with database.writing(changes=()):
            pass
        assert in_fork(lambda: state_of(records)) == [True, True]
        remove(data)
        assert in_fork(lambda: state_of(records)) == [True, True]  # it knows what others know


def test_a_database_set_back_by_what_changes_no_app_is_noticed(data: Path) -> None:
    with closing(Database.open("", data)) as database:
        Bans(database).add("192.0.2.7")
    shutil.copy(data / "apizen.db", data / "older")
    with closing(Database.open("", data)) as database, database.writing(changes=()):
        pass
    records = loaded("", data)
    with watching(records):
        set_back(data)
        assert until(lambda: records.lost)
        assert records.ban_of("192.0.2.7") is not None


def test_histories_that_have_gone_apart_are_told_apart(apps: Apps, database: Database, url: str, data: Path) -> None:
    """The database goes back, and then on to another app at the same revision, while nobody looks."""
    reader = Reader(url, data, "")
    first = apps.create("first")
    assert set(reader.read().apps) == {first.app_key}
    with database.writing(changes=()) as connection:
        connection.execute(tables.app.delete())
        connection.execute(tables.state.update().values(revision=0))
    other = apps.create("other")
    assert database.state().revision == 1
    assert set(reader.read().apps) == {other.app_key}
    reader.close()


def test_a_key_that_is_put_back_helps_without_a_change(
    apps: Apps, url: str, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, disabled = apps.create("shop"), apps.create("old")
    apps.enable("old", False)
    (data / "secret.key").rename(data / "away")
    records = loaded(url, data)
    with watching(records):
        time.sleep(0.5)  # some more looks
        assert records.is_unreadable(made.app_key)
        assert not records.is_unreadable(disabled.app_key)  # its calls are refused in any case
        assert len(caplog.records) <= 4  # two lines by load, two by the first look
        (data / "away").rename(data / "secret.key")
        assert until(lambda: records.find(made.app_key) is not None)
        assert getattr(records.find(made.app_key), "secret", "") == made.secret
        assert not records.is_unreadable(made.app_key)


def in_fork(look: Callable[[], Any]) -> Any:
    """What a function gives in a fork of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, json.dumps(look()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, "rb") as pipe:  # noqa: PTH123 (a descriptor)
        return json.loads(pipe.read())


def remove(data: Path) -> None:
    for file in data.glob("apizen.db*"):
        file.unlink()


def state_of(records: LiveRecords) -> tuple[bool, bool]:
    """Whether anything is known, and whether 192.0.2.7 is banned, when it is read again."""
    records.load()
    return records.known, records.ban_of("192.0.2.7") is not None


@pytest.mark.parametrize("by_url", [False, True])
def test_bans_outlive_the_file_they_were_read_from(by_url: bool, data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Database.open("", data)) as database:
        Bans(database).add("192.0.2.7")
    records = loaded(f"sqlite:///{data}/apizen.db" if by_url else "", data)
    remove(data)
    with watching(records):
        assert until(lambda: f"the apps and bans can't be read: {data}/apizen.db has gone" in caplog.text)
        time.sleep(0.5)  # some more looks
        assert records.known
        assert records.ban_of("192.0.2.7") is not None
    assert in_fork(lambda: state_of(records)) == [True, True]
    assert len(caplog.records) == 1
    assert not list(data.glob("apizen.db*"))


@pytest.mark.parametrize("there_at_first", [False, True])
def test_a_worker_knows_that_it_does_not_know_what_others_have_read(
    there_at_first: bool, data: Path, tmp_path: Path
) -> None:
    if there_at_first:
        Database.open("", data).close()
    records = loaded("", data)
    with closing(Database.open("", data)) as database:
        Bans(database).add("192.0.2.7")
    assert in_fork(lambda: state_of(records)) == [True, True]
    shutil.copy(data / "apizen.db", tmp_path / "copy")
    remove(data)
    assert in_fork(lambda: state_of(records)) == [False, False]
    with closing(Database.open("", data)) as database:
        Bans(database).add("192.0.2.7")
    assert in_fork(lambda: state_of(records)) == [False, False]  # this one is another database
    shutil.copy(tmp_path / "copy", data / "apizen.db")
    assert in_fork(lambda: state_of(records)) == [True, True]


def test_nothing_stays_open_for_a_fork(apps: Apps, url: str, data: Path) -> None:
    def descriptors() -> set[str]:
        folder = Path("/proc/self/fd")
        return {str(path.readlink()) for path in folder.iterdir() if path.is_symlink()}

    apps.create("shop")
    before = descriptors()
    records = loaded(url, data)
    assert descriptors() <= before
    assert in_fork(lambda: [records.load(), records.known]) == [None, True]


def test_a_folder_that_cannot_be_searched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = loaded("", tmp_path / ("x" * 300))
    assert records.known is False
    assert caplog.messages == [
        f"the apps and bans can't be read: the data folder {tmp_path}/{'x' * 300} can't be searched: File name too long"
    ]


def test_what_fails_keeps_the_last_snapshot_and_is_said_once(
    apps: Apps, database: Database, url: str, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = apps.create("shop")
    records = loaded(url, data)
    rename = "ALTER TABLE {} RENAME TO {}"
    with watching(records):
        with database.reading() as connection:
            connection.execute(sa.text(rename.format("state", "gone")))
        assert until(lambda: "the apps and bans can't be read" in caplog.text)
        time.sleep(0.5)  # some more looks
        assert records.known
        assert records.find(made.app_key) is not None
        assert len(caplog.records) == 1
        assert caplog.records[0].levelno == logging.WARNING
        with database.reading() as connection:
            connection.execute(sa.text(rename.format("gone", "state")))
        other = apps.create("other")
        assert until(lambda: records.find(other.app_key) is not None)


def test_postgresql_that_comes_later(postgresql_server: str, data: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = f"later_{random.getrandbits(64):x}"
    url = postgresql_server.replace("/postgres?", f"/{name}?")
    records = loaded(url, data)
    assert records.known is False
    assert f'database "{name}" does not exist' in caplog.text
    with watching(records):
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        assert until(lambda: records.known)


def test_postgresql_that_ends_connections(postgresql_server: str, data: Path) -> None:
    url = new_database(postgresql_server)
    records = loaded(url, data)
    with watching(records), closing(Database.open(url, data)) as database:
        apps = Apps(database, SecretKey("", data))
        first = apps.create("first")
        assert until(lambda: records.find(first.app_key) is not None)
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        with database.reading() as connection:
            connection.execute(sa.text(f"{end} AND datname = current_database()"))
        second = apps.create("second")
        assert until(lambda: records.find(second.app_key) is not None)


def test_a_wrong_url_ends_the_start(data: Path) -> None:
    with pytest.raises(SettingsError, match="database must be a URL"):
        LiveRecords("nonsense", data).load()


def test_what_nobody_expects_is_said_with_its_place(
    data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read(self: Reader) -> Any:
        raise LookupError("a mistake of ours")

    monkeypatch.setattr(Reader, "read", read)
    with watching(LiveRecords("", data)):
        assert until(lambda: "LookupError: a mistake of ours" in caplog.text)
    assert "Traceback" in caplog.text


BANS = [
    Ban("192.0.2.7/32", None, "one"),
    Ban("198.51.100.0/24", FUTURE, "some"),
    Ban("203.0.113.9/32", PAST, "past"),
    Ban("203.0.113.0/24", FUTURE, "around"),
    Ban("203.0.112.1/32", PAST, "gone"),
    Ban("2001:db8::/32", None, "six"),
    Ban("2001:db8:1::7/128", None, "one of six"),
]
FOUND = [
    ("192.0.2.7", {"one"}),
    ("192.0.2.8", {None}),
    ("::ffff:192.0.2.7", {"one"}),
    ("198.51.100.255", {"some"}),
    ("::ffff:c633:6401", {"some"}),
    ("198.51.101.0", {None}),
    ("203.0.113.9", {"around"}),
    ("203.0.112.1", {None}),
    ("2001:db8:ffff::1", {"six"}),
    ("2001:DB8:1:0::7", {"six", "one of six"}),
    ("2001:db9::", {None}),
    ("::1", {None}),
    ("fe80::1%eth0", {None}),
    ("", {None}),
    ("unknown", {None}),
]


@pytest.mark.parametrize(("address", "reasons"), FOUND)
def test_ban_of(address: str, reasons: set[str | None]) -> None:
    records = LiveRecords("", "nowhere")
    records._snapshot = records._snapshot._replace(bans=BanIndex(BANS))
    for _ in range(2):  # the second time from what is remembered
        found = records.ban_of(address)
        assert (found and found.reason) in reasons


def test_a_ban_ends_without_a_change(database: Database, url: str, data: Path) -> None:
    Bans(database).add("192.0.2.7", datetime.now(UTC) + timedelta(seconds=1.5))
    records = loaded(url, data)
    assert records.ban_of("192.0.2.7") is not None
    assert until(lambda: records.ban_of("192.0.2.7") is None)


def test_ten_thousand_bans_are_looked_up_about_as_quickly_as_ten() -> None:
    chance = random.Random(4)

    def lookups_among(count: int) -> float:
        bans = [Ban(f"{n >> 8 & 255}.{n & 255}.{chance.randrange(256)}.7/32", None, "") for n in range(count * 9 // 10)]
        bans += [Ban(f"2001:db8:{n:x}::/48", FUTURE, "") for n in range(count // 10)]
        records = LiveRecords("", "nowhere")
        records._snapshot = records._snapshot._replace(bans=BanIndex(bans))
        addresses = (f"{chance.randrange(256)}.{chance.randrange(256)}.{n & 255}.7" for n in itertools.count())
        return seconds_of(lambda: [records.ban_of(next(addresses)) for _ in range(1000)])

    assert lookups_among(10_000) < 10 * lookups_among(10)


def test_a_look_without_a_change_costs_next_to_nothing(database: Database, url: str, data: Path) -> None:
    reader = Reader(url, data, "")
    found = reader.read()
    look = seconds_of(lambda: [reader.read() for _ in range(10)]) / 10
    assert reader.read() == found

    def change_and_read() -> None:
        database.set_maintenance(uuid.uuid4().hex)
        assert reader.read() != found

    assert look < seconds_of(change_and_read) / 2
    reader.close()
