"""The capture in a process of its own, so that the gateway's thread never waits for it.

The kernel lets that process run when nobody else wants to, which no thread of this process could: it might hold the
interpreter's lock while it waits for its turn. It is started for the first viewer, ended after the last, and started
again after a pause if it ends by itself, see `screenshare.retry`.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Mapping
from typing import Any

from screenshare.capture_protocol import Answer, Deliver
from screenshare.capture_thread import CaptureThread, give
from screenshare.child import Child
from screenshare.failure import Failure, lost
from screenshare.picture import Preset
from screenshare.pipe_messages import Message, frame_of, report_of
from screenshare.retry import Retry
from screenshare.source_status import SourceStatus

__all__ = ["CaptureProcess"]

logger = logging.getLogger(__name__)

#: What runs in the process.
WORKER = "screenshare.worker"


class CaptureProcess(CaptureThread):
    """As `Capture`, for a source by its name. The thread that ``deliver`` is called in reads what the process sends.

    The process confirms what it was told, and is told of changes only after that. So there is never more than one
    message in the pipe, and telling never waits.
    """

    def __init__(self, source: str, presets: Mapping[str, Preset], deliver: Deliver) -> None:
        super().__init__(SourceStatus())
        self._deliver = deliver
        self._first = {"source": source, "presets": [*presets.values()]}
        # Guarded by the condition:
        self._child: Child | None = None
        self._unheard = False  # it has yet to confirm what it was told
        self._changed = False  # since then
        self._asked: dict[str, list[Answer]] = {}  # by the number of the question to the process
        self._numbers = itertools.count(1)
        # The thread's own:
        self._lost = False
        self._retry = Retry()
        self._pause = 0.0
        # The newest frame's number of each preset, and what it was when the process started, which counts from 1.
        self._newest = dict.fromkeys(presets, 0)
        self._bases = dict(self._newest)

    def ask(self, name: str, answer: Answer) -> None:
        """As `CaptureProtocol.ask`; where there is no process, the answer is why."""
        with self._condition:
            failure = self._status.failure if self._lost else None
            if failure is None:
                super().ask(name, answer)
        if failure is not None:
            answer(failure)

    @property
    def hangs(self) -> bool:
        """As `CaptureProtocol.hangs`; also where there is no process."""
        return self._lost or self._status.hangs

    def _pass_on(self) -> None:
        """Tells the process what is wanted now, or will when it has heard the last of it."""
        if self._stopped:
            self._condition.notify_all()
            if self._child is not None:
                self._child.end()
            return
        self._changed = True
        # What is wanted while the last process ends is told to the next one.
        if self._child is None or self._child.dismissed or self._unheard:
            return
        asked = {str(next(self._numbers)): name for name in self._questions}
        for number, name in asked.items():
            self._asked[number] = self._questions.pop(name)
        self._child.tell({"watch": [*self._wanted], "renew": [*self._renewed], "ask": asked})
        self._renewed.clear()
        self._changed, self._unheard = False, True

    # What follows runs in the thread.

    def _run(self) -> None:
        while not self._must_end():
            self._run_child()
            with self._condition:
                self._condition.wait_for(lambda: self._stopped, self._pause if self._lost else 0)

    def _forget(self) -> None:
        self._status.failure = None
        self._lost = False
        self._retry.forget()

    def _take_answers(self) -> list[Answer]:
        answers = [answer for group in self._asked.values() for answer in group]
        self._asked = {}
        return super()._take_answers() + answers

    def _run_child(self) -> None:
        level = logging.getLogger(__package__).getEffectiveLevel()
        try:
            child = Child(WORKER)
        except OSError as error:
            self._lose(f"can't be started: {error}")
            return
        try:
            child.tell({**self._first, "level": level})
            self._use(child)
            for message in child.messages():
                self._take(message)
        finally:
            with self._condition:
                self._child = None
            dismissed = child.dismissed
            code = child.reap()
        if not dismissed:
            self._lose(f"has ended, code {code}")

    def _use(self, child: Child) -> None:
        self._bases = dict(self._newest)
        with self._condition:
            self._child = child
            self._unheard = False
            self._pass_on()

    def _take(self, message: Message) -> None:
        head = message.head
        if "report" in head:
            self._status.follow(report_of(head["report"]))
            self._lost = False
            self._retry.worked(time.monotonic())
        if "deliver" in head:
            self._hand_out(head["deliver"], message)
        elif "answer" in head:
            self._give(head, message)
        elif "heard" in head:
            with self._condition:
                self._unheard = False
                if self._changed:
                    self._pass_on()
        elif "log" in head:
            name, severity, text = head["log"]
            logging.getLogger(name).log(severity, "%s", text)

    def _hand_out(self, name: str, message: Message) -> None:
        frame = frame_of(message, self._bases[name])
        self._newest[name] = frame.number
        self._deliver(name, frame)

    def _give(self, head: dict[str, Any], message: Message) -> None:
        with self._condition:
            answers = self._asked.pop(head["answer"], [])
        give(answers, Failure(*head["failure"]) if "failure" in head else frame_of(message, 0))

    def _lose(self, what: str) -> None:
        """The process is not there, and nobody told it to end."""
        logger.error("the process that captures %s", what)
        self._pause = self._retry.failed(time.monotonic())
        with self._condition:
            self._status.failure = lost()
            self._lost = True
            answers = self._take_answers()
        give(answers, lost())
