"""A Python module in a process of its own, at the other end of two pipes. It ends with this one, whoever ends it.

It is a new interpreter, no fork of this one: that would be unsafe beside threads, and Windows has none.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from screenshare.pipe_messages import Message, pack, read

__all__ = ["Child"]

_ROOT = str(Path(__file__).resolve().parents[1])
# Seconds a child may take to end after its input has.
_GRACE = 0.7


class Child:
    """Runs from the start; `reap` belongs at its end, in any event. Raises OSError where it can't be started.

    ``dismissed``: it was told to end.
    """

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 (this interpreter)
            # -P: no module of the working directory gets in the way.
            [sys.executable, "-P", "-m", module],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            **_APART,
        )
        self._input, self._output = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)
        self._killer = threading.Timer(_GRACE, self._process.kill)
        self._killer.daemon = True
        self.dismissed = False

    def tell(self, head: dict[str, Any]) -> None:
        """Never waits as long as what is told and not yet read stays below what a pipe holds."""
        with contextlib.suppress(OSError, ValueError):  # it has ended, which `messages` tells
            self._input.write(pack(head))
            self._input.flush()

    def messages(self) -> Iterator[Message]:
        """What it tells, until it ends."""
        while (message := read(self._output)) is not None:
            yield message

    def end(self) -> None:
        """Lets it end, and kills it if it doesn't. Doesn't wait for it. May be called again."""
        if not self.dismissed:
            self.dismissed = True
            self._killer.start()
            with contextlib.suppress(OSError):
                self._input.close()

    def reap(self) -> int:
        """Waits for its end; gives its exit code, negative for a signal."""
        self.end()
        code = self._process.wait()
        self._killer.cancel()
        self._killer.join()
        self._output.close()
        return code


def _environment() -> dict[str, str]:
    paths = [_ROOT, os.environ.get("PYTHONPATH", "")]
    return {
        # numpy computes in one thread here; the others would only take memory.
        "OPENBLAS_NUM_THREADS": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def _apart() -> dict[str, Any]:
    """Ctrl-C is for this process alone."""
    if sys.platform == "win32":
        return {
            "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP
            | subprocess.BELOW_NORMAL_PRIORITY_CLASS
            | subprocess.CREATE_NO_WINDOW
        }
    # Not a session: Linux would share the processor among sessions before it asks who of one is idle.
    return {"process_group": 0}


_APART = _apart()
