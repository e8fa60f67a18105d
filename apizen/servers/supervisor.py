"""Several processes that serve the same sockets: started, watched, started again, and ended together.

The parent has bound the sockets before it forks and keeps them, so that a connection waits, and is not
refused, while a worker is started again. It runs no event loop and no thread: what a fork copies is what
was compiled, and no lock that a thread holds.

A worker knows from the end of a pipe, the lifeline, that its parent is gone, and ends itself. Through
another pipe it reports that it is ready, or why it can't be.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from apizen.breaker import Breaker
from apizen.service import StartError
from apizen.worker import become_worker

__all__ = ["Supervisor", "delay_after"]

logger = logging.getLogger(__name__)

_STEADY_SECONDS = 10.0
_LONGEST_DELAY = 30.0
# The server's own grace, and time to close what is behind it.
_PATIENCE_SECONDS = 15.0


def delay_after(deaths: int) -> float:
    """The seconds until a worker is started again that has died so often in a row, each time soon after its start.

    >>> [delay_after(deaths) for deaths in range(1, 9)]
    [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    """
    return 0.0 if deaths == 1 else min(2.0 ** min(deaths - 2, 10), _LONGEST_DELAY)


class _Worker:
    """One place among the workers, and the process that has it."""

    __slots__ = ("deaths", "due", "failed", "index", "process", "ready", "reason", "started")

    def __init__(self, index: int) -> None:
        self.index = index
        self.process = 0  # 0: there is none, it is started when it is due
        self.started = 0.0
        self.due = 0.0
        self.deaths = 0
        self.ready = False
        self.failed = False  # a process of its died before it was ready, and none has been ready since
        self.reason = ""


class Supervisor:
    """Keeps ``count`` workers on ``sockets``.

    ``work`` is what a worker does. It is given a function, which it calls as soon as it serves, and raises `StartError`
    where it can't serve. ``announce`` is called once, in the parent, when every worker serves or has failed to start.
    ``breaker`` is asked why a worker died; where it has switched off the reason, the next worker starts at once.
    """

    def __init__(
        self,
        count: int,
        sockets: Sequence[socket.socket],
        work: Callable[[Callable[[], None]], object],
        announce: Callable[[], None],
        breaker: Breaker | None = None,
    ) -> None:
        self._workers = [_Worker(index) for index in range(count)]
        self._sockets = sockets
        self._work = work
        self._announce = announce
        self._breaker = breaker
        self._announced = False
        self._served = False  # some worker was ready once
        self._reason = ""  # the first that a worker gave for its end
        self._deadline: float | None = None  # when the workers must have ended; None while they shall run
        self._killed = False
        self._lifeline = os.pipe()
        self._reports = os.pipe()
        self._wakeup = os.pipe()
        for descriptor in (*self._reports, *self._wakeup):
            os.set_blocking(descriptor, False)

    def run(self) -> int:
        """Serves until SIGTERM or SIGINT; a second one kills the workers. The exit status of the program.

        Raises `StartError` where no worker can start.
        """
        others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
        if others:
            logger.warning("threads that are started before the workers don't run in them: %s", ", ".join(others))
        gc.freeze()  # a collection would write to every object, and so copy the memory that workers share
        self._catch_signals()
        try:
            while self._deadline is None or self._running():
                self._judge_start()
                self._start_due()
                self._wait()
                self._heed_signals()
                self._read_reports()
                self._reap()
        finally:
            self._signal(signal.SIGKILL)
            for worker in self._running():
                os.waitpid(worker.process, 0)
        return 1 if self._killed else 0

    def _running(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.process]

    def _signal(self, number: int) -> None:
        for worker in self._running():
            os.kill(worker.process, number)

    def _catch_signals(self) -> None:
        # Their numbers come through the pipe, one byte each.
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, _ignore)

    def _wait(self) -> None:
        """Waits for a signal, a report, or the time of the next thing to do."""
        if self._deadline is None:
            times = [worker.due for worker in self._workers if not worker.process]
        else:
            times = [self._deadline]
        pause = max(0.0, min(times) - time.monotonic()) if times else None
        select.select([self._wakeup[0], self._reports[0]], [], [], pause)

    def _heed_signals(self) -> None:
        for number in _read(self._wakeup[0]):
            if number != signal.SIGCHLD:
                self._stop()
        if self._deadline is not None and time.monotonic() >= self._deadline:
            logger.error("%d workers did not end and are killed", len(self._running()))
            self._kill()

    def _stop(self) -> None:
        if self._deadline is not None:
            self._kill()
            return
        self._deadline = time.monotonic() + _PATIENCE_SECONDS
        for listener in self._sockets:
            listener.close()
        self._signal(signal.SIGTERM)

    def _kill(self) -> None:
        self._killed = True
        self._deadline = time.monotonic() + _PATIENCE_SECONDS
        self._signal(signal.SIGKILL)

    def _read_reports(self) -> None:
        for line in _read(self._reports[0]).splitlines():
            index, failed, reason = line.decode(errors="replace").partition(" ")
            worker = self._workers[int(index)]
            if failed:
                worker.reason = reason
                self._reason = self._reason or reason
            else:
                worker.ready = self._served = True
                worker.failed = False

    def _reap(self) -> None:
        for worker in self._running():
            process, status = os.waitpid(worker.process, os.WNOHANG)
            if process:
                worker.process = 0
                self._ask_why(worker)
                self._on_loss(worker, f"process {process} {_end(os.waitstatus_to_exitcode(status), worker.reason)}")

    def _ask_why(self, lost: _Worker) -> None:
        if self._deadline is None and self._breaker is not None and self._breaker.blame(lost.index):
            for worker in self._workers:
                worker.deaths = 0
                worker.due = 0.0

    def _on_loss(self, worker: _Worker, what: str) -> None:
        """Plans the next start of a worker whose process ended or could not be made."""
        worker.failed = not worker.ready
        worker.ready = False
        if self._deadline is not None:
            return
        now = time.monotonic()
        worker.deaths = worker.deaths + 1 if now - worker.started < _STEADY_SECONDS else 1
        delay = delay_after(worker.deaths)
        worker.due = now + delay
        when = f"in {delay:g} s" if delay else "at once"
        logger.warning("worker %d: %s; the next starts %s", worker.index, what, when)

    def _judge_start(self) -> None:
        if self._deadline is not None or self._announced:
            return
        if not self._served and all(worker.failed for worker in self._workers):
            raise StartError(self._reason or "each worker ended before it served")
        if self._served and all(worker.ready or worker.failed for worker in self._workers):
            self._announced = True
            self._announce()

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if self._deadline is None and not worker.process and worker.due <= now:
                worker.started = now
                worker.reason = ""
                self._fork(worker)

    def _fork(self, worker: _Worker) -> None:
        _flush()  # what is buffered would be printed by both
        # A signal that comes while the child still has the parent's handlers would be heard by the parent.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD))
        try:
            worker.process = os.fork()
            if worker.process == 0:
                self._be(worker.index)
        except OSError as error:  # the system has no more processes
            self._reason = self._reason or f"no process for a worker: {error.strerror}"
            self._on_loss(worker, f"no process: {error.strerror}")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _be(self, index: int) -> NoReturn:
        """The whole life of a worker."""
        status = 1
        try:
            self._leave_parent(index)
            self._work(partial(self._report, index))
            status = 0
        except StartError as error:
            self._report(index, str(error))
        except BaseException as error:
            logger.exception("worker %d failed", index)
            self._report(index, f"{type(error).__name__}: {error}")
        finally:
            if self._breaker is not None:
                self._breaker.end()
            _flush()
            os._exit(status)  # what the parent registered to be done at its exit is not the worker's to do

    def _leave_parent(self, index: int) -> None:
        become_worker(index)
        if self._breaker is not None:
            self._breaker.begin(index)
        signal.set_wakeup_fd(-1)
        for descriptor in (self._lifeline[1], self._reports[0], *self._wakeup):
            os.close(descriptor)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # SIGINT keeps its handler, which does nothing: Ctrl-C goes to all processes of a terminal, and the
        # parent passes it on as SIGTERM.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD))
        threading.Thread(target=_end_with_parent, args=(self._lifeline[0],), name="lifeline", daemon=True).start()

    def _report(self, index: int, reason: str | None = None) -> None:
        """Tells the parent that this worker serves, or why it ends."""
        line = (str(index) if reason is None else f"{index} {' '.join(reason.split())}").encode(errors="replace")
        with contextlib.suppress(OSError):
            os.write(self._reports[1], line[: select.PIPE_BUF - 1] + b"\n")  # the pipe takes so much in one piece


def _end_with_parent(lifeline: int) -> None:
    """Ends this process when its parent has: as by SIGTERM, and if that takes too long, at once."""
    os.read(lifeline, 1)  # nobody ever writes: it returns when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_SECONDS)
    os._exit(1)


def _end(status: int, reason: str) -> str:
    """How a process ended, for the log.

    >>> _end(-9, ''), _end(1, "can't open the database")
    ('was ended by signal 9, Killed', "ended with status 1: can't open the database")
    """
    if status < 0:
        return f"was ended by signal {-status}, {signal.strsignal(-status)}"
    return f"ended with status {status}" + (f": {reason}" if reason else "")


def _read(descriptor: int) -> bytes:
    """What is in a pipe now."""
    with contextlib.suppress(BlockingIOError):
        return os.read(descriptor, 65536)
    return b""


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # there may be none, or it is closed
            stream.flush()


def _ignore(number: int, frame: object) -> None:
    """A signal's handler that leaves it to whoever reads the pipe."""
