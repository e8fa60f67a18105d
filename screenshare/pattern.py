"""A moving picture for machines without a screen, demonstrations and tests: 1280 × 720, 30 changes a second.

It shows the time in two ways: as text, and as the binary clock, a row of 40 equal blocks along the bottom, a
twentieth of the height, that programs read from a JPEG of any size and quality. White is 1, black is 0:

    blocks 1–4     1 0 1 0
    blocks 5–36    the Unix time of the picture in milliseconds, modulo 2**32, the highest bit first
    blocks 37–40   the exclusive or of those 32 bits' eight groups of four
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import cv2
import numpy

if TYPE_CHECKING:
    from screenshare.source import Image

__all__ = ["PatternSource", "draw_clock", "draw_pattern", "read_clock"]

WIDTH, HEIGHT, CHANGES = 1280, 720, 30

_MARK = (1, 0, 1, 0)
_BLOCKS = 40
_STRIP = 20  # the binary clock is this fraction of the height
_WHITE, _GREY, _RED = (255, 255, 255), (150, 150, 150), (60, 60, 230)


class PatternSource:
    """The pattern of the present thirtieth of a second."""

    name = "test"
    size = (WIDTH, HEIGHT)
    tells = True

    def __init__(self) -> None:
        self._background = _draw_background()
        self._shown = -1

    def wait(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while _change_at(time.time()) == self._shown:
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, 1 / CHANGES - time.time() % (1 / CHANGES)))
        return True

    def wake(self) -> None:
        pass  # the next change is never far

    def grab(self) -> Image:
        self._shown = _change_at(time.time())
        return draw_pattern(self._shown, self._background)

    def close(self) -> None:
        pass


def _change_at(seconds: float) -> int:
    return int(seconds * CHANGES)


def draw_pattern(number: int, background: Image) -> Image:
    """The picture of a thirtieth of a second, counted since 1970."""
    image = background.copy()
    milliseconds = number * 1000 // CHANGES
    clock = time.strftime("%H:%M:%S", time.localtime(milliseconds // 1000)) + f".{milliseconds % 1000:03}"
    cv2.putText(image, clock, (330, 400), _WHITE, cv2.FontFace("sans"), 110, 500)
    _draw_movement(image, number)
    draw_clock(image, milliseconds)
    return image


def _draw_movement(image: Image, number: int) -> None:
    """A dot that goes round once in two seconds, and a bar that crosses the picture in four."""
    angle = math.tau * (number % (2 * CHANGES)) / (2 * CHANGES)
    centre = 170 + round(90 * math.sin(angle)), 360 - round(90 * math.cos(angle))
    cv2.circle(image, (170, 360), 90, _GREY, 3, cv2.LINE_AA)
    cv2.circle(image, centre, 22, _RED, -1, cv2.LINE_AA)
    left = (WIDTH + 80) * (number % (4 * CHANGES)) // (4 * CHANGES) - 80
    cv2.rectangle(image, (left, 560), (left + 80, 620), _WHITE, -1)


def _draw_background() -> Image:
    """Eight colours, a grey scale and text, by which an eye judges colour, contrast and sharpness."""
    image = numpy.full((HEIGHT, WIDTH, 3), (48, 36, 30), numpy.uint8)
    for number in range(8):
        colour = [255 * (7 - number >> bit & 1) for bit in (0, 2, 1)]
        image[:180, number * WIDTH // 8 : (number + 1) * WIDTH // 8] = colour
    image[180:220] = numpy.linspace(0, 255, WIDTH).astype(numpy.uint8)[:, None]
    font = cv2.FontFace("sans")
    cv2.putText(image, "test picture  测试画面", (335, 275), _GREY, font, 34, 400)
    text = "The quick brown fox jumps over the lazy dog.  0123456789  清晰度"
    for size, bottom in ((12, 450), (16, 475), (22, 505)):
        cv2.putText(image, text, (335, bottom), _WHITE, font, size, 400)
    image[560:620] = (70, 56, 48)
    return image


def draw_clock(image: Image, milliseconds: int) -> None:
    """Draws the binary clock of a time along the bottom of a picture."""
    height, width = image.shape[:2]
    bits = [*_MARK, *_bits(milliseconds, 32), *_bits(_check(milliseconds), 4)]
    for number, bit in enumerate(bits):
        image[-(height // _STRIP) :, number * width // _BLOCKS : (number + 1) * width // _BLOCKS] = 255 * bit


def read_clock(image: Image) -> int | None:
    """The milliseconds that the binary clock of a picture shows; None where it has none.

    >>> picture = numpy.zeros((360, 640, 3), numpy.uint8)
    >>> draw_clock(picture, 1_700_000_000_123)
    >>> read_clock(picture) == 1_700_000_000_123 % 2**32
    True
    """
    height, width = image.shape[:2]
    row = image[height - height // (2 * _STRIP) - 1, :, :3].mean(axis=1)
    levels = [row[(2 * number + 1) * width // (2 * _BLOCKS)] for number in range(_BLOCKS)]
    bits = [int(level > 127) for level in levels]
    milliseconds = _number(bits[4:36])
    if tuple(bits[:4]) != _MARK or _number(bits[36:]) != _check(milliseconds):
        return None
    return milliseconds


def _bits(number: int, count: int) -> list[int]:
    return [number >> place & 1 for place in reversed(range(count))]


def _number(bits: list[int]) -> int:
    return int("".join(map(str, bits)), 2)


def _check(milliseconds: int) -> int:
    check = 0
    for place in range(0, 32, 4):
        check ^= milliseconds >> place & 15
    return check
