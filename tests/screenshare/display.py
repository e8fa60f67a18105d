"""A real X server for tests, without a monitor."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from Xlib.display import Display

from tests.services import unavailable


class Xvfb:
    """An X server on a free display, which stays its own when it is started again. ``options`` are Xvfb's."""

    name = ""

    def __init__(self, *options: str, size: str = "640x480x24") -> None:
        if shutil.which("Xvfb") is None:
            unavailable("Xvfb is not installed")
        self._options = ["-screen", "0", size, "-nolisten", "tcp", "-noreset", *options]

    def start(self) -> None:
        reader, writer = os.pipe()
        command = ["Xvfb", *filter(None, [self.name]), *self._options, "-displayfd", str(writer)]
        self.process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
        os.close(writer)
        with open(reader) as ready:  # noqa: PTH123 (a descriptor)
            number = ready.readline().strip()
        if not number:
            self.kill()
            raise AssertionError(f"{' '.join(command)} doesn't start")
        self.name = f":{number}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def run(self, *command: str) -> None:
        """Runs one of X's programs on this display."""
        done = subprocess.run(command, env={**os.environ, "DISPLAY": self.name}, capture_output=True, timeout=10)
        assert done.returncode == 0, done.stderr

    def fill(self, colour: str) -> None:
        """Gives the whole screen, but the mouse pointer, one colour such as ``#204060``."""
        self.run("xsetroot", "-solid", colour)

    def resize(self, width: int, height: int) -> None:
        """Gives the screen another size, at most the one it began with."""
        environment = {**os.environ, "DISPLAY": self.name}
        # Xvfb does it, but its one output stays as it is, which xrandr calls a failure.
        subprocess.run(["xrandr", "--fb", f"{width}x{height}"], env=environment, capture_output=True, timeout=10)
        display = Display(self.name)
        size = display.screen().root.get_geometry()
        assert (size.width, size.height) == (width, height)
        display.close()


@contextmanager
def xvfb(*options: str, size: str = "640x480x24") -> Iterator[Xvfb]:
    server = Xvfb(*options, size=size)
    server.start()
    try:
        yield server
    finally:
        server.process.terminate()  # it removes its socket, which a killed one doesn't
        server.process.wait()
