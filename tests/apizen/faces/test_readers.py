from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from apizen.exception import ApiSysExceptions
from apizen.faces.readers import MOST_WAITING, Readers


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened at the end, whatever happens: the threads must end."""
    gate = threading.Event()
    yield gate
    gate.set()


class Count:
    """How many are inside at once, and at most were."""

    def __init__(self, gate: threading.Event) -> None:
        self._gate = gate
        self._lock = threading.Lock()
        self.inside = self.most = self.ended = 0

    def work(self) -> int:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._gate.wait(10)
        with self._lock:
            self.inside -= 1
            self.ended += 1
        return self.ended


async def begun(readers: Readers, count: Count, times: int) -> list[asyncio.Task[int]]:
    """So much work, when both threads are at it."""
    reading = [asyncio.create_task(readers.run(count.work, 10)) for _ in range(times)]
    while count.inside < 2:
        await asyncio.sleep(0)
    return reading


def test_two_at_a_time(gate: threading.Event) -> None:
    count = Count(gate)

    async def read() -> None:
        readers = Readers()
        reading = await begun(readers, count, 8)
        gate.set()
        assert sorted(await asyncio.gather(*reading)) == list(range(1, 9))
        assert count.most == 2

    asyncio.run(read())


def test_too_many_wait(gate: threading.Event) -> None:
    count = Count(gate)

    async def read() -> None:
        readers = Readers()
        reading = [asyncio.create_task(readers.run(count.work, 10)) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(ApiSysExceptions.service_busy):
            await readers.run(count.work, 10)
        gate.set()
        await asyncio.gather(*reading)
        assert await readers.run(lambda: "read", 10) == "read"

    asyncio.run(read())


def test_what_does_not_begin_in_time_never_begins(gate: threading.Event) -> None:
    count = Count(gate)

    async def read() -> None:
        readers = Readers()
        reading = await begun(readers, count, 2)
        for _ in range(2 * MOST_WAITING):  # each leaves its place free
            with pytest.raises(ApiSysExceptions.call_timeout):
                await readers.run(count.work, 0.001)
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*reading)
        assert await readers.run(lambda: "read", 10) == "read"
        assert count.ended == 2

    asyncio.run(read())


def test_work_that_takes_too_long_is_not_waited_for(gate: threading.Event) -> None:
    async def read() -> None:
        with pytest.raises(ApiSysExceptions.call_timeout):
            await Readers().run(gate.wait, 0.001)

    asyncio.run(read())


def fail() -> None:
    raise ValueError("reason")


@pytest.mark.parametrize("seconds", [10.0, 0.0])
def test_an_exception_of_the_work(seconds: float, recwarn: pytest.WarningsRecorder) -> None:
    work: Callable[[], None] = fail
    with pytest.raises((ValueError, ApiSysExceptions.call_timeout)):
        asyncio.run(Readers().run(work, seconds))
    assert not recwarn
