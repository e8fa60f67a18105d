"""One who watches: waits for what is newer than the last frame, and counts what came and what was lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from screenshare.meter import Meter
from screenshare.picture import Frame, ViewerState

if TYPE_CHECKING:
    import asyncio

    from screenshare.channel import Channel

__all__ = ["Ended", "Viewer"]

# Seconds after which a viewer is judged, and the share of lost frames above which it is too slow.
_SLOW_AFTER = 3.0
_SLOW_LOSES = 0.3


class Ended(Exception):
    """This viewer's stream is over: it was sent away, or the hub is closed."""


class Viewer:
    """One stream. ``dropped`` counts the frames it was too slow for; ``latency`` is from capture to the socket.

    ``on_end`` is called once when the stream is over, whoever ended it; before that, ``leave`` takes it from the hub.
    """

    def __init__(
        self, leave: Callable[[Viewer], None], channel: Channel, number: int, preset: str, address: str, token: str
    ) -> None:
        self.number = number
        self.preset = preset
        self.address = address
        self.token = token
        self.since = time.time()
        self.dropped = 0
        self.latency = 0.0
        self.on_end: Callable[[], None] | None = None
        self._leave = leave
        self._channel = channel
        self._joined = self._sent_at = time.monotonic()
        self._meter = Meter()
        self._given, self._taken_at = 0, 0.0  # the last frame that `next` gave
        self._sent = 0  # the last one that went to the socket
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    async def next(self) -> Frame:
        """The newest frame, as soon as there is a newer one than the last; about once a second that one again.

        Raises Ended.
        """
        channel = self._channel
        frame = channel.frame if self._given else channel.current()
        if frame is not None and frame.number <= self._given:
            frame = None
        while frame is None and not self._ended:
            self._waiter = channel.wait()
            await self._waiter
            frame = channel.frame
        self._waiter = None
        if frame is None or self._ended:
            raise Ended
        self._given, self._taken_at = frame.number, frame.taken_at
        return frame

    def made(self, frame: Frame, make: Callable[[Frame], bytes]) -> bytes:
        """What ``make`` makes of the frame that `next` gave: made once for all viewers."""
        return self._channel.made(frame, make)

    def sent(self) -> None:
        """The frame that `next` gave has gone to the socket."""
        now = self._sent_at = time.monotonic()
        if self._given == self._sent:
            return
        if self._sent:
            self.dropped += self._given - self._sent - 1
        self._sent = self._given
        self._meter.add(now, self._given)
        if self._taken_at >= self._joined:
            latency = now - self._taken_at
            self.latency = latency if not self.latency else 0.8 * self.latency + 0.2 * latency

    def close(self) -> None:
        """Ends the stream. May be called again."""
        if self._ended:
            return
        self._ended = True
        if self._waiter is not None:
            self._channel.give_up(self._waiter)
        self._leave(self)
        if self.on_end is not None:
            self.on_end()

    @property
    def age(self) -> float:
        """Seconds since something was sent."""
        return time.monotonic() - self._sent_at

    def state(self) -> ViewerState:
        now = time.monotonic()
        fps = round(self._meter.fps(now), 1)
        return ViewerState(
            self.number, self.address, self.since, self.preset, fps, self.dropped, self.latency, self._is_slow(now)
        )

    def _is_slow(self, now: float) -> bool:
        frame = self._channel.frame
        if frame is None or now - self._joined < _SLOW_AFTER:
            return False
        # The newest frame, and the one on its way, are not lost yet.
        on_its_way = self._given != self._sent
        return self._meter.lost(frame.number - 1 - on_its_way) > _SLOW_LOSES
