"""Grabs the pixels of the screen: by mss, or by Pillow where mss can't."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy

from screenshare.source import Region, SourceError

if TYPE_CHECKING:
    from mss import MSS

    from screenshare.source import Image

__all__ = ["Grabber", "no_screen", "open_grabber"]

# How the outputs of an X server inside Wayland are called. Its root window is black.
_XWAYLAND = "XWAYLAND"


class Grabber(Protocol):
    """Grabs regions of the screen. ``monitors`` begins with the one around all."""

    monitors: Sequence[Region]

    def list_monitors(self) -> Sequence[Region]:
        """The monitors as they are now."""

    def grab(self, region: Region) -> Image:
        """Its pixels now, as `Source.grab` gives them. Raises whatever the library does."""

    def close(self) -> None:
        """Gives the screen back. May be called again."""


def open_grabber() -> Grabber:
    """The first way that works on this machine. Raises SourceError where there is none."""
    problems: list[Exception] = []
    for kind in (_MssGrabber, _PillowGrabber):
        try:
            return kind()
        except SourceError:
            raise
        # Whatever fails, be it the display, one of its extensions, a library or a tool, the next way may work.
        except Exception as error:
            problems.append(error)
    if isinstance(problems[0], ModuleNotFoundError):
        raise problems[0]
    raise no_screen(problems[0]) from problems[0]


def no_screen(problem: Exception) -> SourceError:
    """What to tell when the screen can't be opened for this reason."""
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


def _open_mss() -> MSS:
    """An MSS that has proven that it can capture, with the pointer if it can do that."""
    from mss import MSS, ScreenShotError

    if sys.platform == "linux":
        with contextlib.suppress(ScreenShotError):
            return _proven(MSS(with_cursor=True))
    return _proven(MSS())


def _proven(grabber: MSS) -> MSS:
    """The same one, when it has captured a pixel. Closes it and raises what mss does otherwise."""
    try:
        left, top = grabber.monitors[0]["left"], grabber.monitors[0]["top"]
        grabber.grab((left, top, left + 1, top + 1))
    except BaseException:
        _close(grabber)
        raise
    return grabber


def _close(grabber: MSS) -> None:
    """Closes an MSS, which may be called once only, and nothing of it afterwards.

    When the X server has gone, mss 10.2 frees its connection and raises; a second close, or a grab, would use the freed
    connection, which ends the process.
    """
    from mss import ScreenShotError

    with contextlib.suppress(ScreenShotError):
        grabber.close()


def _regions(grabber: MSS) -> Sequence[Region]:
    regions = [Region(each["left"], each["top"], each["width"], each["height"]) for each in grabber.monitors]
    return regions if len(regions) > 1 else regions * 2  # without RANDR only the whole is known
