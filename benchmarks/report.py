"""Writes down what was measured: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from benchmarks.cases import CASES, RATIOS
from benchmarks.load import CONNECTIONS, Load
from benchmarks.measures import Figure, Results, figures, ratios_of_rounds
from benchmarks.servers import Cores

__all__ = ["Environment", "aligned", "as_json", "as_targets", "as_text", "conditions", "environment_of", "rounded"]

Environment = dict[str, Any]

_PACKAGES = ("tornado", "fastapi", "uvicorn", "uvloop", "httptools", "pydantic")


def environment_of(cores: Cores, rounds: int, seconds: int) -> Environment:
    """What the numbers depend on. ``load_before`` is the machine's load average, which should be near 0."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "cores": cores.available,
        "pinned": cores.server is not None,
        "load_before": round(os.getloadavg()[0], 2),
        "rounds": rounds,
        "seconds": seconds,
        "connections": CONNECTIONS,
    }


def as_text(results: Results, environment: Environment) -> str:
    """Two tables in Markdown, aligned so that they read well in a terminal."""
    return "\n".join([conditions(environment), "", *_servers(results), "", *as_targets(figures(results))])


def conditions(environment: Environment) -> str:
    """One sentence about how it was measured."""
    where = (
        f"{environment['cores']} cores, the servers on one of them, under load by turns, wrk on another"
        if environment["pinned"]
        else "NOT PINNED, there is only one core: the servers share it with wrk, so the numbers say little"
    )
    return (
        f"Python {environment['python']}, Tornado {environment['tornado']}, FastAPI {environment['fastapi']} on "
        f"uvicorn {environment['uvicorn']}; {where}; "
        f"{environment['rounds']} rounds of {environment['seconds']} s, {environment['connections']} connections; "
        f"load average before the run {environment['load_before']}."
    )


def _servers(results: Results) -> list[str]:
    rows = [("", "server", "requests/s", "p99 ms", "CPU µs/request")]
    for case in CASES:
        rate, p99, cpu = _medians(results.rounds[case.key])
        rows.append((case.key, case.name, f"{rate:,.0f}", f"{p99:.1f}", f"{cpu:.0f}"))
    return aligned(rows)


def _medians(loads: list[Load]) -> tuple[float, float, float]:
    columns = zip(*((load.requests_per_second, load.p99_ms, load.cpu_us) for load in loads), strict=True)
    rate, p99, cpu = map(statistics.median, columns)
    return rate, p99, cpu


def as_targets(measured: Iterable[Figure]) -> list[str]:
    rows = [("", "measured", "target", "", "")]
    for figure in measured:
        value, target = _number(figure.value), _number(figure.target)
        rows.append(
            (
                figure.name,
                f"{value} {figure.unit}",
                f"{figure.comparison} {target} {figure.unit}",
                figure.verdict,
                figure.note,
            )
        )
    return aligned(rows)


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def as_json(results: Results, environment: Environment) -> str:
    """Every number, round by round."""
    return json.dumps(
        {
            "environment": environment,
            "servers": {case.key: _server(case.name, results.rounds[case.key]) for case in CASES},
            "ratios": {
                f"{ratio.over}/{ratio.under}": [round(one, 3) for one in ratios_of_rounds(results.rounds, ratio)]
                for ratio in RATIOS
            },
            "figures": [rounded(asdict(figure)) | {"verdict": figure.verdict} for figure in figures(results)],
            "start_seconds": [round(seconds, 3) for seconds in results.starts],
            "memory": {"idle": round(results.memory.idle, 2), "curve": results.memory.curve},
            "nonces": {"before": round(results.nonces.idle, 2), "curve": results.nonces.curve},
            "stall": rounded(asdict(results.stall)),
        },
        ensure_ascii=False,
        indent=2,
    )


def _server(name: str, loads: list[Load]) -> dict[str, Any]:
    rate, p99, cpu = _medians(loads)
    medians = {"requests_per_second": rate, "p99_ms": p99, "cpu_us": cpu}
    return {"name": name, **rounded(medians), "rounds": [rounded(asdict(load)) for load in loads]}


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
