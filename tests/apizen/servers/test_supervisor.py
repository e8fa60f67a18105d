"""The supervisor with workers that do little: started, started again, given up, and ended."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apizen.servers import supervisor
from apizen.worker import worker_index
from tests.process import ROOT, environment
from tests.support import until

# A program that keeps workers, says when they are ready, and writes a line for each start of one.
PROGRAM = """
import json, logging, os, socket, sys, threading, time
from apizen.servers import supervisor
from apizen.service import StartError
from apizen.servers.supervisor import Supervisor
from apizen.worker import worker_index

logging.basicConfig(format="%(message)s")
starts = open("starts", "a", buffering=1)

def wait():
    time.sleep(60)

def work(ready):
    starts.write(json.dumps([worker_index(), os.getpid(), time.monotonic()]) + "\\n")
    act(worker_index(), ready)

breaker = None

{act}

count = 2
listener = socket.create_server(("127.0.0.1", 0))
try:
    sys.exit(Supervisor(count, [listener], work, lambda: print("ready", flush=True), breaker).run())
except StartError as error:
    sys.exit(f"StartError: {{error}}")
"""


class Kept:
    """A running program of those."""

    def __init__(self, folder: Path, act: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(act=act)],
            cwd=folder, env=environment({"PYTHONPATH": str(ROOT)}),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def starts(self) -> list[Any]:
        path = self.folder / "starts"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def until_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Its exit status and its log."""
        if number is not None:
            self.process.send_signal(number)
        log = self.process.communicate(timeout=20)[1]
        return self.process.returncode, log


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[[str], Kept]]:
    """Starts such a program, and ends it if the test has not."""
    started: list[Kept] = []

    def start(act: str) -> Kept:
        started.append(Kept(tmp_path, act))
        return started[-1]

    yield start
    for kept in started:
        kept.process.kill()
        kept.process.communicate()


ENDS_WELL = "def act(index, ready): ready(); wait()"


def test_workers_run_until_the_signal(keep: Callable[[str], Kept]) -> None:
    kept = keep(ENDS_WELL)
    kept.until_ready()
    assert sorted(index for index, *_ in kept.starts()) == [0, 1]
    assert kept.end(signal.SIGTERM) == (0, "")
    assert len(kept.starts()) == 2


def test_a_signal_while_workers_start(keep: Callable[[str], Kept]) -> None:
    kept = keep("def act(index, ready): wait()")
    assert until(lambda: len(kept.starts()) == 2)
    assert kept.end(signal.SIGINT) == (0, "")


def test_the_delay_grows(keep: Callable[[str], Kept]) -> None:
    kept = keep("def act(index, ready): ready(); os._exit(7) if index else wait()")
    assert until(lambda: len(kept.starts()) >= 5, 30)
    status, log = kept.end(signal.SIGTERM)
    assert status == 0
    times = [started for index, _, started in kept.starts() if index == 1]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert [index for index, *_ in kept.starts()].count(0) == 1
    for pause, least, most in zip(pauses, (0, 1, 2), (0.9, 1.9, 3.9), strict=False):
        assert least <= pause < most + 3, pauses
    ends = [line.partition("status 7; ")[2] for line in log.splitlines()]
    assert ends[:3] == ["the next starts at once", "the next starts in 1 s", "the next starts in 2 s"]


def test_a_steady_worker_is_started_at_once(keep: Callable[[str], Kept]) -> None:
    act = "supervisor._STEADY_SECONDS = 0.05\ndef act(index, ready): ready(); time.sleep(0.2); os._exit(7)"
    kept = keep(act)
    assert until(lambda: len(kept.starts()) >= 8)
    assert "in 1 s" not in kept.end(signal.SIGTERM)[1]


EXPLAINS = """
class Breaker:
    def begin(self, worker): starts.write(json.dumps(["begins", worker, os.getpid()]) + "\\n")
    def end(self): starts.write(json.dumps(["ends", os.getpid()]) + "\\n")
    def blame(self, worker): return {explained}
breaker = Breaker()
def act(index, ready): ready(); {act} if index else wait()
"""


@pytest.mark.parametrize("explained", [True, False])
def test_a_death_that_is_explained_delays_nobody(keep: Callable[[str], Kept], explained: bool) -> None:
    kept = keep(EXPLAINS.format(explained=explained, act="os._exit(7)"))
    assert until(lambda: len(kept.starts()) >= (20 if explained else 8))
    log = kept.end(signal.SIGTERM)[1]
    assert ("the next starts in 1 s" in log) is not explained
    assert not any(what == "ends" for what, *_ in kept.starts())


def test_a_worker_tells_when_it_begins_and_ends(keep: Callable[[str], Kept]) -> None:
    kept = keep(EXPLAINS.format(explained=False, act="int('seven')"))
    assert until(lambda: any(what == "ends" for what, *_ in kept.starts()))
    kept.end(signal.SIGTERM)
    lines = kept.starts()
    (ended, *_) = [process for what, process, *_ in lines if what == "ends"]
    assert ["begins", 1, ended] in lines


