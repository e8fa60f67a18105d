"""One screen for any number of viewers: each gets the newest frame of its preset, and no queue.

    hub = Hub(partial(Capture, open_source), presets, max_viewers=50)
    viewer = hub.watch('medium', '192.0.2.7')       # the first one starts the capture
    try:
        while True:
            frame = await viewer.next()             # newer than the last; after a second the same again
            …send it…
            viewer.sent()
    finally:
        viewer.close()                              # 10 s after the last one the capture ends

All of this is for one event loop and its thread; importing it loads no library of pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
from collections.abc import Callable, Mapping

from screenshare.capture_protocol import CaptureProtocol, Deliver
from screenshare.channel import Channel
from screenshare.failure import Failure
from screenshare.picture import Frame, Preset, State
from screenshare.viewer import Viewer

__all__ = ["Closing", "Full", "Hub", "NoPicture"]

logger = logging.getLogger(__name__)

_CLOSING_SECONDS = 0.9


class Full(Exception):
    """There are as many viewers as may be."""


class Closing(Exception):
    """The hub is closed: there will be no more frames."""


class NoPicture(Exception):
    """The source gives no picture; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Hub:
    """Gives each viewer the newest frame of its preset, and captures only while there is one.

    ``linger`` is how many seconds the source stays open after the last viewer.
    """

    def __init__(
        self,
        make_capture: Callable[[Mapping[str, Preset], Deliver], CaptureProtocol],
        presets: Mapping[str, Preset],
        *,
        max_viewers: int,
        linger: float = 10.0,
    ) -> None:
        self.presets = presets
        self.max_viewers = max_viewers
        self._linger = linger
        self._capture = make_capture(presets, lambda name, frame: self._channels[name].offer(frame))
        self._channels = {name: Channel(self._post, self._capture) for name in presets}
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
        viewer = Viewer(self.leave, channel, next(self._numbers), preset, address, token)
        self._viewers[viewer.number] = viewer
        needs_frame = channel.join()
        self._use_capture()
        self._capture.watch(self._watched(), preset if needs_frame else None)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Takes a viewer away; `Viewer.close` calls it."""
        if self._viewers.pop(viewer.number, None) is not None:
            self._channels[viewer.preset].leave()
            self._capture.watch(self._watched())
            self._use_capture()

    def state(self, *, viewers: bool = True) -> State:
        """What is known now; without what is known of each viewer where that is not wanted."""
        status = self._capture.status()
        failure = status.failure or Failure("", "", "", "")
        return State(
            status.source, *status.size, round(status.fps, 1), self._capture.alive and bool(self._viewers),
            *failure, tuple(viewer.state() for viewer in self._viewers.values()) if viewers else (),
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
        outcome: asyncio.Future[Frame | Failure] = asyncio.get_running_loop().create_future()
        self._snapshots += 1
        try:
            self._use_capture()
            self._capture.ask(preset, lambda answer: self._post(functools.partial(_settle, outcome, answer)))
            async with asyncio.timeout(timeout):
                answer = await outcome
        finally:
            self._snapshots -= 1
            self._use_capture()
        if isinstance(answer, Failure):
            raise NoPicture(answer)
        return answer

    async def close(self) -> None:
        """Ends all viewers and the capture, within a second. There is no way back."""
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
        """Starts the capture for the first who needs it; lets it end some time after the last."""
        if self._closed:  # a snapshot that was asked for before ends now, beside others
            return
        if self._viewers or self._snapshots:
            self._loop = asyncio.get_running_loop()
            if self._stopping is not None:
                self._stopping.cancel()
                self._stopping = None
            self._capture.start()
        elif self._stopping is None:
            self._stopping = asyncio.get_running_loop().call_later(self._linger, self._capture.stop)

    def _post(self, callback: Callable[[], None]) -> None:
        """Calls on the loop; for the capture thread."""
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop was closed without a word: there is nobody left to capture for
            self._capture.stop()


def _settle(future: asyncio.Future[Frame | Failure], answer: Frame | Failure) -> None:
    if not future.done():
        future.set_result(answer)
