from __future__ import annotations

import asyncio

import pytest

from apizen.service import Service, Services, StartError


class Noting(Service):
    """Notes what it is told; fails at the steps named."""

    def __init__(self, name: str, notes: list[str], *failing: str) -> None:
        self.name = name
        self.notes = notes
        self.failing = failing

    def note(self, step: str) -> None:
        self.notes.append(f"{step} {self.name}")
        if step in self.failing:
            raise StartError(step)

    async def start(self) -> None:
        self.note("start")

    async def drain(self) -> None:
        self.note("drain")

    async def close(self) -> None:
        self.note("close")


async def run(services: Services) -> None:
    await services.start()
    await services.drain()
    await services.close()
    await services.close()


def test_they_are_closed_in_the_reverse_order():
    notes: list[str] = []
    asyncio.run(run(Services([Noting("a", notes), Noting("b", notes)])))
    assert notes == ["start a", "start b", "drain a", "drain b", "close b", "close a"]


def test_those_that_were_started_are_closed_where_one_cannot_start():
    notes: list[str] = []
    with pytest.raises(StartError):
        asyncio.run(run(Services([Noting("a", notes), Noting("b", notes, "start"), Noting("c", notes)])))
    assert notes == ["start a", "start b", "close a"]


def test_one_that_fails_keeps_no_other_from_its_end(caplog):
    notes: list[str] = []
    asyncio.run(run(Services([Noting("a", notes), Noting("b", notes, "drain", "close"), Noting("c", notes)])))
    assert notes[3:] == ["drain a", "drain b", "drain c", "close c", "close b", "close a"]
    assert [record.getMessage() for record in caplog.records] == ["Noting did not end well"] * 2
