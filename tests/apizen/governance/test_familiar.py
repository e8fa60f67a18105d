"""Which apps an address has used well of late."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from apizen.governance import familiar as familiar_module
from apizen.governance.error import CountersError
from apizen.governance.familiar import FamiliarApps
from apizen.governance.stores.memory import MemoryCounters


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Broken(MemoryCounters):
    def claim(self, *_: Any) -> Any:
        raise CountersError("nobody there")

    is_any_claimed = claim


def add(familiar: FamiliarApps, address: str, app_key: str = "1") -> None:
    asyncio.run(familiar.add(address, app_key))


def has(familiar: FamiliarApps, address: str, app_key: str = "1") -> bool:
    return asyncio.run(familiar.has(address, app_key))


@pytest.mark.parametrize("began", range(1_000_000, 1_001_200, 300))
def test_an_hour_after_the_last_good_call_it_is_forgotten(began: int) -> None:
    clock = Clock()
    clock.now = began
    counters = MemoryCounters(clock=clock)
    familiar, other = (FamiliarApps(counters, clock) for _ in range(2))
    add(familiar, "192.0.2.7")
    clock.now += 3000
    add(familiar, "192.0.2.7")
    clock.now += 3600
    assert [has(one, "192.0.2.7") for one in (familiar, other)] == [True, True]
    clock.now += 1200
    assert [has(one, "192.0.2.7") for one in (familiar, other)] == [False, False]


@pytest.mark.parametrize(
    ("address", "app_key", "known"),
    [
        ("192.0.2.7", "1", True),
        ("::ffff:192.0.2.7", "1", True),
        ("192.0.2.7", "2", False),
        ("192.0.2.8", "1", False),
        ("2001:db8::ffff", "3", True),
        ("2001:db8:0:1::7", "3", False),
    ],
)
@pytest.mark.parametrize("asks", ["the same process", "another one"])
def test_has(address: str, app_key: str, known: bool, asks: str) -> None:
    counters = MemoryCounters()
    familiar = FamiliarApps(counters)
    add(familiar, "192.0.2.7")
    add(familiar, "2001:db8::7", "3")
    assert has(familiar if asks == "the same process" else FamiliarApps(counters), address, app_key) is known


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    for known in (False, True):
        counters = MemoryCounters(tmp_path / "claims")
        familiar = FamiliarApps(counters)
        assert has(familiar, "192.0.2.7") is known
        add(familiar, "192.0.2.7")
        counters.close()


def test_the_store_is_told_throttled_log() -> None:
    clock, counters = Clock(), MemoryCounters()
    claims: list[str] = []
    counters.claim = lambda key, seconds: bool(claims.append(key))  # type: ignore[method-assign]
    familiar = FamiliarApps(counters, clock)

    async def run() -> None:
        for _ in range(2400):
            await familiar.add("192.0.2.7", "1")
            clock.now += 1

    asyncio.run(run())
    assert len(claims) == 3


def test_a_store_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    familiar = FamiliarApps(Broken())
    add(familiar, "192.0.2.7")
    assert [has(familiar, f"192.0.2.{number}") for number in (7, 8)] == [True, False]
    assert caplog.messages == ["apps that are used well can't be kept: nobody there"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(familiar_module, "MOST_PAIRS", 3)
    clock = Clock()
    familiar = FamiliarApps(Broken(), clock)
    for number in (1, 2, 3, 1, 4):
        clock.now += 1200 * (number == 1)
        add(familiar, f"192.0.2.{number}")
    assert [number for number in range(1, 5) if has(familiar, f"192.0.2.{number}")] == [1, 3, 4]
    assert len(familiar._seen) == 3
