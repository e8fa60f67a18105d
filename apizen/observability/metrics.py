"""What is counted and timed, over all worker processes, in Prometheus' form.

The numbers lie in memory that all workers share and that is made before they are forked. Each worker writes to a part
of its own. Whichever worker answers a scrape adds the parts up: nothing is sent or stored, and no total ever goes down,
since a worker that is started again goes on counting in the part of the one before it.

To count a call takes less than a microsecond. prometheus-client would take two, and a file per process; it only writes
the answer to a scrape.

>>> metrics = Metrics([('1.0', 'math.add')])
>>> from apizen.caller import Caller
>>> call = Call(Caller('192.0.2.7', 'order-17'))
>>> call.version, call.method, call.code = '1.0', 'math.add', 1000
>>> metrics.observe(call, 'GET', 200, 0, 120, 0.0012)
>>> content_type, text = metrics.exposition('text/plain')
>>> print(text.decode().splitlines()[2])
apizen_calls_total{code="1000",method="math.add",version="1.0"} 1.0
"""

from __future__ import annotations

import asyncio
import mmap
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from apizen.call import Call
from apizen.exception import SUCCESS_CODE, declared_errors

__all__ = ["Gauge", "Metrics", "Total"]

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BUCKETS = len(_BOUNDS) + 1
_LABELS = [*map(str, _BOUNDS), "+Inf"]
_OTHER_METHOD = ("-", "-")
_PUBLISHING_SECONDS = 0.5

# Counters that are read from those of a code.
_REFUSALS = {
    "apizen_locked_out": (1002, "Calls refused because too many of the caller's had failed"),
    "apizen_banned": (1003, "Calls refused because of the address that they came from"),
    "apizen_rate_limited": (1027, "Calls refused because the rate limit was used up"),
}


class Gauge(NamedTuple):
    """A number that goes up and down, of one process; the sum over the processes is shown."""

    name: str
    help: str
    read: Callable[[], float]


class Total(NamedTuple):
    """A number that only goes up, of one process, from 0 on; the sum over the processes is shown."""

    name: str
    help: str
    read: Callable[[], float]


class Metrics:
    """Counts calls by version, method and code. ``methods`` are the registered ones. A call of anything else counts as
    method ``-``: a client may make up any number of names.

    Make it before the ``workers`` are forked. Each of them calls `begin`, and runs `watch`.
    """

    def __init__(
        self,
        methods: Iterable[tuple[str, str]],
        gauges: Sequence[Gauge] = (),
        workers: int = 1,
        totals: Sequence[Total] = (),
    ) -> None:
        self._methods = [_OTHER_METHOD, *sorted(set(methods))]
        self._gauges = tuple(gauges)
        self._totals = tuple(totals)
        self._published = [0.0] * len(totals)
        # A code that is declared later counts in the first column.
        self._codes = ["-", *map(str, [SUCCESS_CODE, *(error.err_code for error in declared_errors())])]
        self._column = {int(code): column for column, code in enumerate(self._codes) if column}
        self._width = len(self._codes) + _BUCKETS + 1
        self._row = {method: number * self._width for number, method in enumerate(self._methods)}
        self._gauges_at = len(self._methods) * self._width
        self._totals_at = self._gauges_at + len(self._gauges)
        size = self._totals_at + len(self._totals)
        memory = memoryview(mmap.mmap(-1, 8 * size * workers)).cast("d")
        self._parts = [memory[size * worker : size * (worker + 1)] for worker in range(workers)]
        self._mine = self._parts[0]
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(self._families))

    def begin(self, worker: int) -> None:
        """Counts as this worker from now on."""
        self._mine = self._parts[worker]

    def observe(self, call: Call, verb: str, status: int, bytes_in: int, bytes_out: int, seconds: float) -> None:
        """Counts a call that was answered."""
        mine = self._mine
        row = self._row.get((call.version, call.method), 0)
        mine[row + self._column.get(call.code, 0)] += 1
        row += len(self._codes)
        mine[row + bisect_left(_BOUNDS, seconds)] += 1
        mine[row + _BUCKETS] += seconds

    def publish(self) -> None:
        """Shows this process's gauges and totals to the other workers."""
        for index, gauge in enumerate(self._gauges, self._gauges_at):
            self._mine[index] = gauge.read()
        # They are added to the part: an earlier worker may have counted there.
        for index, total in enumerate(self._totals):
            now = total.read()
            self._mine[self._totals_at + index] += now - self._published[index]
            self._published[index] = now

    async def watch(self) -> None:
        """Publishes them for ever, twice a second."""
        while True:
            self.publish()
            await asyncio.sleep(_PUBLISHING_SECONDS)

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """The Content-Type and the body of the answer to a scrape with this Accept header."""
        try:
            encoder, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # it names a version that is none
            encoder, content_type = choose_encoder("")
        return content_type, encoder(self._registry)

    def _families(self) -> Iterator[Metric]:
        sums = [sum(column) for column in zip(*(part.tolist() for part in self._parts), strict=True)]
        rows = [sums[row : row + self._width] for row in range(0, self._gauges_at, self._width)]
        yield self._calls(rows)
        yield self._seconds(rows)
        for name, (code, explanation) in _REFUSALS.items():
            yield CounterMetricFamily(name, explanation, sum(row[self._column[code]] for row in rows))
        for gauge, value in zip(self._gauges, sums[self._gauges_at : self._totals_at], strict=True):
            yield GaugeMetricFamily(gauge.name, gauge.help, value)
        for total, value in zip(self._totals, sums[self._totals_at :], strict=True):
            yield CounterMetricFamily(total.name, total.help, value)

    def _calls(self, rows: list[list[float]]) -> Metric:
        family = CounterMetricFamily("apizen_calls", "Calls answered", labels=["version", "method", "code"])
        for method, row in zip(self._methods, rows, strict=True):
            for code, count in zip(self._codes, row, strict=False):
                if count:
                    family.add_metric([*method, code], count)
        return family

    def _seconds(self, rows: list[list[float]]) -> Metric:
        family = HistogramMetricFamily(
            "apizen_call_seconds", "Time from a call's request to its answer", labels=["version", "method"]
        )
        for method, row in zip(self._methods, rows, strict=True):
            counts = list(accumulate(row[len(self._codes) : -1]))
            if counts[-1]:
                family.add_metric(method, list(zip(_LABELS, counts, strict=True)), row[-1])
        return family


class _Collector(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()
