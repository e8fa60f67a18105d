"""JPEGs: their size, colour and chroma; the comparison of pictures; the picture of a text."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import cv2
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screenshare.encoder import encode, notice, same
from screenshare.picture import Preset, presets_of

ROOT = Path(__file__).parent.parent.parent
BACKGROUND = [28, 22, 18]


def preset(width: int, quality: int = 80, *, chroma_444: bool = False) -> Preset:
    return Preset("some", width, quality, 15, chroma_444)


def noise(height: int, width: int, channels: int = 3) -> numpy.ndarray:
    return numpy.random.default_rng(1).integers(0, 256, (height, width, channels), numpy.uint8)


def decode(jpeg: bytes) -> numpy.ndarray:
    image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def sampling(jpeg: bytes) -> list[int]:
    """The sampling factors of the three components in the frame header of a baseline JPEG."""
    start = jpeg.index(b"\xff\xc0")
    assert jpeg[start + 9] == 3
    return [jpeg[start + 11 + 3 * component] for component in range(3)]


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [
        ((1920, 1080), 1366, (1366, 768)),
        ((1920, 1080), 960, (960, 540)),
        ((1920, 1080), 683, (683, 384)),
        ((1920, 1080), 480, (480, 270)),
        ((1920, 1080), 1920, (1920, 1080)),
        ((1920, 1080), 3840, (1920, 1080)),
        ((1366, 768), 1920, (1366, 768)),
        ((1440, 900), 1366, (1366, 854)),
        ((1280, 1024), 640, (640, 512)),
        ((1001, 750), 500, (500, 375)),
        ((1001, 501), 400, (400, 200)),
        ((3000, 2), 100, (100, 1)),
        ((3000, 1), 100, (100, 1)),
        ((1, 3000), 100, (1, 3000)),
        ((1, 1), 1, (1, 1)),
    ],
)
@pytest.mark.parametrize("channels", [3, 4])
def test_encode_size(size: tuple[int, int], limit: int, expected: tuple[int, int], channels: int) -> None:
    jpeg, width, height = encode(noise(size[1], size[0], channels), preset(limit))
    assert (width, height) == expected
    assert decode(jpeg).shape == (height, width, 3)


@pytest.mark.parametrize(("bgr", "limit"), [((96, 64, 32), 640), ((0, 0, 255), 320), ((255, 255, 255), 200)])
def test_encode_keeps_the_colour(bgr: tuple[int, int, int], limit: int) -> None:
    image = numpy.full((360, 640, 3), bgr, numpy.uint8)
    assert numpy.abs(decode(encode(image, preset(limit))[0]).astype(int) - bgr).max() <= 2


@pytest.mark.parametrize("limit", [640, 500, 320, 200])
def test_encode_leaves_the_fourth_byte_alone(limit: int) -> None:
    image = noise(360, 640, 4)
    assert encode(image, preset(limit)) == encode(numpy.ascontiguousarray(image[..., :3]), preset(limit))


@pytest.mark.parametrize(
    ("limit", "steps"),
    [
        (640, []),
        (500, [(500, 281, cv2.INTER_LINEAR)]),
        (320, [(320, 180, cv2.INTER_AREA)]),
        (300, [(320, 180, cv2.INTER_AREA), (300, 169, cv2.INTER_LINEAR)]),
        (160, [(320, 180, cv2.INTER_AREA), (160, 90, cv2.INTER_AREA)]),
    ],
)
def test_encode_scales(limit: int, steps: list[tuple[int, int, int]]) -> None:
    image = noise(360, 640)
    expected = image
    for width, height, method in steps:
        expected = cv2.resize(expected, (width, height), interpolation=method)
    assert encode(image, preset(limit))[0] == encode(expected, preset(limit))[0]


def test_encode_keeps_thin_lines() -> None:
    """LINEAR by itself would lose one in four at this size."""
    image = numpy.zeros((1080, 1920, 3), numpy.uint8)
    lines = range(20, 1060, 37)
    image[list(lines)] = 255
    rows = decode(encode(image, preset(683))[0]).mean(axis=(1, 2))
    shown = [rows[round(line * 384 / 1080) - 2 :][:5].max() for line in lines]
    assert min(shown) > 30


def test_encode_quality() -> None:
    image = noise(360, 640)
    sizes = [len(encode(image, preset(640, quality))[0]) for quality in (30, 60, 80, 95)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[0]


@pytest.mark.parametrize(("chroma_444", "expected"), [(False, [0x22, 0x11, 0x11]), (True, [0x11, 0x11, 0x11])])
def test_encode_chroma(chroma_444: bool, expected: list[int]) -> None:
    assert sampling(encode(noise(36, 64), preset(64, chroma_444=chroma_444))[0]) == expected


def test_encode_takes_all_presets() -> None:
    sizes = [encode(noise(1080, 1920, 4), each)[1:] for each in presets_of(1366, 80, 15).values()]
    assert sizes == [(683, 384), (1366, 768), (1920, 1080)]


def test_encode_refuses_what_no_jpeg_can_hold() -> None:
    with pytest.raises(ValueError) as caught:
        encode(numpy.zeros((70000, 1, 3), numpy.uint8), preset(1))
    assert str(caught.value) == "a picture of (70000, 1, 3) can't be encoded"


def test_encode_takes_memory_that_is_read_only() -> None:
    data = bytes(64 * 36 * 4)
    image = numpy.frombuffer(data, numpy.uint8).reshape(36, 64, 4)
    assert encode(image, preset(40))[1:] == (40, 22)


def test_encoding_runs_in_one_thread() -> None:
    code = "import cv2, screenshare.encoder; print(cv2.getNumThreads())"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "1\n"


SHAPES = [(1, 1, 3), (1, 2, 4), (3, 5, 3), (7, 11, 3), (480, 640, 4), (481, 641, 3), (1080, 1920, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_same_sees_every_place(shape: tuple[int, int, int]) -> None:
    first = noise(*shape)
    second = first.copy()
    assert same(first, first)
    assert same(first, second)
    flat = second.reshape(-1)
    for place in {0, flat.size // 2, flat.size - 1}:
        flat[place] ^= 1
        assert not same(first, second), place
        flat[place] ^= 1
    assert same(first, second)


@pytest.mark.parametrize("other", [(6, 4, 4), (4, 6, 3), (4, 3, 8), (2, 12, 4)])
def test_same_compares_shapes(other: tuple[int, int, int]) -> None:
    assert not same(numpy.zeros((4, 6, 4), numpy.uint8), numpy.zeros(other, numpy.uint8))


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4]), st.data())
def test_same_is_what_numpy_says(height: int, width: int, channels: int, data: st.DataObject) -> None:
    size = height * width * channels
    pair = [data.draw(st.binary(min_size=size, max_size=size)) for _ in range(2)]
    first, second = (numpy.frombuffer(each, numpy.uint8).reshape(height, width, channels) for each in pair)
    assert same(first, second) == numpy.array_equal(first, second)


def drawn(image: numpy.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what isn't background."""
    rows, columns = numpy.nonzero((image != BACKGROUND).any(axis=2))
    return columns.min(), rows.min(), columns.max(), rows.max()


