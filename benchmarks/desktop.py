"""A desktop that moves, on the display that DISPLAY names: ``python -m benchmarks.desktop CHANGES_PER_SECOND``.

Each change scrolls a page of text, moves a film, and draws the time at which it began as the binary clock of
`screenshare.pattern` along the bottom, so that from a JPEG of the screen one can tell how old it is. All three
come from pixmaps in the X server, which makes a change cost next to nothing. With 0 changes it is drawn once and
stays. For each change a dot goes to the standard output: the length of a file is their number.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy
from PIL import Image, ImageDraw, ImageFont
from Xlib.display import Display

from screenshare.pattern import draw_clock

__all__ = ["HEIGHT", "WIDTH"]

WIDTH, HEIGHT = 1920, 1080

_PAGE, _FILM, _CLOCK = (60, 60, 900, 860), (1040, 60, 800, 450), (0, 1026, 1920, 54)  # x, y, width, height
_BLOCKS = 40
_SCROLLED, _MOVED = 3, 5  # pixels for each change
_LONG = 4  # how many times its place on the screen a page or film is long
_WORDS = "The quick brown fox jumps over the lazy dog 0123456789 return None for value in table if not found:"
_PAPER, _INK, _WALL = (250, 250, 247), (33, 37, 41), (52, 73, 94)


class Desktop:
    """One window over the whole screen."""

    def __init__(self) -> None:
        self._display = Display()
        screen = self._display.screen()
        self._depth = screen.root_depth
        self._window = screen.root.create_window(0, 0, WIDTH, HEIGHT, 0, self._depth, override_redirect=True)
        self._pen = self._window.create_gc(foreground=screen.white_pixel, graphics_exposures=False)
        self._eraser = self._window.create_gc(foreground=screen.black_pixel, graphics_exposures=False)
        self._page = self._upload(_draw_page())
        self._film = self._upload(_draw_film())
        self._clock = self._window.create_pixmap(*_CLOCK[2:], self._depth)
        self._window.map()
        self._window.put_pil_image(self._pen, 0, 0, _draw_wall())
        self._display.sync()

    def _upload(self, image: Image.Image) -> Any:
        pixmap = self._window.create_pixmap(*image.size, self._depth)
        pixmap.put_pil_image(self._pen, 0, 0, image)
        return pixmap

    def change(self, number: int) -> None:
        """Shows the desktop after so many changes, and the time."""
        self._draw_clock(round(time.time() * 1000))
        self._show(self._page, _PAGE, 0, number * _SCROLLED % ((_LONG - 1) * _PAGE[3]))
        self._show(self._film, _FILM, number * _MOVED % ((_LONG - 1) * _FILM[2]), 0)
        self._show(self._clock, _CLOCK, 0, 0)
        self._display.flush()

    def _show(self, pixmap: Any, place: tuple[int, int, int, int], left: int, top: int) -> None:
        x, y, width, height = place
        self._window.copy_area(self._pen, pixmap, left, top, width, height, x, y)

    def _draw_clock(self, milliseconds: int) -> None:
        bits = numpy.zeros((20, _BLOCKS, 3), numpy.uint8)
        draw_clock(bits, milliseconds)
        block = WIDTH // _BLOCKS
        white = [(place * block, 0, block, _CLOCK[3]) for place in numpy.flatnonzero(bits[-1, :, 0]).tolist()]
        self._clock.fill_rectangle(self._eraser, 0, 0, WIDTH, _CLOCK[3])
        self._clock.poly_fill_rectangle(self._pen, white)


def _draw_page() -> Image.Image:
    image = Image.new("RGB", (_PAGE[2], _LONG * _PAGE[3]), _PAPER)
    _write(image, (16, 12, image.width - 16, image.height))
    return image


def _draw_wall() -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), _WALL)
    ImageDraw.Draw(image).rectangle((1040, 550, 1840, 920), fill=_PAPER)
    _write(image, (1056, 560, 1824, 910))
    return image


def _write(image: Image.Image, room: tuple[int, int, int, int]) -> None:
    """Fills a part of a picture with lines of text, each a little different."""
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    left, top, right, bottom = room
    for number, height in enumerate(range(top, bottom - 20, 32)):
        shift = number * 7 % len(_WORDS)
        text = f"{number:4}  {_WORDS[shift:]} {_WORDS[:shift]}"
        while draw.textlength(text, font) > right - left:
            text = text[:-1]
        draw.text((left, height), text, _INK, font)


def _draw_film() -> Image.Image:
    """Soft shapes with the grain of a camera, always the same."""
    width, height = _LONG * _FILM[2], _FILM[3]
    random = numpy.random.default_rng(1)
    shapes = random.integers(40, 215, (9, 9 * _LONG, 3), numpy.uint8)
    image = Image.fromarray(shapes).resize((width, height), Image.Resampling.BICUBIC)
    grain = random.integers(-2, 3, (height, width, 1))
    return Image.fromarray((numpy.asarray(image).astype(int) + grain).clip(0, 255).astype(numpy.uint8))


def main(changes_per_second: float) -> None:
    desktop = Desktop()
    desktop.change(0)
    if not changes_per_second:
        time.sleep(3600)
    number, due = 0, time.monotonic()
    while True:
        due = max(due + 1 / changes_per_second, time.monotonic() - 1 / changes_per_second)
        time.sleep(max(0.0, due - time.monotonic()))
        number += 1
        desktop.change(number)
        os.write(1, b".")


if __name__ == "__main__":
    main(float(sys.argv[1]))
