"""Writes down what was measured of the screen share: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from benchmarks.report import Environment, aligned, as_targets, rounded
from benchmarks.screen_cases import CHANGES_PER_SECOND, POLLED, SEED, WOKEN
from benchmarks.screen_measures import MOVING, Results, screen_figures
from benchmarks.servers import Cores
from benchmarks.watching import Watch

__all__ = ["screen_conditions", "screen_environment", "screen_json", "screen_text"]

_PACKAGES = ("tornado", "mss", "opencv-python-headless", "numpy", "Pillow", "Flask")


def screen_environment(cores: Cores, seconds: float) -> Environment:
    """What the numbers depend on."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "cores": cores.available,
        "pinned": cores.server is not None,
        "load_before": round(os.getloadavg()[0], 2),
        "seconds": seconds,
        "changes_per_second": CHANGES_PER_SECOND,
    }


def screen_conditions(environment: Environment) -> str:
    """One sentence about how it was measured."""
    where = (
        f"{environment['cores']} cores, the server on one of them, X server, desktop and viewers on another"
        if environment["pinned"]
        else "NOT PINNED, there is only one core, so the numbers say little"
    )
    return (
        f"Xvfb 1920 × 1080 with {CHANGES_PER_SECOND} changes a second, 1366 × 768 at quality 80 (the seed's code: "
        f"1366 × 750 at 100); Python {environment['python']}, Tornado {environment['tornado']}, OpenCV "
        f"{environment['opencv-python-headless']}, mss {environment['mss']}, Flask {environment['Flask']}; {where}; "
        f"{environment['seconds']:g} s each; load average before the run {environment['load_before']}."
    )


def screen_text(results: Results, environment: Environment) -> str:
    """Two tables in Markdown, aligned so that they read well in a terminal."""
    lines = [screen_conditions(environment), "", *_watches(results), "", *as_targets(screen_figures(results))]
    if results.no_slow_link:
        lines += ["", f"The slow link was not measured: {results.no_slow_link}"]
    return "\n".join(lines)


def _watches(results: Results) -> list[str]:
    rows = [
        (
            "",
            "viewers",
            "fps: median",
            "worst",
            "new",
            "delay ms: median",
            "95 %",
            "CPU %",
            "RSS MB",
            "threads",
            "kB",
            "others %",
        )
    ]
    for viewers, cases in MOVING.items():
        rows += [_row(case.name, results.moving[case.key][viewers]) for case in cases]
    rows += [_row(f"{case.name}, still", results.still[case.key], still=True) for case in (WOKEN, POLLED, SEED)]
    if results.silent is not None:
        rows.append(_row("api zen, beside 20 silent", results.silent))
    if results.slow_link is not None:
        rows.append(_row("api zen, 20 Mbit", results.slow_link))
    return aligned(rows)


def _row(name: str, seen: Watch, *, still: bool = False) -> tuple[str, ...]:
    delays = ("–", "–") if still else (f"{seen.delay * 1000:.0f}", f"{seen.delay_95 * 1000:.0f}")
    return (
        *(name, str(seen.viewers), f"{seen.fps:.1f}", f"{seen.worst_fps:.1f}", f"{seen.new_fps:.1f}", *delays),
        *(f"{seen.cpu:.1f}" if seen.cpu < 10 else f"{seen.cpu:.0f}", f"{seen.megabytes:.0f}", str(seen.threads)),
        *(f"{seen.jpeg_kb:.0f}", f"{seen.others:.0f}"),
    )


def screen_json(results: Results, environment: Environment) -> str:
    """Every number."""
    figures = [rounded(asdict(figure)) | {"verdict": figure.verdict} for figure in screen_figures(results)]
    return json.dumps(
        {"environment": environment, "figures": figures, **_short(asdict(results))}, ensure_ascii=False, indent=1
    )


def _short(value: Any) -> Any:
    """The same with the numbers rounded."""
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    return round(value, 5) if isinstance(value, float) else value
