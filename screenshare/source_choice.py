"""Which source is meant, and opening it. The names that a host can choose from:

    screen                      the first monitor; screen:2 is the second
    screen:all                  all monitors in one picture
    screen:X,Y,WIDTH,HEIGHT     a part of that picture, in pixels
    camera:0                    a camera of this machine
    file:PATH                   a video file, again and again
    rtsp://…                    a camera in the network
    test                        a moving pattern with a clock

Importing this module loads no library; a source's library is loaded when the source is opened.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from screenshare.source import Region, SourceError

if TYPE_CHECKING:
    from screenshare.source import Source

__all__ = ["check_spec", "open_source"]

_EXPECTED = "screen, screen:2, screen:all, screen:X,Y,WIDTH,HEIGHT, camera:0, file:PATH, rtsp://…, or test"
_MONITOR = re.compile(r"[1-9][0-9]?")
_CAMERA = re.compile(r"[0-9]{1,2}")
_REGION = re.compile(r"(-?[0-9]{1,5}),(-?[0-9]{1,5}),([1-9][0-9]{0,4}),([1-9][0-9]{0,4})")
_PACKAGES = {"cv2": "opencv-python-headless", "PIL": "pillow"}


def check_spec(spec: str) -> None:
    """Raises ValueError where this names no source.

    >>> check_spec("screen:2")
    >>> check_spec("screen:0")
    Traceback (most recent call last):
    ValueError: 'screen:0' is no monitor: expected screen:1, screen:2, …, screen:all or screen:X,Y,WIDTH,HEIGHT
    """
    _opener(spec)


def open_source(spec: str) -> Source:
    """Opens the source of that name. Raises ValueError where no source has it, else SourceError."""
    opener = _opener(spec)
    try:
        return opener()
    except ModuleNotFoundError as error:
        module = str(error.name).partition(".")[0]
        if module == "screenshare":
            raise
        raise _missing(module) from error


def _missing(module: str) -> SourceError:
    package = _PACKAGES.get(module, module)
    return SourceError(
        f"the library {module} is not installed",
        f"没有安装 {module} 库",
        f"Install it: pip install {package}",
        f"请安装：pip install {package}",
    )


def _opener(spec: str) -> Callable[[], Source]:
    kind, colon, argument = spec.partition(":")
    if spec == "test":
        return _open_pattern
    if kind == "screen":
        return functools.partial(_open_screen, _monitor(spec, argument) if colon else 1)
    if kind == "camera" and _CAMERA.fullmatch(argument):
        return functools.partial(_open_camera, int(argument))
    if kind == "file" and argument:
        return functools.partial(_open_file, argument)
    if kind == "rtsp" and _is_address(spec):
        return functools.partial(_open_network, spec)
    raise ValueError(f"{spec!r} is no source: expected {_EXPECTED}")


def _monitor(spec: str, argument: str) -> int | Region:
    """The monitor's number, 0 for all of them, or a region."""
    if argument == "all":
        return 0
    if _MONITOR.fullmatch(argument):
        return int(argument)
    if region := _REGION.fullmatch(argument):
        left, top, width, height = map(int, region.groups())
        return Region(left, top, width, height)
    raise ValueError(f"{spec!r} is no monitor: expected screen:1, screen:2, …, screen:all or screen:X,Y,WIDTH,HEIGHT")


def _is_address(spec: str) -> bool:
    try:
        return bool(urlsplit(spec).hostname)
    except ValueError:
        return False


def _open_screen(which: int | Region) -> Source:
    from screenshare.screen import ScreenSource

    return ScreenSource(which)


def _open_camera(number: int) -> Source:
    from screenshare.camera import open_camera

    return open_camera(number)


def _open_file(path: str) -> Source:
    from screenshare.camera import open_file

    return open_file(path)


def _open_network(address: str) -> Source:
    from screenshare.camera import open_network

    return open_network(address)


def _open_pattern() -> Source:
    from screenshare.pattern import PatternSource

    return PatternSource()
