"""One viewer behind a link of 20 Mbit a second: two network namespaces, a pair of virtual Ethernet cards between
them, and the kernel's token bucket (tc tbf) on the server's. Nothing of it touches the machine's own network.

Needs root and Debian's iproute2. The program itself runs inside the server's namespace:
``ip netns exec NAME python -m benchmarks.slow_link CORE SECONDS``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from benchmarks.screen_cases import STREAMS, WOKEN, everywhere
from benchmarks.servers import ROOT, BenchmarkError, Cores, running
from benchmarks.watching import Watch, watch

__all__ = ["MEGABITS", "measure_slow_link"]

MEGABITS = 20

_SERVER, _VIEWER = "apizen-bench-server", "apizen-bench-viewer"
_SERVER_ADDRESS, _VIEWER_ADDRESS = "10.91.0.1", "10.91.0.2"
_CARD = "wire"
_QUEUE = ("tbf", "rate", f"{MEGABITS}mbit", "burst", "32kb", "latency", "50ms")
_MARGIN_SECONDS = 60


def measure_slow_link(cores: Cores, seconds: float) -> Watch:
    """Raises BenchmarkError where there are no network namespaces."""
    with _link():
        core = "-" if cores.server is None else str(cores.server)
        command = [*_in(_SERVER), sys.executable, "-m", "benchmarks.slow_link", core, str(seconds)]
        return Watch(**json.loads(_run(command, seconds + _MARGIN_SECONDS)))


@contextmanager
def _link() -> Iterator[None]:
    try:
        for name in (_SERVER, _VIEWER):
            _run(["ip", "netns", "add", name])
            _run(["ip", "-n", name, "link", "set", "lo", "up"])
        _run(["ip", "link", "add", _CARD, "netns", _SERVER, "type", "veth", "peer", "name", _CARD, "netns", _VIEWER])
        for name, address in ((_SERVER, _SERVER_ADDRESS), (_VIEWER, _VIEWER_ADDRESS)):
            _run(["ip", "-n", name, "address", "add", f"{address}/24", "dev", _CARD])
            _run(["ip", "-n", name, "link", "set", _CARD, "up"])
        _run(["tc", "-n", _SERVER, "qdisc", "add", "dev", _CARD, "root", *_QUEUE])
        yield
    finally:
        for name in (_SERVER, _VIEWER):
            if os.path.exists(f"/run/netns/{name}"):  # noqa: PTH110 (a file of the system, not of ours)
                _run(["ip", "netns", "delete", name])


def _in(name: str) -> list[str]:
    return ["ip", "netns", "exec", name]


def _run(command: list[str], seconds: float = 10) -> str:
    try:
        finished = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(str(error)) from error
    if finished.returncode:
        raise BenchmarkError(f"{' '.join(command[:6])} …: {finished.stderr.strip()}")
    return finished.stdout


def main(core: str, seconds: str) -> None:
    cores = Cores(1, None) if core == "-" else Cores(2, int(core))
    with running(everywhere(WOKEN), cores) as server:
        place = {"host": _SERVER_ADDRESS, "prefix": _in(_VIEWER), "root": os.getppid()}
        seen = watch(server, STREAMS["woken"], 1, float(seconds), **place)
    print(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main(*sys.argv[1:])
