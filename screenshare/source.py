"""What every source of pictures can do, and how it fails. Which ones there are: `screenshare.source_choice`.

Importing this module loads no library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[Any]  # of uint8, which OpenCV's types don't say

__all__ = ["Region", "Source", "SourceError"]


class SourceError(Exception):
    """A source can't be opened, or has stopped. ``reason`` says why, ``advice`` how to mend it; ``_zh`` is Chinese."""

    def __init__(self, reason: str, reason_zh: str, advice: str, advice_zh: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reason_zh = reason_zh
        self.advice = advice
        self.advice_zh = advice_zh


class Source(Protocol):
    """Gives pictures. Only one thread may use it, but for `wake`.

    ``size`` is the width and height of the last picture. ``tells``: it knows when it changes; else it has to be polled.
    """

    name: str
    size: tuple[int, int]

    @property
    def tells(self) -> bool: ...

    def wait(self, seconds: float) -> bool:
        """Waits up to ``seconds`` until there may be a new picture since the last grab.

        False: there is surely none. A source that doesn't tell says True at once.
        """

    def wake(self) -> None:
        """Ends the `wait` that is going on, or else the next one. Any thread may call it at any time, also after
        `close`. Does nothing where no wait lasts long."""

    def grab(self) -> Image:
        """The picture now: height × width × 3 (BGR) or 4 (BGRA) bytes, in memory of its own. Raises SourceError."""

    def close(self) -> None:
        """Gives everything back. May be called again, and after an error."""


class Region(NamedTuple):
    """A rectangle of the screen, in pixels. Left and top are negative beside or above the main monitor."""

    left: int
    top: int
    width: int
    height: int
