"""The process that captures: ``python -m screenshare.worker``, for `screenshare.process` at the other end of its pipes.

    first    {"source": SPEC, "presets": [[name, width, …], …], "level": of the log}
    then     {"watch": [names], "renew": [names], "ask": {number: name}}      each is answered by {"heard": true}
    back     {"deliver": name, "frame": […], "report": […]} and the JPEG      a preset's new frame
             {"answer": number, "frame": […]} and the JPEG, or {"answer": number, "failure": […]}
             {"report": […]}                                                  after a look that gave no frame
             {"log": [logger, level, text]}

It ends when its input does, at once, whether or not the source lets it. A frame that can't be written holds up the
capture, so that the next one is newer; there is no queue but the pipe.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import sys
import threading
import time
from typing import Any, BinaryIO

from screenshare.capture import Capture
from screenshare.failure import Failure
from screenshare.picture import Frame, Preset
from screenshare.pipe_messages import pack, pack_frame, read
from screenshare.priority import Priority
from screenshare.source_choice import open_source

__all__ = ["Worker", "main"]

_CLOSING_SECONDS = 0.5
# So that a frame fits into the pipe, and its reader is woken once.
_PIPE_BYTES = 1 << 20


class Worker:
    """Lets a `Capture` do what the messages say. ``descriptor`` is the pipe back."""

    def __init__(self, descriptor: int, source: str, presets: list[Preset]) -> None:
        self._descriptor = descriptor
        self._writing = threading.Lock()
        self._told = False  # whether this round has sent a report
        self._starves = threading.Event()
        self._capture = Capture(
            functools.partial(open_source, source),
            {preset.name: preset for preset in presets},
            self._deliver,
            self._looked,
        )

    def run(self, orders: BinaryIO) -> None:
        """Until the input ends."""
        threading.Thread(target=self._rescue, name="rescue", daemon=True).start()
        self._priority = Priority()
        self._capture.start()
        while (message := read(orders)) is not None:
            self._obey(message.head)
            self.send(pack({"heard": True}))
        self._capture.stop()
        end = time.monotonic() + _CLOSING_SECONDS
        while self._capture.alive and time.monotonic() < end:
            time.sleep(0.005)

    def send(self, message: bytes) -> None:
        rest = memoryview(message)
        try:
            with self._writing:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
        except OSError:  # the server has gone
            os._exit(0)

    def _obey(self, head: dict[str, Any]) -> None:
        self._capture.watch(head["watch"])
        for name in head["renew"]:
            self._capture.watch(head["watch"], name)
        for number, name in head["ask"].items():
            self._capture.ask(name, functools.partial(self._answer, number))

    def _rescue(self) -> None:
        """Replaces a capture thread that starves. The new one has the priority of this thread, which is not idle."""
        self._starves.wait()
        self._capture.stop(goes_on=True)
        while self._capture.alive:
            time.sleep(0.01)
        self._capture.start()

    # What follows is called in the capture thread.

    def _deliver(self, name: str, frame: Frame) -> None:
        self._told = True
        self.send(pack_frame({"deliver": name, "report": self._capture.report()}, frame))
        if self._priority.starves():
            self._starves.set()
        self._priority.lower()

    def _answer(self, number: str, answer: Frame | Failure) -> None:
        if isinstance(answer, Failure):
            self.send(pack({"answer": number, "failure": answer}))
        else:
            self.send(pack_frame({"answer": number}, answer))

    def _looked(self) -> None:
        if not self._told:
            self.send(pack({"report": self._capture.report()}))
        self._told = False


class _Log(logging.Handler):
    """Hands the log to the server, which knows where it belongs."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        self._worker.send(pack({"log": [record.name, record.levelno, self.format(record)]}))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server
    orders, descriptor = _take_pipes()
    first = read(orders)
    if first is not None:
        worker = Worker(descriptor, first.head["source"], [Preset(*values) for values in first.head["presets"]])
        logging.basicConfig(handlers=[_Log(worker)], level=first.head["level"], format="%(message)s")
        worker.run(orders)
    os._exit(0)  # whatever the source's libraries still do


def _take_pipes() -> tuple[BinaryIO, int]:
    """Input and output for this module alone: what a library prints goes to the log."""
    orders, descriptor = os.fdopen(os.dup(0), "rb"), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # there is a limit for all pipes of a user
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return orders, descriptor


if __name__ == "__main__":
    main()
