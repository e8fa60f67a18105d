"""How long to leave alone what has failed: 1 second, then 2, 4 … up to 30.

>>> retry = Retry()
>>> [retry.failed(0.0) for _ in range(6)]
[1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
>>> retry.worked(100.0)
>>> retry.failed(129.0)     # it has worked for less than the pause before
30.0
>>> retry.worked(200.0)
>>> retry.failed(230.0)
1.0
"""

from __future__ import annotations

__all__ = ["Retry"]

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class Retry:
    """The pauses of one thing that fails and works. Times are seconds of any one clock that never goes back."""

    def __init__(self) -> None:
        self._pause = 0.0
        self._works_since: float | None = None

    def worked(self, now: float) -> None:
        """It works. The first time after a failure counts, so this may be called again and again."""
        if self._works_since is None:
            self._works_since = now

    def failed(self, now: float) -> float:
        """The pause that follows a failure: the first one where it has worked as long as the last pause was, else
        twice the last one."""
        worked = 0.0 if self._works_since is None else now - self._works_since
        self._works_since = None
        self._pause = _FIRST_PAUSE if worked >= self._pause else min(2 * self._pause, _LONGEST_PAUSE)
        return self._pause

    def forget(self) -> None:
        """As if it had never failed."""
        self._pause = 0.0
        self._works_since = None
