"""Where the state lives that calls share."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from apizen.governance.folder import FolderLock
from apizen.governance.state import Home, Homes, SharedState
from apizen.governance.stores.file import FileCounters
from apizen.governance.stores.memory import MemoryCounters
from apizen.governance.stores.redis import RedisCounters
from apizen.service import StartError
from apizen.settings import Settings

STORE = "redis://localhost"


def state_of(data: Path, **settings: Any) -> SharedState:
    return SharedState(Settings(data=str(data), **settings))


def close(state: SharedState) -> None:
    asyncio.run(state.close())


@pytest.mark.parametrize(
    ("settings", "counted", "dead_methods", "counters"),
    [
        ({}, Home.PROCESS, Home.PROCESS, MemoryCounters),
        ({"workers": 2}, Home.MACHINE, Home.MACHINE, FileCounters),
        ({"store": STORE}, Home.STORE, Home.PROCESS, RedisCounters),
        ({"store": STORE, "workers": 2}, Home.STORE, Home.MACHINE, RedisCounters),
    ],
)
def test_homes(settings: dict[str, Any], counted: Home, dead_methods: Home, counters: type, tmp_path: Path) -> None:
    assert Homes.of(Settings(**settings)) == Homes(counted, dead_methods)
    state = state_of(tmp_path, **settings)
    assert type(state.counters) is counters
    assert state.counters is state.counters
    close(state)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_is_occupied_once(workers: int, tmp_path: Path) -> None:
    one, other = (state_of(tmp_path / "data", workers=workers) for _ in range(2))
    assert one.counters is not other.counters
    one.occupy()
    one.occupy()
    with pytest.raises(StartError, match=f"uses the data folder {tmp_path}/data"):
        other.occupy()
    close(one)
    other.occupy()
    close(other)


def test_who_counts_nothing_or_in_a_store_occupies_nothing(tmp_path: Path) -> None:
    nothing, stored = state_of(tmp_path / "data"), state_of(tmp_path / "data", store=STORE)
    assert stored.counters.shared
    for state in (nothing, stored):
        state.occupy()
        assert nothing.times_full == stored.times_full == 0
        close(state)
    assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_locked_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").touch()
    state = state_of(tmp_path / "data")
    assert state.counters.hit is not None
    with caplog.at_level(logging.WARNING):
        state.occupy()
    close(state)
    assert caplog.messages == [
        "whether another server uses the same data folder can't be seen: "
        f"the data folder {tmp_path}/data can't be made: File exists"
    ]


def test_a_lock_that_fails_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that has none."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    state, later = state_of(tmp_path), FolderLock(tmp_path)
    assert not state.counters.shared
    with monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", flock)
        state.occupy()
    assert later.take()
    later.release()
    close(state)
