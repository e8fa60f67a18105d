"""A LAN screen share: the host's screen as an MJPEG stream that a plain browser shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from screenshare.share import ScreenShare

__all__ = ["ScreenShare"]


def __getattr__(name: str) -> Any:
    """Loads the server's half when it is asked for: the process that captures needs none of it."""
    if name != "ScreenShare":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from screenshare.share import ScreenShare

    return ScreenShare
