"""The screen as a source: captured by `screenshare.grabber`, woken by `screenshare.damage` on X11.

The mouse pointer is in the picture where mss can draw it, on X11. Monitors that come, go or change their size
are followed within five seconds.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from screenshare.damage import DamageLost, open_damage
from screenshare.encoder import same
from screenshare.grabber import no_screen, open_grabber
from screenshare.source import Region, SourceError

if TYPE_CHECKING:
    from screenshare.source import Image

__all__ = ["ScreenSource"]

logger = logging.getLogger(__name__)

# Seconds after which a still screen is looked at all the same, and the monitors are listed again.
_CHECK = 5.0


class ScreenSource:
    """A monitor by its number from 1, all of them in one picture (0), or a region of that picture."""

    name: str
    size: tuple[int, int]

    def __init__(self, which: int | Region) -> None:
        self._which = which
        self.name = _name(which)
        self._open()

    def _open(self) -> None:
        self._grabber = open_grabber()
        try:
            self._region = _find(self._which, self._grabber.monitors)
            self._last = self._grabber.grab(self._region)
        except BaseException as error:
            self._grabber.close()
            if isinstance(error, Exception) and not isinstance(error, SourceError):
                raise no_screen(error) from error
            raise
        self._measure()
        self._checked = time.monotonic()
        self._damage = open_damage() if _is_x11() else None

    @property
    def tells(self) -> bool:
        return self._damage is not None

    def wait(self, seconds: float) -> bool:
        if self._damage is not None:
            try:
                return self._damage.wait(seconds) or self._must_check()
            except DamageLost as error:
                self._poll(error)
        return True

    def wake(self) -> None:
        damage = self._damage
        if damage is not None:
            damage.wake()

    def grab(self) -> Image:
        told = self._clear()
        try:
            if self._must_check():
                self._follow_monitors()
            image = self._grabber.grab(self._region)
        # Whichever way a library fails, the screen has shrunk, was restarted or is gone: opening it tells.
        except Exception as error:
            logger.info("the screen is opened again: %r", error)
            self.close()
            self._open()
            return self._last
        if not told and not same(image, self._last):
            self._distrust()
        self._last = image
        self._measure()
        return image

    def close(self) -> None:
        self._grabber.close()
        if self._damage is not None:
            self._damage.close()
            self._damage = None

    def _measure(self) -> None:
        height, width = self._last.shape[:2]
        self.size = width, height

    def _must_check(self) -> bool:
        return time.monotonic() - self._checked > _CHECK

    def _follow_monitors(self) -> None:
        self._checked = time.monotonic()
        monitors = self._grabber.list_monitors()
        if monitors != self._grabber.monitors:
            self._grabber.close()
            self._grabber = open_grabber()
            self._region = _find(self._which, self._grabber.monitors)

    def _clear(self) -> bool:
        """Starts the watch for changes anew. False: nothing has been told, so the picture should be the last one."""
        if self._damage is not None:
            try:
                return self._damage.clear()
            except DamageLost as error:
                self._poll(error)
        return True

    def _distrust(self) -> None:
        """The picture has changed untold: unless the news is still on its way, this display never tells."""
        if self._damage is not None:
            try:
                if self._damage.settled():
                    self._poll("the display doesn't tell of its changes")
            except DamageLost as error:
                self._poll(error)

    def _poll(self, reason: object) -> None:
        logger.info("the screen is polled: %s", reason)
        if self._damage is not None:
            self._damage.close()
            self._damage = None


def _is_x11() -> bool:
    # On a Mac, DISPLAY is that of an X server beside the screen, which trying it would start.
    return sys.platform not in ("darwin", "win32") and bool(os.environ.get("DISPLAY"))


def _name(which: int | Region) -> str:
    if isinstance(which, Region):
        return "screen " + ",".join(map(str, which))
    return f"screen {which or 'all'}"


def _find(which: int | Region, monitors: Sequence[Region]) -> Region:
    if isinstance(which, Region):
        return _inside(which, monitors[0])
    if which < len(monitors):
        return monitors[which]
    count = len(monitors) - 1
    raise SourceError(
        f"there is no monitor {which}: this screen has {count}",
        f"没有第 {which} 个显示器：此屏幕共有 {count} 个",
        "Choose one that there is, such as --screen-source screen:1",
        "请选择存在的显示器，例如 --screen-source screen:1",
    )


def _inside(region: Region, screen: Region) -> Region:
    right, bottom = region.left + region.width, region.top + region.height
    if (
        screen.left <= region.left
        and screen.top <= region.top
        and right <= screen.left + screen.width
        and bottom <= screen.top + screen.height
    ):
        return region
    wanted, there = ",".join(map(str, region)), ",".join(map(str, screen))
    raise SourceError(
        f"the region {wanted} isn't on the screen, which is {there}",
        f"区域 {wanted} 不在屏幕内，屏幕为 {there}",
        f"Choose a region inside it, such as --screen-source screen:{there}",
        f"请选择屏幕内的区域，例如 --screen-source screen:{there}",
    )
