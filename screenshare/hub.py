"""One screen for any number of viewers: each gets the newest frame of its preset, and no queue.

    hub = Hub(open_source, presets, max_viewers=50)
    viewer = hub.watch('medium', '192.0.2.7')       # the first one starts the capture thread
    try:
        while True:
            frame = await viewer.next()             # newer than the last; after a second the same again
            …send it…
            viewer.sent()
    finally:
        viewer.close()                              # 10 s after the last one the thread ends

All of this is for one event loop and its thread; importing it loads no library of pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from screenshare.capture import Capture, Trouble
from screenshare.meter import Meter
from screenshare.picture import Frame, Preset, State, ViewerState

if TYPE_CHECKING:
    from screenshare.source import Source

__all__ = ["Closing", "Ended", "Full", "Hub", "NoPicture", "Viewer"]

logger = logging.getLogger(__name__)

# A browser may have shown all but the last frame, and a program can tell a still screen from a dead link.
_REPEAT_SECONDS = 1.0
# Viewers woken at a stretch: between them the loop serves others.
_WOKEN_AT_ONCE = 8
_CLOSING_SECONDS = 0.9
_SLOW_AFTER = 3.0
_SLOW_LOSES = 0.3


class Full(Exception):
    """There are as many viewers as may be."""


class Closing(Exception):
    """The hub is closed: there will be no more frames."""


class Ended(Exception):
    """This viewer's stream is over: it was sent away, or the hub is closed."""


class NoPicture(Exception):
    """The source gives no picture; ``trouble`` says why."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.reason)
        self.trouble = trouble


class _Channel:
    """The viewers of one preset and its newest frame."""

    def __init__(self, post: Callable[[Callable[[], None]], None], capture: Capture) -> None:
        self._post = post
        self._capture = capture
        self.viewers = 0
        self.frame: Frame | None = None
        self._offered: Frame | None = None
        self._posted = False
        self._made: dict[Callable[[Frame], bytes], bytes] = {}
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._woken: deque[asyncio.Future[None]] = deque()
        self._spoke_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, frame: Frame) -> None:
        """Takes a frame from the capture thread. A busy loop finds only the newest one."""
        self._offered = frame
        if not self._posted:
            self._posted = True
            self._post(self._publish)

    def current(self) -> Frame | None:
        """The newest frame, unless nobody knows whether it is still the present."""
        return None if self._capture.hangs else self.frame

    def join(self) -> bool:
        """Counts a viewer. True: there is no frame for it yet."""
        self.viewers += 1
        if self._timer is None:
            self._spoke_at = time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(_REPEAT_SECONDS, self._repeat)
        return self.frame is None

    def leave(self) -> None:
        self.viewers -= 1
        if not self.viewers:
            # What the thread offers just now may be lost: it is asked anew for the next viewer.
            self.frame = self._offered = None
            self._made.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def wait(self) -> asyncio.Future[None]:
        """Done when there is something to send: a new frame, or the old one again."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        return waiter

    def give_up(self, waiter: asyncio.Future[None]) -> None:
        """Ends one wait."""
        self._waiting.pop(waiter, None)
        _wake(waiter)

    def made(self, frame: Frame, make: Callable[[Frame], bytes]) -> bytes:
        """What ``make`` makes of a frame, made once for all viewers while it is the newest."""
        if frame is not self.frame:
            return make(frame)
        made = self._made.get(make)
        if made is None:
            made = self._made[make] = make(frame)
        return made

    def _publish(self) -> None:
        # The thread may offer the next frame at any moment: so the flag comes first, and nothing is set here.
        self._posted = False
        offered = self._offered
        if offered is not None and self.viewers:
            self.frame = offered
            self._made.clear()
            self._wake_all()

    def _repeat(self) -> None:
        now = time.monotonic()
        if self.current() is not None and now - self._spoke_at >= _REPEAT_SECONDS:
            self._wake_all()
        pause = self._spoke_at + _REPEAT_SECONDS - now
        self._timer = asyncio.get_running_loop().call_later(pause if pause > 0 else _REPEAT_SECONDS, self._repeat)

    def _wake_all(self) -> None:
        self._spoke_at = time.monotonic()
        busy = bool(self._woken)
        self._woken.extend(self._waiting)
        self._waiting.clear()
        if not busy:
            self._wake_some()

    def _wake_some(self) -> None:
        for _ in range(min(_WOKEN_AT_ONCE, len(self._woken))):
            _wake(self._woken.popleft())
        if self._woken:
            asyncio.get_running_loop().call_soon(self._wake_some)


