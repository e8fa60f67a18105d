from __future__ import annotations

import asyncio
import os
from contextlib import suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

from apizen.call import Call
from apizen.caller import Caller
from apizen.observability.metrics import Gauge, Metrics, Total
from tests.worst import seconds_of

METHODS = [("1.0", "math.add"), ("1.0", "math.sub"), ("1.1", "math.add")]


def observe(metrics: Metrics, version: str, method: str, code: int, seconds: float = 0.001, times: int = 1) -> None:
    call = Call(Caller("192.0.2.7", "order-17"))
    call.version, call.method, call.code = version, method, code
    for _ in range(times):
        metrics.observe(call, "GET", 200, 0, 120, seconds)


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Each number that a scrape gives, by its name and the values of its labels."""
    _, body = metrics.exposition("")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def calls(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Calls by code, method and version."""
    return {labels: value for (name, *labels_), value in samples(metrics).items()
            if name == "apizen_calls_total" for labels in [tuple(labels_)]}  # fmt: skip


def test_calls_are_counted():
    metrics = Metrics(METHODS)
    observe(metrics, "1.0", "math.add", 1000, times=3)
    observe(metrics, "1.0", "math.add", 1022)
    observe(metrics, "1.1", "math.add", 1000)
    assert calls(metrics) == {
        ("1000", "math.add", "1.0"): 3, ("1022", "math.add", "1.0"): 1, ("1000", "math.add", "1.1"): 1,
    }  # fmt: skip


def test_names_that_are_not_registered_make_no_labels():
    metrics = Metrics(METHODS)
    for number in range(100):
        observe(metrics, "1.0", f"method-{number}", 1013)
        observe(metrics, f"{number}", "math.add", 1005)
    observe(metrics, "", "", 1012)
    observe(metrics, "1.0", "math.add", 29_999)
    assert calls(metrics) == {
        ("1013", "-", "-"): 100, ("1005", "-", "-"): 100, ("1012", "-", "-"): 1, ("-", "math.add", "1.0"): 1,
    }  # fmt: skip


def test_calls_are_timed():
    metrics = Metrics(METHODS)
    for seconds in (0.0005, 0.001, 0.0011, 0.3, 31.0):
        observe(metrics, "1.0", "math.add", 1000, seconds)
    found = samples(metrics)
    buckets = {key[1]: value for key, value in found.items() if key[0] == "apizen_call_seconds_bucket"}
    assert buckets == {
        "0.001": 2, "0.0025": 3, "0.005": 3, "0.01": 3, "0.025": 3, "0.05": 3, "0.1": 3, "0.25": 3, "0.5": 4,
        "1.0": 4, "2.5": 4, "5.0": 4, "10.0": 4, "30.0": 4, "+Inf": 5,
    }  # fmt: skip
    assert found["apizen_call_seconds_count", "math.add", "1.0"] == 5
    assert found["apizen_call_seconds_sum", "math.add", "1.0"] == pytest.approx(31.3026)


def test_refusals_have_counters_of_their_own():
    metrics = Metrics(METHODS)
    observe(metrics, "1.0", "math.add", 1002, times=2)
    observe(metrics, "", "", 1002)
    observe(metrics, "", "", 1003)
    observe(metrics, "1.0", "math.sub", 1027, times=4)
    found = samples(metrics)
    names = ["apizen_locked_out_total", "apizen_banned_total", "apizen_rate_limited_total"]
    assert [found[name,] for name in names] == [3, 1, 4]


def test_scrape_of_nothing():
    found = samples(Metrics([]))
    assert found == {("apizen_locked_out_total",): 0, ("apizen_banned_total",): 0, ("apizen_rate_limited_total",): 0}


# Several workers


def in_worker(metrics: Metrics, worker: int, *observed: tuple[str, str, int], gauge: bool = False) -> None:
    """Counts in a forked process, to its sudden end."""
    child = os.fork()
    if child == 0:
        metrics.begin(worker)
        for each in observed:
            observe(metrics, *each)
        metrics.publish()
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)


def test_a_scrape_adds_up_all_workers():
    load = [2.0]
    metrics = Metrics(METHODS, [Gauge("apizen_in_flight", "Calls that run", lambda: load[0])], workers=3)
    metrics.begin(0)
    metrics.publish()
    observe(metrics, "1.0", "math.add", 1000)
    load[0] = 5.0
    in_worker(metrics, 1, ("1.0", "math.add", 1000), ("1.0", "math.add", 1000))
    in_worker(metrics, 2, ("1.0", "math.add", 1000), ("1.1", "math.add", 1000))
    assert calls(metrics) == {("1000", "math.add", "1.0"): 4, ("1000", "math.add", "1.1"): 1}
    assert samples(metrics)["apizen_in_flight",] == 12


def test_totals_do_not_go_down_when_a_worker_dies():
    metrics = Metrics(METHODS, workers=2)
    for count in range(1, 4):
        in_worker(metrics, 1, ("1.0", "math.add", 1000))
        assert calls(metrics) == {("1000", "math.add", "1.0"): count}


def test_totals_of_all_workers_that_lived():
    """What is read is a process's own: a worker that is started again begins with 0."""
    seen = [0.0]
    metrics = Metrics(METHODS, workers=2, totals=[Total("apizen_seen", "What was seen", lambda: seen[0])])
    metrics.publish()
    assert samples(metrics)["apizen_seen_total",] == 0
    for count in (3.0, 5.0, 2.0):
        seen[0] = count
        in_worker(metrics, 1)
    assert samples(metrics)["apizen_seen_total",] == 10
    seen[0] = 4.0
    for _ in range(3):
        metrics.publish()
    assert samples(metrics)["apizen_seen_total",] == 14
    seen[0] = 6.0
    metrics.publish()
    assert samples(metrics)["apizen_seen_total",] == 16


def test_watch_publishes_gauges():
    load = [1.0]
    metrics = Metrics([], [Gauge("apizen_queue_length", "Calls that wait", lambda: load[0])])

    async def main() -> None:
        watching = asyncio.create_task(metrics.watch())
        await asyncio.sleep(0)
        assert samples(metrics)["apizen_queue_length",] == 1
        load[0] = 7.0
        async with asyncio.timeout(10):
            while samples(metrics)["apizen_queue_length",] != 7:
                await asyncio.sleep(0.05)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    asyncio.run(main())


# The form


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        ("text/plain; version=nonsense", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        (
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            b"# EOF\n",
        ),
    ],
)
def test_exposition(accept, content_type, end):
    found, body = Metrics(METHODS).exposition(accept)
    assert (found, body.endswith(end)) == (content_type, True)


def test_counting_costs_as_much_among_a_thousand_methods():
    def thousand_among(count):
        metrics = Metrics([("1.0", f"method-{number}") for number in range(count)], workers=4)
        call = Call(Caller("192.0.2.7", "order-17"))
        call.version, call.method, call.code = "1.0", f"method-{count // 2}", 1000
        return seconds_of(lambda: [metrics.observe(call, "GET", 200, 0, 120, 0.001) for _ in range(1000)])

    assert thousand_among(1000) < 5 * thousand_among(2)
