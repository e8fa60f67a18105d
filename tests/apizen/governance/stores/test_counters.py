import asyncio
import contextlib
import fcntl
import mmap
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import limits
import pytest

from apizen.governance.error import CountersError, CountersFull
from apizen.governance.stores import claims, digest_table, owned_file
from apizen.governance.stores.base import MOST_LOCKS, Group, begun, outcome_of, places_of
from apizen.governance.stores.file import FileCounters
from apizen.governance.stores.memory import MemoryCounters
from apizen.governance.stores.redis import _LOCK, RedisCounters
from apizen.governance.stores.window import Decision
from tests.apizen.governance.stores.real import NAMES, store_of
from tests.services import redis
from tests.worst import seconds_of

ROOT = Path(__file__).parents[4]
MINUTE = limits.parse("3/minute")
WIDE = limits.parse("10/hour")


class Clock:
    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture(params=NAMES)
def store(request, tmp_path):
    with store_of(request.param, tmp_path) as found:
        yield found


def stores_with_clock(folder):
    """The stores that take their time from this process, at one clock each."""
    for made in (
        lambda clock: MemoryCounters(clock=clock),
        lambda clock: MemoryCounters(folder / "claims", clock),
        lambda clock: FileCounters(folder / "several" / "counters", clock),
    ):
        clock = Clock()
        yield made(clock), clock


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Every store


def test_hit(store):
    found = [store.hit([(MINUTE, "a")])[0] for _ in range(5)]
    assert [(each.allowed, each.remaining) for each in found] == [
        (True, 2), (True, 1), (True, 0), (False, 0), (False, 0)
    ]  # fmt: skip
    assert found[0].reset == 60
    assert all(30 < each.reset <= 60 for each in found)
    assert store.hit([(MINUTE, "b")])[0].remaining == 2


def test_hit_frees_after_its_window(store):
    limit = limits.parse("2/second")
    start = time.time()
    assert store.hit([(limit, "a")])[0] == Decision(True, 1, 1)
    while store.hit([(limit, "a")])[0].allowed:
        pass
    until(lambda: store.hit([(limit, "a")])[0].allowed)
    assert time.time() - start >= 1


def test_hit_large_limit(store):
    limit = limits.parse("500/hour")
    assert sum(store.hit([(limit, "a")])[0].allowed for _ in range(520)) == 500
    assert store.hit([(limit, "a")])[0].remaining == 0


def test_hit_counts_under_every_limit_or_none(store):
    for left in (2, 1, 0):
        assert [each.remaining for each in store.hit([(MINUTE, "m"), (WIDE, "t")])] == [left, left + 7]
    for _ in range(3):
        assert [each[:2] for each in store.hit([(MINUTE, "m"), (WIDE, "t")])] == [(False, 0), (True, 7)]
    assert store.hit([(WIDE, "t")])[0].remaining == 6


def test_claim(store):
    assert [store.claim(["a"], 60), store.claim(["a"], 60), store.claim(["b"], 60), store.claim(["a"], 60)] == [
        True, False, True, False
    ]  # fmt: skip
    assert store.claim(["\udcff" * 10], 60)


def test_claim_takes_keys_in_order_up_to_the_first_refusal(store):
    assert store.claim(["a", "b"], 60)
    assert not store.claim(["a", "b"], 60)
    assert not store.claim(["c", "a", "d"], 60)
    assert [store.claim([key], 60) for key in "bcd"] == [False, False, True]
    assert not store.claim(["e", "e"], 60)
    assert store.claim([], 60)


def test_is_any_claimed(store):
    assert not store.is_any_claimed(["a", "b"])
    assert store.claim(["a"], 60)
    assert [store.is_any_claimed(keys) for keys in (["a"], ["b"], ["b", "a"])] == [True, False, True]
    assert store.claim(["b"], 60)


def test_claim_ends(store):
    start = time.time()
    assert store.claim(["a"], 1)
    assert store.is_any_claimed(["a"])
    until(lambda: not store.is_any_claimed(["a"]))
    until(lambda: store.claim(["a"], 1))
    assert time.time() - start >= 1


