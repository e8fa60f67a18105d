"""Changes of a real screen: told at once, told once, and none of them lost."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from Xlib import X
from Xlib.display import Display
from Xlib.ext import xtest

from screenshare import damage
from screenshare.damage import Damage, DamageLost, open_damage
from tests.screenshare.display import Xvfb, xvfb

LOOK = 0.15  # how often the pointer's place is looked at in most of these tests


@pytest.fixture(scope="module")
def server() -> Iterator[Xvfb]:
    with xvfb() as running:
        yield running


@pytest.fixture
def painter(server: Xvfb, monkeypatch: pytest.MonkeyPatch) -> Iterator[Painter]:
    monkeypatch.setenv("DISPLAY", server.name)
    painter = Painter(server.name)
    yield painter
    painter.display.close()


@pytest.fixture
def watch(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Damage]:
    monkeypatch.setattr(damage, "_LOOK", LOOK)
    opened = open_damage()
    assert opened is not None
    opened.clear()
    yield opened
    opened.close()


class Painter:
    """Changes the screen in all ways that a viewer can see."""

    def __init__(self, name: str) -> None:
        self.display = Display(name)
        self.root = self.display.screen().root
        self.context = self.root.create_gc()
        self.step = 0

    def draw(self) -> None:
        self.step += 1
        self.context.change(foreground=self.step * 77777 % 2**24)
        self.root.fill_rectangle(self.context, self.step % 600, self.step % 400, 1, 1)
        self.display.sync()

    def show_window(self) -> None:
        self.step += 1
        screen = self.display.screen()
        window = self.root.create_window(
            self.step, 9, 50, 50, 0, screen.root_depth, background_pixel=screen.white_pixel
        )
        window.map()
        self.display.sync()

    def clear(self) -> None:
        self.root.change_attributes(background_pixel=self.step)
        self.root.clear_area(0, 0, 0, 0)
        self.display.sync()

    def move_pointer(self) -> None:
        """As a hand does: through a device."""
        self.step += 1
        xtest.fake_input(self.display, X.MotionNotify, x=100 + self.step % 100, y=100)
        self.display.sync()

    def set_pointer(self) -> None:
        """As a program does: no device moves."""
        self.step += 1
        self.root.warp_pointer(200 + self.step % 100, 200)
        self.display.sync()

    def change_pointer(self) -> None:
        self.step += 1
        font = self.display.open_font("cursor")
        shape = 2 * (self.step % 70)
        cursor = font.create_glyph_cursor(font, shape, shape + 1, (0, 0, 0), (65535, 65535, 65535))
        self.root.change_attributes(cursor=cursor)
        self.display.sync()


NEVER = 60.0
# How the screen changes, and how often the pointer's place has to be looked at to see it.
CHANGES: list[tuple[Callable[[Painter], None], float]] = [
    (Painter.draw, NEVER),
    (Painter.show_window, NEVER),
    (Painter.clear, NEVER),
    (Painter.move_pointer, NEVER),
    (Painter.change_pointer, NEVER),
    (Painter.set_pointer, LOOK),
]


def calm(watch: Damage) -> None:
    """Takes what is on its way."""
    while watch.wait(0.05):
        watch.clear()


@pytest.mark.parametrize(("change", "look"), CHANGES)
def test_a_change_wakes(
    painter: Painter, monkeypatch: pytest.MonkeyPatch, change: Callable[[Painter], None], look: float
) -> None:
    monkeypatch.setattr(damage, "_LOOK", look)
    watch = Damage()
    delays = []
    for _ in range(3):
        calm(watch)
        changed_at: list[float] = []
        timer = threading.Timer(0.02, lambda at=changed_at: (at.append(time.monotonic()), change(painter)))
        timer.start()
        assert watch.wait(3)
        delays.append(time.monotonic() - changed_at[0])
        timer.join()
    watch.close()
    assert sorted(delays)[1] < 1


@pytest.mark.parametrize("change", [change for change, _ in CHANGES])
def test_a_change_is_told_until_it_is_cleared(
    watch: Damage, painter: Painter, change: Callable[[Painter], None]
) -> None:
    calm(watch)
    change(painter)
    assert watch.wait(3)
    assert watch.wait(0)
    assert watch.clear()
    assert not watch.wait(LOOK + 0.05)
    assert not watch.clear()


def test_a_new_one_says_changed(painter: Painter) -> None:
    opened = open_damage()
    assert opened is not None
    assert opened.wait(1)
    assert opened.clear()
    opened.close()


@pytest.mark.parametrize("seconds", [0, 0.001, 0.05, 0.4])
def test_wait_in_vain_takes_its_time(watch: Damage, seconds: float) -> None:
    calm(watch)
    begin = time.monotonic()
    assert not watch.wait(seconds)
    assert seconds <= time.monotonic() - begin < seconds + 1


def test_wake_ends_the_wait_that_is_going_on(watch: Damage) -> None:
    calm(watch)
    timer = threading.Timer(0.1, watch.wake)
    timer.start()
    begin = time.monotonic()
    assert not watch.wait(30)
    assert 0.05 < time.monotonic() - begin < 10
    timer.join()


def test_wake_ends_the_next_wait_and_no_other(watch: Damage) -> None:
    calm(watch)
    for _ in range(3000):  # more than the kernel holds
        watch.wake()
    begin = time.monotonic()
    assert not watch.wait(30)
    assert time.monotonic() - begin < 10
    begin = time.monotonic()
    assert not watch.wait(0.3)
    assert time.monotonic() - begin >= 0.3


def test_wake_hides_no_change(watch: Damage, painter: Painter) -> None:
    calm(watch)
    painter.draw()
    watch.wake()
    assert watch.wait(3)
    assert watch.wait(0)


def test_wake_at_any_time(painter: Painter) -> None:
    """Also while it is closed, and after: another file may have its descriptor then."""
    end = threading.Event()
    watches = [Damage()]

    def wake() -> None:
        while not end.is_set():
            watches[-1].wake()

    thread = threading.Thread(target=wake)
    thread.start()
    for _ in range(20):
        watches[-1].close()
        watches[-1].wake()
        watches.append(Damage())
    end.set()
    thread.join()
    watches[-1].close()


def test_a_display_that_answers_late_is_not_waited_for_for_ever(watch: Damage, monkeypatch: pytest.MonkeyPatch) -> None:
    calm(watch)
    find = watch._find_pointer
    monkeypatch.setattr(watch, "_look", 0.02)
    monkeypatch.setattr(watch, "_find_pointer", lambda: (time.sleep(0.04), find())[1])
    assert not watch.wait(0.3)


def test_no_change_is_lost(watch: Damage, painter: Painter) -> None:
    """A change at any moment is told, or came before clear() had returned."""
    calm(watch)
    stop = threading.Event()
    drawn: list[float] = []

    def draw() -> None:
        while not stop.wait(0.0007):
            drawn.append(time.monotonic())
            painter.draw()

    thread = threading.Thread(target=draw)
    thread.start()
    end = time.monotonic() + 0.6
    missed = 0
    while time.monotonic() < end:
        watch.clear()
        cleared_at = time.monotonic()
        if not watch.wait(1):
            missed += any(cleared_at < at < cleared_at + 0.5 for at in drawn)
    stop.set()
    thread.join()
    assert missed == 0
    assert len(drawn) > 20
    painter.draw()
    assert watch.wait(3)


def test_settled(watch: Damage, painter: Painter) -> None:
    calm(watch)
    assert watch.settled()
    for change, _ in CHANGES:
        calm(watch)
        change(painter)
        assert not watch.settled(), change


def test_without_xinput_the_pointer_is_looked_at(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Display.has_extension
    monkeypatch.setattr(Display, "has_extension", lambda self, name: name != "XInputExtension" and real(self, name))
    monkeypatch.setattr(damage, "_LOOK", NEVER)
    watch = Damage()
    watch.clear()
    calm(watch)
    painter.set_pointer()
    assert watch.wait(3)
    watch.close()


def test_without_damage() -> None:
    with xvfb("-extension", "DAMAGE") as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", server.name)
        with pytest.raises(DamageLost):
            Damage()
        assert open_damage() is None


def test_a_display_that_refuses(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Damage) -> None:
        self._root.xinput_select_events([(99, 1)])  # there is no such device

    monkeypatch.setattr(Damage, "_subscribe_to_moves", refused)
    with pytest.raises(DamageLost):
        Damage()


# python-xlib leaves the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["", ":99", "nonsense", "wayland-0", "localhost:99"])
def test_without_a_display(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", name)
    assert open_damage() is None
    monkeypatch.delenv("DISPLAY")
    assert open_damage() is None


def test_without_python_xlib(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "Xlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Xlib", None)  # type: ignore[arg-type]
    assert open_damage() is None


def test_a_server_that_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    with xvfb() as server:
        monkeypatch.setenv("DISPLAY", server.name)
        watch = Damage()
        watch.clear()
        calm(watch)
        timer = threading.Timer(0.1, server.kill)
        timer.start()
        begin = time.monotonic()
        with pytest.raises(DamageLost):
            watch.wait(10)
        assert time.monotonic() - begin < 5
        timer.join()
        for call in (lambda: watch.wait(0), lambda: watch.wait(1), watch.clear, watch.settled):
            with pytest.raises(DamageLost):
                call()
        watch.close()
        watch.close()
        server.start()
        again = Damage()
        assert again.wait(0)
        again.close()


def test_a_server_with_other_extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their events have other numbers, which python-xlib mixes up between displays."""
    for options in ([], ["-extension", "XTEST"], ["-extension", "RANDR"], ["-extension", "MIT-SHM"], []):
        with xvfb(*options) as server:
            monkeypatch.setenv("DISPLAY", server.name)
            watch = Damage()
            watch.clear()
            calm(watch)
            server.fill("#204060")
            assert watch.wait(0)
            watch.close()


def test_nothing_is_left_open(painter: Painter) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(10):
        Damage().close()
    assert descriptors() == before
