"""Log lines that say the same thing on every call, at most once in a while.

>>> import logging
>>> log = ThrottledLog(logging.getLogger('apizen.example'), 60)
>>> log.warning('the store of limits fails: %s', 'refused')
True
>>> log.warning('the store of limits fails: %s', 'refused')
False
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

__all__ = ["ThrottledLog"]


class ThrottledLog:
    """A logger that lets one line through and drops those of the following seconds."""

    __slots__ = ("_clock", "_dropped", "_logger", "_seconds", "_silent_until")

    def __init__(self, logger: logging.Logger, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._seconds = seconds
        self._clock = clock
        self._silent_until = float("-inf")
        self._dropped = 0

    def warning(self, message: str, *values: object) -> bool:
        """Logs, unless a line was logged a short while ago: then it counts the line as dropped, and gives False."""
        now = self._clock()
        if now < self._silent_until:
            self._dropped += 1
            return False
        if self._dropped:
            message, values = f"{message} (and %d times since the last such line)", (*values, self._dropped)
        self._silent_until = now + self._seconds
        self._dropped = 0
        self._logger.warning(message, *values)
        return True
