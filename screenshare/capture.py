"""The capture thread: owns the source while anybody watches, and makes the frames of each preset.

    look (did the source change? grab) → compare with the last picture → encode for each preset that is due

A picture is encoded once for all who watch the same preset, and not at all where nothing has changed.

Everything that is slow happens in the thread and outside the lock: the methods for the event loop return at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from screenshare.capture_protocol import Answer, Deliver
from screenshare.capture_thread import CaptureThread, give
from screenshare.failure import ended
from screenshare.picture import Frame, Preset
from screenshare.source_status import Report
from screenshare.track import SHARED, Track
from screenshare.view import View

if TYPE_CHECKING:
    from screenshare.source import Source

__all__ = ["Capture"]

# Seconds that one look waits for a change, at most. They must stay well below those after which a source hangs.
_PATIENCE = 1.0


class _Task(NamedTuple):
    """What one round of the thread is for: new frames of the ``tracks`` that are due, and answers to the ``questions``.

    ``slack``: seconds by which a frame may be made before it is due. ``patience``: seconds to wait for a change.
    """

    tracks: list[Track]
    questions: dict[str, list[Answer]]
    slack: float
    patience: float


class Capture(CaptureThread):
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
        self._view = View(open_source)
        super().__init__(self._view)
        self._deliver = deliver
        self._looked = looked
        self._tracks = {name: Track(preset) for name, preset in presets.items()}

    def report(self) -> Report:
        """What the thread knows of the source; for the thread itself."""
        return self._view.report()

    def _pass_on(self) -> None:
        # It waits either for the condition or for the source.
        self._condition.notify()
        self._view.wake()

    # What follows runs in the thread.

    def _run(self) -> None:
        while not self._must_end():
            task = self._next_task()
            if task is not None:
                self._serve(task)
                self._looked()

    def _forget(self) -> None:
        self._view.forget()
        for track in self._tracks.values():
            track.forget()

    def _live(self, predecessor: threading.Thread | None) -> None:
        try:
            super()._live(predecessor)
        finally:
            self._view.close()  # which may last: a successor waits for it

    def _next_task(self) -> _Task | None:
        """Waits until something is due. None: it is time to end."""
        with self._condition:
            while not self._stopped:
                for name in self._renewed:
                    self._tracks[name].handed = False
                self._renewed.clear()
                tracks = [self._tracks[name] for name in self._wanted.union(self._questions)]
                now = time.monotonic()
                due = self._due_at(tracks)
                if due is not None and due <= now:
                    return self._task(tracks, now)
                self._condition.wait(None if due is None else due - now)
        return None

    def _due_at(self, tracks: list[Track]) -> float | None:
        """When there is something to do, None while nobody wants anything."""
        if not tracks:
            return None
        if self._view.failure is None:
            return min(track.due for track in tracks)
        if self._questions:
            return 0.0
        return min([self._view.retry_at, *self._behind(tracks)])

    def _task(self, tracks: list[Track], now: float) -> _Task:
        questions, self._questions = self._questions, {}
        # Presets that are due at about the same time share a grab.
        slack = SHARED / max(track.preset.fps for track in tracks)
        patience = 0.0 if questions else min([_PATIENCE, *(due - now for due in self._behind(tracks))])
        return _Task(tracks, questions, slack, max(0.0, patience))

    def _behind(self, tracks: list[Track]) -> list[float]:
        """When the tracks are due that have not handed out the present picture."""
        return [track.due for track in tracks if self._is_behind(track)]

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
            for name, answers in task.questions.items():
                give(answers, view.failure or self._fresh(self._tracks[name]))
        except Exception as error:
            view.fail(error, draws=looks)
            for answers in task.questions.values():
                give(answers, view.failure or ended())

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
