"""Pictures into JPEG: scaled to a preset, compared, and drawn where there is nothing to show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy

from screenshare.picture import Preset

if TYPE_CHECKING:
    from screenshare.source import Image

__all__ = ["encode", "notice", "same"]

# Two threads cost 1.9 times the processor time and save a tenth of the time.
cv2.setNumThreads(1)

# How many words of 8 bytes are compared at once: half a megabyte, which stays in a core's cache.
_WORDS = 65536
# What a line of text may be broken after: a word, or a Chinese character with the punctuation that follows it.
_WORD = re.compile(r"[^\s\u2e80-\uffff]{1,40}\s*|[\u2e80-\uffff][，。：；、！？）”]?\s*|\s+")
_BACKGROUND = (28, 22, 18)
_FOREGROUND = (235, 232, 228)
_SMALLEST = 8  # pixels high; text below isn't legible


def encode(image: Image, preset: Preset) -> tuple[bytes, int, int]:
    """The picture as JPEG, and its width and height. It is made smaller if it is too wide, never larger."""
    image = _scale(image, preset.width)
    options = [cv2.IMWRITE_JPEG_QUALITY, preset.quality]
    if preset.chroma_444:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    encoded, jpeg = cv2.imencode(".jpg", image, options)
    if not encoded:
        raise ValueError(f"a picture of {image.shape} can't be encoded")
    height, width = image.shape[:2]
    return jpeg.tobytes(), width, height


def _scale(image: Image, limit: int) -> Image:
    height, width = image.shape[:2]
    target = min(width, limit), max(1, round(height * min(width, limit) / width))
    # LINEAR looks at four pixels only: below a half it would drop thin lines, and halving by AREA is cheap.
    while width >= 2 * target[0] and width % 2 == height % 2 == 0:
        width, height = width // 2, height // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if (width, height) != target:
        image = cv2.resize(image, target, interpolation=cv2.INTER_LINEAR)
    return image


def same(first: Image, second: Image) -> bool:
    """Whether two pictures are equal, byte for byte."""
    if first.shape != second.shape:
        return False
    one, other = _words(first), _words(second)
    return all(
        numpy.array_equal(one[start : start + _WORDS], other[start : start + _WORDS])
        for start in range(0, one.size, _WORDS)
    )


def _words(image: Image) -> numpy.ndarray:
    flat = image.reshape(-1)
    return flat.view(numpy.uint64) if flat.size % 8 == 0 else flat  # eight bytes at once: a quarter of the time


def notice(width: int, height: int, lines: Sequence[str]) -> Image:
    """A picture with lines of text in the middle, English or Chinese, broken and made smaller until they fit."""
    image = numpy.full((height, width, 3), _BACKGROUND, numpy.uint8)
    font = cv2.FontFace("sans")  # OpenCV brings it along, Chinese characters included
    size = max(_SMALLEST, min(width // 32, height // 18))
    rows = _lay_out(lines, font, size, width)
    while rows and rows[-1][1] > 0.8 * height and size > _SMALLEST:
        size -= 1
        rows = _lay_out(lines, font, size, width)
    top = (height - max((bottom for _, bottom in rows), default=0)) // 2
    for text, bottom in rows:
        left = (width - _measure(text, font, size)) // 2
        cv2.putText(image, text, (left, top + bottom), _FOREGROUND, font, size, 400)
    return image


def _lay_out(lines: Sequence[str], font: cv2.FontFace, size: int, width: int) -> list[tuple[str, int]]:
    """The rows of text with their base lines, counted from the top of the first."""
    rows = []
    bottom = size
    for line in lines:
        for row in _break(line, font, size, round(0.86 * width)):
            rows.append((row, bottom))
            bottom += round(1.5 * size)
        bottom += size // 2
    return rows


def _break(line: str, font: cv2.FontFace, size: int, room: int) -> Iterator[str]:
    row = ""
    for word in _WORD.findall(line):
        if row and _measure(row + word, font, size) > room:
            yield row.rstrip()
            row = ""
        row += word
    yield row.rstrip()


def _measure(text: str, font: cv2.FontFace, size: int) -> int:
    """The width of a text in pixels."""
    return cv2.getTextSize((0, 0), text, (0, 0), font, size, 400)[2]