FAILURES = [
    ("raise StartError(f'no database for {index // 2}')", "no database for 0"),
    ("raise LookupError('lost\\nin space')", "LookupError: lost in space"),
    ("raise StartError('数' * 9000)", "数" * 1364),
    ("raise StartError", "each worker ended before it served"),
    ("os._exit(3)", "each worker ended before it served"),
    ("pass", "each worker ended before it served"),
]


@pytest.mark.parametrize(("action", "reason"), FAILURES, ids=range(len(FAILURES)))
def test_no_worker_can_start(keep: Callable[[str], Kept], action: str, reason: str) -> None:
    status, log = keep(f"def act(index, ready): {action}").end()
    assert status == 1
    assert log.splitlines()[-1].rstrip("\N{REPLACEMENT CHARACTER}") == f"StartError: {reason}"


def test_an_exception_is_logged_with_its_traceback(keep: Callable[[str], Kept]) -> None:
    log = keep("def act(index, ready): raise LookupError('lost')").end()[1]
    assert "worker 0 failed\nTraceback (most recent call last):" in log
    assert "Traceback" not in keep("def act(index, ready): raise StartError('lost')").end()[1]


def test_one_worker_that_can_start_is_enough(keep: Callable[[str], Kept]) -> None:
    act = """
def act(index, ready):
    if index and not os.path.exists("failed"):
        os.mkdir("failed")
        raise StartError("not yet")
    ready()
    wait()
"""
    kept = keep(act)
    kept.until_ready()
    assert until(lambda: [index for index, *_ in kept.starts()].count(1) == 2)
    status, log = kept.end(signal.SIGTERM)
    assert status == 0
    assert [line.partition(" ended ")[2] for line in log.splitlines()] == [
        "with status 1: not yet; the next starts at once"
    ]


def test_no_process_can_be_made(keep: Callable[[str], Kept]) -> None:
    act = """
def act(index, ready): pass
def no_fork(): raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = no_fork
"""
    status, log = keep(act).end()
    assert status == 1
    assert log.splitlines() == [
        "worker 0: no process: Resource temporarily unavailable; the next starts at once",
        "worker 1: no process: Resource temporarily unavailable; the next starts at once",
        "StartError: no process for a worker: Resource temporarily unavailable",
    ]


DEAF = "import signal\nsupervisor._PATIENCE_SECONDS = 1\ndef act(index, ready): {block}; ready(); wait()"


def test_workers_that_do_not_end_are_killed(keep: Callable[[str], Kept]) -> None:
    kept = keep(DEAF.format(block="signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    kept.until_ready()
    assert kept.end(signal.SIGTERM) == (1, "2 workers did not end and are killed\n")


def test_workers_that_are_stuck_end_with_their_parent(keep: Callable[[str], Kept]) -> None:
    kept = keep(DEAF.format(block="signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    kept.until_ready()
    started = time.monotonic()
    kept.end(signal.SIGKILL)  # returns when nobody has the other end of the log any more
    assert time.monotonic() - started < 15


def test_threads_of_the_parent_are_reported(keep: Callable[[str], Kept]) -> None:
    act = f"{ENDS_WELL}\nthreading.Thread(target=wait, name='clock', daemon=True).start()"
    kept = keep(act)
    kept.until_ready()
    status, log = kept.end(signal.SIGTERM)
    assert (status, log) == (0, "threads that are started before the workers don't run in them: clock\n")


def test_what_is_printed_before_is_printed_once(keep: Callable[[str], Kept], tmp_path: Path) -> None:
    kept = keep(f"{ENDS_WELL}\nsys.stdout = open('printed', 'w')\nprint('once')")
    assert until(lambda: len(kept.starts()) == 2)
    kept.end(signal.SIGTERM)
    assert (tmp_path / "printed").read_text().count("once") == 1


def test_exit_handlers_of_the_parent_are_the_parents(keep: Callable[[str], Kept]) -> None:
    act = """
import atexit
atexit.register(lambda: print("end of", os.getpid(), flush=True))
def act(index, ready): ready(); raise StartError("done") if index else wait()
"""
    kept = keep(act)
    kept.until_ready()
    kept.process.send_signal(signal.SIGTERM)
    assert kept.process.communicate(timeout=20)[0] == f"end of {kept.process.pid}\n"


def test_a_process_of_its_own_is_worker_0() -> None:
    assert worker_index() == 0


@pytest.mark.parametrize(("deaths", "delay"), [(1, 0), (2, 1), (3, 2), (4, 4), (6, 16), (7, 30), (100_000, 30)])
def test_delay(deaths: int, delay: float) -> None:
    assert supervisor.delay_after(deaths) == delay
