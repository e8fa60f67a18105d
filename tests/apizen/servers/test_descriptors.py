from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from apizen.servers.descriptors import descriptor_limit, raise_descriptor_limit, room_for_connections

RAISE = """
import resource
from apizen.servers.descriptors import descriptor_limit, raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {1}))
raise_descriptor_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE), descriptor_limit())
"""


@pytest.mark.parametrize(
    ("soft", "hard", "raised"), [(64, 512, "512 512 512"), (300, 300, "300 300 300"), (0, 64, "64 64 64")]
)
def test_the_soft_limit_is_raised_to_the_hard_one(soft: int, hard: int, raised: str) -> None:
    done = subprocess.run([sys.executable, "-c", RAISE.format(soft, hard)], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (raised, "")


LIMITS = {
    "infinity on Linux": ((1024, -1), 1 << 30, (1 << 20, -1), 1 << 20),
    "a billion": ((1024, 1_000_000_000), 1 << 30, (1 << 20, 1_000_000_000), 1 << 20),
    "infinity on macOS": ((256, (1 << 63) - 1), 10240, (10240, (1 << 63) - 1), 10240),
    "nothing may be raised": ((256, 4096), 256, (256, 4096), 256),
    "above all that is wanted": ((1_000_000_000, 1_000_000_000), 0, (1_000_000_000, 1_000_000_000), 1 << 20),
}


@pytest.mark.parametrize(("limits", "most", "left", "usable"), LIMITS.values(), ids=LIMITS.keys())
def test_odd_limits(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], most: int, left: tuple[int, int], usable: int
) -> None:
    """``most`` is what the system takes for a soft limit, whatever it says."""
    current = limits

    def set_limits(which: int, wanted: tuple[int, int]) -> None:
        nonlocal current
        if wanted[0] > most:
            raise ValueError("current limit exceeds maximum limit")
        current = wanted

    monkeypatch.setattr(resource, "getrlimit", lambda which: current)
    monkeypatch.setattr(resource, "setrlimit", set_limits)
    raise_descriptor_limit()
    assert (current, descriptor_limit()) == (left, usable)


@pytest.mark.parametrize("limit", [1, 2, 16, 64, 256, 1024, 4096, 1 << 20])
@pytest.mark.parametrize("threads", [2, 64, 1000])
def test_some_are_left_for_other_things(limit: int, threads: int) -> None:
    room: Callable[[int], int] = lambda wanted: room_for_connections(wanted, threads, limit)
    assert room(0) == min(10_000, room(1 << 30))
    assert room(3) == min(3, room(0))
    left = limit - room(1 << 30)
    assert left == min(64 + 2 * threads, limit - limit // 2)