def test_locks(store):
    assert store.locks() == {}
    store.lock("address:192.0.2.7", 300)
    store.lock("app:12345678", 1)
    store.lock("address:192.0.2.7", 600)
    found = store.locks()
    assert found["address:192.0.2.7"] == pytest.approx(time.time() + 600, abs=10)
    until(lambda: set(store.locks()) == {"address:192.0.2.7"})


# Time, for the stores that take it from this process


def test_hit_moving_window(tmp_path):
    for counters, clock in stores_with_clock(tmp_path):
        found = []
        for clock.now in (100.0, 130.0, 150.0, 159.0, 160.0, 161.0, 190.0):
            found.append(counters.hit([(MINUTE, "a")])[0])
        assert found == [
            (True, 2, 60), (True, 1, 30), (True, 0, 10), (False, 0, 1), (True, 0, 30), (False, 0, 29), (True, 0, 20)
        ]  # fmt: skip


def test_claim_is_remembered_for_its_time(tmp_path):
    for counters, clock in stores_with_clock(tmp_path):
        assert counters.claim(["a"], 600)
        clock.now += 599.9
        assert not counters.claim(["a"], 600)
        clock.now += 1
        assert counters.claim(["a"], 600)


def test_locks_end(tmp_path):
    for counters, clock in stores_with_clock(tmp_path):
        counters.lock("a", 10)
        assert counters.locks() == {"a": clock.now + 10}
        clock.now += 10
        assert counters.locks() == {}


# Memory


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_claims_leave_memory_flat():
    clock = Clock()
    counters = MemoryCounters(clock=clock)
    sizes = []
    for window in range(3):
        for number in range(40_000):
            assert counters.claim([f"{window}:{number}"], 600)
        sizes.append(resident())
        clock.now += 601
    assert sizes[-1] - sizes[0] < 8_000_000


def test_claims_full_store_refuses_and_forgets_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BUCKETS", 1)
    for counters, clock in stores_with_clock(tmp_path):
        for number in range(digest_table.PLACES):
            assert counters.claim([str(number)], 600)
        with pytest.raises(CountersError):
            counters.claim(["one more", "0"], 600)
        assert not any(counters.claim([str(number)], 600) for number in range(digest_table.PLACES))
        clock.now += 601
        assert counters.claim(["one more"], 600)


def test_windows_of_idle_callers_vanish():
    clock = Clock()
    counters = MemoryCounters(clock=clock)
    for number in range(10_000):
        counters.hit([(MINUTE, str(number))])
        counters.hit([(WIDE, "busy")])
    assert counters._windows[Group.ADDRESSES]._held == 10_001
    for _ in range(100):
        clock.now += 10
        counters.hit([(WIDE, "busy")])
    assert counters._windows[Group.ADDRESSES]._held == 1
    assert counters.hit([(WIDE, "busy")])[0].allowed is False
    for number in range(1000):
        clock.now += 1
        counters.hit([(MINUTE, str(number))])
    assert counters._windows[Group.ADDRESSES]._held <= 62


def small_stores(folder):
    """The stores that have tables, with places for a few callers."""
    clock = Clock()
    yield MemoryCounters(clock=clock, callers=256), clock
    clock = Clock()
    yield FileCounters(folder / "counters", clock, 256), clock


def fill(counters, group, limit=MINUTE):
    """Counts new callers until there is no place for one more; who has a place, and who has none."""
    for number in range(1000):
        try:
            counters.hit([(limit, str(number))], group)
        except CountersFull:
            return number, str(number)
    raise AssertionError("there is always a place")


FULL = {
    Group.ADDRESSES: "all places for counted addresses are taken, new ones are counted as networks",
    Group.NETWORKS: "all places for counted networks are taken",
    Group.APPS: "all places for counted apps are taken",
    Group.FAILED: "all places for failed calls of addresses are taken, new ones are counted as networks",
    Group.FAILED_NETWORKS: "all places for failed calls of networks are taken",
}