class Viewer:
    """One stream. ``dropped`` counts the frames it was too slow for; ``latency`` is from capture to the socket.

    ``on_end`` is called once when the stream is over, whoever ended it.
    """

    def __init__(self, hub: Hub, channel: _Channel, number: int, preset: str, address: str, token: str) -> None:
        self.number = number
        self.preset = preset
        self.address = address
        self.token = token
        self.since = time.time()
        self.dropped = 0
        self.latency = 0.0
        self.on_end: Callable[[], None] | None = None
        self._hub = hub
        self._channel = channel
        self._joined = self._sent_at = time.monotonic()
        self._meter = Meter()
        self._given, self._taken_at = 0, 0.0
        self._sent = 0
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
        self._hub.leave(self)
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


class Hub:
    """Gives each viewer the newest frame of its preset, and captures only while there is one.

    ``linger`` is how many seconds the source stays open after the last viewer.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        presets: Mapping[str, Preset],
        *,
        max_viewers: int,
        linger: float = 10.0,
    ) -> None:
        self.presets = presets
        self.max_viewers = max_viewers
        self._linger = linger
        self._capture = Capture(open_source, presets, lambda name, frame: self._channels[name].offer(frame))
        self._channels = {name: _Channel(self._post, self._capture) for name in presets}
        self._viewers: dict[int, Viewer] = {}
        self._numbers = itertools.count(1)
        self._snapshots = 0
        self._stopping: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def viewers(self) -> tuple[Viewer, ...]:
        return tuple(self._viewers.values())

    def find(self, token: str) -> Viewer | None:
        """The viewer that came with this token."""
        return next((viewer for viewer in self._viewers.values() if token and viewer.token == token), None)

    def watch(self, preset: str, address: str, token: str = "") -> Viewer:
        """A new viewer; it takes the place of one with the same token.

        Raises Full, Closing, and KeyError for a preset that does not exist.
        """
        channel = self._channels[preset]
        if self._closed:
            raise Closing
        replaced = self.find(token)
        if replaced is not None:
            replaced.close()
        if len(self._viewers) >= self.max_viewers:
            raise Full
        viewer = Viewer(self, channel, next(self._numbers), preset, address, token)
        self._viewers[viewer.number] = viewer
        needs_frame = channel.join()
        self._use_capture()
        self._capture.watch(self._watched(), preset if needs_frame else None)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """For `Viewer.close`."""
        if self._viewers.pop(viewer.number, None) is not None:
            self._channels[viewer.preset].leave()
            self._capture.watch(self._watched())
            self._use_capture()

    def state(self, *, viewers: bool = True) -> State:
        """What is known now; without what is known of each viewer where that is not wanted."""
        status = self._capture.status()
        trouble = status.trouble or Trouble("", "", "", "")
        return State(
            status.source, *status.size, round(status.fps, 1), self._capture.alive and bool(self._viewers),
            *trouble, tuple(viewer.state() for viewer in self._viewers.values()) if viewers else (),
        )  # fmt: skip

    def kick(self, address: str) -> int:
        """Ends the streams of an address; gives their number."""
        kicked = [viewer for viewer in self._viewers.values() if viewer.address == address]
        for viewer in kicked:
            viewer.close()
        return len(kicked)

    async def snapshot(self, preset: str, timeout: float) -> Frame:
        """A frame captured after this call. Raises NoPicture, TimeoutError, Closing, and KeyError as `watch`."""
        if self._closed:
            raise Closing
        if preset not in self.presets:
            raise KeyError(preset)
        outcome: asyncio.Future[Frame | Trouble] = asyncio.get_running_loop().create_future()
        self._snapshots += 1
        try:
            self._use_capture()
            self._capture.ask(preset, lambda answer: self._post(functools.partial(_settle, outcome, answer)))
            async with asyncio.timeout(timeout):
                answer = await outcome
        finally:
            self._snapshots -= 1
            self._use_capture()
        if isinstance(answer, Trouble):
            raise NoPicture(answer)
        return answer

    async def close(self) -> None:
        """Ends all viewers and the thread, within a second. There is no way back."""
        self._closed = True
        for viewer in list(self._viewers.values()):
            viewer.close()
        if self._stopping is not None:
            self._stopping.cancel()
        self._capture.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                while self._capture.alive:
                    await asyncio.sleep(0.01)
        if self._capture.alive:
            logger.warning("the source does not answer; its thread is left behind")

    def _watched(self) -> list[str]:
        return [name for name, channel in self._channels.items() if channel.viewers]

    def _use_capture(self) -> None:
        """Starts the thread for the first who needs it; lets it end some time after the last."""
        if self._viewers or self._snapshots:
            self._loop = asyncio.get_running_loop()
            if self._stopping is not None:
                self._stopping.cancel()
                self._stopping = None
            self._capture.start()
        elif self._stopping is None and not self._closed:
            self._stopping = asyncio.get_running_loop().call_later(self._linger, self._capture.stop)

    def _post(self, callback: Callable[[], None]) -> None:
        """Calls on the loop; for the capture thread."""
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop was closed without a word: there is nobody left to capture for
            self._capture.stop()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _settle(future: asyncio.Future[Frame | Trouble], answer: Frame | Trouble) -> None:
    if not future.done():
        future.set_result(answer)
