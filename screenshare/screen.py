"""The screen as a source: captured by mss, or by Pillow where mss can't; woken by `screenshare.damage` on X11.

The mouse pointer is in the picture where mss can draw it, on X11. Monitors that come, go or change their size
are followed within five seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy

from screenshare.damage import DamageLost, open_damage
from screenshare.encoder import same
from screenshare.source import Region, SourceError

if TYPE_CHECKING:
    from mss import MSS

    from screenshare.source import Image

__all__ = ["ScreenSource"]

logger = logging.getLogger(__name__)

# Seconds after which a still screen is looked at all the same, and the monitors are listed again.
_CHECK = 5.0
# How the outputs of an X server inside Wayland are called. Its root window is black.
_XWAYLAND = "XWAYLAND"


class ScreenSource:
    """A monitor by its number from 1, all of them in one picture (0), or a region of that picture."""

    name: str
    size: tuple[int, int]

    def __init__(self, which: int | Region) -> None:
        self._which = which
        self.name = _name(which)
        self._open()

    def _open(self) -> None:
        self._grabber = _open_grabber()
        try:
            self._region = _find(self._which, self._grabber.monitors)
            self._last = self._grabber.grab(self._region)
        except BaseException as error:
            self._grabber.close()
            if isinstance(error, Exception) and not isinstance(error, SourceError):
                raise _no_screen(error) from error
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
            self._grabber = _open_grabber()
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
        """The picture has changed and nothing was told: unless that is on its way, this display doesn't tell."""
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


class _Grabber(Protocol):
    """Captures regions of the screen. ``monitors`` begins with the one around all."""

    monitors: Sequence[Region]

    def list_monitors(self) -> Sequence[Region]:
        """The monitors as they are now."""

    def grab(self, region: Region) -> Image: ...

    def close(self) -> None: ...


class _MssGrabber:
    def __init__(self) -> None:
        self._mss: MSS | None = _open_mss()
        try:
            self.monitors = _regions(self._mss)
            self._refuse_wayland(self._mss)
        except BaseException:
            self.close()
            raise

    def _refuse_wayland(self, grabber: MSS) -> None:
        outputs = [str(monitor.get("output", "")) for monitor in grabber.monitors]
        if any(output.startswith(_XWAYLAND) for output in outputs) and not self.grab(self.monitors[0])[..., :3].any():
            raise SourceError(
                "this desktop runs on Wayland, which shows the screen to no program",
                "此桌面运行在 Wayland 上，程序无法读取屏幕",
                "Log in to a session on Xorg; or install grim or gnome-screenshot and start with DISPLAY= (empty)",
                "请登录 Xorg 会话；或安装 grim 或 gnome-screenshot，并以空的 DISPLAY= 启动",
            )

    def list_monitors(self) -> Sequence[Region]:
        fresh = _open_mss()  # an MSS lists them only once
        try:
            return _regions(fresh)
        finally:
            _close(fresh)

    def grab(self, region: Region) -> Image:
        if self._mss is None:
            raise ValueError("the screen is closed")
        shot = self._mss.grab(region._asdict())
        return numpy.frombuffer(shot.raw, numpy.uint8).reshape(shot.height, shot.width, 4)

    def close(self) -> None:
        grabber, self._mss = self._mss, None
        if grabber is not None:
            _close(grabber)


class _PillowGrabber:
    """Knows one monitor only: everything that Pillow gives, without the pointer."""

    def __init__(self) -> None:
        self.monitors = self.list_monitors()

    def list_monitors(self) -> Sequence[Region]:
        height, width = self._grab_all().shape[:2]
        return [Region(0, 0, width, height)] * 2

    def grab(self, region: Region) -> Image:
        left, top, width, height = region
        part = self._grab_all()[top : top + height, left : left + width]
        if part.shape[:2] != (height, width):
            raise ValueError("the screen has become smaller")
        return numpy.ascontiguousarray(part)

    def close(self) -> None:
        pass

    def _grab_all(self) -> Image:
        from PIL import ImageGrab

        picture = ImageGrab.grab(all_screens=True).convert("RGB")
        data = picture.tobytes("raw", "BGRX")
        return numpy.frombuffer(data, numpy.uint8).reshape(picture.height, picture.width, 4)


def _is_x11() -> bool:
    # On a Mac, DISPLAY is that of an X server beside the screen, which trying it would start.
    return sys.platform not in ("darwin", "win32") and bool(os.environ.get("DISPLAY"))


def _open_grabber() -> _Grabber:
    problems: list[Exception] = []
    for kind in (_MssGrabber, _PillowGrabber):
        try:
            return kind()
        except SourceError:
            raise
        # Display, extension, library of the system, tool: whatever it is that fails, the next one may do.
        except Exception as error:
            problems.append(error)
    if isinstance(problems[0], ModuleNotFoundError):
        raise problems[0]
    raise _no_screen(problems[0]) from problems[0]


def _open_mss() -> MSS:
    """An MSS that has proven that it can capture, with the pointer if it can do that."""
    from mss import MSS, ScreenShotError

    if sys.platform == "linux":
        with contextlib.suppress(ScreenShotError):
            return _proven(MSS(with_cursor=True))
    return _proven(MSS())


def _proven(grabber: MSS) -> MSS:
    try:
        left, top = grabber.monitors[0]["left"], grabber.monitors[0]["top"]
        grabber.grab((left, top, left + 1, top + 1))
    except BaseException:
        _close(grabber)
        raise
    return grabber


def _close(grabber: MSS) -> None:
    """Closes it, which must be done once only: after the X server has gone, mss 10.2 frees its connection, raises, and
    would free it again at the next call, which ends the process. So would a capture after that."""
    from mss import ScreenShotError

    with contextlib.suppress(ScreenShotError):
        grabber.close()


def _regions(grabber: MSS) -> Sequence[Region]:
    regions = [Region(each["left"], each["top"], each["width"], each["height"]) for each in grabber.monitors]
    return regions if len(regions) > 1 else regions * 2  # without RANDR only the whole is known


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


def _no_screen(problem: Exception) -> SourceError:
    display = os.environ.get("DISPLAY", "")
    if sys.platform == "linux" and not display:
        why, why_zh = "DISPLAY is not set", "未设置 DISPLAY"
    else:
        why = f"display {display}: {problem}" if display else str(problem)
        why_zh = f"显示 {display}：{problem}" if display else str(problem)
    return SourceError(
        f"there is no screen: {why}",
        f"没有屏幕：{why_zh}",
        "Set DISPLAY and XAUTHORITY to those of a running desktop, or use --screen-source test",
        "请将 DISPLAY 和 XAUTHORITY 设为正在运行的桌面的值，或使用 --screen-source test",
    )