@pytest.mark.parametrize("group", Group)
def test_full_table_takes_nobody_elses_places(group, tmp_path, caplog):
    for counters, clock in small_stores(tmp_path):
        caplog.clear()
        count, refused = fill(counters, group)
        assert places_of(256)[group] / 2 <= count <= places_of(256)[group]
        with pytest.raises(CountersFull, match=f"^{FULL[group]}$"):
            counters.hit([(MINUTE, refused)], group)
        # One line a minute, and each time as a number.
        assert [record.getMessage() for record in caplog.records] == [f"{FULL[group]}: see the setting counted_callers"]
        assert counters.times_full == 2
        # Who has a place keeps it; the others have their own.
        assert [counters.hit([(MINUTE, "0")], group)[0].remaining for _ in range(2)] == [1, 0]
        assert all(counters.hit([(MINUTE, refused)], other)[0].remaining == 2 for other in Group if other != group)
        assert counters.claim(["a"], 600)
        counters.lock("a", 600)
        # A place is free again some time after its caller was last counted.
        clock.now += 76
        assert counters.hit([(MINUTE, refused)], group)[0].remaining == 2
        counters.close()


def test_places_follow_from_the_setting(tmp_path):
    for callers in (1024, 65_536):
        assert places_of(callers) == [callers, *[callers // 4] * 4]
        counters = FileCounters(tmp_path / str(callers) / "counters", callers=callers)
        counters.hit([(MINUTE, "a")])
        size = (tmp_path / str(callers) / "counters").stat().st_size
        assert 1500 * 2 * callers < size < 1600 * 2 * callers + 2_000_000
        counters.close()


def test_other_number_of_places_begins_anew(tmp_path):
    first = FileCounters(tmp_path / "counters", callers=1024)
    assert [first.hit([(MINUTE, "a")])[0].remaining, first.claim(["a"], 600)] == [2, True]
    first.lock("a", 600)
    first.close()
    second = FileCounters(tmp_path / "counters", callers=2048)
    assert second.hit([(MINUTE, "a")])[0].remaining == 2
    assert second.locks() == {}
    assert not second.claim(["a"], 600)
    second.close()


def test_locks_full_the_first_to_end_makes_room(tmp_path, monkeypatch):
    monkeypatch.setattr("apizen.governance.stores.memory.MOST_LOCKS", digest_table.PLACES)
    monkeypatch.setattr("apizen.governance.stores.file._Locks._BUCKETS", 1)
    for counters, clock in stores_with_clock(tmp_path):
        for number in range(digest_table.PLACES):
            counters.lock(str(number), 600 if number != 7 else 500)
        counters.lock("0", 700)
        assert len(counters.locks()) == digest_table.PLACES
        counters.lock("one more", 600)
        assert set(counters.locks()) == {"one more", *map(str, range(digest_table.PLACES))} - {"7"}
        clock.now += 601
        assert set(counters.locks()) == {"0"}


def test_memory_hit_costs_as_much_after_a_hundred_thousand():
    limit = limits.parse("1000000/minute")

    def thousand_of(counters):
        return seconds_of(lambda: [counters.hit([(limit, "a")]) for _ in range(1000)])

    full = MemoryCounters()
    for _ in range(100_000):
        full.hit([(limit, "a")])
    assert thousand_of(full) < 5 * thousand_of(MemoryCounters())


# Claims in their file, of one process and of several

CLAIMER = """
import sys
from pathlib import Path
from apizen.governance.stores.memory import MemoryCounters

counters = MemoryCounters(Path(sys.argv[1]))
print(counters.claim(['sign', 'nonce'], 600), flush=True)
sys.stdin.read()
"""


def test_claims_outlive_a_killed_process(tmp_path):
    path = tmp_path / "data" / "claims"
    process = python(CLAIMER, path, stdin=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "True\n"
        counters = MemoryCounters(path)
        with pytest.raises(CountersError, match="another process uses"):
            counters.claim(["sign"], 600)
        # What is not claimed needs no file.
        assert counters.hit([(MINUTE, "a")])[0].remaining == 2
    finally:
        process.kill()
        process.communicate()

    def known():
        with contextlib.suppress(CountersError):
            return not counters.claim(["sign"], 600)
        return False

    until(known)
    assert not counters.claim(["nonce", "other"], 600)
    assert counters.claim(["other"], 600)
    counters.close()


def test_claims_of_one_process_after_another(tmp_path):
    path, clock = tmp_path / "claims", Clock()
    first = MemoryCounters(path, clock)
    assert not path.exists()
    assert first.claim(["a"], 600)
    first.close()
    second = MemoryCounters(path, clock)
    assert not second.claim(["a"], 600)
    second.close()
    clock.now += 601
    assert second.claim(["a"], 600)
    second.close()
    second.close()
    MemoryCounters().close()


@pytest.mark.parametrize("order", ["one several one", "several one several"])
def test_claims_of_another_number_of_processes(tmp_path, order):
    clock = Clock()
    known = []
    for number, kind in enumerate(order.split()):
        path = tmp_path / ("claims" if kind == "one" else "counters")
        counters = MemoryCounters(path, clock) if kind == "one" else FileCounters(path, clock)
        assert not any(counters.claim([key], 600) for key in known)
        assert counters.claim([str(number)], 600)
        known.append(str(number))
        counters.close()


def test_claims_of_another_server(tmp_path):
    """Who comes first goes on; who comes later is told."""
    one, several = MemoryCounters(tmp_path / "claims"), FileCounters(tmp_path / "counters")
    for first, second in ((one, several), (several, one)):
        assert first.claim([f"a {first.shared}"], 600)
        with pytest.raises(
            CountersError, match=r"another process uses .*claims: each server needs its own data folder"
        ):
            second.claim(["b"], 600)
        assert first.claim([f"c {first.shared}"], 600)
        first.close()
        second.close()


CLAIM_DAMAGES = [
    lambda path: path.unlink(),
    lambda path: os.truncate(path, 0),
    lambda path: os.truncate(path, 8192),
    lambda path: path.write_bytes(b"what is this" * 1000),
    lambda path: path.write_bytes(random.Random(5).randbytes(2**20)),
]

STEADY = """
import sys
from pathlib import Path
from apizen.governance.stores import owned_file
from apizen.governance.stores.memory import MemoryCounters

owned_file._CHECK_SECONDS = 0.0
counters = MemoryCounters(Path(sys.argv[1]))
for line in sys.stdin:
    print([counters.claim([f'{number} {line}'], 600) for number in range(int(sys.argv[2]))].count(True), flush=True)
"""


@pytest.mark.parametrize("damage", CLAIM_DAMAGES)
def test_claims_file_damaged_while_in_use(tmp_path, damage):
    """It kills nobody, nothing is forgotten, and the file is whole again: a killed process leaves it all."""
    path = tmp_path / "claims"
    process = python(STEADY, path, 300, stdin=subprocess.PIPE)

    def ask(line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline()

    try:
        assert [ask("before"), ask("before")] == ["300\n", "0\n"]
        damage(path)
        assert [ask("before"), ask("after"), ask("before"), ask("after")] == ["0\n", "300\n", "0\n", "0\n"]
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    counters = MemoryCounters(path)
    assert not any(counters.claim([f"{number} {line}\n"], 600) for number in range(300) for line in ("before", "after"))
    counters.close()


@pytest.mark.parametrize("damage", CLAIM_DAMAGES)
def test_claims_file_of_several_damaged_while_in_use(tmp_path, damage, monkeypatch):
    counters, other = FileCounters(tmp_path / "counters"), FileCounters(tmp_path / "counters")
    assert [counters.claim(["a"], 600), other.claim(["a"], 600)] == [True, False]
    damage(tmp_path / "claims")
    monkeypatch.setattr(owned_file, "_CHECK_SECONDS", 0.0)

    def claimed():
        with contextlib.suppress(CountersError):
            return counters.claim(["b"], 600)
        return False

    until(claimed)
    until(lambda: not other.claim(["b"], 600))
    # Neither who is counted nor who is locked out has anything to do with it.
    assert counters.hit([(MINUTE, "a")])[0].remaining == 2
    counters.close()
    other.close()


def test_claims_without_locks_of_files(tmp_path, monkeypatch):
    """As on Windows: they stay in memory."""
    monkeypatch.setattr(claims, "CAN_OWN", False)
    monkeypatch.delattr(mmap, "MAP_PRIVATE")
    monkeypatch.delattr(mmap, "MAP_ANONYMOUS")
    counters = MemoryCounters(tmp_path / "claims")
    assert [counters.claim(["a"], 600), counters.claim(["a"], 600)] == [True, False]
    assert list(tmp_path.iterdir()) == []


WINDOWS = """
import importlib, pkgutil, sys

for name in ('fcntl', 'pwd', 'grp', 'resource', 'termios'):
    sys.modules[name] = None
import apizen.governance, apizen.observability
for package in (apizen.governance, apizen.observability):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):
        if '.migrations' not in module.name:
            importlib.import_module(module.name)
            print(module.name)
from pathlib import Path
from apizen.governance.stores.memory import MemoryCounters
counters = MemoryCounters(Path(sys.argv[1]) / 'claims')
print([counters.claim(['a'], 600), counters.claim(['a'], 600), list(Path(sys.argv[1]).iterdir())])
"""


def test_modules_without_those_of_unix(tmp_path):
    process = python(WINDOWS, tmp_path)
    lines = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode == 0
    assert lines[-1] == "[True, False, []]"
    assert {"apizen.governance.stores.file", "apizen.governance.governance"} <= set(lines)


# The file

# Machines that run the tests may hold up a process for longer than it waits.
PATIENT = """
from apizen.governance.stores import shared_file
shared_file._SECONDS_OF_WAITING = 30.0
"""

WORKER = (
    PATIENT
    + """
import os, sys
from pathlib import Path
import limits
from apizen.governance.stores.file import FileCounters

counters = FileCounters(Path(sys.argv[1]))
counters.hit([(limits.parse('5/hour'), 'before the fork')])
reader, writer = os.pipe()
for worker in range(4):
    if os.fork() == 0:
        hits = [counters.hit([(limits.parse('300/hour'), 'shared')])[0].allowed for _ in range(200)]
        many = [counters.hit([(limits.parse('1000/hour'), 'many')])[0].allowed for _ in range(400)]
        both = [all(each.allowed for each in counters.hit(
            [(limits.parse('40/hour'), 'narrow'), (limits.parse('90/hour'), 'wide')])) for _ in range(30)]
        claims = [counters.claim([f'claim {number}'], 600) for number in range(50) for _ in range(5)]
        claims += [counters.claim([f'sign {number}', f'nonce {number}'], 600) for number in range(100)]
        os.write(writer, b'%d %d %d %d\\n' % (sum(hits), sum(many), sum(both), sum(claims)))
        os._exit(0)
for worker in range(4):
    assert os.wait()[1] == 0
os.close(writer)
print(open(reader).read())
"""
)

FOREVER = (
    PATIENT
    + """
import sys
from pathlib import Path
import limits
from apizen.governance.stores.file import FileCounters

counters = FileCounters(Path(sys.argv[1]))
print('started', flush=True)
while True:
    counters.hit([(limits.parse('100/hour'), 'a'), (limits.parse('100000/hour'), 'b')])
    counters.claim(['a'], 600)
"""
)


def python(script, *arguments, stdin=None):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdin=stdin, stdout=subprocess.PIPE, text=True)


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], 'r+b')
fcntl.flock(file, fcntl.LOCK_EX)
print('held', flush=True)
sys.stdin.read()
"""


def test_file_that_another_process_keeps_locked(tmp_path, monkeypatch):
    monkeypatch.setattr("apizen.governance.stores.shared_file._SECONDS_OF_WAITING", 0.5)
    path = tmp_path / "counters"
    counters = FileCounters(path)
    assert counters.claim(["a"], 600)
    process = python(HOLDER, path, stdin=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "held\n"
        start = time.monotonic()
        with pytest.raises(CountersError, match="another process keeps it locked"):
            counters.claim(["a"], 600)
        assert time.monotonic() - start > 0.4
        start = time.monotonic()
        for question in (
            lambda: counters.hit([(MINUTE, "a")]),
            counters.locks,
            lambda: counters.claim(["a"], 600),
        ) * 20:
            with pytest.raises(CountersError, match="another process keeps it locked"):
                question()
        assert time.monotonic() - start < 15  # not half a second each
    finally:
        process.communicate()
    assert not counters.claim(["a"], 600)
    assert counters.claim(["b"], 600)


def test_file_waits_for_a_lock_that_is_held_briefly(tmp_path, monkeypatch):
    monkeypatch.setattr("apizen.governance.stores.shared_file._SECONDS_OF_WAITING", 30.0)
    path = tmp_path / "counters"
    counters = FileCounters(path)
    assert counters.claim(["a"], 600)
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = threading.Timer(0.1, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        end.start()
        assert not counters.claim(["a"], 600)
        end.join()


def test_file_four_processes(tmp_path):
    process = python(WORKER, tmp_path / "counters")
    lines, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    sums = [sum(column) for column in zip(*(map(int, line.split()) for line in lines.split("\n") if line), strict=True)]
    assert sums == [300, 1000, 40, 150]
    counters = FileCounters(tmp_path / "counters")
    assert counters.hit([(limits.parse("90/hour"), "wide")])[0].remaining == 49
    assert counters.hit([(limits.parse("5/hour"), "before the fork")])[0].remaining == 3


def test_file_killed_process_leaves_no_lock_and_whole_windows(tmp_path, monkeypatch):
    processes = [python(FOREVER, tmp_path / "counters") for _ in range(4)]
    try:
        for process in processes:
            assert process.stdout.readline() == "started\n"
        monkeypatch.setattr("apizen.governance.stores.shared_file._SECONDS_OF_WAITING", 30.0)
        counters = FileCounters(tmp_path / "counters")
        for process in processes:
            time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert not counters.hit([(limits.parse("100/hour"), "a")])[0].allowed
            assert not counters.claim(["a"], 600)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert counters.hit([(limits.parse("100000/hour"), "b")])[0].remaining == 100_000 - 101


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: os.truncate(path, 0),
        lambda path: os.truncate(path, 4096),
        lambda path: path.write_bytes(b"what is this" * 1000),
        lambda path: (path.unlink(), path.parent.rmdir()),
    ],
)
def test_file_is_made_anew(tmp_path, damage):
    path = tmp_path / "sub" / "counters"
    counters, other = FileCounters(path), FileCounters(path)
    assert counters.hit([(MINUTE, "a")])[0].remaining == 2
    assert other.hit([(MINUTE, "a")])[0].remaining == 1
    damage(path)

    def anew():
        with contextlib.suppress(CountersError):
            return counters.hit([(WIDE, "b")])[0].remaining >= 8 and path.exists() and counters.claim(["b"], 60)
        return False

    until(anew)
    until(lambda: not other.claim(["b"], 60))
    assert counters.hit([(MINUTE, "a")])[0].remaining == 2
    assert other.hit([(MINUTE, "a")])[0].remaining == 1


@pytest.mark.parametrize("seed", range(3))
def test_file_garbage_inside(tmp_path, seed):
    path = tmp_path / "counters"
    counters = FileCounters(path, callers=1024)
    for number in range(50):
        counters.hit([(MINUTE, str(number))])
        counters.lock(str(number), 600)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(random.Random(seed).randbytes(size - 4096))
    for number in range(50):
        assert counters.hit([(MINUTE, str(number))])[0] == Decision(True, 2, 60)
    assert counters.locks() == {}
    counters.lock("a", 600)
    assert set(counters.locks()) == {"a"}


def test_file_garbage_in_records(tmp_path, monkeypatch):
    """Where the tables are whole and what they point to is not, nothing is believed of it."""
    monkeypatch.setattr("apizen.governance.stores.file._Records.write", scribble)
    counters, clock = FileCounters(tmp_path / "counters", Clock()), Clock()
    counters.hit([(MINUTE, "a")])
    counters.lock("a", 600)
    monkeypatch.undo()
    assert counters.locks() == {}
    assert counters.hit([(MINUTE, "a")])[0] == Decision(True, 2, 60)
    counters.lock("a", 600)
    assert counters.locks() == {"a": clock.now + 600}


def scribble(records, number, content):
    garbage = random.Random(number).randbytes(records._size)
    records._file.write(records._data_at + number * records._size, garbage)


def test_file_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    counters = FileCounters(tmp_path / "file" / "counters")
    for question in (lambda: counters.hit([(MINUTE, "a")]), lambda: counters.claim(["a"], 1), counters.locks):
        with pytest.raises(CountersError, match=r"File exists|Not a directory"):
            question()
    counters.close()


def test_file_is_private_and_sparse(tmp_path):
    counters = FileCounters(tmp_path / "data" / "counters")
    counters.hit([(MINUTE, "a")])
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    found = (tmp_path / "data" / "counters").stat()
    assert found.st_mode & 0o777 == 0o600
    assert found.st_blocks * 512 < 2**20
    counters.close()
    assert counters.hit([(MINUTE, "a")])[0].remaining == 1


# Redis


async def answers(counters, key="a"):
    try:
        await counters.claim([key], 60)
    except CountersError:
        return False
    return True


def test_redis_concurrent_calls(monkeypatch):
    monkeypatch.setattr("apizen.governance.stores.redis._SECONDS_OF_WAITING", 30.0)

    async def run():
        counters, other = RedisCounters(server.url), RedisCounters(server.url)
        hundred = [(limits.parse("100/hour"), "a")]
        hits = await asyncio.gather(*(each.hit(hundred) for each in (counters, other) * 150))
        claims = await asyncio.gather(*(each.claim(["a", "b"], 600) for each in (counters, other) * 50))
        await counters.close()
        await other.close()
        return sum(decision.allowed for [decision] in hits), sum(claims)

    with redis() as server:
        assert asyncio.run(run()) == (100, 1)


def test_redis_killed_and_back():
    async def run():
        counters = RedisCounters(server.url)
        assert await answers(counters)
        server.kill()
        start = time.monotonic()
        for question in (
            lambda: counters.claim(["b"], 60), lambda: counters.hit([(MINUTE, "a")]), counters.locks,
            lambda: counters.lock("a", 1),
        ):  # fmt: skip
            with pytest.raises(CountersError):
                await question()
        assert await asyncio.gather(*(answers(counters) for _ in range(1000))) == [False] * 1000
        assert time.monotonic() - start < 60  # not a second each
        server.start()
        deadline = time.monotonic() + 20
        while not await answers(counters):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert (await counters.hit([(MINUTE, "a")]))[0] == Decision(True, 2, 60)
        # Restarted while nobody asked: not even one call sees it.
        server.kill()
        server.start()
        await asyncio.sleep(0.1)
        assert await answers(counters)
        await counters.close()

    with redis() as server:
        asyncio.run(run())


def test_redis_stuck():
    async def not_asked(counters):
        with pytest.raises(CountersError, match=r"^Redis failed a moment ago$"):
            await counters.locks()

    async def run():
        counters = RedisCounters(server.url)
        assert await answers(counters)
        server.process.send_signal(signal.SIGSTOP)
        try:
            start = time.monotonic()
            assert not any(await asyncio.gather(*(answers(counters) for _ in range(100))))
            assert 0.9 < time.monotonic() - start < 60  # not a second each
            counters._rests_until = time.monotonic() + 60
            await not_asked(counters)
            counters._rests_until = 1.0  # it has rested
            trying = asyncio.create_task(answers(counters))
            await asyncio.sleep(0)
            await not_asked(counters)
            trying.cancel()
            await asyncio.wait([trying])
        finally:
            server.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 20
        while not await answers(counters):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        await counters.close()

    with redis() as server:
        asyncio.run(run())


def test_redis_error_fails_that_call_only():
    async def run():
        counters = RedisCounters(server.url)
        assert (await counters.hit([(MINUTE, "a")]))[0] == Decision(True, 2, 60)
        (window,) = await counters._redis.keys("apizen:window:*")
        await counters._redis.set(window, b"no window")
        await counters._redis.set("apizen:locks", "no set")
        for question in (counters.locks, lambda: counters.lock("a", 1), lambda: counters.hit([(MINUTE, "a")])):
            with pytest.raises(CountersError, match="Redis: ResponseError: "):
                await question()
            assert await counters.hit([(MINUTE, "b")])
        # Not even while it is just being tried whether Redis is back.
        counters._rests_until = 1.0
        with pytest.raises(CountersError, match="Redis: ResponseError: "):
            await counters.locks()
        assert await counters.claim(["b"], 60)
        await counters.close()

    with redis() as server:
        asyncio.run(run())


def test_redis_cancelled_at_any_moment():
    async def cancelled(counters, steps):
        async def ask():
            while True:
                await answers(counters)

        asking = asyncio.create_task(ask())
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking], timeout=2)
        while not asking.done():
            asking.cancel()
            await asyncio.wait([asking], timeout=2)
        return asking.cancelling() == 1

    async def run():
        counters = RedisCounters(server.url)
        assert await answers(counters)
        for steps in range(40):
            assert await cancelled(counters, steps)
        assert await answers(counters)
        await counters.close()

    with redis() as server:
        asyncio.run(run())


def test_redis_keys_have_a_prefix_and_an_end():
    async def run():
        counters = RedisCounters(server.url)
        await counters.hit([(MINUTE, "a")])
        await counters.claim(["a"], 60)
        await counters.lock("a", 60)
        client = counters._redis
        keys = sorted(await client.keys("*"))
        ends = [await client.pttl(key) for key in keys]
        await counters.close()
        return [key.split(b":")[:2] for key in keys], ends

    with redis() as server:
        keys, ends = asyncio.run(run())
    assert keys == [[b"apizen", b"claim"], [b"apizen", b"locks"], [b"apizen", b"window"]]
    assert all(0 < end <= 62_000 for end in (ends[0], ends[2]))


def test_redis_without_memory_left():
    async def run():
        counters = RedisCounters(server.url)
        client = counters._redis
        assert await counters.claim(["a"], 600)
        await client.config_set("maxmemory", 1)
        for question in (lambda: counters.claim(["b"], 60), lambda: counters.hit([(MINUTE, "a")])):
            with pytest.raises(CountersError, match="Redis: OutOfMemoryError: "):
                await question()
        assert counters.times_full == 2
        # Of lock-outs there are never many: Redis still takes them.
        await counters.lock("a", 60)
        assert set(await counters.locks()) == {"a"}
        await client.config_set("maxmemory", 0)
        # Nothing was forgotten for it.
        assert not await counters.claim(["a"], 600)
        assert (await counters.hit([(MINUTE, "a")], Group.APPS))[0] == Decision(True, 2, 60)
        await counters.close()

    with redis() as server:
        asyncio.run(run())


def test_redis_locks_full_the_first_to_end_makes_room():
    async def run():
        counters = RedisCounters(server.url)
        counters._lock = counters._redis.register_script(_LOCK.replace(str(MOST_LOCKS), "3"))
        for name, seconds in (("a", 600), ("b", 500), ("c", 700), ("a", 650), ("d", 400), ("e", 300)):
            await counters.lock(name, seconds)
        found = await counters.locks()
        await counters.close()
        return set(found)

    with redis() as server:
        assert asyncio.run(run()) == {"a", "c", "e"}


@pytest.mark.parametrize("url", ["", "http://localhost", "localhost:6379", "redis://localhost:port/0"])
def test_redis_url(url):
    with pytest.raises(ValueError):
        RedisCounters(url)


# Helpers


def test_begun():
    done = []

    async def work(pause):
        done.append(await outcome_of(7))
        await outcome_of(pause)

    assert begun(work(None), waits=False) is None
    assert done == [7]
    waiting = begun(work(asyncio.sleep(0)), waits=True)
    assert done == [7]
    asyncio.run(waiting)
    assert done == [7, 7]
    with pytest.raises(RuntimeError, match=r"work.* waits, though nothing was to wait"):
        begun(work(asyncio.sleep(0)), waits=False)
    with pytest.raises(CountersError):
        begun(failing(), waits=False)


async def failing():
    raise CountersError


def test_no_thread_is_started():
    before = threading.active_count()
    MemoryCounters().hit([(MINUTE, "a")])
    assert threading.active_count() == before