LINES = [
    "there is no screen: DISPLAY is not set",
    "Set DISPLAY and XAUTHORITY to those of a running desktop, or use --screen-source test",
    "没有屏幕：未设置 DISPLAY",
    "请将 DISPLAY 和 XAUTHORITY 设为正在运行的桌面的值，或使用 --screen-source test",
]


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080), (640, 480), (320, 240), (400, 1000)])
def test_notice_fits(width: int, height: int) -> None:
    image = notice(width, height, LINES)
    assert image.shape == (height, width, 3)
    left, top, right, bottom = drawn(image)
    assert left >= 0.05 * width
    assert right <= 0.95 * width
    assert top >= 0.03 * height
    assert bottom <= 0.97 * height
    assert abs(left + right - width) < 0.03 * width
    assert abs(top + bottom - height) < 0.1 * height


def test_notice_makes_the_text_smaller_until_it_fits() -> None:
    heights = []
    for count in (1, 4, 12):
        image = notice(640, 360, ["the reason"] * count)
        left, top, right, bottom = drawn(image)
        assert top >= 0.05 * 360
        assert bottom <= 0.95 * 360
        heights.append(right - left)
    assert heights[0] == heights[1] > heights[2]


def test_notice_breaks_a_word_that_is_too_long() -> None:
    left, _, right, _ = drawn(notice(640, 480, ["x" * 300]))
    assert left >= 0.05 * 640
    assert right <= 0.95 * 640


@pytest.mark.parametrize("lines", [[], [""], ["", ""]])
def test_notice_of_nothing(lines: list[str]) -> None:
    assert same(notice(64, 48, lines), numpy.full((48, 64, 3), BACKGROUND, numpy.uint8))


def test_notice_shows_chinese() -> None:
    """OpenCV draws one and the same sign for each character that its font doesn't have."""
    pictures = [notice(320, 240, [character]) for character in "屏幕没有设"]
    assert not any(same(first, second) for first, second in itertools.pairwise(pictures))
