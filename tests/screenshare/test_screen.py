"""The screen as a source, on a real X server: its colours, parts, pointer and changes; and its end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from Xlib.display import Display

from screenshare import damage, grabber, screen
from screenshare.damage import DamageLost
from screenshare.encoder import same
from screenshare.screen import ScreenSource
from screenshare.source import Region, SourceError
from screenshare.source_choice import open_source
from tests.screenshare.display import Xvfb, xvfb
from tests.support import until

COLOUR, BGR = "#204060", [0x60, 0x40, 0x20]
WHITE = [255, 255, 255]
ADVICE = (
    "Set DISPLAY and XAUTHORITY to those of a running desktop, or use --screen-source test",
    "请将 DISPLAY 和 XAUTHORITY 设为正在运行的桌面的值，或使用 --screen-source test",
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Xvfb]:
    with xvfb() as running:
        yield running


@pytest.fixture
def server(shared: Xvfb, monkeypatch: pytest.MonkeyPatch) -> Xvfb:
    monkeypatch.setenv("DISPLAY", shared.name)
    point(shared, 639, 479)
    shared.fill(COLOUR)
    return shared


def point(server: Xvfb, x: int, y: int) -> None:
    display = Display(server.name)
    display.screen().root.warp_pointer(x, y)
    display.sync()
    display.close()


def paint(server: Xvfb, x: int, y: int, width: int, height: int) -> None:
    """Draws a white rectangle."""
    display = Display(server.name)
    root = display.screen().root
    root.fill_rectangle(root.create_gc(foreground=0xFFFFFF), x, y, width, height)
    display.sync()
    display.close()


def grabbed(spec: str) -> numpy.ndarray:
    source = open_source(spec)
    try:
        return source.grab()
    finally:
        source.close()


def calm(source: ScreenSource) -> None:
    while source.wait(0.05):
        source.grab()


def grab_for_ever(source: ScreenSource) -> None:
    while True:
        source.grab()


def failure(spec: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_source(spec)
    return caught.value


def test_picture_has_exactly_the_colour_of_the_screen(server: Xvfb) -> None:
    source = open_source("screen")
    image = source.grab()
    assert (source.name, source.size) == ("screen 1", (640, 480))
    assert image.shape == (480, 640, 4)
    assert image.dtype == numpy.uint8
    assert image.flags.c_contiguous
    assert (image[:470, :, :3] == BGR).all()
    source.close()
    source.close()


@pytest.mark.parametrize("channel", range(3))
def test_picture_is_bgr(server: Xvfb, channel: int) -> None:
    server.fill(["#0000ff", "#00ff00", "#ff0000"][channel])
    assert grabbed("screen")[0, 0, :3].tolist() == [255 * (each == channel) for each in range(3)]


@pytest.mark.parametrize(
    "region", [(0, 0, 640, 480), (0, 0, 1, 1), (100, 50, 33, 17), (639, 479, 1, 1), (99, 49, 41, 31), (101, 51, 8, 9)]
)
def test_region(server: Xvfb, region: tuple[int, int, int, int]) -> None:
    point(server, 5, 470)
    paint(server, 100, 50, 33, 17)
    left, top, width, height = region
    whole = numpy.zeros((480, 640), bool)
    whole[50:67, 100:133] = True
    source = open_source("screen:" + ",".join(map(str, region)))
    image = source.grab()
    assert source.name == "screen " + ",".join(map(str, region))
    assert source.size == (width, height)
    assert image.shape == (height, width, 4)
    assert image.flags.c_contiguous
    white = (image[..., :3] == WHITE).all(axis=2)
    expected = whole[top : top + height, left : left + width]
    pointer = numpy.s_[max(0, 460 - top) :, : max(0, 20 - left)]
    white[pointer] = expected[pointer]
    assert (white == expected).all()
    source.close()


@pytest.fixture
def two_monitors(server: Xvfb) -> Iterator[Xvfb]:
    server.run("xrandr", "--setmonitor", "left", "240/60x480/100+0+0", "screen")
    server.run("xrandr", "--setmonitor", "right", "400/60x300/100+240+180", "none")
    yield server
    server.run("xrandr", "--delmonitor", "left")
    server.run("xrandr", "--delmonitor", "right")


@pytest.mark.parametrize(
    ("spec", "name", "size", "white"),
    [
        ("screen", "screen 1", (240, 480), 0),
        ("screen:1", "screen 1", (240, 480), 0),
        ("screen:2", "screen 2", (400, 300), 600),
        ("screen:all", "screen all", (640, 480), 600),
    ],
)
def test_monitor(two_monitors: Xvfb, spec: str, name: str, size: tuple[int, int], white: int) -> None:
    paint(two_monitors, 300, 260, 30, 20)
    point(two_monitors, 639, 0)
    source = open_source(spec)
    image = source.grab()
    assert (source.name, source.size) == (name, size)
    assert image.shape == (size[1], size[0], 4)
    assert (image[..., :3] == WHITE).all(axis=2)[30:].sum() == white
    source.close()


def test_monitor_that_is_not_there(two_monitors: Xvfb) -> None:
    error = failure("screen:3")
    assert (error.reason, error.reason_zh, error.advice, error.advice_zh) == (
        "there is no monitor 3: this screen has 2",
        "没有第 3 个显示器：此屏幕共有 2 个",
        "Choose one that there is, such as --screen-source screen:1",
        "请选择存在的显示器，例如 --screen-source screen:1",
    )


@pytest.mark.parametrize("region", ["0,0,641,480", "0,0,640,481", "-1,0,10,10", "0,-1,10,10", "640,480,1,1"])
def test_region_outside_the_screen(server: Xvfb, region: str) -> None:
    error = failure(f"screen:{region}")
    assert (error.reason, error.reason_zh, error.advice, error.advice_zh) == (
        f"the region {region} isn't on the screen, which is 0,0,640,480",
        f"区域 {region} 不在屏幕内，屏幕为 0,0,640,480",
        "Choose a region inside it, such as --screen-source screen:0,0,640,480",
        "请选择屏幕内的区域，例如 --screen-source screen:0,0,640,480",
    )


def test_pointer_is_in_the_picture(server: Xvfb) -> None:
    pictures = []
    source = open_source("screen")
    for x, y in [(100, 100), (300, 200)]:
        point(server, x, y)
        drawn = (source.grab()[..., :3] != BGR).any(axis=2)
        rows, columns = numpy.nonzero(drawn)
        assert abs(rows.mean() - y) < 20
        assert abs(columns.mean() - x) < 20
        pictures.append(drawn)
    source.close()
    assert (pictures[0].sum(), pictures[1].sum()) == (pictures[0].sum(), pictures[0].sum())
    assert pictures[0].sum() > 20


def test_without_xfixes_there_is_no_pointer(monkeypatch: pytest.MonkeyPatch) -> None:
    with xvfb("-extension", "XFIXES") as server:
        monkeypatch.setenv("DISPLAY", server.name)
        # Xvfb itself crashes when a program without XFIXES uses DAMAGE.
        monkeypatch.setattr(screen, "open_damage", lambda: None)
        server.fill(COLOUR)
        assert (grabbed("screen")[..., :3] == BGR).all()


@pytest.mark.parametrize("extension", ["RANDR", "MIT-SHM", "DAMAGE"])
def test_without_an_extension(extension: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with xvfb("-extension", extension) as server:
        monkeypatch.setenv("DISPLAY", server.name)
        server.fill(COLOUR)
        for spec in ("screen", "screen:1", "screen:all", "screen:10,10,600,100"):
            assert grabbed(spec)[5, 5, :3].tolist() == BGR


def test_without_mss_pillow_captures(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(server, 100, 50, 33, 17)
    expected = grabbed("screen")
    monkeypatch.setitem(sys.modules, "mss", None)  # type: ignore[arg-type]
    point(server, 320, 240)
    source = open_source("screen")
    image = source.grab()
    assert source.size == (640, 480)
    assert image.flags.c_contiguous
    assert (image[:470, :, :3] == expected[:470, :, :3]).all()
    region = grabbed("screen:100,50,33,17")
    assert region.shape == (17, 33, 4)
    assert (region[..., :3] == WHITE).all()
    assert failure("screen:2").reason == "there is no monitor 2: this screen has 1"
    source.close()


def test_without_mss_a_screen_that_shrinks(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mss", None)  # type: ignore[arg-type]
    source = ScreenSource(Region(0, 0, 640, 480))
    monkeypatch.setattr(grabber._PillowGrabber, "_grab_all", lambda self: numpy.zeros((300, 400, 4), numpy.uint8))
    with pytest.raises(SourceError) as caught:
        source.grab()
    assert caught.value.reason == "the region 0,0,640,480 isn't on the screen, which is 0,0,400,300"
    source.close()


@pytest.mark.parametrize("name", [None, ""])
def test_without_a_display(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    if name is not None:
        monkeypatch.setenv("DISPLAY", name)
    error = failure("screen")
    assert (error.reason, error.reason_zh) == ("there is no screen: DISPLAY is not set", "没有屏幕：未设置 DISPLAY")
    assert (error.advice, error.advice_zh) == ADVICE


@pytest.mark.parametrize("name", [":99", "nonsense"])
def test_a_display_that_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", name)
    error = failure("screen:2")
    assert error.reason.startswith(f"there is no screen: display {name}: Cannot connect to display: ")
    assert error.reason_zh.startswith(f"没有屏幕：显示 {name}：Cannot connect to display: ")
    assert (error.advice, error.advice_zh) == ADVICE


def test_wayland_shows_nothing(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    """Xwayland's screen is black, and its outputs have its name."""
    monkeypatch.setattr(grabber, "_XWAYLAND", "screen")
    assert (grabbed("screen")[:470, :, :3] == BGR).all()
    server.fill("#000000")
    monkeypatch.setattr(grabber._MssGrabber, "grab", without_pointer(grabber._MssGrabber.grab))
    error = failure("screen")
    assert error.reason == "this desktop runs on Wayland, which shows the screen to no program"
    assert error.reason_zh == "此桌面运行在 Wayland 上，程序无法读取屏幕"


