"""The moving pattern, and its clock as read from a JPEG."""

from __future__ import annotations

import itertools
import time

import cv2
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screenshare import pattern
from screenshare.encoder import encode, same
from screenshare.pattern import PatternSource, draw_clock, draw_pattern, read_clock
from screenshare.picture import Preset
from screenshare.source_choice import open_source


def through_jpeg(image: numpy.ndarray, width: int, quality: int) -> numpy.ndarray:
    jpeg, _, _ = encode(image, Preset("some", width, quality, 15))
    decoded = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def blank(height: int = 360, width: int = 640) -> numpy.ndarray:
    return numpy.full((height, width, 3), 128, numpy.uint8)


@pytest.fixture
def source() -> PatternSource:
    return PatternSource()


def test_open_source_gives_it() -> None:
    source = open_source("test")
    assert isinstance(source, PatternSource)
    assert (source.name, source.size) == ("test", (1280, 720))
    source.close()
    source.close()


def test_picture(source: PatternSource) -> None:
    image = source.grab()
    assert image.shape == (720, 1280, 3)
    assert image.dtype == numpy.uint8
    assert image.flags.c_contiguous
    assert [tuple(image[10, 80 + 160 * column].tolist()) for column in range(8)] == [
        (255, 255, 255), (0, 255, 255), (255, 255, 0), (0, 255, 0), (255, 0, 255), (0, 0, 255), (255, 0, 0), (0, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("width", [320, 640, 683, 960, 1280])
@pytest.mark.parametrize("quality", [30, 55, 80, 95])
def test_clock_tells_the_time_of_the_picture(source: PatternSource, width: int, quality: int) -> None:
    before = time.time()
    image = source.grab()
    after = time.time()
    shown = read_clock(through_jpeg(image, width, quality))
    assert shown is not None
    # A picture is of the beginning of its thirtieth of a second.
    assert int((before - 1 / 30) * 1000) <= int(before * 1000) // 2**32 * 2**32 + shown <= after * 1000


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**33), st.sampled_from([(360, 640), (480, 641), (1080, 1920)]), st.sampled_from([40, 90]))
def test_clock_survives_jpeg(milliseconds: int, size: tuple[int, int], quality: int) -> None:
    image = blank(*size)
    draw_clock(image, milliseconds)
    assert read_clock(through_jpeg(image, size[1], quality)) == milliseconds % 2**32


def test_clock_layout() -> None:
    """As the module describes it, block by block: 1010, 32 bits, the exclusive or of the eight fours."""
    image = blank()
    draw_clock(image, 0x1234ABCF)
    strip = image[-18:]
    assert (image[:-18] == 128).all()
    blocks = "".join(str(strip[0, 16 * block, 0] // 255) for block in range(40))
    check = 0x1 ^ 0x2 ^ 0x3 ^ 0x4 ^ 0xA ^ 0xB ^ 0xC ^ 0xF
    assert blocks == f"1010{0x1234ABCF:032b}{check:04b}"
    for block in range(40):
        assert len(set(strip[:, 16 * block : 16 * block + 16].reshape(-1).tolist())) == 1


@pytest.mark.parametrize("colour", [0, 100, 255])
def test_read_clock_finds_none(colour: int) -> None:
    assert read_clock(numpy.full((360, 640, 3), colour, numpy.uint8)) is None


@pytest.mark.parametrize("block", range(40))
def test_read_clock_refuses_a_wrong_bit(block: int) -> None:
    image = blank()
    draw_clock(image, 1_700_000_000_123)
    image[-18:, 16 * block : 16 * block + 16] ^= 255
    assert read_clock(image) is None


def test_a_picture_holds_for_a_thirtieth_of_a_second(source: PatternSource) -> None:
    background = source._background
    pictures = [draw_pattern(number, background) for number in (51_000_000_000, 51_000_000_000, 51_000_000_001)]
    assert same(pictures[0], pictures[1])
    assert not same(pictures[1], pictures[2])
    assert [read_clock(picture) for picture in pictures] == [
        1_700_000_000_000 % 2**32, 1_700_000_000_000 % 2**32, 1_700_000_000_033 % 2**32,
    ]  # fmt: skip


def test_the_visible_clock_moves_with_the_binary_one(source: PatternSource) -> None:
    first, second = (draw_pattern(number, source._background) for number in (51_000_000_000, 51_000_000_030))
    text = slice(300, 410), slice(330, 1100)
    assert (first[text] == 255).any()
    assert not same(numpy.ascontiguousarray(first[text]), numpy.ascontiguousarray(second[text]))


def test_thirty_changes_a_second(source: PatternSource) -> None:
    end = time.monotonic() + 1
    shown = []
    while time.monotonic() < end:
        if source.wait(0.5):
            shown.append(read_clock(source.grab()))
    assert 5 <= len(shown) <= 32
    steps = [second - first for first, second in itertools.pairwise(shown)]
    assert 33 <= min(steps) <= 34  # a busy machine may miss some, but finds two that follow each other


class Clock:
    """A clock that only sleeping moves, which takes a little longer than was asked for."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.sleeps = 0

    def monotonic(self) -> float:
        return self.now

    localtime, strftime = staticmethod(time.localtime), staticmethod(time.strftime)
    time = monotonic

    def sleep(self, seconds: float) -> None:
        self.now += seconds + 0.0001
        self.sleeps += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pattern, "time", clock)
    return clock


def test_wait_ends_with_the_change_and_not_before(source: PatternSource, clock: Clock) -> None:
    for step in range(30):
        clock.now += 0.0011 * step
        before = read_clock(source.grab())
        clock.sleeps = 0
        assert source.wait(1)
        shown = read_clock(source.grab())
        assert before is not None
        assert shown is not None
        assert shown - before in (33, 34)
        assert (int(clock.now * 1000) - shown) % 2**32 <= 1
        assert clock.sleeps <= 2


def test_wait_in_vain(source: PatternSource, clock: Clock) -> None:
    assert source.wait(0)
    for step in range(30):
        clock.now += 0.0011 * step
        shown = read_clock(source.grab())
        begin = clock.now
        changed = source.wait(0.003)
        assert clock.now - begin == pytest.approx(0.003, abs=0.001) or changed
        assert changed is (read_clock(source.grab()) != shown)


def test_grab_gives_memory_of_its_own(source: PatternSource) -> None:
    first = source.grab()
    copy = first.copy()
    assert source.wait(1)
    source.grab()
    assert same(first, copy)
