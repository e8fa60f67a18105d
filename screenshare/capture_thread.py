"""The thread of a capture, and what it is wanted for: what `screenshare.capture` and `screenshare.process` do alike."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable

from screenshare.capture_protocol import Answer, Status
from screenshare.failure import Failure, ended
from screenshare.picture import Frame
from screenshare.source_status import SourceStatus

__all__ = ["CaptureThread", "give"]


class CaptureThread(ABC):
    """A `CaptureProtocol` but for the capturing. ``status`` is what the thread knows of the source.

    A subclass brings the thread's work, `_run`, what brings news to it, `_pass_on`, and what ends with it, `_forget`.
    """

    def __init__(self, status: SourceStatus) -> None:
        self._status = status
        self._condition = threading.Condition()
        # Guarded by the condition:
        self._thread: threading.Thread | None = None
        self._running = False
        self._stopped = True
        self._goes_on = False
        self._wanted: frozenset[str] = frozenset()
        self._renewed: set[str] = set()
        self._questions: dict[str, list[Answer]] = {}

    def start(self) -> None:
        """Makes sure that the thread runs. One that is still ending is waited for by the next."""
        with self._condition:
            self._stopped = False
            if not self._running:
                self._running = True
                # A daemon: a source that never returns must not keep the process from ending.
                self._thread = threading.Thread(
                    target=self._live, args=(self._thread,), name="screen-capture", daemon=True
                )
                self._thread.start()

    def stop(self, *, goes_on: bool = False) -> None:
        """Lets the thread close the source and end. Doesn't wait for it: see `alive`.

        ``goes_on``: it is started again, and answers then what was asked.
        """
        with self._condition:
            self._stopped, self._goes_on = True, goes_on
            self._pass_on()

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def watch(self, names: Iterable[str], renewed: str | None = None) -> None:
        """As `CaptureProtocol.watch`."""
        with self._condition:
            if not self._wanted:
                self._status.rouse()
            self._wanted = frozenset(names)
            if renewed is not None:
                self._renewed.add(renewed)
            self._pass_on()

    def ask(self, name: str, answer: Answer) -> None:
        """As `CaptureProtocol.ask`."""
        with self._condition:
            self._questions.setdefault(name, []).append(answer)
            self._pass_on()

    def status(self) -> Status:
        status = self._status
        return Status(status.name, status.size, status.fps, status.problem if self._wanted else status.failure)

    @property
    def hangs(self) -> bool:
        """As `CaptureProtocol.hangs`."""
        return self._status.hangs

    @abstractmethod
    def _pass_on(self) -> None:
        """Lets the thread know of a `stop`, or what is wanted now. Called with the condition held."""

    # What follows runs in the thread.

    @abstractmethod
    def _run(self) -> None:
        """The thread's work, until `_must_end`."""

    @abstractmethod
    def _forget(self) -> None:
        """Drops what nobody waits for any more. Called with the condition held, at the end of the thread's work."""

    def _live(self, predecessor: threading.Thread | None) -> None:
        """The whole thread. When its work is over, or fails, `start` starts another one."""
        if predecessor is not None:
            predecessor.join()
        try:
            self._run()
        finally:
            with self._condition:
                if self._thread is threading.current_thread():  # no successor waits for this one yet
                    self._running = False

    def _must_end(self) -> bool:
        """Whether the work is over. If so, whoever has asked for a frame is told."""
        with self._condition:
            if not self._stopped:
                return False
            self._running = False
            answers = [] if self._goes_on else self._take_answers()
            self._forget()
        give(answers, ended())
        return True

    def _take_answers(self) -> list[Answer]:
        """Those who wait for a frame, who are told by the caller. Called with the condition held."""
        answers = [answer for group in self._questions.values() for answer in group]
        self._questions = {}
        return answers


def give(answers: Iterable[Answer], given: Frame | Failure) -> None:
    """Tells all of them the same."""
    for answer in answers:
        answer(given)