def without_pointer(grab: object) -> object:
    def black(self: object, region: Region) -> numpy.ndarray:
        return grab(self, region) * 0  # type: ignore[operator, no-any-return]

    return black


def test_a_change_wakes_and_is_in_the_picture(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage, "_LOOK", 60)  # what no event tells is not seen at all
    source = ScreenSource(1)
    delays = []
    for step in range(5):
        calm(source)
        changed_at: list[float] = []
        timer = threading.Timer(
            0.02, lambda x=10 * step, at=changed_at: (paint(server, x, 10, 5, 5), at.append(time.monotonic()))
        )
        timer.start()
        assert source.wait(3)
        image = source.grab()
        timer.join()
        delays.append(time.monotonic() - changed_at[0])
        assert (image[12, 10 * step + 2, :3] == WHITE).all()
    source.close()
    assert sorted(delays)[2] < 1


def test_the_last_change_is_in_the_last_picture(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes in quick succession, then silence: what was grabbed last is what the screen shows."""
    monkeypatch.setattr(screen, "_CHECK", 60.0)
    source = ScreenSource(1)
    display = Display(server.name)
    root = display.screen().root
    context = root.create_gc()
    for burst in range(40):
        for step in range(burst % 7 + 1):
            context.change(foreground=burst * 100000 + step)
            root.fill_rectangle(context, 0, 0, 50, 50)
        display.flush()
        red, green, blue = (burst * 100000 + burst % 7).to_bytes(3, "big")
        end = time.monotonic() + 3
        seen: list[int] = []
        while seen != [blue, green, red] and time.monotonic() < end:
            while source.wait(0.015):
                seen = source.grab()[25, 25, :3].tolist()
        assert seen == [blue, green, red]
    display.close()
    source.close()


def test_wait_says_changed_before_the_first_grab(server: Xvfb) -> None:
    source = ScreenSource(1)
    assert source.wait(1)
    source.close()


@pytest.mark.parametrize("seconds", [0, 0.1, 0.3])
def test_wait_in_vain(server: Xvfb, seconds: float) -> None:
    source = ScreenSource(1)
    calm(source)
    begin = time.monotonic()
    assert source.wait(seconds) is False
    assert seconds <= time.monotonic() - begin < seconds + 1
    source.close()


def test_a_still_screen_costs_nothing(server: Xvfb) -> None:
    source = ScreenSource(1)
    calm(source)
    before = time.thread_time()
    for _ in range(15):
        assert not source.wait(1 / 15)
    assert time.thread_time() - before < 0.1  # a busy loop takes a second
    source.close()


def test_wake(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_CHECK", 60.0)
    source = ScreenSource(1)
    assert source.tells
    calm(source)
    timer = threading.Timer(0.1, source.wake)
    timer.start()
    begin = time.monotonic()
    assert not source.wait(30)
    assert time.monotonic() - begin < 10
    timer.join()
    source.close()
    source.wake()


def test_a_still_screen_is_looked_at_all_the_same(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_CHECK", 0.1)
    source = ScreenSource(1)
    calm(source)
    begin = time.monotonic()
    for looks in range(4):
        assert until(lambda: source.wait(0.03), 4)
        assert time.monotonic() - begin >= 0.08 * looks
        source.grab()
    source.close()


def test_polled_screen(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "open_damage", lambda: None)
    source = ScreenSource(1)
    assert not source.tells
    first = source.grab()
    begin = time.monotonic()
    assert source.wait(30)
    assert time.monotonic() - begin < 10
    source.wake()
    paint(server, 0, 0, 1, 1)
    assert not same(first, source.grab())
    source.close()


class SilentDamage:
    """A display that tells nothing, late (not settled), or breaks in one of the calls."""

    def __init__(self, *, settled: bool = True, breaks_in: str = "") -> None:
        self.is_settled = settled
        self.breaks_in = breaks_in
        self.closed = False

    def wait(self, seconds: float) -> bool:
        return self.answer("wait", value=False)

    def clear(self) -> bool:
        return self.answer("clear", value=False)

    def settled(self) -> bool:
        return self.answer("settled", value=self.is_settled)

    def answer(self, call: str, *, value: bool) -> bool:
        if call == self.breaks_in:
            raise DamageLost("broken")
        return value

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("settled", "polled"), [(True, True), (False, False)])
def test_a_display_that_does_not_tell_is_polled(
    server: Xvfb, monkeypatch: pytest.MonkeyPatch, settled: bool, polled: bool
) -> None:
    silent = SilentDamage(settled=settled)
    monkeypatch.setattr(screen, "open_damage", lambda: silent)
    source = ScreenSource(1)
    source.grab()
    assert not source.wait(0)
    paint(server, 0, 0, 1, 1)
    source.grab()
    assert source.wait(0) is polled
    assert silent.closed is polled
    source.close()


@pytest.mark.parametrize("call", ["wait", "clear", "settled"])
def test_a_display_that_tells_no_more_is_polled(server: Xvfb, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    broken = SilentDamage(breaks_in=call)
    monkeypatch.setattr(screen, "open_damage", lambda: broken)
    source = ScreenSource(1)
    paint(server, 0, 0, 1, 1)
    if call == "wait":
        assert source.wait(0)
    else:
        source.grab()
    assert broken.closed
    assert source.wait(0)
    assert (source.grab()[1:470, :, :3] == BGR).all()
    source.close()


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_where_the_screen_is_not_x11_no_display_is_asked(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    assert screen._is_x11()
    monkeypatch.setattr(sys, "platform", platform)
    assert not screen._is_x11()


def test_a_screen_that_shrinks_and_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    with xvfb(size="800x600x24") as server:
        monkeypatch.setenv("DISPLAY", server.name)
        source = ScreenSource(0)
        assert source.grab().shape == (600, 800, 4)
        server.resize(400, 300)
        server.fill(COLOUR)
        image = source.grab()
        assert image.shape == (300, 400, 4)
        assert source.size == (400, 300)
        assert image[0, 0, :3].tolist() == BGR
        server.resize(700, 500)
        monkeypatch.setattr(screen, "_CHECK", 0.0)
        time.sleep(0.01)
        assert source.wait(0)
        assert source.grab().shape == (500, 700, 4)
        assert source.size == (700, 500)
        source.close()


@pytest.mark.parametrize("polled", [False, True])
def test_a_server_that_is_killed_and_started_again(monkeypatch: pytest.MonkeyPatch, polled: bool) -> None:
    with xvfb() as server:
        monkeypatch.setenv("DISPLAY", server.name)
        if polled:
            monkeypatch.setattr(screen, "open_damage", lambda: None)
        server.fill(COLOUR)
        source = ScreenSource(1)
        source.grab()
        server.kill()
        for _ in range(3):
            assert source.wait(0.01)
            with pytest.raises(SourceError) as caught:
                source.grab()
            assert caught.value.reason.startswith(f"there is no screen: display {server.name}: ")
        source.close()
        source.close()
        assert failure("screen").reason.startswith(f"there is no screen: display {server.name}: ")
        server.start()
        server.fill(COLOUR)
        assert (grabbed("screen")[:200, :, :3] == BGR).all()


def test_a_server_that_is_killed_in_mid_grab(monkeypatch: pytest.MonkeyPatch) -> None:
    with xvfb() as server:
        monkeypatch.setenv("DISPLAY", server.name)
        source = ScreenSource(1)
        timer = threading.Timer(0.1, server.kill)
        timer.start()
        with pytest.raises(SourceError):
            grab_for_ever(source)
        timer.join()
        source.close()


def test_a_server_that_is_killed_while_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with xvfb() as server:
        monkeypatch.setenv("DISPLAY", server.name)
        real = screen._find
        monkeypatch.setattr(screen, "_find", lambda which, monitors: server.kill() or real(which, monitors))
        assert failure("screen").reason.startswith(f"there is no screen: display {server.name}: ")


def test_grab_opens_a_screen_that_has_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with xvfb() as server:
        monkeypatch.setenv("DISPLAY", server.name)
        source = ScreenSource(1)
        server.kill()
        server.start()
        server.fill(COLOUR)
        assert source.grab()[0, 0, :3].tolist() == BGR
        calm(source)
        assert source.wait(0.1) is False
        source.close()


def test_grab_gives_memory_of_its_own(server: Xvfb) -> None:
    source = open_source("screen")
    first = source.grab()
    copy = first.copy()
    server.fill("#ffffff")
    assert not same(source.grab(), first)
    assert same(first, copy)
    source.close()


def test_nothing_is_left_open(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_CHECK", 0.0)

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    threads = threading.active_count()
    for spec in ("screen", "screen:all", "screen:0,0,5,5"):
        source = open_source(spec)
        for _ in range(5):
            time.sleep(0.001)
            source.grab()
        source.close()
    for spec in ("screen:9", "screen:0,0,9999,1"):
        failure(spec)
    assert (descriptors(), threading.active_count()) == (before, threads)
