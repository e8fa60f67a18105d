"""What a source shows now: its picture, or the reason why there is none as a picture.

A source that fails is closed, and opened again after a pause, see `screenshare.retry`.

It belongs to one thread. Others may read `hangs` and single values, and call `rouse` and `wake`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from screenshare.failure import Failure, failure_of, log_failure
from screenshare.retry import Retry
from screenshare.source_status import SourceStatus

if TYPE_CHECKING:
    from screenshare.source import Image, Source

__all__ = ["View"]

logger = logging.getLogger(__name__)

_NOTICE_SIZE = (1280, 720)


class View(SourceStatus):
    """Looks at the source. ``picture`` is the newest; ``retry_at``: when a source that has failed is tried again."""

    def __init__(self, open_source: Callable[[], Source]) -> None:
        super().__init__()
        self.picture: Image | None = None
        self.retry_at = 0.0
        self._open_source = open_source
        self._source: Source | None = None
        self._retry = Retry()

    def look(self, patience: float) -> bool:
        """Brings the picture up to date; waits up to ``patience`` for a change. False: nothing has changed.

        Raises what the source raises, which is then for `fail`.
        """
        source = self._source
        opened = source is None
        if source is None:
            source = self._source = self._open_source()
        changed = opened or source.wait(patience)
        self.taken = time.monotonic(), time.time()
        if changed:
            self._take(source.grab())
        self.name, self.size = source.name, source.size
        self.looked_at = time.monotonic()
        self.failure = None
        self._retry.worked(self.looked_at)
        return changed

    def wake(self) -> None:
        """Ends the wait of a `look` that is going on, or else the next one."""
        source = self._source
        if source is not None:
            source.wake()

    @property
    def tells(self) -> bool:
        """Whether the source tells of its changes."""
        return self._source is not None and self._source.tells

    @property
    def needs_look(self) -> bool:
        """Whether the source may be looked at: not while one that has failed is left alone."""
        return self.failure is None or time.monotonic() >= self.retry_at

    def fail(self, error: Exception, *, draws: bool) -> None:
        """Closes the source and leaves it alone for a while; until then the picture is the reason in words.

        Without ``draws``, as it is drawing that has failed, there is no picture.
        """
        self.close()
        now = time.monotonic()
        self.retry_at = now + self._retry.failed(now)
        failure = failure_of(error)
        if failure != self.failure or not draws:
            log_failure(failure, error)
            self.picture = self._notice(failure) if draws else None
            self.version += 1
            self.failure = failure

    def forget(self) -> None:
        """Holds on to nothing while nobody watches."""
        self.picture = self.failure = None
        self.retry_at = 0.0
        self._retry.forget()

    def close(self) -> None:
        """Closes the source; the next look opens it again."""
        source, self._source = self._source, None
        if source is not None:
            try:
                source.close()
            except Exception:
                logger.exception("the source could not be closed")

    def _take(self, image: Image) -> None:
        from screenshare.encoder import same  # loads cv2: only with the first viewer

        if self.picture is not None and same(image, self.picture):
            return
        self.picture = image
        self.version += 1
        self.count(self.taken[0], self.version)

    def _notice(self, failure: Failure) -> Image | None:
        width, height = self.size if all(self.size) else _NOTICE_SIZE
        try:
            from screenshare.encoder import notice

            return notice(width, height, failure)
        except Exception:
            logger.exception("the reason could not be drawn")
            return None
