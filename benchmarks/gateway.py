"""Measures the gateway beside its peers: ``make bench``, or ``python -m benchmarks.gateway --help``.

What is measured, on 127.0.0.1, each server one process on one core and the load on another core:

1. Requests/s and p99 of seven servers that answer the same envelope to four parameters: (a) this server with
   the function run inline, (b) a Tornado ``RequestHandler`` that answers constant bytes, (c) FastAPI on uvicorn
   with uvloop and httptools, ``async def``, (d) this server with the function in a thread, (e) FastAPI with a
   plain ``def``; none of them with an access log or metrics. Then what governance costs: (f) is (a) with the
   access log in a file, the metrics and a rate limit, (g) is (a) with signed calls, each of them with a nonce and
   signed just before its round.
2. Of (f), seconds from the start of the process to its first answer, memory when idle, and what memory has grown
   by after a million requests. Of the store of nonces, what two million more add to the memory that the first
   million took, each million forgotten before the next.
3. The stall test: 50 calls at once of a method that sleeps 3 s and may take 1 s. Each must be answered with
   1029 in time, while calls of other methods go on as if nothing were.

How to read it: the servers take turns in short rounds, and each ratio is the median of the ratios within the
rounds, so that a machine that is busy for a while spoils all alike; compare ratios between machines, never
requests/s. All connections send without a pause, so p99 is the time in a full queue, not what a client of a
server at ease would see; that is in the stall test's last column. CPU µs/request counts all threads.
Memory is in units of 1 000 000 bytes.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import click

from benchmarks.cases import CASES
from benchmarks.chart import draw
from benchmarks.load import require_wrk
from benchmarks.measures import (
    MILLION,
    Results,
    measure_memory,
    measure_nonces,
    measure_rounds,
    measure_starts,
)
from benchmarks.report import Environment, as_json, as_text, conditions, environment_of
from benchmarks.servers import BenchmarkError, Cores, choose_cores, running
from benchmarks.stall import Stall, run_stall_test

__all__ = ["main"]

RESULTS = Path(__file__).with_name("results")
_CASES = {case.key: case for case in CASES}


@click.command()
@click.option("--rounds", default=24, show_default=True, type=click.IntRange(1), help="rounds of load on each server")
@click.option(
    "--seconds", default=1, show_default=True, type=click.IntRange(1), help="length of a round for one server"
)
@click.option(
    "--requests",
    default=MILLION,
    show_default=True,
    type=click.IntRange(1),
    help="requests between the two looks at memory, and nonces; fewer give a quick look",
)
def main(rounds: int, seconds: int, requests: int) -> None:
    """Measure the gateway beside its peers; write benchmarks/results/gateway.{json,md,png}."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        require_wrk()
        cores = choose_cores()
        environment = environment_of(cores, rounds, seconds)
        print(conditions(environment), flush=True)
        results = _measure(cores, rounds, seconds, requests)
    except BenchmarkError as error:
        sys.exit(str(error))
    text = as_text(results, environment)
    print(f"\n{text}")
    _write(results, environment, text)


def _end(number: int, frame: FrameType | None) -> None:
    """Leaves by way of every ``finally``, so that no server is left behind."""
    sys.exit(128 + number)


def _measure(cores: Cores, rounds: int, seconds: int, requests: int) -> Results:
    print("Seven servers by turns", flush=True)
    load = measure_rounds(cores, rounds, seconds)
    print("Start-up", flush=True)
    starts = measure_starts(_CASES["f"], cores)
    print("Memory" + ("" if requests >= MILLION else f": a quick look at {requests:,} requests only"), flush=True)
    memory = measure_memory(_CASES["f"], cores, requests)
    print("Nonces", flush=True)
    nonces = measure_nonces(min(requests, MILLION))  # the store holds two million
    print("Stall test", flush=True)
    return Results(load, starts, memory, nonces, _measure_stall(cores))


def _measure_stall(cores: Cores) -> Stall:
    with running(_CASES["d"], cores) as server:
        return run_stall_test(server.port)


def _write(results: Results, environment: Environment, text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "gateway.json").write_text(as_json(results, environment) + "\n", "utf-8")
    page = f"# The gateway beside its peers\n\n{text}\n\n![requests per second](gateway.png)\n"
    (RESULTS / "gateway.md").write_text(page, "utf-8")
    draw(RESULTS / "gateway.png", results.rounds, conditions(environment))
    print("\nWritten: benchmarks/results/gateway.json, gateway.md, gateway.png")


if __name__ == "__main__":
    main()
