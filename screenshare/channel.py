"""One preset and those who watch it: its newest frame, and who waits for the next one.

All of this but `Channel.offer` is for one event loop and its thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from screenshare.capture_protocol import CaptureProtocol
    from screenshare.picture import Frame

__all__ = ["Channel"]

# The same frame is sent again after so long: a browser may not have shown it yet (see `screenshare.framing`), and a
# program sees that the link isn't dead.
_REPEAT_SECONDS = 1.0
# Viewers woken in one go, before the loop may serve others.
_WOKEN_AT_ONCE = 3


class Channel:
    """The viewers of one preset and its newest frame."""

    def __init__(self, post: Callable[[Callable[[], None]], None], capture: CaptureProtocol) -> None:
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
        # The thread may offer the next frame at any moment. So the flag is lowered before the frame is read.
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


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
