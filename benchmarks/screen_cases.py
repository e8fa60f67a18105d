"""The three screen shares that are measured, and the stream that each serves."""

from __future__ import annotations

import sys
from dataclasses import replace

from benchmarks.cases import CASES, Case

__all__ = ["CHANGES_PER_SECOND", "POLLED", "SEED", "STREAMS", "WOKEN", "everywhere"]

CHANGES_PER_SECOND = 28

# A little above the changes a second, so that it is not the limit that is measured.
_OPTIONS = (
    *("--port", "{port}", "--screen", "--screen-open", "--screen-source", "screen:1"),
    *("--screen-fps", "30", "--screen-max-viewers", "250"),
)
_HERE = ("--host", "127.0.0.1")
_CALL = next(case.target for case in CASES if case.key == "a")

WOKEN = Case("woken", "api zen, woken", (sys.executable, "run.py", *_HERE, *_OPTIONS), _CALL, ours=True)
POLLED = Case(
    "polled",
    "api zen, polled",
    (sys.executable, "-m", "benchmarks.polled_screen", *_HERE, *_OPTIONS),
    _CALL,
    ours=True,
)
SEED = Case("seed", "the seed's code", (sys.executable, "-m", "benchmarks.seed_screen", "{port}"), "/")

STREAMS = {"woken": "/video_feed?framing=length", "polled": "/video_feed?framing=length", "seed": "/video_feed"}


def everywhere(case: Case) -> Case:
    """A case that listens on all addresses, for a network namespace of its own."""
    return replace(case, command=tuple("0.0.0.0" if part == "127.0.0.1" else part for part in case.command))
