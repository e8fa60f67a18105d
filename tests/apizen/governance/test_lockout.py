import asyncio
import contextlib
import time

import pytest

from apizen.exception import ApiException
from apizen.governance import lockout as lockout_module
from apizen.governance.address import CallerAddress, Networks
from apizen.governance.error import CountersError
from apizen.governance.lockout import Lockout
from apizen.governance.stores.base import outcome_of
from apizen.governance.stores.file import FileCounters
from apizen.governance.stores.memory import MemoryCounters
from apizen.governance.stores.redis import RedisCounters
from apizen.request import Request
from tests.apizen.governance.stores.real import NAMES, store_of
from tests.services import redis

ADDRESS = "192.0.2.7"


class Broken(MemoryCounters):
    """A shared store that fails."""

    shared = True

    def hit(self, hits, group):
        raise CountersError("no such host")

    def locks(self):
        raise CountersError("no such host")


def refused(lockout, address, **how):
    try:
        lockout.refuse(address, **how)
    except ApiException as error:
        return error
    return None


def fail(lockout, address, **how):
    try:
        asyncio.run(lockout.failed(address, **how))
    except ApiException as error:
        return error
    return None


@pytest.mark.parametrize("name", NAMES)
def test_failed(name, tmp_path):
    with store_of(name, tmp_path) as store:
        lockout = Lockout(store.counters, "3/minute", 300)

        def fail():
            with contextlib.suppress(ApiException):
                return store.do(lambda: lockout.failed(ADDRESS))
            return "refused"

        assert [fail(), fail(), refused(lockout, ADDRESS)] == [None] * 3
        assert fail() is None
        error = refused(lockout, ADDRESS)
        assert (error.err_code, error.status_code) == (1002, 403)
        assert error.message == "限制时间内调用失败次数，已达 3 次，请在 300 秒后重试"
        assert error.headers == {"Retry-After": "300"}
        assert refused(lockout, "192.0.2.8") is None
        # Calls that were let in before the lock-out and fail after it.
        assert fail() == "refused"


def test_failed_addresses_count_apart():
    lockout = Lockout(MemoryCounters(), "3/minute", 300)
    for number in range(3):
        assert fail(lockout, f"192.0.2.{number}") is None
    assert not any(refused(lockout, f"192.0.2.{number}") for number in range(3))


def test_failed_ipv6_network_is_one_caller():
    lockout = Lockout(MemoryCounters(), "3/minute", 300)
    for number in range(3):
        assert fail(lockout, f"2001:db8::{number}") is None
    assert refused(lockout, "2001:db8::ffff")
    assert not refused(lockout, "2001:db8:0:1::1")


@pytest.mark.parametrize(
    ("failing", "refused_too", "free"),
    [
        (["2001:db8::1", "2001:DB8:0:0:ffff::", "2001:db8::a:b:c:d"], ["2001:db8::9"], ["2001:db8:0:1::1"]),
        (["::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"], ["192.0.2.7", "::ffff:c000:207"], ["192.0.2.8", "::1"]),
        (["fe80::1%eth0", "fe80::2%eth1", "fe80::3"], ["fe80::4%eth2"], ["fe81::1"]),
        (["no address"] * 3, ["no address"], ["another", "192.0.2.7"]),
        ([""] * 50, [], ["", "192.0.2.7"]),
    ],
)  # fmt: skip
def test_addresses(failing, refused_too, free):
    lockout = Lockout(MemoryCounters(), "3/minute", 300)
    for address in failing:
        assert fail(lockout, address) is None
    assert all(refused(lockout, address) for address in refused_too)
    assert not any(refused(lockout, address) for address in free)


def test_calls_from_other_sites_count_apart():
    lockout = Lockout(MemoryCounters(), "2/minute", 300)
    assert not lockout.active
    for address in ("2001:db8::1", "2001:db8::2", "", ""):
        assert fail(lockout, address, cross_site=True) is None
    assert lockout.active
    assert refused(lockout, "2001:db8::3", cross_site=True)
    assert not refused(lockout, "2001:db8::3")
    assert not refused(lockout, "", cross_site=True)


def test_calls_from_other_sites_are_locked_out_with_their_address():
    lockout = Lockout(MemoryCounters(), "1/minute", 300)
    assert fail(lockout, ADDRESS) is None
    assert refused(lockout, ADDRESS, cross_site=True)
    assert not refused(lockout, "192.0.2.8", cross_site=True)


