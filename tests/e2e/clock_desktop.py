"""A desktop that changes: a binary clock along the bottom of a display, drawn anew some times a second.

``python clock_desktop.py :85 20`` draws twenty times a second on display :85 until it is stopped.
"""

from __future__ import annotations

import sys
import time

import numpy
from Xlib import X
from Xlib.display import Display

from screenshare.pattern import draw_clock


def main(name: str, times_a_second: float) -> None:
    display = Display(name)
    root = display.screen().root
    size = root.get_geometry()
    context = root.create_gc()
    height = size.height // 20
    picture = numpy.zeros((size.height, size.width, 4), numpy.uint8)
    while True:
        draw_clock(picture, int(time.time() * 1000))
        strip = picture[-height:].tobytes()
        root.put_image(context, 0, size.height - height, size.width, height, X.ZPixmap, 24, 0, strip)
        display.sync()
        time.sleep(1 / times_a_second)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
