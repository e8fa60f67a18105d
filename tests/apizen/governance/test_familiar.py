"""Which apps an address has used well of late."""

from __future__ import annotations

import pytest

from apizen.governance import familiar as familiar_module
from apizen.governance.familiar import FamiliarApps


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_hour_after_the_last_good_call_it_is_forgotten() -> None:
    clock = Clock()
    familiar = FamiliarApps(clock)
    familiar.add("192.0.2.7", "1")
    clock.now += 3000
    familiar.add("192.0.2.7", "1")
    clock.now += 3600
    assert familiar.has("192.0.2.7", "1")
    clock.now += 1
    assert not familiar.has("192.0.2.7", "1")


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
def test_has(address: str, app_key: str, known: bool) -> None:
    familiar = FamiliarApps()
    familiar.add("192.0.2.7", "1")
    familiar.add("2001:db8::7", "3")
    assert familiar.has(address, app_key) is known


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(familiar_module, "MOST_PAIRS", 3)
    familiar = FamiliarApps()
    for number in (1, 2, 3, 1, 4):
        familiar.add(f"192.0.2.{number}", "1")
    assert [number for number in range(1, 5) if familiar.has(f"192.0.2.{number}", "1")] == [1, 3, 4]
    assert len(familiar._used) == 3