@pytest.mark.parametrize(
    ("peer", "forwarded", "locked"),
    [
        # What a trusted proxy wrote itself, at the right, counts; what a caller writes before it changes nothing.
        ("10.0.0.1", "{}, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "{}, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", "{}, [2001:db8::7]:4711", "2001:db8::"),
        # A caller who is no proxy is not asked for whom it calls.
        ("192.0.2.7", "{}", "192.0.2.7"),
        # What can't be read is the proxy's fault or the caller's: the last hop that is known counts.
        ("10.0.0.1", "{}, nobody", "10.0.0.1"),
        ("10.0.0.1", "{},", "10.0.0.1"),
    ],
)  # fmt: skip
def test_forwarded_lists_neither_evade_nor_blame(peer, forwarded, locked):
    address_of = CallerAddress(Networks.of(["10.0.0.0/8"])).of
    lockout = Lockout(MemoryCounters(), "3/minute", 300)
    for number in range(3):
        request = Request("GET", "", {"X-Forwarded-For": forwarded.format(f"198.51.100.{number}")}, peer=peer)
        assert fail(lockout, address_of(request)) is None
    assert refused(lockout, locked)
    assert not any(refused(lockout, f"198.51.100.{number}") for number in range(3))


def test_lockout_ends():
    lockout = Lockout(MemoryCounters(), "1/second", 1)
    start = time.time()
    assert fail(lockout, ADDRESS) is None
    assert refused(lockout, ADDRESS).headers == {"Retry-After": "1"}
    while refused(lockout, ADDRESS):
        assert time.time() - start < 20
        time.sleep(0.02)
    assert time.time() - start >= 1
    assert lockout._locked == {}


def test_empty_limit_locks_nobody_out():
    lockout = Lockout(MemoryCounters(), "", 300)
    assert [fail(lockout, ADDRESS) for _ in range(50)] == [None] * 50
    assert refused(lockout, ADDRESS) is None


def test_wrong_limit():
    with pytest.raises(ValueError, match="a rate is written as"):
        Lockout(MemoryCounters(), "often", 300)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(lockout_module, "_MOST_LOCKED", 5)
    lockout = Lockout(MemoryCounters(), "1/minute", 300)
    for number in range(20):
        fail(lockout, f"192.0.2.{number}")
    assert [number for number in range(20) if refused(lockout, f"192.0.2.{number}")] == [15, 16, 17, 18, 19]


def test_store_fails(caplog):
    lockout = Lockout(Broken(), "1/minute", 300)
    assert [fail(lockout, ADDRESS) for _ in range(20)] == [None] * 20
    assert refused(lockout, ADDRESS) is None

    async def watch():
        task = asyncio.create_task(lockout.watch())
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(watch())
    assert [record.getMessage() for record in caplog.records] == [
        "the store of lock-outs fails, failed calls are not counted: no such host"
    ]


def test_all_places_for_lock_outs_are_taken(monkeypatch, caplog):
    monkeypatch.setattr("apizen.governance.stores.memory.MOST_LOCKS", 1)
    counters = MemoryCounters()
    lockout = Lockout(counters, "1/minute", 300)
    assert [fail(lockout, "192.0.2.1"), fail(lockout, "192.0.2.2")] == [None, None]
    assert refused(lockout, "192.0.2.1")
    assert refused(lockout, "192.0.2.2")
    assert set(counters.locks()) == {"address:192.0.2.2"}
    assert caplog.records == []


@pytest.mark.parametrize(
    ("flood", "member", "others"),
    [
        ("2001:db8:a:{:x}::1", "2001:db8:1:f{:03x}::1", ["2001:db8:2::1", "192.0.2.1"]),
        ("10.{}.{}.1", "192.0.2.{}", ["192.0.3.1", "2001:db8::1"]),
    ],
)
@pytest.mark.parametrize("name", ["memory", "file"])
def test_many_addresses_can_not_end_lock_outs(name, flood, member, others, tmp_path, caplog):
    """Failures of a few hundred addresses take all places: the next failures lock their network out."""
    made = {"memory": lambda: MemoryCounters(callers=256), "file": lambda: FileCounters(tmp_path / "c", callers=256)}
    counters = made[name]()
    lockout = Lockout(counters, "3/minute", 300)
    for number in range(300):
        if counters.times_full:
            break
        fail(lockout, flood.format(number, number))
    assert counters.times_full == 1
    # Each of them is new, and fails once.
    failures = [fail(lockout, member.format(number)) for number in range(2, 9)]
    assert [error and error.err_code for error in failures] == [None] * 3 + [1002] * 4
    assert refused(lockout, member.format(200)).err_code == 1002
    assert not any(refused(lockout, other) for other in others)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "all places for failed calls of addresses are taken"
    ]
    counters.close()


def test_watch_of_memory_ends():
    asyncio.run(asyncio.wait_for(Lockout(MemoryCounters(), "1/minute", 300).watch(), 5))


@contextlib.contextmanager
def two_processes(name, folder):
    """Makers of stores as two processes would have them."""
    if name == "file":
        yield lambda: FileCounters(folder / "counters")
    else:
        with redis() as server:
            yield lambda: RedisCounters(server.url)


@pytest.mark.parametrize("name", ["file", "redis"])
def test_watch_tells_other_processes(name, tmp_path):
    async def run(made):
        stores = [made(), made()]
        here, there = (Lockout(store, "2/minute", 2) for store in stores)
        watching = asyncio.create_task(there.watch())
        for _ in range(2):
            await here.failed(ADDRESS)
        assert refused(here, ADDRESS)
        for expected in (True, False):
            deadline = time.monotonic() + 20
            while bool(refused(there, ADDRESS)) is not expected:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
        with pytest.raises(ApiException):
            await there.failed(ADDRESS)
        watching.cancel()
        await asyncio.wait([watching])
        for store in stores:
            await outcome_of(store.close())

    with two_processes(name, tmp_path) as made:
        asyncio.run(run(made))
