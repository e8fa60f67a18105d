from __future__ import annotations

import itertools
import logging
import tracemalloc

import pytest

from screenshare.attempts import Attempts

ONE, OTHER = "192.0.2.7", "2001:db8::/64"


class Clock:
    """Seconds that a test moves on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(clock)


def guess(attempts: Attempts, network: str, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        attempts.add(network, str(number))


def test_the_lock_grows_with_each_five(attempts: Attempts, clock: Clock) -> None:
    locks = []
    for turn in range(6):
        guess(attempts, ONE, 4, 10 * turn)
        assert attempts.locked(ONE) == 0
        guess(attempts, ONE, 1, 10 * turn + 4)
        locks.append(attempts.locked(ONE))
        clock.now += locks[-1]
    assert locks == [60, 300, 900, 3600, 3600, 3600]


@pytest.mark.parametrize(("quiet", "lock"), [(3599, 300), (3600, 60)])
def test_an_hour_without_a_lock_forgets(attempts: Attempts, clock: Clock, quiet: float, lock: float) -> None:
    guess(attempts, ONE, 5)
    clock.now += 60 + quiet
    guess(attempts, ONE, 4, 10)
    assert attempts.locked(ONE) == 0
    guess(attempts, ONE, 1, 14)
    assert attempts.locked(ONE) == lock


@pytest.mark.parametrize(("quiet", "lock"), [(3599, 60), (3600, 0)])
def test_an_hour_after_a_wrong_pin_forgets(attempts: Attempts, clock: Clock, quiet: float, lock: float) -> None:
    guess(attempts, ONE, 4)
    clock.now += quiet
    guess(attempts, ONE, 1, 4)
    assert attempts.locked(ONE) == lock


def test_pauses_do_not_evade_the_lock(attempts: Attempts, clock: Clock) -> None:
    """However somebody spreads the tries, a network has no more than this in a day."""
    most = 0
    for pause in (0, 30, 61, 301, 901, 3601):
        pins = itertools.count()
        tried, end = 0, clock.now + 86400
        while clock.now < end:
            if attempts.locked(ONE):
                clock.now += attempts.locked(ONE)
            attempts.add(ONE, f"{pause} {next(pins)}")
            tried += 1
            clock.now += pause
        most = max(most, tried)
        clock.now += 10_000
    assert most <= 20 + 5 * 24


def test_the_right_pin_clears_one_network_only(attempts: Attempts) -> None:
    guess(attempts, ONE, 4)
    guess(attempts, OTHER, 4, 10)
    attempts.clear(ONE)
    guess(attempts, ONE, 1, 20)
    guess(attempts, OTHER, 1, 21)
    assert (attempts.locked(ONE), attempts.locked(OTHER)) == (0, 60)


def test_the_same_wrong_pin_counts_once_in_an_hour(attempts: Attempts, clock: Clock) -> None:
    for network in [f"198.51.100.{number}" for number in range(250)] * 2:
        attempts.add(network, "1234")
        assert attempts.locked(network) == 0
    assert attempts.closed() == 0
    guess(attempts, ONE, 4)
    attempts.add(ONE, "1234")
    assert attempts.locked(ONE) == 0
    clock.now += 3600
    guess(attempts, ONE, 4)
    attempts.add(ONE, "1234")
    assert attempts.locked(ONE) == 60


def test_a_hundred_in_an_hour_close_for_all(attempts: Attempts, clock: Clock) -> None:
    for number in range(100):
        assert attempts.closed() == 0
        guess(attempts, f"198.51.100.{number}", 1, number)
        clock.now += 10
    assert attempts.closed() == 3590
    clock.now += 3590
    assert attempts.closed() == 0
    guess(attempts, ONE, 99, 1000)
    assert attempts.closed() == 0
    guess(attempts, ONE, 1, 2000)
    assert attempts.closed() == 3600


def test_fewer_in_an_hour_do_not(attempts: Attempts, clock: Clock) -> None:
    for number in range(500):
        guess(attempts, f"198.51.100.{number}", 1, number)
        clock.now += 37
        assert attempts.closed() == 0


def test_a_swarm_has_a_hundred_an_hour(attempts: Attempts, clock: Clock) -> None:
    networks, pins = itertools.count(), itertools.count()
    tried = 0
    for _ in range(6 * 360):  # each ten seconds of six hours, as many as it can
        for _ in range(20):
            if not attempts.closed():
                attempts.add(f"network {next(networks)}", f"{next(pins)}")
                tried += 1
        clock.now += 10
    assert tried == 600


def test_memory_is_bounded(attempts: Attempts, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)  # the log is kept while a test runs

    def attack(hours: int, start: int) -> None:
        for number in range(start, start + hours * 1000):
            if not attempts.closed():
                attempts.add(f"network {number}", f"pin {number}")
            clock.now += 3.6

    tracemalloc.start()
    try:
        attack(3, 10_000)
        before = tracemalloc.get_traced_memory()[0]
        attack(6, 20_000)
        assert tracemalloc.get_traced_memory()[0] < 1.3 * before
    finally:
        tracemalloc.stop()
    assert 100 <= len(attempts._records) <= 200
    assert len(attempts._wrong) <= 100
    clock.now += 7200
    guess(attempts, ONE, 1)
    assert (list(attempts._records), list(attempts._wrong)) == ([ONE], ["0"])


def test_the_host_is_told_once(attempts: Attempts, caplog: pytest.LogCaptureFixture) -> None:
    guess(attempts, ONE, 5)
    guess(attempts, OTHER, 4, 10)
    for number in range(91):
        guess(attempts, f"198.51.100.{number}", 1, 100 + number)
    attempts.closed()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "192.0.2.7 is locked for 60 s after 5 wrong PINs"),
        (logging.WARNING, "100 wrong PINs within an hour: for 3600 s none is taken, only links are"),
    ]
