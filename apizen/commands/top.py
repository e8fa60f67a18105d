"""``run.py top``: which methods are called now, how fast they answer, and what goes wrong, in a terminal.

It asks a running server for ``/metrics`` once a second and shows what changed in between.
"""

from __future__ import annotations

import contextlib
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from http.client import HTTPException
from typing import TYPE_CHECKING, NamedTuple

import click

from apizen.commands.command import MakeApp, takes
from apizen.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["top"]

_SECONDS = 1.0
_PIPE_WIDTH = 160

#: Version and name.
Method = tuple[str, str]
#: Upper bounds in seconds with the number of calls up to each.
Histogram = dict[float, float]


class Sample(NamedTuple):
    """What ``/metrics`` said at a time."""

    time: float
    calls: dict[Method, float]
    failures: dict[Method, float]
    histograms: dict[Method, Histogram]
    gauges: dict[str, float]


class Row(NamedTuple):
    """A method between two samples: calls and failures per second, quantiles in seconds."""

    method: Method
    calls: float
    failures: float
    median: float
    slowest: float


@click.option("--url", default="", help="the server; the one on this machine's port by default")
@click.option("--once", is_flag=True, help="print one table and end")
@takes("host", "port")
def top(make_app: MakeApp, settings: Settings, url: str, once: bool) -> None:
    """Show the methods that are called now on a running server, until Ctrl-C."""
    address = (url or _local(settings)).rstrip("/") + "/metrics"
    with contextlib.suppress(KeyboardInterrupt):
        _show(address, once)


def _show(address: str, once: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    before, after = _next(address, _sample(address))
    if once:
        console.print(_table(before, after))
        return
    with Live(_table(before, after), console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            before, after = _next(address, after)
            live.update(_table(before, after), refresh=True)


def _next(address: str, last: Sample) -> tuple[Sample, Sample]:
    time.sleep(_SECONDS)
    return last, _sample(address)


def _local(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 (compares only)
    return f"http://[{host}]:{settings.port}" if ":" in host and "[" not in host else f"http://{host}:{settings.port}"


def _sample(address: str) -> Sample:
    if not address.startswith(("http://", "https://")):
        raise click.UsageError(f"--url must begin with http:// or https://, not {address!r}")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=5) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            raise click.ClickException(f"{address} answered {error.code}: does the server run with metrics?") from None
    except (OSError, ValueError, HTTPException) as error:
        raise click.ClickException(f"no server with metrics answers at {address}: {_printable(str(error))}") from None
    try:
        return _read(text, time.monotonic())
    except (ValueError, LookupError, TypeError, AttributeError):
        raise click.ClickException(f"{address} answered, but not with this server's metrics") from None


def _read(text: str, now: float) -> Sample:
    """
    >>> text = '''# TYPE apizen_calls counter
    ... apizen_calls_total{version="1.0",method="math.add",code="1000"} 7
    ... apizen_calls_total{version="1.0",method="math.add",code="1022"} 2
    ... '''
    >>> sample = _read(text, 0.0)
    >>> dict(sample.calls), dict(sample.failures)
    ({('1.0', 'math.add'): 9.0}, {('1.0', 'math.add'): 2.0})
    """
    from prometheus_client.parser import text_string_to_metric_families

    sample = Sample(now, defaultdict(float), defaultdict(float), defaultdict(dict), {})
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            method = _printable(labels.get("version", "")), _printable(labels.get("method", ""))
            if name == "apizen_calls_total":
                sample.calls[method] += value
                sample.failures[method] += value if labels["code"] != "1000" else 0
            elif name == "apizen_call_seconds_bucket":
                sample.histograms[method][float(labels["le"])] = value
            elif family.type == "gauge" and not labels:
                sample.gauges[_printable(name.removeprefix("apizen_").replace("_", " "))] = value
    return sample


def _rows(before: Sample, after: Sample) -> list[Row]:
    """The methods that were called in between, the busiest first."""
    seconds = max(after.time - before.time, 1e-3)
    rows = []
    for method, count in after.calls.items():
        calls = _since(before.calls.get(method, 0.0), count)
        if not calls:
            continue
        earlier = before.histograms.get(method, {})
        histogram = {bound: _since(earlier.get(bound, 0.0), total) for bound, total in after.histograms[method].items()}
        failures = _since(before.failures.get(method, 0.0), after.failures[method])
        rows.append(
            Row(method, calls / seconds, failures / seconds, _quantile(histogram, 0.5), _quantile(histogram, 0.99))
        )
    return sorted(rows, key=lambda row: -row.calls)


def _since(before: float, after: float) -> float:
    """How much a counter grew; one that is smaller than before was started again."""
    return after - before if after >= before else after


def _quantile(histogram: Histogram, share: float) -> float:
    """The time below which this share of the calls stayed, estimated as Prometheus does it: as if the calls of a bucket
    were spread evenly in it. Infinite beyond the last bound.

    >>> _quantile({0.1: 50.0, 0.2: 100.0, float('inf'): 100.0}, 0.75)
    0.15
    """
    bounds = sorted(histogram)
    rank = share * histogram[bounds[-1]] if bounds else 0.0
    lower = counted = 0.0
    for bound in bounds:
        if histogram[bound] >= rank and histogram[bound] > counted:
            return round(lower + (bound - lower) * (rank - counted) / (histogram[bound] - counted), 6)
        lower, counted = bound, histogram[bound]
    return 0.0


def _table(before: Sample, after: Sample) -> Table:
    from rich.table import Table
    from rich.text import Text

    rows = _rows(before, after)
    total = sum(row.calls for row in rows)
    gauges = " · ".join(f"{name} {value:g}" for name, value in after.gauges.items())
    table = Table(title=f"{total:.1f} calls/s", caption=Text(gauges) if gauges else None)
    for heading in ("version", "method"):
        table.add_column(heading)
    for heading in ("calls/s", "errors/s", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = (f"{row.calls:.1f}", f"{row.failures:.1f}", _milliseconds(row.median), _milliseconds(row.slowest))
        table.add_row(*map(Text, (*row.method, *numbers)), style="red" if row.failures else None)
    return table


def _milliseconds(seconds: float) -> str:
    """
    >>> _milliseconds(0.00123), _milliseconds(float('inf'))
    ('1.2', '>30000')
    """
    return f"{seconds * 1000:.1f}" if seconds != float("inf") else ">30000"


def _printable(text: str) -> str:
    """A text of another program, without characters that move a terminal's cursor or begin a line.

    >>> _printable('a\\x1b[2Jb\\nc')
    'a?[2Jb?c'
    """
    return "".join(character if character.isprintable() else "?" for character in text)
