"""Whether a thread starves, by the kernel's figures."""

from __future__ import annotations

import sys

import pytest

from screenshare import priority
from screenshare.priority import Priority

# Seconds that each frame ran and waited, and after which one that is told first; 0 is never.
FRAMES = [
    ([(0.008, 0.0)] * 100, 0),
    ([(0.008, 0.08)] * 100, 0),  # slow, but not 50 ms slower than four times
    ([(0.008, 0.11)] * 30, 19),
    ([(0.008, 0.11)] * 18 + [(0.008, 0.0)] + [(0.008, 0.11)] * 18, 0),  # one that didn't starve begins it anew
    ([(0.008, 3.0)], 1),
    ([(1.0, 3.9)] * 10, 0),
]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has idle threads")
@pytest.mark.parametrize(("frames", "told"), FRAMES)
def test_what_waits_much_longer_than_it_runs_starves(
    frames: list[tuple[float, float]], told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [1.0, 1.0]
    monkeypatch.setattr(priority, "_times", lambda: tuple(times))
    monkeypatch.setattr(priority.os, "sched_setscheduler", lambda *_: None)
    subject = Priority()
    assert not subject.starves()
    subject.lower()
    starved = []
    for ran, waited in frames:
        times[0] += ran
        times[1] += waited
        starved.append(subject.starves())
    assert starved.index(True) + 1 == told if told else not any(starved)


def test_where_the_kernel_tells_nothing_the_whole_process_is_nicer(monkeypatch: pytest.MonkeyPatch) -> None:
    nice: list[int] = []
    monkeypatch.setattr(priority, "_times", lambda: None)
    monkeypatch.setattr(priority.os, "nice", nice.append, raising=False)
    subject = Priority()
    subject.lower()
    assert nice == [10]
    assert not subject.starves()
