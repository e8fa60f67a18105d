"""Sends one viewer's frames down its connection, and drops who takes nothing.

It writes to the connection itself: `RequestHandler.write` would copy each frame for each viewer. The next frame is
chosen when the last one has gone to the kernel, and the kernel is told to hold little.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import sys
import time
from collections.abc import Iterator

from tornado.iostream import IOStream

from screenshare.framing import Framing, response_head
from screenshare.viewer import Viewer

__all__ = ["Sender"]

logger = logging.getLogger(__name__)

# What the kernel may hold of a viewer's frames before they are sent: it is a queue of old pictures.
_UNSENT_BYTES = 65536
# How often within the stall time the progress of a write is looked at.
_LOOKS = 5

_TCP_OPTIONS = {
    "TCP_NODELAY": 1,
    "TCP_NOTSENT_LOWAT": _UNSENT_BYTES,
    # A client that vanished without a word, seconds: 10 + 2 × 5 while nothing is sent, 10 while something is.
    "TCP_KEEPIDLE": 10,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 2,
    "TCP_USER_TIMEOUT": 10_000,
}
# SO_LINGER, on, 0 seconds: closing resets the connection.
_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Sender:
    """One viewer's connection. A viewer that takes nothing for ``stall`` seconds is dropped."""

    def __init__(self, stream: IOStream, viewer: Viewer, stall: float) -> None:
        self._stream = stream
        self._viewer = viewer
        self._stall = stall
        self._loop = asyncio.get_running_loop()
        self._unconfirmed: int | None = None
        self._still_looks = 0

    async def run(self, framing: Framing) -> None:
        """Sends until Ended or StreamClosedError, which it raises."""
        viewer = self._viewer
        _tune(self._stream)
        await self._write(response_head(time.time()) + framing.opening)
        while True:
            await self._write(viewer.made(await viewer.next(), framing.part))
            viewer.sent()

    async def _write(self, data: bytes) -> None:
        """Returns when all has gone to the kernel, which most of the time is at once."""
        written = self._stream.write(data)
        if written.done():
            written.result()
            return
        self._unconfirmed, self._still_looks = None, 0
        self._look_later()
        try:
            await written
        finally:
            self._timer.cancel()

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(self._stall / _LOOKS, self._look)

    def _look(self) -> None:
        """Drops a viewer that takes nothing. On a slow link a frame may need longer than the stall time."""
        if self._stream.closed():
            return
        unconfirmed = _unconfirmed_bytes(self._stream.socket)
        if self._unconfirmed is None or unconfirmed == self._unconfirmed:
            self._still_looks += 1
        else:
            self._still_looks = 0
        self._unconfirmed = unconfirmed
        if self._still_looks < _LOOKS:
            self._look_later()
        else:
            self._drop()

    def _drop(self) -> None:
        viewer = self._viewer
        logger.info("viewer %d at %s took nothing for %g s and is dropped", viewer.number, viewer.address, self._stall)
        # Without the reset the kernel would hold what it has for this client for minutes.
        with contextlib.suppress(OSError):
            self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._stream.close()


def _socket_options() -> Iterator[tuple[int, int, int]]:
    """Level, option and value of what a stream's socket is told, as far as this system knows it."""
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    for name, value in _TCP_OPTIONS.items():
        option = getattr(socket, name, None)
        if option is not None:
            yield socket.IPPROTO_TCP, option, value


def _tune(stream: IOStream) -> None:
    if stream.closed():
        return
    for level, option, value in _socket_options():
        with contextlib.suppress(OSError):  # not a TCP socket, or an option of a newer kernel
            stream.socket.setsockopt(level, option, value)


def _unconfirmed_bytes(connection: socket.socket) -> int | None:
    """What the kernel holds because the other side has not confirmed it; None where the system can't tell."""
    if sys.platform != "linux":
        return None
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
