import random
from collections import deque

import limits
import pytest

from apizen.governance.stores.window import GRAINS, Decision, Window, decide


def allowed_times(text: str, times: list[float]) -> tuple[list[float], Window]:
    limit, window = limits.parse(text), Window()
    return [now for now in times if decide([(limit, window)], now)[0].allowed], window


def exact(amount: int, seconds: float, times: list[float]) -> list[float]:
    """What a moving window of single calls lets pass."""
    live: deque[float] = deque()
    passed = []
    for now in times:
        while live and live[0] <= now - seconds:
            live.popleft()
        if len(live) < amount:
            live.append(now)
            passed.append(now)
    return passed


@pytest.mark.parametrize("text", ["1/second", "7/10 seconds", f"{GRAINS}/minute"])
def test_window_small_limit_is_exact(text):
    limit = limits.parse(text)
    source = random.Random(text)
    times = sorted(1e9 + source.uniform(0, 5 * limit.get_expiry()) for _ in range(20 * limit.amount))
    assert allowed_times(text, times)[0] == exact(limit.amount, limit.get_expiry(), times)


@pytest.mark.parametrize("text", [f"{GRAINS + 1}/minute", "1000/minute", "5000/10 seconds"])
def test_window_large_limit_is_never_exceeded_and_at_most_a_grain_late(text):
    limit = limits.parse(text)
    amount, seconds = limit.amount, limit.get_expiry()
    source = random.Random(text)
    times = sorted(1e9 + source.uniform(0, 3 * seconds) for _ in range(9 * amount))
    passed, window = allowed_times(text, times)
    assert all(later - earlier > seconds for earlier, later in zip(passed, passed[amount:], strict=False))
    assert len(passed) >= len(exact(amount, seconds * (1 + 1.01 / (GRAINS - 2)), times)) - amount // 50
    assert len(window.times) == len(window.counts) <= GRAINS
    assert sum(window.counts) == window.total


def test_window_moves():
    limit, window = limits.parse("2/minute"), Window()
    assert [decide([(limit, window)], now)[0] for now in (100, 130, 159.5, 160, 161, 190)] == [
        Decision(True, 1, 60), Decision(True, 0, 30), Decision(False, 0, 0.5), Decision(True, 0, 30),
        Decision(False, 0, 29), Decision(True, 0, 30),
    ]  # fmt: skip


def test_decide_counts_everywhere_or_nowhere():
    narrow, wide = (limits.parse("1/minute"), Window()), (limits.parse("5/minute"), Window())
    assert decide([narrow, wide], 100) == [Decision(True, 0, 60), Decision(True, 4, 60)]
    for _ in range(10):
        assert decide([narrow, wide], 110) == [Decision(False, 0, 50), Decision(True, 4, 50)]


@pytest.mark.parametrize(("back", "free"), [(0.5, False), (3600, True)])
def test_window_clock_set_back(back, free):
    limit, window = limits.parse("1/minute"), Window()
    decide([(limit, window)], 10_000)
    assert decide([(limit, window)], 10_000 - back)[0].allowed is free
