"""One preset's way through the capture: when its next frame is due, and the last one that was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screenshare.picture import Frame, Preset

if TYPE_CHECKING:
    from screenshare.source import Image

__all__ = ["SHARED", "Track"]

#: A frame may come early by this fraction of its interval, so that presets share a picture.
SHARED = 0.25


class Track:
    """``due``: from this moment on the next frame may be made. ``handed``: whether the last one was handed out."""

    __slots__ = ("_frame", "_free", "_number", "_version", "due", "handed", "preset")

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.due = 0.0
        self.handed = False
        self._free = 0.0  # when the token bucket has its next token
        self._frame: Frame | None = None
        self._number = 0
        self._version = 0

    def schedule(self, now: float) -> None:
        """Sets ``due`` after a frame of a source that tells of its changes: a token bucket with one frame of credit.

        A change that comes early, by up to an interval, is shown at once; yet the mean stays the preset's fps, and in
        no second there is more than one frame above it.
        """
        self._free = max(self._free + self._interval, now)
        self.due = self._free

    def pause(self, now: float) -> None:
        """Sets ``due`` after a change that was told of but can't be seen: it made no frame, but cost a look."""
        self.due = max(self.due, now + self._interval)

    def poll(self, now: float) -> None:
        """Sets ``due`` for a source that doesn't tell of its changes: it is looked at once in an interval.

        After a look that came late by less than an interval, the next one is due when it would have been anyway.
        """
        self.due = (now if now - self.due > self._interval else self.due) + self._interval

    @property
    def _interval(self) -> float:
        return 1 / self.preset.fps

    def lags(self, version: int) -> bool:
        """Whether the frame of this version of the picture has not been handed out."""
        return self._version != version or not self.handed

    def render(self, image: Image | None, version: int, taken: tuple[float, float]) -> Frame:
        """The frame of this version of the picture, with the time of the last look; encoded only once.

        Numbers rise by one for each version that is encoded.
        """
        from screenshare.encoder import encode  # loads cv2: only with the first viewer

        if self._frame is None or self._version != version:
            if image is None:
                raise RuntimeError("there is no picture to encode")
            jpeg, width, height = encode(image, self.preset)
            self._number += 1
            self._version = version
            self.handed = False
            self._frame = Frame(self._number, jpeg, *taken, width, height)
        else:
            self._frame = self._frame._replace(taken_at=taken[0], wall_time=taken[1])
        return self._frame

    def forget(self) -> None:
        """Holds no frame any more; numbers go on rising."""
        self._frame = None
