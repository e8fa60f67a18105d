"""The stall test: while calls of one method sleep past their timeout, how long do calls of others take?

A steady trickle of calls of an inline and of a thread-mode method runs all the time, each call on its own
connection and at its own moment, whether or not earlier ones are answered. A call's time counts from the
moment when it should have been sent, so that a server that stands still can't hide it.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.cases import CASES, gateway_target
from benchmarks.methods import SLEEP_SECONDS
from benchmarks.servers import HOST, BenchmarkError

__all__ = ["SLEEPERS", "Stall", "percentile_99", "run_stall_test"]

SLEEPERS = 50
CALLS_PER_SECOND = 100
TIMED_OUT = "1029"

_QUIET_SECONDS = 2.0
_TARGETS = {case.key: case.target for case in CASES}


@dataclass(frozen=True, slots=True)
class Stall:
    """Times in seconds. ``codes`` counts the answers to the sleeping calls by their code."""

    codes: dict[str, int]
    slowest_timeout: float
    calls: int
    inline_p99: float
    thread_p99: float
    quiet_inline_p99: float
    quiet_thread_p99: float


@dataclass(frozen=True, slots=True)
class _Answer:
    code: str
    seconds: float


def run_stall_test(port: int) -> Stall:
    """Runs it on a server that serves `benchmarks.methods`."""
    return asyncio.run(_run(port))


async def _run(port: int) -> Stall:
    quiet = await asyncio.gather(*_trickles(port, _QUIET_SECONDS))
    sleepers = [_call(port, gateway_target("bench", "bench.sleep"), time.perf_counter()) for _ in range(SLEEPERS)]
    asleep, *others = await asyncio.gather(asyncio.gather(*sleepers), *_trickles(port, SLEEP_SECONDS))
    return Stall(
        codes=dict(Counter(answer.code for answer in asleep)),
        slowest_timeout=max(answer.seconds for answer in asleep),
        calls=sum(map(len, others)),
        inline_p99=_p99(others[0]),
        thread_p99=_p99(others[1]),
        quiet_inline_p99=_p99(quiet[0]),
        quiet_thread_p99=_p99(quiet[1]),
    )


def _trickles(port: int, seconds: float) -> tuple[asyncio.Future[list[_Answer]], asyncio.Future[list[_Answer]]]:
    """Calls of the inline and of the thread-mode method."""
    inline, thread = (asyncio.ensure_future(_trickle(port, _TARGETS[key], seconds)) for key in ("a", "d"))
    return inline, thread


async def _trickle(port: int, target: str, seconds: float) -> list[_Answer]:
    started = time.perf_counter()
    calls = []
    for number in range(math.floor(seconds * CALLS_PER_SECOND)):
        due = started + number / CALLS_PER_SECOND
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        calls.append(asyncio.ensure_future(_call(port, target, due)))
    return await asyncio.gather(*calls)


async def _call(port: int, target: str, due: float) -> _Answer:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        _, _, body = (await reader.read()).partition(b"\r\n\r\n")
        seconds = time.perf_counter() - due
    finally:
        writer.close()
    return _Answer(str(json.loads(body)["meta"]["code"]), seconds)


def _p99(answers: list[_Answer]) -> float:
    wrong = Counter(answer.code for answer in answers if answer.code != "1000")
    if wrong:
        raise BenchmarkError(f"calls of other methods failed in the stall test, by code: {dict(wrong)}")
    return percentile_99([answer.seconds for answer in answers])


def percentile_99(values: list[float]) -> float:
    """The value that 99 of 100 do not exceed."""
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]
