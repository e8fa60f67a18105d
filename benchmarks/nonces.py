"""What a million nonces leave in memory when their window is over: ``python -m benchmarks.nonces CLAIMS``.

Three times as many claims as CLAIMS are made of the server's own store, each time over one window of a fake
clock, and before the next time all of them are forgotten. Prints JSON: pairs of (claims, RSS in MB).
"""

from __future__ import annotations

import json
import os
import sys

from apizen.governance.signature import WINDOW
from apizen.governance.stores.memory import MemoryCounters
from benchmarks.tree import cost_of

_TIMES = 3
_START = 1_750_000_000.0
#: For so long a claim is kept whose timestamp is as far ahead as may be.
_KEPT = 2 * WINDOW


class _Clock:
    def __init__(self) -> None:
        self.now = _START

    def __call__(self) -> float:
        return self.now


def main(claims: int) -> None:
    """Claims, and prints the memory before, and after each of the times."""
    clock = _Clock()
    counters = MemoryCounters(clock=clock)
    curve = [(0, cost_of(os.getpid()).megabytes)]
    for time in range(_TIMES):
        for number in range(claims):
            clock.now += WINDOW / claims
            if not counters.claim([f"nonce:7727773575:{int(clock.now * 1000)}:{time:016x}{number:016x}"], _KEPT):
                sys.exit("a nonce that was never used is taken")
        curve.append(((time + 1) * claims, cost_of(os.getpid()).megabytes))
        clock.now += _KEPT
    print(json.dumps(curve))


if __name__ == "__main__":
    main(int(sys.argv[1]))
