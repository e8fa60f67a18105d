"""A LAN screen share: the host's screen as an MJPEG stream that a plain browser shows."""

from screenshare.share import ScreenShare

__all__ = ["ScreenShare"]
