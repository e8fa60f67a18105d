"""What runs beside the gateway, from the start of the program to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Service", "StartError"]


class StartError(Exception):
    """The server can't start. The text tells the operator why."""


class Service(Protocol):
    """Something that runs beside the gateway. A subclass has what it needs of these; the rest does nothing."""

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
        """Ends what goes on by itself, as a stream: no connection comes any more, the calls that run are finished."""
        return

    async def close(self) -> None:
        """Ends it, after the last answer is sent. Services are closed in reverse order, whether they drained or not."""
        return
