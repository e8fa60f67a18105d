"""Lets viewers watch a server, and looks at the server meanwhile. Times are seconds, CPU is % of one core."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.display import stopping
from benchmarks.servers import HOST, ROOT, BenchmarkError, ServerProcess
from benchmarks.tree import cost_of

__all__ = ["Machine", "Watch", "idle_cpu", "watch"]

WARM_UP_SECONDS = 2.0

_LOOK_SECONDS = 0.5
_DECODE_SECONDS = 60.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Watch:
    """What some viewers got, and what it cost. ``fps`` counts parts, ``new_fps`` without repeated pictures.

    ``memory`` is RSS in MB, twice a second; ``others`` is the CPU that none of the processes of this benchmark used.
    """

    viewers: int
    fps: float
    worst_fps: float
    new_fps: float
    delay: float
    delay_95: float
    delays: int
    jpeg_kb: float
    cpu: float
    threads: int
    memory: list[float]
    others: float

    @property
    def megabytes(self) -> float:
        return max(self.memory)


class Machine:
    """The CPU time of all processes, but for those of this benchmark: ``root`` and all below it."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._started = time.monotonic()
        self._then = self._look()

    def others(self) -> float:
        """What other programs have used since this was made, in % of one core."""
        return 100 * (self._look() - self._then) / (time.monotonic() - self._started)

    def _look(self) -> float:
        user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
        return (user + nice + system + irq + softirq) / _TICKS_PER_SECOND - cost_of(self._root).cpu_seconds


def watch(
    server: ServerProcess,
    path: str,
    viewers: int,
    seconds: float,
    *,
    silent: int = 0,
    host: str = HOST,
    prefix: Sequence[str] = (),
    root: int | None = None,
) -> Watch:
    """``silent`` viewers never read; ``prefix`` is what starts the viewers elsewhere; ``root`` is the
    benchmark's process where that is not this one."""
    command = [*prefix, sys.executable, "-m", "benchmarks.viewers", host, str(server.port), path]
    options = {"viewers": viewers, "silent": silent, "seconds": seconds, "warm-up": WARM_UP_SECONDS}
    command += [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    with stopping(process):
        _expect(process, "begin", WARM_UP_SECONDS + 20)
        started, cpu, machine = time.monotonic(), server.cpu_seconds(), Machine(root or os.getpid())
        threads = server.threads()
        memory = _look_until_end(process, server)
        seconds, cpu, others = time.monotonic() - started, server.cpu_seconds() - cpu, machine.others()
        seen = json.loads(_line(process, _DECODE_SECONDS))
    return _summary(seen, seconds, cpu=100 * cpu / seconds, threads=threads, memory=memory, others=others)


def _look_until_end(process: subprocess.Popen[bytes], server: ServerProcess) -> list[float]:
    memory = [server.resident_megabytes()]
    while not select.select([process.stdout], [], [], _LOOK_SECONDS)[0]:
        memory.append(server.resident_megabytes())
    _expect(process, "end", 1)
    return memory


def _expect(process: subprocess.Popen[bytes], word: str, seconds: float) -> None:
    line = _line(process, seconds)
    if line != word:
        raise BenchmarkError(f"the viewers failed: {line!r} instead of {word!r}")


def _line(process: subprocess.Popen[bytes], seconds: float) -> str:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], seconds)[0]:
        raise BenchmarkError("the viewers don't answer")
    return process.stdout.readline().decode().strip()


def _summary(seen: dict[str, Any], seconds: float, **cost: Any) -> Watch:
    rates = [parts / seconds for parts in seen["parts"]]
    delays = sorted(seen["delays"])
    if seen["unreadable"] > len(delays) / 20:
        raise BenchmarkError(f"{seen['unreadable']} pictures show no clock")
    return Watch(
        viewers=len(rates),
        fps=statistics.median(rates),
        worst_fps=min(rates),
        new_fps=seen["new"] / len(rates) / seconds,
        delay=statistics.median(delays) if delays else 0.0,
        delay_95=delays[int(len(delays) * 0.95)] if delays else 0.0,
        delays=len(delays),
        jpeg_kb=seen["jpeg_bytes"] / 1000,
        **cost,
    )


def idle_cpu(server: ServerProcess, seconds: float) -> float:
    """What a server uses that has nothing to do."""
    before = server.cpu_seconds()
    time.sleep(seconds)
    return 100 * (server.cpu_seconds() - before) / seconds
