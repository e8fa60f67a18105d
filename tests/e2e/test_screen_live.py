"""The screen share of the real program with a real screen (Xvfb), real sockets and a real browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy
import pytest

from screenshare.pattern import read_clock
from tests.process import ROOT, Program, environment, running
from tests.screenshare.display import Xvfb, xvfb
from tests.screenshare.test_page import browser  # noqa: F401 (a fixture)
from tests.support import HOST

SIZE = "960x540x24"


class Part(NamedTuple):
    jpeg: bytes
    wall_time: float
    received: float

    @property
    def picture(self) -> Any:
        return cv2.imdecode(numpy.frombuffer(self.jpeg, numpy.uint8), cv2.IMREAD_COLOR)


class Viewer:
    """Reads the stream whose parts have a length."""

    def __init__(self, program: Program, query: str = "") -> None:
        self._connection = http.client.HTTPConnection(HOST, program.port, timeout=10)
        self._connection.request("GET", f"/video_feed?framing=length&{query}")
        self._stream = self._connection.getresponse()
        assert self._stream.status == 200

    def part(self) -> Part:
        headers: dict[str, str] = {}
        while not headers:
            while line := self._stream.readline().strip().decode():
                name, colon, value = line.partition(":")
                if colon:
                    headers[name.lower()] = value.strip()
        jpeg = self._stream.read(int(headers["content-length"]))
        return Part(jpeg, float(headers["x-timestamp"]), time.time())

    def close(self) -> None:
        self._connection.close()
        self._stream.close()


@pytest.fixture(scope="module")
def display() -> Iterator[Xvfb]:
    with xvfb(size=SIZE) as started:
        yield started


@contextmanager
def sharing(display: Xvfb, *arguments: str) -> Iterator[Program]:
    with running("--screen", "--screen-fps", "30", *arguments, env={"DISPLAY": display.name}) as program:
        yield program


@pytest.fixture(scope="module")
def program(display: Xvfb) -> Iterator[Program]:
    with sharing(display) as started:
        yield started


@contextmanager
def clock(display: Xvfb, times_a_second: int) -> Iterator[None]:
    command = [sys.executable, str(Path(__file__).with_name("clock_desktop.py")), display.name, str(times_a_second)]
    process = subprocess.Popen(command, env=environment({"PYTHONPATH": str(ROOT)}))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def state_of(program: Program) -> Any:
    return json.loads(program.send("GET", "/screen/state").body)


def test_frames_come_in_order_and_fresh(display: Xvfb, program: Program) -> None:
    with clock(display, 15):
        viewer = Viewer(program)
        time.sleep(1)
        shown, delays = [], []
        for _ in range(40):
            part = viewer.part()
            milliseconds = read_clock(part.picture)
            if milliseconds is not None:
                shown.append(milliseconds)
                delays.append((int(part.received * 1000) - milliseconds) % 2**32)
        viewer.close()
    assert len(shown) >= 20  # a picture taken while the clock was being drawn has none
    assert shown == sorted(shown)
    assert len(set(shown)) >= 14
    assert statistics.median(delays[10:]) < 700  # a queue would be a second long; the benchmark has the real figure


@pytest.mark.parametrize("colour", ["#204060", "#e0d010", "#000000", "#ffffff"])
def test_a_viewer_gets_what_the_screen_shows(display: Xvfb, program: Program, colour: str) -> None:
    display.fill(colour)
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    expected = numpy.array([blue, green, red])
    viewer = Viewer(program, "quality=high")

    def same() -> bool:
        corner = viewer.part().picture[:400, :400].astype(int)
        return bool(numpy.abs(corner - expected).max() <= 4)

    try:
        assert until(same, 10)
    finally:
        viewer.close()


def test_one_change_and_then_silence(display: Xvfb, program: Program) -> None:
    display.fill("#101010")
    viewer = Viewer(program)
    time.sleep(1.5)
    started = time.time()
    display.fill("#f0f0f0")
    while (part := viewer.part()).picture[100, 100, 0] < 128:
        assert time.time() - started < 4
    assert part.received - started < 3  # a screen that tells nothing is looked at every 5 s
    again = viewer.part()  # an unchanged picture is repeated, so that every browser shows it
    assert again.jpeg == part.jpeg
    assert again.received - part.received < 4
    viewer.close()


def colour_of(png: bytes) -> Any:
    picture = cv2.imdecode(numpy.frombuffer(png, numpy.uint8), cv2.IMREAD_COLOR)
    return picture[picture.shape[0] // 4, picture.shape[1] // 4]  # the mouse pointer is in the middle


def test_a_browser_shows_the_last_change(display: Xvfb, program: Program, browser: Any) -> None:  # noqa: F811
    display.fill("#c02020")
    page = browser.new_page(viewport={"width": 1000, "height": 600})
    page.goto(f"http://127.0.0.1:{program.port}/screen")
    assert until(lambda: colour_of(page.screenshot())[2] > 150, 20)
    time.sleep(1)
    display.fill("#2020c0")
    assert until(lambda: colour_of(page.screenshot())[0] > 150, 4)
    page.close()


def test_the_screen_goes_and_comes_back() -> None:
    with xvfb(size=SIZE) as display, sharing(display) as program:
        display.fill("#204060")
        viewer = Viewer(program)
        viewer.part()
        assert state_of(program)["error"] == ""
        display.kill()
        assert until(lambda: bool(viewer.part() and state_of(program)["error"]), 20)
        state = state_of(program)
        assert state["error_zh"]
        assert state["advice"]
        assert program.get("v=1.0&method=matrix.api.class-func&name=jim").meta[0] == 1000
        display.start()
        display.fill("#20c060")
        assert until(lambda: abs(int(viewer.part().picture[100, 100, 1]) - 0xC0) < 8, 40)
        assert state_of(program)["error"] == ""
        viewer.close()


def processes(program: Program) -> list[Path]:
    """The server and what it has started."""
    own = str(program.process.pid)
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ends just now
            parents[path.parent] = path.read_text().rpartition(")")[2].split()[1]
    return [path for path, parent in parents.items() if own in (path.name, parent)]


def resources(program: Program) -> tuple[int, int]:
    """Threads and open descriptors."""
    paths = processes(program)
    assert len(paths) == 2  # one serves, one captures
    return sum(len([*(path / "task").iterdir()]) for path in paths), sum(
        len([*(path / "fd").iterdir()]) for path in paths
    )


def memory(program: Program) -> int:
    """Resident memory in kB."""
    lines = [line for path in processes(program) for line in (path / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def come_and_go(program: Program, times: int) -> None:
    for _ in range(times):
        with socket.create_connection((HOST, program.port), timeout=10) as connection:
            connection.sendall(f"GET /video_feed HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here to count in")
def test_a_thousand_reconnects_leave_nothing_behind(program: Program) -> None:
    come_and_go(program, 100)
    assert until(lambda: state_of(program)["viewers"] == [], 30)
    threads, descriptors = resources(program)
    before = memory(program)
    come_and_go(program, 1000)
    assert until(lambda: state_of(program)["viewers"] == [], 30)
    assert until(lambda: resources(program)[0] <= threads and resources(program)[1] <= descriptors + 2, 30)
    assert memory(program) - before < 10_000
