"""Which servers may run side by side: real processes on one data folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from apizen.governance.folder import FolderLock
from tests.process import ROOT, environment, run, running
from tests.services import redis
from tests.support import until

# A server waits for its folder, which would take each test of a refusal 20 seconds: `IMPATIENT` shortens it.
SHOP = """
import os
from apizen import ApiMethodBase, version
from apizen.governance import state

state._TRIES = int(os.environ.get("TEST_TRIES", state._TRIES))

def one():
    return 1

@version("shop-1")
class Shop(ApiMethodBase):
    api_methods = {"open": {"func": one, "run": "inline"}, "signed": {"func": one, "auth": "sign", "run": "inline"}}
"""
OPEN = "v=shop-1&method=open"
LIMITED = ("--rate", "3/hour")
IMPATIENT = {"TEST_TRIES": "1"}
WAITS = "the data folder {} is in use, maybe by last calls of a server that was killed: waiting up to 0 seconds"
REFUSED = (
    "Error: another server process uses the data folder {}. Only workers of one server (--workers) share limits, "
    "lock-outs and nonces: give each server its own folder (--data), or all of them one Redis (--store)"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain.py").write_text(SHOP.replace(', "signed": {"func": one, "auth": "sign", "run": "inline"}', ""))
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def refused(folder: Path, *options: str, data: str = "data") -> None:
    """Sees that a further server does not start."""
    done = run("serve", "--port", "0", *options, cwd=folder, env=IMPATIENT)
    waits, refused = done.stderr.splitlines()
    assert (done.returncode, done.stdout, refused) == (1, "", REFUSED.format(data))
    assert waits.endswith(f" WARNING apizen.governance.state: {WAITS.format(data)}")


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("second", [1, 2])
def test_a_second_server_that_counts_is_refused(folder: Path, first: int, second: int) -> None:
    options = ["--methods", "plain", *LIMITED]
    with running(*options, "--workers", str(first), cwd=folder) as program:
        assert program.get(OPEN).response == 1
        refused(folder, *options, "--workers", str(second))
        assert program.get(OPEN).response == 1
    with running(*options, "--workers", str(second), cwd=folder):  # the first has been killed
        pass


def test_signed_methods_count_too(folder: Path) -> None:
    (folder / "link").symlink_to("data")
    with running("--methods", "plain", *LIMITED, cwd=folder):
        refused(folder, "--methods", "shop")
        refused(folder, "--methods", "shop", "--data", "link", data="link")


def test_servers_that_need_not_share_start_side_by_side(folder: Path) -> None:
    with (
        running("--methods", "plain", cwd=folder) as first,
        running("--methods", "plain", cwd=folder) as second,
        running("--methods", "plain", *LIMITED, cwd=folder) as limited,
        running("--methods", "shop", *LIMITED, "--data", "other", cwd=folder) as other,
    ):
        assert [server.get(OPEN).response for server in (first, second, limited, other)] == [1] * 4
    assert not list(folder.glob("data/*"))


def test_servers_with_a_store_share_a_folder(folder: Path) -> None:
    with redis() as store:
        options = ["--methods", "shop", *LIMITED, "--store", store.url]
        with running(*options, cwd=folder) as first, running(*options, cwd=folder) as second:
            codes = [server.get(OPEN).meta[0] for server in (first, second, first, second)]
    assert codes == [1000, 1000, 1000, 1027]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_commands_run_beside_a_server(folder: Path, workers: str) -> None:
    options = ["--methods", "shop", *LIMITED]
    with running(*options, "--workers", workers, cwd=folder) as program:
        for command in (
            ("app", "create", "buyer", "--json"),
            ("app", "rotate", "buyer", "--json"),
            ("ban", "add", "203.0.113.0/24"),
            ("maintenance", "off"),
            ("methods", *options),
            ("check", *options),
            ("call", "open", "v=shop-1", *options, "--workers", workers),
            ("top", "--url", f"http://127.0.0.1:{program.port}", "--once"),
        ):
            done = run(*command, cwd=folder)
            if command[0] == "app":
                assert json.loads(done.stdout)["secret"]
            assert (done.returncode, done.stderr) == (0, ""), command
        assert program.get(OPEN).response == 1


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_ends_leaves_the_folder(folder: Path, workers: str, number: signal.Signals) -> None:
    options = ["--methods", "shop", *LIMITED, "--workers", workers]
    with running(*options, cwd=folder) as program:
        assert not FolderLock(folder / "data").take()
        program.signal(number)
        program.wait()
        # The workers of a parent that was killed end by themselves, and the next server waits for that.
        with running(*options, cwd=folder) as restarted:
            assert restarted.get(OPEN).response == 1


def test_a_server_waits_until_the_folder_is_free(folder: Path) -> None:
    lock = FolderLock(folder / "data")
    assert lock.take()
    end = threading.Timer(3, lock.release)
    end.start()
    with running("--methods", "plain", *LIMITED, cwd=folder) as program:
        assert not end.is_alive()
        assert program.get(OPEN).response == 1


SPAWNED = """
import sys
from apizen.application import make_app
from apizen.service import StartError
from apizen.settings import Settings
import shop

app = make_app(Settings(access_log="off", data="data", rate="3/hour"))
try:
    app.occupy()
except StartError as error:
    sys.exit(f"Error: {error}")
print("serves", flush=True)
sys.stdin.read()
"""


def test_processes_that_another_program_spawns_are_refused_but_one(folder: Path) -> None:
    """As by a server that starts its workers itself, each with the whole application."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", SPAWNED], cwd=folder, env=environment({"PYTHONPATH": f"{ROOT}:.", **IMPATIENT}),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    assert until(lambda: sum(worker.poll() is not None for worker in workers) == 2, 30)
    ends = [worker.communicate(timeout=30) for worker in workers]
    refused = f"{WAITS.format('data')}\n{REFUSED.format('data')}\n"
    assert sorted(ends) == [("", refused)] * 2 + [("serves\n", "")]


def test_a_folder_that_cannot_be_made_stops_no_server_that_only_counts(folder: Path) -> None:
    (folder / "data").touch()
    with running("--methods", "plain", *LIMITED, cwd=folder) as program:
        assert program.get(OPEN).response == 1
        program.process.kill()
        assert program.process.stderr is not None
        assert (
            "whether another server uses the same data folder can't be seen: the data folder data can't be made: "
            "File exists" in program.process.stderr.read()
        )
