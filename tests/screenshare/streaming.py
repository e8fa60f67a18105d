"""A source whose pictures carry a number, a server for it in this process, and strict readers of its streams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from screenshare.capture import Capture
from screenshare.framing import BOUNDARY
from screenshare.gate import Gate
from screenshare.hub import Hub
from screenshare.picture import Preset
from screenshare.stream import HostHandler, SnapshotHandler, StateHandler, StreamHandler
from tests.support import HOST, ThreadedServer, until

FPS = 25.0
PRESETS = {
    "low": Preset("low", 64, 60, FPS / 4),
    "medium": Preset("medium", 4000, 90, FPS),
    "high": Preset("high", 4000, 95, 2 * FPS, chroma_444=True),
}
_BITS = 16


def paint(number: int, height: int = 32, noise: numpy.ndarray | None = None) -> numpy.ndarray:
    """A picture with a number as 16 black or white fields in its first rows; ``noise`` makes it a large JPEG."""
    fields = numpy.array([number >> bit & 1 for bit in range(_BITS)], numpy.uint8) * 255
    image = numpy.zeros((height, 16 * _BITS, 4), numpy.uint8)
    if noise is not None:
        image[:] = noise
    image[:16] = fields.repeat(16)[None, :, None]
    return image


def number_of(jpeg: bytes) -> int:
    """The number in a frame of any size."""
    image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    field = image.shape[1] // _BITS
    row = image[field // 2, field // 2 :: field]
    return sum(int(value > 127) << bit for bit, value in enumerate(row))


class Painter:
    """A source that counts its pictures.

    ``moving``: each grab shows another number, else only `touch` changes it. ``told``: it says when nothing has
    changed; ``waits``: how often it was asked for that. ``fails``: what the next grabs raise. ``stuck``: a grab
    doesn't return before this is set.
    ``closes_in``: seconds that closing takes.
    """

    name = "painter"

    def __init__(self, *, moving: bool = True, told: bool = False, height: int = 32, noisy: bool = False) -> None:
        self.size = 16 * _BITS, height
        self.moving = moving
        self.told = told
        self.fails: BaseException | None = None
        self.fails_to_open: Exception | None = None
        self.fails_to_close: Exception | None = None
        self.stuck: threading.Event | None = None
        self.closes_in = 0.0
        self.number = 1
        self.waits = self.grabs = self.opened = self.closed = 0
        self.threads: set[int] = set()
        self._noise = None
        if noisy:
            shape = (height, 16 * _BITS, 4)
            self._noise = numpy.random.default_rng(1).integers(0, 255, shape, numpy.uint8)
        self._condition = threading.Condition()
        self._changed = self._woken = False

    def open(self) -> Painter:
        if self.fails_to_open is not None:
            raise self.fails_to_open
        assert self.opened == self.closed
        self.opened += 1
        return self

    def touch(self, *, seen: bool = True) -> None:
        with self._condition:
            self.number += seen
            self._changed = True
            self._condition.notify()

    @property
    def tells(self) -> bool:
        return self.told and not self.moving

    def wait(self, seconds: float) -> bool:
        if not self.tells:
            return True
        with self._condition:
            self.waits += 1
            self._condition.wait_for(lambda: self._changed or self._woken, seconds)
            self._woken = False
            return self._changed

    def wake(self) -> None:
        with self._condition:
            self._woken = True
            self._condition.notify()

    def grab(self) -> numpy.ndarray:
        self._changed = False
        self.grabs += 1
        self.threads.add(threading.get_ident())
        if self.stuck is not None:
            self.stuck.wait(10)
        if self.fails is not None:
            raise self.fails
        if self.moving:
            self.number += 1
        return paint(self.number, self.size[1], self._noise)

    def close(self) -> None:
        time.sleep(self.closes_in)
        self.closed += 1
        if self.fails_to_close is not None:
            raise self.fails_to_close


def capture_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "screen-capture"]


class Streaming(ThreadedServer):
    """A hub behind a real socket."""

    def __init__(self, source: Painter, *, gate: Any = None, stall: float = 5.0, **hub: Any) -> None:
        super().__init__()
        self.source = source
        self.gate = Gate(None) if gate is None else gate
        self._stall = stall
        self._hub = {"max_viewers": 50, "linger": 0.2, **hub}
        self.access: list[int] = []

    async def begin(self) -> int:
        self.hub = Hub(partial(Capture, self.source.open), PRESETS, **self._hub)
        arguments = {"hub": self.hub, "gate": self.gate}
        application = Application(
            [
                ("/video_feed", StreamHandler, {**arguments, "stall": self._stall}),
                (r"/screen/snapshot\.jpg", SnapshotHandler, arguments),
                ("/screen/state", StateHandler, arguments),
                ("/screen/(?:viewers|kick)", HostHandler, arguments),
            ],
            log_function=lambda handler: self.access.append(handler.get_status()),
        )
        self._server = HTTPServer(application)
        sockets = bind_sockets(0, HOST)
        self._server.add_sockets(sockets)
        return int(sockets[0].getsockname()[1])

    async def end(self) -> None:
        await self.hub.close()
        self._server.stop()
        await self._server.close_all_connections()
        await asyncio.sleep(0.02)

    def state(self, token: str = "") -> Any:
        return self.send("GET", f"/screen/state?viewer={token}").json

    def watch(self, query: str = "", buffer: int | None = None) -> Watcher:
        return Watcher(self.port, query, buffer)


@contextmanager
def streaming(source: Painter, **options: Any) -> Iterator[Streaming]:
    with Streaming(source, **options) as server:
        yield server
    assert until(lambda: not capture_threads(), 5)


class Part(NamedTuple):
    """One part as it came; ``timestamp`` and ``length`` are None where it had no such header."""

    jpeg: bytes
    timestamp: float | None
    length: int | None
    arrived: float

    @property
    def number(self) -> int:
        return number_of(self.jpeg)


class Watcher:
    """One connection that asks for a stream. ``buffer`` is the size of its receive buffer."""

    def __init__(self, port: int, query: str = "", buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(10)
        self.socket.connect((HOST, port))
        self.socket.sendall(f"GET /video_feed{query} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        self._received = b""

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def read_until(self, mark: bytes) -> bytes:
        """What comes before a mark. Raises EOFError at the end of the stream."""
        searched = 0
        while (found := self._received.find(mark, searched)) < 0:
            searched = max(0, len(self._received) - len(mark))
            chunk = self.socket.recv(1 << 20)
            if not chunk:
                raise EOFError
            self._received += chunk
        before, self._received = self._received[:found], self._received[found + len(mark) :]
        return before

    def read_exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            chunk = self.socket.recv(1 << 20)
            if not chunk:
                raise EOFError
            self._received += chunk
        data, self._received = self._received[:size], self._received[size:]
        return data

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the response."""
        lines = self.read_until(b"\r\n\r\n").decode().split("\r\n")
        return int(lines[0].split(" ")[1]), dict(line.split(": ", 1) for line in lines[1:])

    def browser_parts(self) -> Iterator[Part]:
        """Parts as a browser sees them: complete only with the next part's whole header block."""
        status, headers = self.head()
        assert status == 200
        assert headers["Content-Type"] == f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}"
        assert "Content-Length" not in headers
        assert "Transfer-Encoding" not in headers
        opening = b"--" + BOUNDARY + b"\r\nContent-Type: image/jpeg\r\n\r\n"
        assert self.read_exactly(len(opening)) == opening
        while True:
            jpeg = self.read_until(b"\r\n--" + BOUNDARY + b"\r\n")
            assert self.read_until(b"\r\n\r\n") == b"Content-Type: image/jpeg"
            yield Part(whole(jpeg), None, None, time.time())

    def length_parts(self) -> Iterator[Part]:
        """Parts that are read by their Content-Length alone."""
        assert self.head()[0] == 200
        assert self.read_until(b"\r\n") == b"--" + BOUNDARY
        while True:
            lines = self.read_until(b"\r\n\r\n").decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            assert list(headers) == ["Content-Type", "Content-Length", "X-Timestamp"]
            length = int(headers["Content-Length"])
            jpeg = self.read_exactly(length)
            end = b"\r\n--" + BOUNDARY + b"\r\n"
            assert self.read_exactly(len(end)) == end
            yield Part(whole(jpeg), float(headers["X-Timestamp"]), length, time.time())

    def has_ended(self, seconds: float = 5.0) -> bool:
        """Whether the server ends the connection in time; what still comes is thrown away."""
        self.socket.settimeout(0.05)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                try:
                    if not self.socket.recv(1 << 20):
                        return True
                except ConnectionResetError:
                    return True
        return False


def whole(jpeg: bytes) -> bytes:
    assert jpeg.startswith(b"\xff\xd8")
    assert jpeg.endswith(b"\xff\xd9")
    return jpeg
