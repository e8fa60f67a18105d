"""Cameras, video files and network cameras as sources, through OpenCV.

A thread of its own reads each of them at its own pace. OpenCV queues what isn't read, so a source that is read more
slowly than it gives would show an ever older picture.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import cv2

from screenshare.source import SourceError

if TYPE_CHECKING:
    from screenshare.source import Image

__all__ = ["CameraSource", "open_camera", "open_file", "open_network"]

# Both would write to the error output, at each new try, what the SourceError says.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# Seconds without a picture after which a source counts as stopped.
_STALL = 5.0
_NETWORK = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 5000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 5000]


class _Words(NamedTuple):
    """What a source is called, and how it can be mended."""

    name: str
    name_zh: str
    advice: str
    advice_zh: str


def open_camera(number: int) -> CameraSource:
    """A camera of this machine, by its number from 0."""
    words = _Words(
        f"camera {number}",
        f"摄像头 {number}",
        "Plug it in, close other programs that use it, or choose another number, as in --screen-source camera:1",
        "请连接摄像头，关闭占用它的其他程序，或选择其他编号，例如 --screen-source camera:1",
    )
    return CameraSource(words, lambda: cv2.VideoCapture(number))


def open_file(path: str) -> CameraSource:
    """A video file, which starts again at its end."""
    name = Path(path).name
    if not Path(path).is_file():
        raise SourceError(
            f"there is no file {name}",
            f"文件 {name} 不存在",
            "Give the path of a video file: --screen-source file:PATH",
            "请给出视频文件的路径：--screen-source file:PATH",
        )
    words = _Words(
        f"file {name}",
        f"文件 {name}",
        "Give a video file that OpenCV can read, such as MP4 with H.264",
        "请使用 OpenCV 能读取的视频文件，例如 H.264 编码的 MP4",
    )
    return CameraSource(words, lambda: cv2.VideoCapture(path), repeats=True)


def open_network(address: str) -> CameraSource:
    """A camera with an rtsp:// address. User and password in it are not part of the source's name."""
    parts = urlsplit(address)
    name = f"rtsp://{parts.netloc.rpartition('@')[2]}{parts.path}"
    words = _Words(
        name,
        name,
        "Check that the camera is on, and its address, user and password",
        "请检查摄像头是否开启，以及地址、用户名和密码",
    )
    return CameraSource(words, lambda: cv2.VideoCapture(address, cv2.CAP_FFMPEG, _NETWORK))


class CameraSource:
    """What ``open_capture`` opens. One that ``repeats`` is shown at its own rate, and from the start at its end."""

    name: str
    size: tuple[int, int]
    tells = True

    def __init__(self, words: _Words, open_capture: Callable[[], cv2.VideoCapture], *, repeats: bool = False) -> None:
        self.name = words.name
        self._words = words
        self._open_capture = open_capture
        self._repeats = repeats
        self._capture = open_capture()
        read, image = self._capture.read()
        if not read:
            self._capture.release()
            raise self._error("can't be opened", "无法打开")
        self._measure(image)
        self._newest: Image | None = image
        self._behind = 0  # pictures that were read since the newest one that was decoded
        self._read_at = time.monotonic()
        self._ended = False
        self._woken = False
        self._condition = threading.Condition()
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=words.name, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        with self._condition:
            self._ask_for_news()
            self._condition.wait_for(lambda: self._has_news() or self._woken, seconds)
            self._woken = False
            return self._has_news() or self._has_stalled()

    def wake(self) -> None:
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def grab(self) -> Image:
        with self._condition:
            if self._behind:
                self._newest = None
            self._ask_for_news()
            self._condition.wait_for(self._has_news, 0 if self._has_stalled() else _STALL)
            image, self._newest = self._newest, None
        if image is None:
            raise self._stopped()
        self._measure(image)
        return image

    def close(self) -> None:
        self._closing.set()
        # A camera that hangs may hold the thread longer; it gives the camera back when it comes out.
        self._thread.join(2)

    def _measure(self, image: Image) -> None:
        height, width = image.shape[:2]
        self.size = width, height

    def _ask_for_news(self) -> None:
        if self._newest is None:
            self._wanted.set()

    def _has_news(self) -> bool:
        return self._newest is not None or self._ended

    def _has_stalled(self) -> bool:
        return time.monotonic() - self._read_at > _STALL

    def _run(self) -> None:
        """The thread: reads for ever, and decodes a picture only when one is wanted."""
        try:
            while self._read_next():
                self._behind += 1
                if self._wanted.is_set():
                    self._decode()
        finally:
            with self._condition:
                self._ended = True
                self._condition.notify_all()
            self._capture.release()

    def _read_next(self) -> bool:
        """Reads on, in time. False at the end of what doesn't repeat, on failure, and when the source is closed."""
        if self._repeats:
            due = self._read_at + 1 / _rate(self._capture)
            self._closing.wait(due - time.monotonic())
            # One late picture doesn't make all that follow late; a pause isn't made up for.
            self._read_at = max(due, time.monotonic() - 0.5)
        if self._closing.is_set() or not (self._capture.grab() or (self._repeats and self._rewind())):
            return False
        if not self._repeats:
            self._read_at = time.monotonic()
        return True

    def _rewind(self) -> bool:
        # Not every container can be sought in; every file can be opened again.
        self._capture.release()
        self._capture = self._open_capture()
        return self._capture.grab()

    def _decode(self) -> None:
        decoded, image = self._capture.retrieve()
        if decoded:
            with self._condition:
                self._newest = image
                self._behind = 0
                self._wanted.clear()
                self._condition.notify_all()

    def _stopped(self) -> SourceError:
        if self._ended:
            return self._error("has stopped", "已停止")
        return self._error(f"has given no picture for {_STALL:.0f} seconds", f"已有 {_STALL:.0f} 秒没有画面")

    def _error(self, what: str, what_zh: str) -> SourceError:
        name, name_zh, advice, advice_zh = self._words
        return SourceError(f"{name} {what}", f"{name_zh} {what_zh}", advice, advice_zh)


def _rate(capture: cv2.VideoCapture) -> float:
    """Pictures a second of a file; 25 where it doesn't say or says nonsense."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 1 <= rate <= 240 else 25.0
