"""Times as text, for what writes the same second many times."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate

__all__ = ["SecondText", "http_date"]


class SecondText:
    """Writes a second of the clock by ``write``, and keeps the text until another second is asked for.

    >>> SecondText(lambda second: f'second {second}').of(1451620800.25)
    'second 1451620800'
    """

    __slots__ = ("_last", "_write")

    def __init__(self, write: Callable[[int], str]) -> None:
        self._write = write
        self._last = (0, write(0))

    def of(self, now: float) -> str:
        """The text of the second that ``now``, in seconds, belongs to."""
        whole = int(now)
        second, text = self._last
        if second != whole:
            text = self._write(whole)
            self._last = (whole, text)  # both in one step: another thread must not see half of it
        return text


#: The value of a header Date (RFC 9110, 6.6.1).
http_date = SecondText(lambda second: formatdate(second, usegmt=True)).of
