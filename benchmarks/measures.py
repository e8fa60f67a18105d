"""What is measured, in plain numbers: rounds of load on seven servers, start-up, memory, and the targets.

`Results` is all that a run gives; `benchmarks.report` writes it down.
"""

from __future__ import annotations

import json
import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from benchmarks.cases import ANSWER, CASES, RATIOS, Case, Ratio
from benchmarks.load import Load, put_load_on, send_requests
from benchmarks.servers import BenchmarkError, Cores, ServerProcess, run_python, running
from benchmarks.stall import SLEEPERS, TIMED_OUT, Stall

__all__ = [
    "MILLION",
    "Figure",
    "Memory",
    "Results",
    "Rounds",
    "figures",
    "measure_memory",
    "measure_nonces",
    "measure_rounds",
    "measure_starts",
    "ratios_of_rounds",
]

MILLION = 1_000_000
Rounds = dict[str, list[Load]]

_WARM_UP_SECONDS = 2
_WARM_UP_REQUESTS = 20_000
_STARTS = 5
_LOOK_EVERY = 200_000
_LOST = b'"log lines were lost"'


@dataclass(frozen=True, slots=True)
class Memory:
    """RSS in MB. ``curve`` has a pair (requests since the warm-up, or claims of nonces; RSS) for each look at it."""

    idle: float
    curve: list[tuple[int, float]]

    @property
    def growth(self) -> float:
        return self.curve[-1][1] - self.curve[0][1]


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that one run measured."""

    rounds: Rounds
    starts: list[float]
    memory: Memory
    nonces: Memory
    stall: Stall


@dataclass(frozen=True, slots=True)
class Figure:
    """One number beside its target. ``judged`` is False where the run was too short to tell."""

    name: str
    value: float
    unit: str
    comparison: Literal["≥", "<"]
    target: float
    note: str = ""
    judged: bool = True

    @property
    def verdict(self) -> str:
        if not self.judged:
            return "not judged"
        reached = self.value >= self.target if self.comparison == "≥" else self.value < self.target
        return "reached" if reached else "missed"


def measure_rounds(cores: Cores, rounds: int, seconds: int) -> Rounds:
    """Puts load on one server after the other, again and again, so that a busy minute meets all of them."""
    measured: Rounds = {case.key: [] for case in CASES}
    with ExitStack() as stack:
        servers = {case.key: stack.enter_context(running(case, cores)) for case in CASES}
        for case in CASES:
            _check_answer(case, servers[case.key])
            put_load_on(servers[case.key], _WARM_UP_SECONDS)
        for number in range(rounds):
            print(f"  round {number + 1} of {rounds}", flush=True)
            first = number % len(CASES)  # nobody is always the first, or always after the same one
            for case in CASES[first:] + CASES[:first]:
                measured[case.key].append(put_load_on(servers[case.key], seconds))
        for case in CASES:
            _check_log(case, servers[case.key])
    return measured


def _check_answer(case: Case, server: ServerProcess) -> None:
    status, body = server.ask()
    if status != 200 or json.loads(body) != json.loads(ANSWER):
        raise BenchmarkError(f"{case.name} gives a wrong answer, {status}: {body.decode(errors='replace')}")


def _check_log(case: Case, server: ServerProcess) -> None:
    """A server that is measured with its log must have written it."""
    if any(_LOST in log.read_bytes() for log in server.data.glob("*.log*")):
        raise BenchmarkError(f"{case.name} lost lines of its access log")


def measure_starts(case: Case, cores: Cores) -> list[float]:
    """Seconds from the start of the process to its first answer, several times."""
    seconds = []
    for _ in range(_STARTS):
        with running(case, cores) as server:
            seconds.append(server.start_seconds)
    return seconds


def measure_memory(case: Case, cores: Cores, requests: int) -> Memory:
    """The memory of a fresh server: idle, after a warm-up, and on the way through so many requests."""
    with running(case, cores) as server:
        idle = server.resident_megabytes()
        send_requests(server, _WARM_UP_REQUESTS)
        curve = [(0, server.resident_megabytes())]
        while curve[-1][0] < requests:
            sent = curve[-1][0]
            sent += send_requests(server, min(_LOOK_EVERY, requests - sent))
            curve.append((sent, server.resident_megabytes()))
            print(f"  {sent:,} requests, {curve[-1][1]:.1f} MB", flush=True)
    return Memory(idle, curve)


def measure_nonces(claims: int) -> Memory:
    """The memory of a fresh process after so many claims of nonces, and twice as many more, each forgotten again."""
    before, *curve = json.loads(run_python("-m", "benchmarks.nonces", str(claims)))
    return Memory(before[1], [(made, megabytes) for made, megabytes in curve])


def ratios_of_rounds(rounds: Rounds, ratio: Ratio) -> list[float]:
    """The ratio within each round."""
    pairs = zip(rounds[ratio.over], rounds[ratio.under], strict=True)
    return [over.requests_per_second / under.requests_per_second for over, under in pairs]


def figures(results: Results) -> list[Figure]:
    """The numbers that have a target."""
    ratios = [_ratio_figure(results.rounds, ratio) for ratio in RATIOS]
    return [*ratios, *_process_figures(results), _nonces_figure(results.nonces), *_stall_figures(results.stall)]


def _ratio_figure(rounds: Rounds, ratio: Ratio) -> Figure:
    names = {case.key: case.name for case in CASES}
    ratios = ratios_of_rounds(rounds, ratio)
    return Figure(
        f"{ratio.over}/{ratio.under}: {names[ratio.over]} / {names[ratio.under]}",
        statistics.median(ratios),
        "×",
        "≥",
        ratio.target,
        f"rounds {min(ratios):.2f} to {max(ratios):.2f}",
    )


def _process_figures(results: Results) -> list[Figure]:
    memory = results.memory
    requests = memory.curve[-1][0]
    enough = requests >= MILLION
    starts = f"median of {len(results.starts)}, slowest {max(results.starts):.2f} s"
    note = f"{memory.curve[0][1]:.1f} MB after the warm-up" + ("" if enough else "; too few requests to judge")
    return [
        Figure("start-up to first answer", statistics.median(results.starts), "s", "<", 1.0, starts),
        Figure("idle memory", memory.idle, "MB", "<", 50.0, "resident, after the first answer"),
        Figure(f"memory growth over {requests:,} requests", memory.growth, "MB", "<", 5.0, note, enough),
    ]


def _nonces_figure(nonces: Memory) -> Figure:
    claims = nonces.curve[0][0]
    enough = claims >= MILLION
    note = f"{nonces.idle:.1f} MB before, {nonces.curve[0][1]:.1f} MB after the first {claims:,}"
    name = f"memory growth over {nonces.curve[-1][0] - claims:,} nonces more"
    return Figure(name, nonces.growth, "MB", "<", 5.0, note + ("" if enough else "; too few to judge"), enough)


def _stall_figures(stall: Stall) -> list[Figure]:
    in_time = stall.codes.get(TIMED_OUT, 0)
    return [
        Figure(f"sleeping calls that got {TIMED_OUT}", in_time, f"of {SLEEPERS}", "≥", SLEEPERS, "all at once"),
        Figure(f"slowest {TIMED_OUT}", stall.slowest_timeout, "s", "<", 1.5, "the timeout is 1 s"),
        _p99_figure("an inline", stall.inline_p99, stall.quiet_inline_p99),
        _p99_figure("a thread-mode", stall.thread_p99, stall.quiet_thread_p99),
    ]


def _p99_figure(which: str, stalled: float, quiet: float) -> Figure:
    return Figure(f"p99 of {which} method meanwhile", stalled * 1000, "ms", "<", 50.0, f"{quiet * 1000:.1f} ms before")
