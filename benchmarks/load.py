"""Load by wrk, from the core that the servers don't run on."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import BenchmarkError, ServerProcess

__all__ = ["CONNECTIONS", "Load", "put_load_on", "require_wrk", "send_requests"]

CONNECTIONS = 32

_SCRIPT = Path(__file__).with_name("done.lua")
_SIGNED_SCRIPT = Path(__file__).with_name("signed.lua")
_CHUNK_SECONDS = 10
# More than any server takes in a second: wrk must not run out of signed requests.
_SIGNED_PER_SECOND = 50_000


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw, and the server's CPU time for each request."""

    requests: int
    requests_per_second: float
    p99_ms: float
    cpu_us: float


def require_wrk() -> None:
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is missing. It is a Debian package: sudo apt-get install wrk")


def put_load_on(server: ServerProcess, seconds: int) -> Load:
    """Keeps every connection busy for some seconds. Raises for answers that failed."""
    script = _script(server, seconds)
    before = server.cpu_seconds()
    seen = _wrk(script, seconds)
    cpu = server.cpu_seconds() - before
    if seen["failed"] or not seen["requests"]:
        raise BenchmarkError(f"{seen['failed']} of {seen['requests']} requests failed: {server.url}")
    requests = int(seen["requests"])
    return Load(requests, requests / seen["seconds"], seen["p99_ms"], cpu / requests * 1e6)


def send_requests(server: ServerProcess, count: int) -> int:
    """Sends at least so many requests, and as few more as whole seconds allow; gives their number."""
    first = put_load_on(server, 1)
    sent, rate = first.requests, first.requests_per_second
    while sent < count:
        load = put_load_on(server, min(_CHUNK_SECONDS, math.ceil((count - sent) / rate)))
        sent, rate = sent + load.requests, load.requests_per_second
    return sent


def _script(server: ServerProcess, seconds: int) -> list[str]:
    """The arguments that tell wrk what to send. Requests to be signed are signed here, before time is taken."""
    if server.signer is None:
        return ["--script", str(_SCRIPT), server.url]
    targets = server.data / "targets"
    server.signer.write(targets, seconds * _SIGNED_PER_SECOND)
    return ["--script", str(_SIGNED_SCRIPT), server.url, str(targets)]


def _wrk(script: list[str], seconds: int) -> dict[str, float]:
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s", *script]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 30)
    if finished.returncode:
        raise BenchmarkError(f"wrk failed: {finished.stderr.strip()}")
    result: dict[str, float] = json.loads(finished.stdout.strip().splitlines()[-1])
    return result
