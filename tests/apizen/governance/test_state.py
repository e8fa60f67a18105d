"""Where the state lives that calls share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apizen.governance.folder import FolderLock
from apizen.governance.state import Home, Homes, SharedState
from apizen.governance.stores.file import FileCounters
from apizen.governance.stores.memory import MemoryCounters
from apizen.governance.stores.redis import RedisCounters
from apizen.servers.supervisor import _PATIENCE_SECONDS
from apizen.service import StartError
from apizen.settings import Settings

STORE = "redis://localhost"


def state_of(data: Path, sleep: Callable[[float], object] = lambda seconds: None, **settings: Any) -> SharedState:
    return SharedState(Settings(data=str(data), **settings), sleep)


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


def test_a_folder_that_another_server_keeps_for_long_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Longer than the workers of a parent that was killed may go on."""
    pauses: list[float] = []
    one, other = state_of(tmp_path), state_of(tmp_path, pauses.append)
    assert one.counters is not other.counters
    one.occupy()
    with pytest.raises(StartError):
        other.occupy()
    assert _PATIENCE_SECONDS + 3 <= sum(pauses) <= 25
    assert caplog.messages == [
        f"the data folder {tmp_path} is in use, maybe by last calls of a server that was killed: "
        "waiting up to 20 seconds"
    ]
    close(one)


def test_a_folder_is_taken_as_soon_as_it_is_free(tmp_path: Path) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            lock.release()

    lock, state = FolderLock(tmp_path), state_of(tmp_path, sleep)
    assert lock.take()
    assert not state.counters.shared
    state.occupy()
    assert len(pauses) == 3
    assert not lock.take()
    close(state)
    assert lock.take()
    lock.release()


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
