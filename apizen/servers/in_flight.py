"""The calls of a process that are not answered yet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from apizen.request import Response

__all__ = ["InFlight"]


class InFlight:
    """Runs calls as tasks of the event loop, and brings them to an end when the server stops."""

    def __init__(self) -> None:
        # Without a reference a task could be collected before it ends.
        self._tasks: set[asyncio.Future[Response]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, answer: Awaitable[Response], write: Callable[[Response | None], None]) -> None:
        """Waits for an answer and gives it to ``write``; None where the server stopped before it came."""

        def end(task: asyncio.Future[Response]) -> None:
            self._tasks.discard(task)
            write(None if task.cancelled() else task.result())

        task = asyncio.ensure_future(answer)
        self._tasks.add(task)
        task.add_done_callback(end)

    async def finish(self, grace: float, writing: Callable[[], bool]) -> None:
        """Waits up to ``grace`` seconds for the calls, and for as long as ``writing``; then cancels them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._tasks or writing():
                    await asyncio.sleep(0.02)
        late = list(self._tasks)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)
            await asyncio.sleep(0)
