"""The screen share over HTTP: the stream, one picture, the state, and what only the host may ask for.

    /video_feed?quality=medium&framing=browser    the stream; HEAD starts no capture
    /screen/snapshot.jpg?quality=medium           a picture taken after the request, else 503 with the reason
    /screen/state                                 JSON: the members of `State`, ``max_viewers`` and ``you``
    /screen/viewers, /screen/kick?address=…       for programs of this machine

A page that sends the same ``viewer=TOKEN`` with its stream and with its look at the state finds its own
figures under ``you``, with ``age``, the seconds since something was sent; null where there is no such stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from screenshare.failure import ended
from screenshare.framing import CONTENT_TYPE, FRAMINGS, HEADERS, Framing
from screenshare.gate import Gate
from screenshare.hub import Closing, Full, Hub, NoPicture
from screenshare.peer import canonical, is_address, is_loopback, peer_of
from screenshare.sender import Sender
from screenshare.viewer import Ended, Viewer

__all__ = ["HostHandler", "SnapshotHandler", "StateHandler", "StreamHandler"]

_STALL_SECONDS = 5.0
_SNAPSHOT_SECONDS = 5.0
# The end of a replaced page's stream may be noticed a moment after the new page asks for its own.
_PLACE_TRIES = 5
_PLACE_PAUSE = 0.05
_LONGEST_TOKEN = 64

_LATER = "Try again later", "请稍后再试"


class _Handler(RequestHandler):
    """What all have in common: the hub, the gate, and answers that are kept nowhere."""

    def initialize(self, hub: Hub, gate: Gate) -> None:
        self.hub = hub
        self.gate = gate

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def compute_etag(self) -> None:
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish({"error": self._reason})

    def refuse(self, status: int, error: str, error_zh: str, advice: str = "", advice_zh: str = "") -> None:
        """Answers with the reason, and with what would help where something does."""
        self.set_status(status)
        if status == 503:
            self.set_header("Retry-After", "2")
        self.finish({"error": error, "error_zh": error_zh, "advice": advice, "advice_zh": advice_zh})

    def choose(self, argument: str, known: Collection[str], default: str) -> str | None:
        """The value of an argument of the query; None if it is unknown, which is answered here."""
        value = self.get_query_argument(argument, default)
        if value in known:
            return value
        names = ", ".join(known)
        self.refuse(400, f"{argument} must be one of: {names}", f"{argument} 应为以下之一：{names}")
        return None

    @property
    def token(self) -> str:
        """What the page calls its viewer, or nothing."""
        return self.get_query_argument("viewer", "")[:_LONGEST_TOKEN]

    def finish_head(self, content_type: str) -> None:
        """Answers HEAD. The headers go out first, as `finish` would add a Content-Length of 0."""
        self.set_header("Content-Type", content_type)
        self.flush()
        self.finish()


class StreamHandler(_Handler):
    """The stream. A viewer whose connection takes nothing for ``stall`` seconds is dropped."""

    def initialize(self, hub: Hub, gate: Gate, stall: float = _STALL_SECONDS) -> None:
        super().initialize(hub, gate)
        self.stall = stall

    def head(self) -> None:
        if self.gate.admit(self) and self._chosen() is not None:
            self.finish_head(CONTENT_TYPE)

    async def get(self) -> None:
        if not self.gate.admit(self) or (chosen := self._chosen()) is None:
            return
        preset, framing = chosen
        viewer = await self._find_place(preset)
        if viewer is None:
            return
        try:
            stream = self.detach()
            viewer.on_end = stream.close
            stream.set_close_callback(viewer.close)
            await Sender(stream, viewer, self.stall).run(framing)
        except (Ended, StreamClosedError):
            pass
        finally:
            viewer.close()
            self.application.log_request(self)

    def _chosen(self) -> tuple[str, Framing] | None:
        preset = self.choose("quality", self.hub.presets, "medium")
        framing = None if preset is None else self.choose("framing", FRAMINGS, "browser")
        return None if preset is None or framing is None else (preset, FRAMINGS[framing])

    async def _find_place(self, preset: str) -> Viewer | None:
        """A viewer, or None where there is no place, which is answered here."""
        for attempt in range(_PLACE_TRIES):
            if attempt:
                await asyncio.sleep(_PLACE_PAUSE)
            try:
                return self.hub.watch(preset, peer_of(self.request), self.token)
            except Full:
                continue
            except Closing:
                self.refuse(503, *ended())
                return None
        places = self.hub.max_viewers
        self.refuse(503, f"all {places} places are taken", f"{places} 个观看名额已满", *_LATER)
        return None


class SnapshotHandler(_Handler):
    """One picture."""

    def head(self) -> None:
        if self.gate.admit(self) and self.choose("quality", self.hub.presets, "medium"):
            self.finish_head("image/jpeg")

    async def get(self) -> None:
        if not self.gate.admit(self) or not (preset := self.choose("quality", self.hub.presets, "medium")):
            return
        try:
            frame = await self.hub.snapshot(preset, _SNAPSHOT_SECONDS)
        except NoPicture as error:
            self.refuse(503, *error.failure)
        except TimeoutError:
            self.refuse(503, "the source gives no picture in time", "画面源未能及时给出画面", *_LATER)
        except Closing:
            self.refuse(503, *ended())
        else:
            self.set_header("Content-Type", "image/jpeg")
            self.set_header("X-Timestamp", f"{frame.wall_time:.6f}")
            self.finish(frame.jpeg)


class StateHandler(_Handler):
    """The state. Only the host is told more of the viewers than their numbers."""

    def get(self) -> None:
        if not self.gate.admit(self):
            return
        state = _state_of(self.hub, in_full=self.gate.is_host(peer_of(self.request), self.request))
        you = self.hub.find(self.token)
        state["you"] = None if you is None else {**you.state()._asdict(), "age": round(you.age, 3)}
        self.finish(state)


class HostHandler(_Handler):
    """Who watches (GET), and the end of it for one address (POST). For programs of this machine only.

    Needs the header ``X-Screen-Host: 1``, which no web page can send along.
    """

    def prepare(self) -> None:
        if self.gate.admit(self) and not (
            self.gate.is_host(peer_of(self.request), self.request) and self.request.headers.get("X-Screen-Host") == "1"
        ):
            self.refuse(403, "only for the host of this screen share", "仅限屏幕共享的主持人使用")

    def get(self) -> None:
        self.finish(_state_of(self.hub, in_full=True))

    def post(self) -> None:
        address = self.get_argument("address", "")
        if not is_address(address):
            self.refuse(400, f"not an IP address: {address!r}", f"不是 IP 地址：{address!r}")
            return
        if not is_loopback(address):  # the host itself is never kept out
            self.gate.dismiss(address)
        self.finish({"kicked": self.hub.kick(canonical(address))})


def _state_of(hub: Hub, *, in_full: bool) -> dict[str, Any]:
    state = hub.state(viewers=in_full)
    if in_full:
        viewers = [viewer._asdict() for viewer in state.viewers]
    else:
        viewers = [{"number": viewer.number} for viewer in hub.viewers]
    return {**state._asdict(), "viewers": viewers, "max_viewers": hub.max_viewers}
