"""The capture in a process of its own, so that the gateway's thread never waits for it.

The kernel lets that process run when nobody else wants to, which no thread of this process could: it might hold the
interpreter's lock while it waits for its turn. It is started for the first viewer, ended after the last, and started
again after 1, 2, 4 … 30 seconds if it ends by itself.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from screenshare.capture_protocol import Answer, Deliver, Status
from screenshare.child import Child
from screenshare.failure import Failure, ended, lost
from screenshare.picture import Preset
from screenshare.pipe_messages import Message, frame_of, report_of
from screenshare.source_status import SourceStatus

__all__ = ["CaptureProcess"]

logger = logging.getLogger(__name__)

#: What runs in the process.
WORKER = "screenshare.worker"
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 30.0


class CaptureProcess:
    """As `Capture`, for a source by its name. The thread that ``deliver`` is called in reads what the process sends.

    The process is told what is wanted when it has heard the last of it, so that telling it never waits.
    """

    def __init__(self, source: str, presets: Mapping[str, Preset], deliver: Deliver) -> None:
        self._deliver = deliver
        self._first = {"source": source, "presets": [*presets.values()]}
        self._condition = threading.Condition()
        # Guarded by the condition:
        self._thread: threading.Thread | None = None
        self._running = False
        self._stopped = True
        self._child: Child | None = None
        self._changed = self._unheard = False
        self._wanted: frozenset[str] = frozenset()
        self._renewed: set[str] = set()
        self._questions: dict[str, list[Answer]] = {}
        self._asked: dict[str, list[Answer]] = {}
        self._numbers = itertools.count(1)
        # The thread's own:
        self._status = SourceStatus()
        self._lost = False
        self._works_since: float | None = None
        self._delay = 0.0
        self._newest = dict.fromkeys(presets, 0)
        self._bases = dict(self._newest)

    def start(self) -> None:
        """Makes sure that the process runs. One that is still ending is waited for by the thread."""
        with self._condition:
            self._stopped = False
            if not self._running:
                self._running = True
                self._thread = threading.Thread(target=self._run, name="screen-capture", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Lets the process end. Doesn't wait for it: see `alive`."""
        with self._condition:
            self._stopped = True
            if self._child is not None:
                self._child.end()
            self._condition.notify_all()

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def watch(self, names: Iterable[str], renewed: str | None = None) -> None:
        """As `Capture.watch`."""
        with self._condition:
            if not self._wanted:
                self._status.rouse()
            self._wanted = frozenset(names)
            if renewed is not None:
                self._renewed.add(renewed)
            self._tell()

    def ask(self, name: str, answer: Answer) -> None:
        """As `Capture.ask`; where there is no process, the answer is why."""
        with self._condition:
            failure = self._status.failure if self._lost else None
            if failure is None:
                self._questions.setdefault(name, []).append(answer)
                self._tell()
        if failure is not None:
            answer(failure)

    def status(self) -> Status:
        status = self._status
        return Status(status.name, status.size, status.fps, status.problem if self._wanted else status.failure)

    @property
    def hangs(self) -> bool:
        """As `Capture.hangs`; also where there is no process."""
        return self._lost or self._status.hangs

    def _tell(self) -> None:
        """Tells the process what is wanted now, or will when it has heard the last of it."""
        self._changed = True
        if self._child is None or self._unheard:
            return
        asked = {str(next(self._numbers)): name for name in self._questions}
        for number, name in asked.items():
            self._asked[number] = self._questions.pop(name)
        self._child.tell({"watch": [*self._wanted], "renew": [*self._renewed], "ask": asked})
        self._renewed.clear()
        self._changed, self._unheard = False, True

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            while self._goes_on():
                self._run_child()
        finally:
            with self._condition:
                self._running = False

    def _goes_on(self) -> bool:
        """Waits after a failure. False: it is time to end."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopped, self._delay if self._lost else 0)
            if not self._stopped:
                return True
            self._running = False
            self._status.failure = None
            self._lost, self._delay = False, 0.0
        self._settle(ended())
        return False

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
            code = child.reap()
        if not self._stopped:
            self._lose(f"has ended, code {code}")

    def _use(self, child: Child) -> None:
        self._bases = dict(self._newest)
        self._works_since = None
        with self._condition:
            self._child = child
            self._unheard = False
            self._tell()
            if self._stopped:
                child.end()

    def _take(self, message: Message) -> None:
        head = message.head
        if "report" in head:
            self._status.follow(report_of(head["report"]))
            self._lost = False
            self._works_since = self._works_since or time.monotonic()
        if "deliver" in head:
            self._hand_out(head["deliver"], message)
        elif "answer" in head:
            self._give(head, message)
        elif "heard" in head:
            with self._condition:
                self._unheard = False
                if self._changed:
                    self._tell()
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
        given = Failure(*head["failure"]) if "failure" in head else frame_of(message, 0)
        for answer in answers:
            answer(given)

    def _lose(self, what: str) -> None:
        """The process is not there, and nobody told it to end."""
        logger.error("the process that captures %s", what)
        worked = 0.0 if self._works_since is None else time.monotonic() - self._works_since
        self._delay = _FIRST_DELAY if worked >= self._delay else min(2 * self._delay, _LONGEST_DELAY)
        with self._condition:
            self._status.failure = lost()
            self._lost = True
        self._settle(lost())

    def _settle(self, failure: Failure) -> None:
        """Answers all questions."""
        with self._condition:
            groups = [*self._questions.values(), *self._asked.values()]
            self._questions, self._asked = {}, {}
        for answers in groups:
            for answer in answers:
                answer(failure)
