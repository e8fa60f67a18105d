"""Measures the screen share beside the seed's code: ``make bench-screen``, or ``python -m benchmarks.screen --help``.

On an X server of its own (Xvfb, 1920 × 1080) runs a desktop that scrolls text and moves a film 28 times a second
and shows the time of each change as a binary clock. The server is one process on one core; the X server, the
desktop and the viewers, plain sockets in one process, share another. Measured one after the other, each with a
fresh server:

1. 1, 5, 50 and 200 viewers of this server, woken by XDamage and polled, and up to 50 of the seed's code with its
   broken lines mended (`benchmarks.seed_screen`).
2. A screen that doesn't change, with one viewer; and no viewers at all, eleven seconds after the last one.
3. Five viewers beside 20 that never read.
4. The gateway's p99 at a hundred calls a second, without viewers and with 50, by turns.
5. One viewer behind a link of 20 Mbit, where network namespaces can be made (root, Debian's iproute2).

How to read it: the delay is from the moment when the desktop begins a change to the last byte of the picture
that shows it at the viewer, for a sample over all viewers. fps counts parts, "new" only
those that differ from the one before: the seed's code sends what it captures, changed or not. CPU is of the
server with the process that captures, in % of one core; RSS is their largest sum, in units of 1 000 000 bytes;
kB is the mean JPEG.
"others %" is what programs that have nothing to do with this used meanwhile, of one core: a measurement that was
much disturbed is made anew, as long as the run stays under six minutes. With 200 viewers it is the viewers' core
that is full first. The gateway's times are by the kernel's clock (`benchmarks.trickle`). Here its loop shares
one core with the process that captures, which has to give way.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import click

from benchmarks.display import display, require_xvfb
from benchmarks.report import Environment
from benchmarks.screen_chart import draw_screen
from benchmarks.screen_measures import Results, measure
from benchmarks.screen_report import screen_conditions, screen_environment, screen_json, screen_text
from benchmarks.servers import BenchmarkError, choose_cores

__all__ = ["main"]

RESULTS = Path(__file__).with_name("results")


@click.command()
@click.option("--seconds", default=7.5, show_default=True, type=click.FloatRange(1), help="length of each measurement")
def main(seconds: float) -> None:
    """Measure the screen share; write benchmarks/results/screen.{json,md,png}."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        require_xvfb()
        cores = choose_cores()
        environment = screen_environment(cores, seconds)
        print(screen_conditions(environment), flush=True)
        with display():
            results = measure(cores, seconds)
    except BenchmarkError as error:
        sys.exit(str(error))
    text = screen_text(results, environment)
    print(f"\n{text}")
    _write(results, environment, text)


def _end(number: int, frame: FrameType | None) -> None:
    """Leaves by way of every ``finally``, so that nothing is left behind."""
    sys.exit(128 + number)


def _write(results: Results, environment: Environment, text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "screen.json").write_text(screen_json(results, environment) + "\n", "utf-8")
    page = f"# The screen share beside the seed's code\n\n{text}\n\n![fps, delay and CPU](screen.png)\n"
    (RESULTS / "screen.md").write_text(page, "utf-8")
    draw_screen(RESULTS / "screen.png", results, screen_conditions(environment))
    print("\nWritten: benchmarks/results/screen.json, screen.md, screen.png")


if __name__ == "__main__":
    main()
