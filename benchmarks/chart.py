"""The picture: requests per second of the seven servers as bars, in groups."""

from __future__ import annotations

import statistics
import textwrap
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.cases import CASES, RATIOS, Case, Ratio
from benchmarks.measures import Rounds, ratios_of_rounds

__all__ = ["draw"]

_OURS, _PEER, _INK, _FAINT = "#0b7285", "#ced4da", "#212529", "#6c757d"
_CAPTION_WIDTH = 150
_NAME_WIDTH = 32
_GROUPS = (
    ("Function on the event loop", "abc"),
    ("Plain function in a thread", "de"),
    ("Function on the event loop, with governance", "fg"),
)


def draw(path: Path, rounds: Rounds, caption: str) -> None:
    """Writes a PNG."""
    figure, axes = plt.subplots(figsize=(10, 7.2), dpi=150)
    rates = {case.key: statistics.median(load.requests_per_second for load in rounds[case.key]) for case in CASES}
    positions = _positions()
    for case in CASES:
        _bar(axes, case, positions[case.key], rates[case.key], max(rates.values()))
    for ratio in RATIOS:
        _annotate(axes, ratio, statistics.median(ratios_of_rounds(rounds, ratio)), positions, rates)
    _dress(axes, positions, max(rates.values()))
    figure.suptitle("Requests per second, one process on one core", x=0.02, ha="left", fontsize=15, weight="bold")
    figure.text(0.02, 0.02, "\n".join(textwrap.wrap(caption, _CAPTION_WIDTH)), fontsize=8, color=_FAINT)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path)
    plt.close(figure)


def _positions() -> dict[str, float]:
    """Where each bar lies, from the top; there is a gap between the groups."""
    positions: dict[str, float] = {}
    place = 0.0
    for _, keys in _GROUPS:
        for key in keys:
            positions[key] = place
            place += 1
        place += 0.9
    return positions


def _bar(axes: Axes, case: Case, position: float, rate: float, longest: float) -> None:
    axes.barh(position, rate, height=0.72, color=_OURS if case.ours else _PEER)
    axes.text(
        rate - longest * 0.012,
        position,
        f"{rate:,.0f}",
        ha="right",
        va="center",
        color="white" if case.ours else _INK,
        weight="bold",
        fontsize=11,
    )


def _annotate(axes: Axes, ratio: Ratio, value: float, positions: dict[str, float], rates: dict[str, float]) -> None:
    """Stands beside the other one's bar, or beside its own where both are this server."""
    verdict = "reached" if value >= ratio.target else "missed"
    names = {case.key: case.name for case in CASES if case.ours}
    beside, says = ratio.under, f"api zen serves {value:.2f} × this"
    if ratio.under in names:
        beside, says = ratio.over, f"{value:.2f} × {names[ratio.under]}"
    axes.text(
        rates[beside] + max(rates.values()) * 0.012,
        positions[beside],
        f"{says}\ntarget {ratio.target} ×, {verdict}",
        va="center",
        color=_INK,
        fontsize=10,
        linespacing=1.4,
    )


def _dress(axes: Axes, positions: dict[str, float], longest: float) -> None:
    names = [textwrap.fill(case.name, _NAME_WIDTH) for case in CASES]
    axes.set_yticks([positions[case.key] for case in CASES], names, fontsize=11)
    axes.set_xlim(0, longest * 1.35)
    axes.invert_yaxis()
    axes.set_xlabel("requests per second (bars and ratios are medians of the rounds)", color=_FAINT)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=_FAINT)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_PEER)
    for title, keys in _GROUPS:
        axes.text(0, positions[keys[0]] - 0.52, title, fontsize=10, color=_FAINT, style="italic", va="bottom")
