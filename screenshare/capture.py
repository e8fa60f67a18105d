"""The capture thread: owns the source while anybody watches, and makes the frames of each preset.

    look (did the source change? grab) → compare with the last picture → encode for each preset that is due

A picture is encoded once for all who watch the same preset, and not at all where nothing has changed.

Everything that is slow happens in the thread and outside the lock: the methods for the event loop return at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from screenshare.capture_protocol import Answer, Deliver, Status
from screenshare.failure import ended
from screenshare.picture import Frame, Preset
from screenshare.source_status import Report
from screenshare.track import SHARED, Track
from screenshare.view import View

if TYPE_CHECKING:
    from screenshare.source import Source

__all__ = ["Capture"]

# How long a source that tells of changes is asked at a stretch. It must stay well below what counts as hanging.
_PATIENCE = 1.0


class _Task(NamedTuple):
    """What one round of the thread is for. ``patience``: how long it waits for a change.

    ``slack``: how much before it is due a frame of one of the ``tracks`` may be made.
    """

    tracks: list[Track]
    questions: list[tuple[str, Answer]]
    slack: float
    patience: float


class Capture:
    """Captures between `start` and `stop`, any number of times. ``deliver`` gets a preset's name and its new frame.

    `start`, `stop`, `watch`, `ask` and `status` are for the event loop; ``deliver`` is called in the thread, and
    ``looked`` after each look at the source.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        presets: Mapping[str, Preset],
        deliver: Deliver,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self._deliver = deliver
        self._looked = looked
        self._condition = threading.Condition()
        # Guarded by the condition:
        self._thread: threading.Thread | None = None
        self._running = False
        self._stopped = True
        self._wanted: frozenset[str] = frozenset()
        self._renewed: set[str] = set()
        self._questions: list[tuple[str, Answer]] = []
        # The thread's own:
        self._tracks = {name: Track(preset) for name, preset in presets.items()}
        self._view = View(open_source)

    def start(self) -> None:
        """Makes sure that the thread runs. One that is still closing its source is waited for by the next."""
        with self._condition:
            self._stopped = False
            if not self._running:
                self._running = True
                # A daemon: a source that never returns must not keep the process from ending.
                self._thread = threading.Thread(
                    target=self._run, args=(self._thread,), name="screen-capture", daemon=True
                )
                self._thread.start()
            self._call()

    def stop(self) -> None:
        """Lets the thread close the source and end. Doesn't wait for it: see `alive`."""
        with self._condition:
            self._stopped = True
            self._call()

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def watch(self, names: Iterable[str], renewed: str | None = None) -> None:
        """Makes frames of these presets; of ``renewed`` one at once, also where the picture is still the same."""
        with self._condition:
            if not self._wanted:
                self._view.rouse()
            self._wanted = frozenset(names)
            if renewed is not None:
                self._renewed.add(renewed)
            self._call()

    def ask(self, name: str, answer: Answer) -> None:
        """One frame of this preset, captured after this call."""
        with self._condition:
            self._questions.append((name, answer))
            self._call()

    def status(self) -> Status:
        view = self._view
        return Status(view.name, view.size, view.fps, view.problem if self._wanted else view.failure)

    def report(self) -> Report:
        """What the thread knows of the source; for the thread itself."""
        return self._view.report()

    @property
    def hangs(self) -> bool:
        """Whether the last frame can't be called the present any more, since the source doesn't answer."""
        return self._view.hangs

    def _call(self) -> None:
        """Lets the thread look at what is wanted now, whether it waits for that or for the source."""
        self._condition.notify()
        self._view.wake()

    # What follows runs in the thread.

    def _run(self, predecessor: threading.Thread | None) -> None:
        if predecessor is not None:
            predecessor.join()
        try:
            while (task := self._next_task()) is not None:
                self._serve(task)
                self._looked()
        finally:
            with self._condition:
                if self._thread is threading.current_thread():  # no successor waits for this one yet
                    self._running = False
            self._view.close()

    def _next_task(self) -> _Task | None:
        """Waits until something is due. None: it is time to end."""
        with self._condition:
            while not self._stopped:
                for name in self._renewed:
                    self._tracks[name].handed = False
                self._renewed.clear()
                now = time.monotonic()
                due = self._due_at()
                if due is not None and due <= now:
                    return self._task(now)
                self._condition.wait(None if due is None else due - now)
            self._running = False
            questions, self._questions = self._questions, []
        for _, answer in questions:
            answer(ended())
        self._view.forget()
        for track in self._tracks.values():
            track.forget()
        return None

    def _due_at(self) -> float | None:
        """When there is something to do, None while nobody wants anything."""
        asked = {name for name, _ in self._questions}
        tracks = [self._tracks[name] for name in self._wanted | asked]
        if not tracks:
            return None
        if self._view.failure is None:
            return min(track.due for track in tracks)
        if asked:
            return 0.0
        return min([self._view.retry_at, *(track.due for track in tracks if self._is_behind(track))])

    def _task(self, now: float) -> _Task:
        questions, self._questions = self._questions, []
        names = self._wanted.union(name for name, _ in questions)
        tracks = [self._tracks[name] for name in names]
        # Presets that are due at about the same time share a grab.
        slack = SHARED / max(track.preset.fps for track in tracks)
        behind = [track.due - now for track in tracks if self._is_behind(track)]
        patience = 0.0 if questions else min([_PATIENCE, *behind])
        return _Task(tracks, questions, slack, max(0.0, patience))

    def _is_behind(self, track: Track) -> bool:
        return self._view.picture is not None and track.lags(self._view.version)

    def _serve(self, task: _Task) -> None:
        view = self._view
        looks = view.needs_look
        try:
            grabbed = looks and view.look(task.patience)
            now = view.taken[0] if looks else time.monotonic()
            for track in task.tracks:
                if track.due <= now + task.slack and (grabbed or self._is_behind(track)):
                    self._schedule(track, now)
                    self._make(track)
            for name, answer in task.questions:
                answer(view.failure or self._fresh(self._tracks[name]))
        except Exception as error:
            view.fail(error, draws=looks)
            for _, answer in task.questions:
                answer(view.failure or ended())

    def _schedule(self, track: Track, now: float) -> None:
        if not self._view.tells:
            track.poll(now)
        elif self._is_behind(track):
            track.schedule(now)
        else:
            track.pause(now)

    def _make(self, track: Track) -> None:
        """Hands out the track's frame of the present picture, where that is not done yet."""
        if self._is_behind(track):
            frame = self._fresh(track)
            track.handed = True
            self._deliver(track.preset.name, frame)

    def _fresh(self, track: Track) -> Frame:
        """The present picture as a frame of the track, with the time of the last look."""
        return track.render(self._view.picture, self._view.version, self._view.taken)
