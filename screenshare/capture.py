"""The capture thread: owns the source while anybody watches, and makes the frames of each preset.

    look (did the source change? grab) → compare with the last picture → encode for each preset that is due

A picture is encoded once for all who watch the same preset, and not at all where nothing has changed. A source
that fails becomes a picture with the reason; it is opened again after 1, 2, 4 … 30 seconds.

Everything that is slow happens in the thread and outside the lock: the methods for the event loop return at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from screenshare.meter import Meter
from screenshare.picture import Frame, Preset

if TYPE_CHECKING:
    from screenshare.source import Image, Source

__all__ = ["Capture", "Status", "Trouble"]

logger = logging.getLogger(__name__)

# How long a source that tells of changes is asked at a stretch. It can't be woken for a new viewer meanwhile.
_PATIENCE = 0.05
# A source that hasn't answered for so long hangs: its last picture is shown no more.
_HANGS_AFTER = 3.0
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 30.0
_NOTICE_SIZE = (1280, 720)


class Trouble(NamedTuple):
    """Why there is no picture, and how to mend it."""

    reason: str
    reason_zh: str
    advice: str
    advice_zh: str


class Status(NamedTuple):
    """The source as it is now; ``fps`` counts the pictures that differed from the one before."""

    source: str
    size: tuple[int, int]
    fps: float
    trouble: Trouble | None


#: Takes the frame that was asked for, or why there is none. Called in the capture thread.
Answer = Callable[[Frame | Trouble], None]


class _Track:
    """One preset: its last frame, of which version of the picture it is, and when the next one is due."""

    __slots__ = ("due", "frame", "handed", "number", "preset", "version")

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.number = 0
        self.due = 0.0
        self.version = 0
        self.frame: Frame | None = None
        self.handed = False

    def schedule(self, now: float) -> None:
        """The next frame is one interval after this one was due, so that the mean is kept; not if long overdue."""
        interval = 1 / self.preset.fps
        self.due = (now if now - self.due > interval else self.due) + interval


class _Task(NamedTuple):
    """What one round of the thread is for."""

    tracks: list[_Track]
    questions: list[tuple[str, Answer]]
    patience: float


class Capture:
    """Captures between `start` and `stop`, any number of times. ``deliver`` gets a preset's name and its new frame.

    `start`, `stop`, `watch`, `ask` and `status` are for the event loop; ``deliver`` is called in the thread.
    """

    def __init__(
        self, open_source: Callable[[], Source], presets: Mapping[str, Preset], deliver: Callable[[str, Frame], None]
    ) -> None:
        self._open_source = open_source
        self._deliver = deliver
        self._condition = threading.Condition()
        # Guarded by the condition:
        self._thread: threading.Thread | None = None
        self._running = False
        self._stopped = True
        self._wanted: frozenset[str] = frozenset()
        self._renewed: set[str] = set()
        self._questions: list[tuple[str, Answer]] = []
        self._meter = Meter()
        # The thread's own; the loop reads some of it, each a single value:
        self._tracks = {name: _Track(preset) for name, preset in presets.items()}
        self._source: Source | None = None
        self._name = ""
        self._size = (0, 0)
        self._picture: Image | None = None
        self._version = 0
        self._taken = (0.0, 0.0)
        self._trouble: Trouble | None = None
        self._delay = 0.0
        self._retry_at = 0.0
        self._works_since: float | None = None
        self._looked_at = 0.0

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
            self._condition.notify()

    def stop(self) -> None:
        """Lets the thread close the source and end. Doesn't wait for it: see `alive`."""
        with self._condition:
            self._stopped = True
            self._condition.notify()

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def watch(self, names: Iterable[str], renewed: str | None = None) -> None:
        """Makes frames of these presets; of ``renewed`` one at once, also where the picture is still the same."""
        with self._condition:
            if not self._wanted:
                self._looked_at = time.monotonic()
            self._wanted = frozenset(names)
            if renewed is not None:
                self._renewed.add(renewed)
            self._condition.notify()

    def ask(self, name: str, answer: Answer) -> None:
        """One frame of this preset, captured after this call."""
        with self._condition:
            self._questions.append((name, answer))
            self._condition.notify()

    def status(self) -> Status:
        now = time.monotonic()
        with self._condition:
            fps = self._meter.fps(now)
        trouble = self._trouble
        silent = now - self._looked_at
        if trouble is None and self._wanted and silent > _HANGS_AFTER:
            trouble = _silence(silent)
        return Status(self._name, self._size, fps, trouble)

    @property
    def hangs(self) -> bool:
        """Whether the last frame can't be called the present any more, since the source doesn't answer."""
        return self._trouble is None and time.monotonic() - self._looked_at > _HANGS_AFTER

    # What follows runs in the thread.

    def _run(self, predecessor: threading.Thread | None) -> None:
        if predecessor is not None:
            predecessor.join()
        try:
            while (task := self._next_task()) is not None:
                self._serve(task)
        finally:
            with self._condition:
                if self._thread is threading.current_thread():  # no successor waits for this one yet
                    self._running = False
            self._close_source()

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
            answer(_ended())
        self._forget()
        return None

    def _due_at(self) -> float | None:
        """When there is something to do, None while nobody wants anything."""
        asked = {name for name, _ in self._questions}
        tracks = [self._tracks[name] for name in self._wanted | asked]
        if not tracks:
            return None
        if self._trouble is None:
            return min(track.due for track in tracks)
        if asked:
            return 0.0
        return min([self._retry_at, *(track.due for track in tracks if self._is_behind(track))])

    def _task(self, now: float) -> _Task:
        questions, self._questions = self._questions, []
        names = self._wanted.union(name for name, _ in questions)
        tracks = [self._tracks[name] for name in names]
        # Presets that are due at about the same time share a grab.
        slack = 0.25 / max(track.preset.fps for track in tracks)
        due = [track for track in tracks if track.due <= now + slack]
        behind = [track.due - now for track in tracks if self._is_behind(track)]
        patience = 0.0 if questions else min([_PATIENCE, *behind])
        return _Task(due, questions, max(0.0, patience))

    def _is_behind(self, track: _Track) -> bool:
        return self._picture is not None and (track.version != self._version or not track.handed)

    def _serve(self, task: _Task) -> None:
        looks = self._trouble is None or time.monotonic() >= self._retry_at
        try:
            grabbed = looks and self._look(task.patience)
            for track in task.tracks:
                if grabbed or self._is_behind(track):
                    track.schedule(self._taken[0])
                    self._make(track)
            for name, answer in task.questions:
                answer(self._trouble or self._fresh(self._tracks[name]))
        except Exception as error:
            self._fail(error, draws=looks)
            for _, answer in task.questions:
                answer(self._trouble or _ended())

    def _look(self, patience: float) -> bool:
        """Brings the picture up to date. False: the source said that nothing had changed."""
        source = self._source
        opened = source is None
        if source is None:
            source = self._source = self._open_source()
        changed = opened or source.wait(0.0) or (patience > 0 and source.wait(patience))
        self._taken = time.monotonic(), time.time()
        if changed:
            self._take(source.grab())
        self._name, self._size = source.name, source.size
        self._looked_at = time.monotonic()
        self._trouble = None
        if self._works_since is None:
            self._works_since = self._looked_at
        return changed

    def _take(self, image: Image) -> None:
        from screenshare.encoder import same  # loads cv2: only with the first viewer

        if self._picture is not None and same(image, self._picture):
            return
        self._picture = image
        self._version += 1
        with self._condition:
            self._meter.add(self._taken[0], self._version)

    def _make(self, track: _Track) -> None:
        """Hands out the track's frame of the present picture, where that is not done yet."""
        if self._is_behind(track):
            frame = self._fresh(track)
            track.handed = True
            self._deliver(track.preset.name, frame)

    def _fresh(self, track: _Track) -> Frame:
        """The present picture as a frame of the track, with the time of the last look."""
        from screenshare.encoder import encode

        if track.frame is None or track.version != self._version:
            if self._picture is None:
                raise RuntimeError("there is no picture to encode")
            jpeg, width, height = encode(self._picture, track.preset)
            track.number += 1
            track.version = self._version
            track.handed = False
            track.frame = Frame(track.number, jpeg, *self._taken, width, height)
        else:
            track.frame = track.frame._replace(taken_at=self._taken[0], wall_time=self._taken[1])
        return track.frame

    def _fail(self, error: Exception, *, draws: bool) -> None:
        """Turns to a picture of the reason, until the next try; to none if that is what can't be drawn."""
        self._close_source()
        now = time.monotonic()
        worked = 0.0 if self._works_since is None else now - self._works_since
        self._works_since = None
        self._delay = _FIRST_DELAY if worked >= self._delay else min(2 * self._delay, _LONGEST_DELAY)
        self._retry_at = now + self._delay
        trouble = _trouble_of(error)
        if trouble != self._trouble or not draws:
            _log(trouble, error)
            self._picture = self._notice(trouble) if draws else None
            self._version += 1
            self._trouble = trouble

    def _notice(self, trouble: Trouble) -> Image | None:
        width, height = self._size if all(self._size) else _NOTICE_SIZE
        try:
            from screenshare.encoder import notice

            return notice(width, height, trouble)
        except Exception:
            logger.exception("the reason could not be drawn")
            return None

    def _close_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            try:
                source.close()
            except Exception:
                logger.exception("the source could not be closed")

    def _forget(self) -> None:
        """Holds on to nothing while nobody watches; numbers go on rising."""
        self._picture = self._trouble = self._works_since = None
        self._delay = self._retry_at = 0.0
        for track in self._tracks.values():
            track.frame = None


def _trouble_of(error: Exception) -> Trouble:
    from screenshare.source import SourceError

    if isinstance(error, SourceError):
        return Trouble(error.reason, error.reason_zh, error.advice, error.advice_zh)
    name = type(error).__name__
    return Trouble(
        f"the picture can't be taken ({name})", f"无法获取画面（{name}）",
        "The log of the server says more", "详情见服务器日志",
    )  # fmt: skip


def _log(trouble: Trouble, error: Exception) -> None:
    from screenshare.source import SourceError

    if isinstance(error, SourceError):
        logger.warning("no picture: %s", trouble.reason)
    else:
        logger.error("no picture: %s", trouble.reason, exc_info=error)


def _silence(seconds: float) -> Trouble:
    return Trouble(
        f"the source has not answered for {seconds:.0f} seconds", f"画面源已 {seconds:.0f} 秒没有响应",
        "It may come back by itself; else restart the server", "可能会自行恢复；否则请重启服务器",
    )  # fmt: skip


def _ended() -> Trouble:
    return Trouble("the screen share is closing", "屏幕共享正在关闭", "Try again later", "请稍后再试")
