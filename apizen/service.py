"""What runs beside the gateway, from the start of the program to its end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from typing import Protocol

__all__ = ["Service", "Services", "StartError"]

logger = logging.getLogger(__name__)


class StartError(Exception):
    """The server can't start. The text tells the operator why."""


class Service(Protocol):
    """Something that runs beside the gateway. A subclass overrides what it needs; the rest does nothing."""

    def prepare(self) -> None:
        """Reads what all workers begin with, in their parent, before they are forked. Starts nothing.

        Raises `StartError`.
        """
        return

    async def start(self) -> None:
        """Begins, in the process that serves and before the first call comes.

        Raises `StartError` where it can't, with what the operator should know.
        """
        return

    def announce(self, origins: Sequence[str]) -> Sequence[str]:
        """Lines to print at start. ``origins`` are the server's, as ``http://127.0.0.1:8010``.

        With several workers it is called in their parent, where nothing has been started.
        """
        return ()

    async def drain(self) -> None:
        """Ends what would go on for ever, as a stream. No connection comes any more; running calls end next."""
        return

    async def close(self) -> None:
        """Ends it, after the last answer is sent, drained or not. What was started last is closed first."""
        return


class Services:
    """The services of one application: started in their order, closed in the reverse one, as far as they started."""

    def __init__(self, services: Sequence[Service] = ()) -> None:
        self._services = tuple(services)
        self._started: list[Service] = []

    async def start(self) -> None:
        """Starts them. Where one can't, those before it are closed. Raises `StartError`."""
        try:
            for service in self._services:
                await service.start()
                self._started.append(service)
        except BaseException:
            await self.close()
            raise

    async def drain(self) -> None:
        """Drains those that were started."""
        for service in self._started:
            await _safely(service, service.drain())

    async def close(self) -> None:
        """Closes those that were started."""
        while self._started:
            service = self._started.pop()
            await _safely(service, service.close())


async def _safely(service: Service, end: Awaitable[None]) -> None:
    """Waits for the end of a service. Where it fails the others are ended nevertheless."""
    try:
        await end
    except Exception:
        logger.exception("%s did not end well", type(service).__name__)
