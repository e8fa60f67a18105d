"""The picture: frames a second, delay and CPU of the three screen shares, by the number of viewers."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.screen_cases import POLLED, SEED, WOKEN
from benchmarks.screen_measures import MOVING, Results
from benchmarks.watching import Watch

__all__ = ["draw_screen"]

_INK, _FAINT, _LINE = "#212529", "#6c757d", "#e03131"
_COLOURS = {"woken": "#0b7285", "polled": "#66b2c2", "seed": "#ced4da"}
_CAPTION_WIDTH = 165
_BAR = 0.27


def draw_screen(path: Path, results: Results, caption: str) -> None:
    """Writes a PNG."""
    figure, (fps, delay, cpu) = plt.subplots(1, 3, figsize=(13, 5.2), dpi=150)
    _panel(fps, results, "New pictures a second at each viewer", lambda seen: seen.new_fps, "{:.0f}")
    _panel(delay, results, "Change to last byte, median ms; line to 95 %", lambda seen: seen.delay * 1000, "{:.0f}")
    _whiskers(delay, results)
    _panel(cpu, results, "Server's CPU, % of one core", lambda seen: seen.cpu, "{:.0f}")
    for value, name in ((25, "woken"), (40, "polled")):
        delay.axhline(value, color=_LINE, linewidth=0.8, linestyle="--", zorder=0)
        delay.text(3.47, value, f"{name}:\n{value} ms", color=_LINE, fontsize=8, va="center")
    cpu.axhline(100, color=_LINE, linewidth=0.8, linestyle="--", zorder=0)
    handles = [plt.Rectangle((0, 0), 1, 1, color=_COLOURS[case.key]) for case in (WOKEN, POLLED, SEED)]
    names = [case.name for case in (WOKEN, POLLED, SEED)]
    figure.legend(handles, names, loc="upper right", ncols=3, frameon=False, fontsize=10)
    figure.suptitle("One screen, many viewers", x=0.02, ha="left", fontsize=15, weight="bold", color=_INK)
    figure.text(0.02, 0.02, "\n".join(textwrap.wrap(caption, _CAPTION_WIDTH)), fontsize=8, color=_FAINT)
    figure.tight_layout(rect=(0, 0.1, 1, 0.97), w_pad=2.5)
    figure.savefig(path)
    plt.close(figure)


def _panel(axes: Axes, results: Results, title: str, value_of: Callable[[Watch], float], form: str) -> None:
    for place, seen, key in _bars(results):
        value = value_of(seen)
        axes.bar(place, value, width=_BAR * 0.94, color=_COLOURS[key])
        axes.text(place, value, form.format(value), ha="center", va="bottom", fontsize=9, color=_INK)
    axes.set_title(title, fontsize=11, loc="left", color=_INK)
    axes.set_xticks(range(len(MOVING)), [str(viewers) for viewers in MOVING])
    axes.set_xlim(-0.55, 3.42)
    axes.set_xlabel("viewers", color=_FAINT)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", colors=_FAINT)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)


def _bars(results: Results) -> list[tuple[float, Watch, str]]:
    return [
        (group + (number - 1) * _BAR, results.moving[case.key][viewers], case.key)
        for group, (viewers, cases) in enumerate(MOVING.items())
        for number, case in enumerate(cases)
    ]


def _whiskers(axes: Axes, results: Results) -> None:
    """The numbers stand above the bars, so the lines to 95 % begin beside them."""
    for place, seen, _ in _bars(results):
        x = place + _BAR * 0.38
        axes.plot([x, x], [seen.delay * 1000, seen.delay_95 * 1000], color=_FAINT, linewidth=1.2)
