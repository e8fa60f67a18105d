"""The process that captures, with sources that no screen is like: see `_Odd`."""

from __future__ import annotations

import logging
import os
import threading
import time

import screenshare.worker
from screenshare.pattern import PatternSource


class _Odd(PatternSource):
    """The test picture, but it does what its name says."""

    def __init__(self, name: str) -> None:
        super().__init__()
        if name == "crash":
            os.abort()
        self.name = name
        self._grabs = 0

    def grab(self):  # type: ignore[no-untyped-def]
        self._grabs += 1
        if self._grabs == 3:
            if self.name == "stuck":
                threading.Event().wait()
            if self.name == "talk":
                os.write(1, b"printed\n")
                logging.getLogger("screenshare.odd").warning("%s is odd", self.name)
            if self.name == "fail":
                raise ValueError("odd")
        return super().grab()

    def close(self) -> None:
        if self.name == "slow to close":
            time.sleep(60)


if __name__ == "__main__":
    screenshare.worker.open_source = _Odd  # type: ignore[assignment]
    screenshare.worker.main()
