"""The three stores of counters behind one face, for tests that hold for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apizen.governance.stores.base import Counters, outcome_of
from apizen.governance.stores.file import FileCounters
from apizen.governance.stores.memory import MemoryCounters
from apizen.governance.stores.redis import RedisCounters
from tests.services import redis

NAMES = ("memory", "memory and claims in a file", "file", "redis")


class Store:
    """A store of counters; an answer that must be awaited is awaited."""

    def __init__(self, counters: Counters, runner: asyncio.Runner) -> None:
        self.counters = counters
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.do(lambda: getattr(self.counters, name)(*values))

    def do(self, question: Any) -> Any:
        async def ask() -> Any:
            return await outcome_of(question())

        return self._runner.run(ask())


def _made(name: str, folder: Path) -> Counters:
    if name == "file":
        return FileCounters(folder / "counters")
    return MemoryCounters(None if name == "memory" else folder / "claims")


@contextmanager
def store_of(name: str, folder: Path) -> Iterator[Store]:
    with asyncio.Runner() as runner:
        if name == "redis":
            with redis() as server:
                store = Store(RedisCounters(server.url), runner)
                yield store
                store.close()
            return
        store = Store(_made(name, folder / "sub"), runner)
        yield store
        store.close()
