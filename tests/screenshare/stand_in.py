"""A server in place of the hub and its handlers: a picture that moves, and a state that a test sets."""

from __future__ import annotations

import asyncio
import colorsys
import contextlib
import functools
import io
import json
import time
from typing import Any, ClassVar

from PIL import Image, ImageDraw
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, Finish, RequestHandler

from screenshare.gate import Gate
from screenshare.page import page_rules
from screenshare.picture import State, ViewerState
from tests.support import HOST, ThreadedServer

_FPS = 12
_ENDING_SECONDS = 5.0
_SIZES = {"low": (320, 180), "medium": (640, 360), "high": (960, 540)}


@functools.cache
def moving_pictures(quality: str) -> list[bytes]:
    """A block that moves over a colour that changes, as JPEGs."""
    width, height = _SIZES[quality]
    pictures = []
    for step in range(24):
        colour = tuple(int(255 * part) for part in colorsys.hsv_to_rgb(step / 24, 0.5, 0.8))
        image = Image.new("RGB", (width, height), colour)
        left = step * width // 24
        ImageDraw.Draw(image).rectangle((left, height // 3, left + width // 8, height * 2 // 3), fill="white")
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG", quality=80)
        pictures.append(jpeg.getvalue())
    return pictures


class StandIn(ThreadedServer):
    """Serves the page and what it asks for, from a thread of its own; ``port`` 0 takes a free one.

    What a test may set while it runs: the members of ``state`` and ``you``, ``frozen`` (streams send nothing
    more), ``holds_back`` (new streams wait), ``breaks_off`` (at the end streams are cut, not ended), ``max_viewers``,
    ``knows_viewers`` (whether the state tells ``you``).
    """

    def __init__(self, gate: Gate, port: int = 0, host: str = HOST, pictures: Any = moving_pictures) -> None:
        super().__init__()
        self.gate = gate
        self.host = host
        self.port = port
        self.pictures = pictures
        self.state: dict[str, Any] = {}
        self.you: dict[str, Any] = {}
        self.frozen = False
        self.breaks_off = False
        self.holds_back = False
        self.knows_viewers = True
        self.max_viewers = 50
        self.streams: dict[str, ViewerState] = {}
        self.sent_at: dict[str, float] = {}
        self.running = 0
        self.requests: list[str] = []

    def end_streams(self) -> None:
        """Ends all streams, as a server does that restarts between two looks at the state."""
        self.streams.clear()

    async def begin(self) -> int:
        arguments = {"stand_in": self}
        application = Application(
            [
                *page_rules(self.gate),
                ("/video_feed", _StreamHandler, arguments),
                ("/screen/snapshot.jpg", _SnapshotHandler, arguments),
                ("/screen/state", _StateHandler, arguments),
            ],
            log_function=lambda handler: self.requests.append(f"{handler.request.method} {handler.request.uri}"),
        )
        self._server = HTTPServer(application)
        sockets = bind_sockets(self.port, self.host)
        self._server.add_sockets(sockets)
        return int(sockets[0].getsockname()[1])

    async def end(self) -> None:
        self._server.stop()
        if not self.breaks_off:
            # A busy browser may read a stream so slowly that it is cut in the end.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ENDING_SECONDS):
                    await self._end_streams()
        await self._server.close_all_connections()
        await self._end_streams()

    async def _end_streams(self) -> None:
        self.streams.clear()
        while self.running:
            await asyncio.sleep(0.01)

    def picture(self, quality: str) -> bytes:
        pictures = self.pictures(quality)
        return pictures[int(time.monotonic() * _FPS) % len(pictures)]

    def state_for(self, token: str) -> dict[str, Any]:
        viewers = [viewer._asdict() for viewer in self.streams.values()]
        state = State("screen 1", 1920, 1080, 28.0, bool(viewers), "", "", "", "", ())._asdict()
        state |= {"viewers": viewers, "max_viewers": self.max_viewers, **self.state}
        if self.knows_viewers:
            mine = self.streams.get(token)
            age = time.monotonic() - self.sent_at.get(token, time.monotonic())
            state["you"] = None if mine is None else {**mine._asdict(), "age": age, **self.you}
        return state


class _Handler(RequestHandler):
    def initialize(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in

    def prepare(self) -> None:
        if self.stand_in.gate.admit(self):
            self.set_header("Cache-Control", "no-store")


class _StreamHandler(_Handler):
    number: ClassVar[int] = 0

    async def get(self) -> None:
        stand_in = self.stand_in
        if len(stand_in.streams) >= stand_in.max_viewers:
            self.set_status(503)
            return
        while stand_in.holds_back:
            await asyncio.sleep(0.01)
        token = self.get_query_argument("viewer")
        quality = self.get_query_argument("quality")
        _StreamHandler.number += 1
        address = self.request.remote_ip or ""
        stand_in.streams[token] = ViewerState(
            _StreamHandler.number, address, time.time(), quality, 27.8, 0, 0.034, False
        )
        self.set_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n")
        stand_in.running += 1
        try:
            while token in stand_in.streams:
                if not stand_in.frozen:
                    self.write(stand_in.picture(quality) + b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n")
                    await self.flush()
                    stand_in.sent_at[token] = time.monotonic()
                await asyncio.sleep(1 / _FPS)
        except StreamClosedError:
            raise Finish from None
        finally:
            stand_in.streams.pop(token, None)
            stand_in.running -= 1

    def on_connection_close(self) -> None:
        self.stand_in.streams.pop(self.get_query_argument("viewer", ""), None)


class _SnapshotHandler(_Handler):
    def get(self) -> None:
        if self.stand_in.state.get("error"):
            self.set_status(503)
            return
        self.set_header("Content-Type", "image/jpeg")
        self.write(self.stand_in.picture(self.get_query_argument("quality")))


class _StateHandler(_Handler):
    def get(self) -> None:
        self.write(json.dumps(self.stand_in.state_for(self.get_query_argument("viewer", ""))))
        self.set_header("Content-Type", "application/json")
