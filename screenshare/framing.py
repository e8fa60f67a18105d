"""How frames become the parts of a ``multipart/x-mixed-replace`` stream (WHATWG HTML, 7.11.5). Pure functions.

``browser``: a browser shows a picture only when the next part begins, Chromium not before that part's headers
are complete (its bug 527446). So the boundary and the next part's whole header block follow each JPEG at once;
the price is that no part can name its own length, which is not known yet.

``length``: for programs. Each part has Content-Length and X-Timestamp, and ends with the boundary.

    head of the response, opening, part, part, part …

>>> frame = Frame(1, b'JPEG', 0.0, 1700000000.25, 2, 2)
>>> BROWSER.opening == b'--' + BOUNDARY + b'\\r\\nContent-Type: image/jpeg\\r\\n\\r\\n'
True
>>> BROWSER.part(frame) == b'JPEG\\r\\n' + BROWSER.opening
True
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import NamedTuple

from screenshare.picture import Frame

__all__ = ["BOUNDARY", "BROWSER", "CONTENT_TYPE", "FRAMINGS", "HEADERS", "LENGTH", "Framing", "response_head"]

BOUNDARY = b"next-picture-8d1f4c60b7e2"
CONTENT_TYPE = f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}"

#: What every answer with something of the screen carries: it is kept nowhere, gathered by no proxy, and
#: shown in no other site's page.
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_DELIMITER = b"--" + BOUNDARY + b"\r\n"
_PART_HEADERS = b"Content-Type: image/jpeg\r\n\r\n"
_AFTER_JPEG = b"\r\n" + _DELIMITER + _PART_HEADERS
_FIXED_HEAD = "".join(
    f"{name}: {value}\r\n" for name, value in {"Content-Type": CONTENT_TYPE, **HEADERS, "Connection": "close"}.items()
)


class Framing(NamedTuple):
    """One way to frame: ``opening`` goes out with the response's head, ``part(frame)`` for each frame."""

    opening: bytes
    part: Callable[[Frame], bytes]


def browser_part(frame: Frame) -> bytes:
    """The JPEG, then all that makes a browser show it: the boundary and the next part's complete headers."""
    return frame.jpeg + _AFTER_JPEG


def length_part(frame: Frame) -> bytes:
    r"""A part that names its length and when its picture was taken (wall clock, seconds), then the boundary.

    >>> length_part(Frame(1, b'JPEG', 0.0, 1700000000.25, 2, 2)).split(b'--')[0]
    b'Content-Type: image/jpeg\r\nContent-Length: 4\r\nX-Timestamp: 1700000000.250000\r\n\r\nJPEG\r\n'
    """
    headers = (
        f"Content-Type: image/jpeg\r\nContent-Length: {len(frame.jpeg)}\r\nX-Timestamp: {frame.wall_time:.6f}\r\n\r\n"
    )
    return b"".join((headers.encode(), frame.jpeg, b"\r\n", _DELIMITER))


def response_head(now: float) -> bytes:
    r"""The status line and the headers of a stream's response, blank line included; ``now`` is the wall clock.

    It ends with the connection: chunked encoding would copy each frame for each viewer.

    >>> response_head(0.0).splitlines()[:2]
    [b'HTTP/1.1 200 OK', b'Date: Thu, 01 Jan 1970 00:00:00 GMT']
    """
    return f"HTTP/1.1 200 OK\r\nDate: {formatdate(now, usegmt=True)}\r\n{_FIXED_HEAD}\r\n".encode()


BROWSER = Framing(_DELIMITER + _PART_HEADERS, browser_part)
LENGTH = Framing(_DELIMITER, length_part)

#: By the name that a client asks for.
FRAMINGS = {"browser": BROWSER, "length": LENGTH}
