"""One preset's way through the capture: when its next frame is due, and the last one that was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screenshare.picture import Frame, Preset

if TYPE_CHECKING:
    from screenshare.source import Image

__all__ = ["SHARED", "Track"]

#: The part of its interval by which a frame may come before it is due, to share a picture with another preset.
SHARED = 0.25


class Track:
    """``due``: from this moment on the next frame may be made. ``handed``: the last one was given away."""

    __slots__ = ("_frame", "_free", "_number", "_version", "due", "handed", "preset")

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.due = 0.0
        self.handed = False
        self._free = 0.0
        self._frame: Frame | None = None
        self._number = 0
        self._version = 0

    def schedule(self, now: float) -> None:
        """A frame is made as soon as the source has told of a change: a token bucket with one frame of credit.

        The mean stays the preset's fps, in no second there is more than one frame above it; but a change that comes
        early, by up to an interval, is not held back, as long as they come no more often than that in the mean.
        """
        self._free = max(self._free + self._interval, now)
        self.due = self._free

    def pause(self, now: float) -> None:
        """The source has told of a change which can't be seen. That is no frame, but cost a look."""
        self.due = max(self.due, now + self._interval)

    def poll(self, now: float) -> None:
        """The source tells nothing: it is looked at once in an interval, made up for a look that came late."""
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
