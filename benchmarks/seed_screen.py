"""A screen share as the seed has it, for comparison: ``python -m benchmarks.seed_screen PORT``.

The seed's structure and values: Flask's own server with a thread for each viewer; a capture thread that starts
with the first viewer, goes as fast as it can, and ends ten seconds after the last; an event for each viewer's
thread; ImageGrab, 1366 × 750 by LANCZOS, JPEG at quality 100; the boundary before each part. Its lines that
don't run any more are mended: it asks for no camera, says LANCZOS instead of ANTIALIAS and is_set for isSet,
and its table of events is copied before it is gone through, or the first viewer that comes at the wrong moment
would end it.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from typing import ClassVar

from flask import Flask, Response
from PIL import Image, ImageGrab

app = Flask(__name__)


class CameraEvent:
    """Tells each thread that waits of a new frame."""

    def __init__(self) -> None:
        self.events: dict[int, list] = {}

    def wait(self) -> None:
        ident = threading.get_ident()
        if ident not in self.events:
            self.events[ident] = [threading.Event(), time.time()]
        self.events[ident][0].wait()

    def set(self) -> None:
        now = time.time()
        remove = None
        for ident, event in list(self.events.items()):
            if not event[0].is_set():
                event[0].set()
                event[1] = now
            elif now - event[1] > 5:
                remove = ident
        if remove:
            del self.events[remove]

    def clear(self) -> None:
        self.events[threading.get_ident()][0].clear()


class Camera:
    """The last frame of the screen, and the thread that takes it."""

    thread: ClassVar[threading.Thread | None] = None
    frame: ClassVar[bytes | None] = None
    last_access: ClassVar[float] = 0
    event: ClassVar[CameraEvent] = CameraEvent()

    def __init__(self) -> None:
        if Camera.thread is None:
            Camera.last_access = time.time()
            Camera.thread = threading.Thread(target=self._thread, daemon=True)
            Camera.thread.start()
            while self.get_frame() is None:
                time.sleep(0)

    def get_frame(self) -> bytes | None:
        Camera.last_access = time.time()
        Camera.event.wait()
        Camera.event.clear()
        return Camera.frame

    @staticmethod
    def frames() -> Iterator[bytes]:
        while True:
            image = ImageGrab.grab().resize((1366, 750), Image.Resampling.LANCZOS)
            output = BytesIO()
            image.save(output, format="JPEG", quality=100)
            yield output.getvalue()

    @classmethod
    def _thread(cls) -> None:
        for frame in cls.frames():
            Camera.frame = frame
            Camera.event.set()
            time.sleep(0)
            if time.time() - Camera.last_access > 10:
                break
        Camera.thread = None


@app.route("/")
def index() -> str:
    return '<img src="/video_feed">'


def parts(camera: Camera) -> Iterator[bytes]:
    while True:
        yield b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + (camera.get_frame() or b"") + b"\r\n"


@app.route("/video_feed")
def video_feed() -> Response:
    return Response(parts(Camera()), mimetype="multipart/x-mixed-replace; boundary=frame")


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run(threaded=True, host="127.0.0.1", port=int(sys.argv[1]))
