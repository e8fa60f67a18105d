"""A thread that writes lines, so that nobody who has one waits for a disk or a pipe.

>>> from apizen.observability.log_file import Stream
>>> reader, descriptor = os.pipe()
>>> writer = LogWriter(Stream(descriptor), lambda lost: b'%d lines were lost\\n' % lost)
>>> writer.put(b'a line\\n')
>>> writer.close()
>>> os.read(reader, 100)
b'a line\\n'
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from apizen.observability.log_file import LogFile

__all__ = ["LogWriter"]

_MOST_LINES = 20_000
_MOST_TASKS = 200
_BATCH_LINES = 1000
# How long lines are gathered before they are written together. While the event loop is busy, the thread waits up to
# 5 ms for the interpreter after each pause and each system call, and slows the loop down as long as it waits.
_GATHERING_SECONDS = 0.1


class LogWriter:
    """Writes lines to ``file``. ``lost_line`` makes the line that says how many were lost.

    A bounded number of lines waits; those that come while the disk is stuck are dropped and counted.
    """

    def __init__(self, file: LogFile, lost_line: Callable[[int], bytes]) -> None:
        self._file = file
        self._lost_line = lost_line
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        """Begins with nothing, also in a forked process: the thread stays in its parent, which writes what waits."""
        self._lines: deque[bytes] = deque()
        self._tasks: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._asleep = True  # then all lines that were put are written, too
        self._ending = False
        self._dropped = 0  # counted where they are put
        self._unwritten = 0  # counted by the thread
        self._reported = 0

    @property
    def lost(self) -> int:
        """How many lines were lost until now."""
        return self._dropped + self._unwritten

    def put(self, line: bytes) -> None:
        """Has a line written. It ends with a line break."""
        if len(self._lines) >= _MOST_LINES:
            self._dropped += 1
            return
        self._lines.append(line)
        if self._asleep:
            self._rouse()

    def do(self, task: Callable[[], None]) -> None:
        """Runs ``task`` in the thread, before the lines that wait are written. It may put lines itself."""
        if len(self._tasks) >= _MOST_TASKS:
            self._dropped += 1
            return
        self._tasks.append(task)
        if self._asleep:
            self._rouse()

    def flush(self, seconds: float) -> bool:
        """Waits until all that was put is written. False where that takes longer than ``seconds``."""
        if self._ending:  # it was closed while the file was stuck, and that was waited for
            return False
        deadline = time.monotonic() + seconds
        self._hurry.set()
        while self._lines or self._tasks or not self._asleep:
            self._rouse()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        self._hurry.clear()
        return True

    def close(self, seconds: float = 3.0) -> None:
        """Flushes and ends the thread, within ``seconds`` in all; a later line starts it again."""
        deadline = time.monotonic() + seconds
        self.flush(seconds)
        thread = self._thread
        if thread is None:
            return
        self._ending = True
        self._wake.set()
        thread.join(max(0.1, deadline - time.monotonic()))
        if not thread.is_alive():
            self._thread = None
            self._ending = False
            self._file.close()

    def _rouse(self) -> None:
        with self._starting:
            if self._thread is None:
                # A daemon: a disk that is stuck must not keep the process from ending.
                self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no more threads, or the interpreter is going: the lines wait
                    self._thread = None
        self._wake.set()

    def _run(self) -> None:
        while True:
            # In this order: this sees a line that is put now, or who puts it sees that this sleeps, and wakes it.
            self._asleep = True
            if not (self._lines or self._tasks or self._ending):
                self._wake.wait()
            self._wake.clear()
            self._asleep = False
            if self._ending and not (self._lines or self._tasks):
                break
            self._hurry.wait(_GATHERING_SECONDS)
            self._drain()
        self._write([])
        self._asleep = True

    def _drain(self) -> None:
        while self._tasks:
            task = self._tasks.popleft()
            try:
                task()
            except Exception:
                self._unwritten += 1
        while self._lines:
            self._write([self._lines.popleft() for _ in range(min(len(self._lines), _BATCH_LINES))])

    def _write(self, lines: list[bytes]) -> None:
        missing = self.lost - self._reported
        if missing:
            lines = [self._lost_line(missing), *lines]
        if not lines:
            return
        lost = self._file.write(b"".join(lines))
        if missing and lost == len(lines):
            lost -= 1  # the line that says how many were lost; a later one will say it
        else:
            self._reported += missing
        self._unwritten += lost


_writers: weakref.WeakSet[LogWriter] = weakref.WeakSet()


def _after_fork() -> None:
    for writer in _writers:
        writer._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
