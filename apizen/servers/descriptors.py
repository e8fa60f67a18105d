"""Descriptors: how many files and sockets a process may have open, and how many of them may be connections."""

from __future__ import annotations

import contextlib
import sys

from apizen.settings import Settings

if sys.platform != "win32":
    import resource

__all__ = ["connection_limit", "descriptor_limit", "raise_descriptor_limit", "room_for_connections"]

# Linux' own bound on the hard limit (fs.nr_open), where the hard limit is given as infinity or a billion.
_MOST = 1 << 20
# What macOS takes at the most where it says that there is no limit (OPEN_MAX).
_MOST_OF_MACOS = 10240
# Windows has no limit, but the event loop waits there with select(), and Python's takes 512 sockets.
_WINDOWS = 512

# Of an idle connection the server holds 8 kB, of one whose headers never end 64 kB more.
_MOST_CONNECTIONS = 10_000
# The event loop, the listeners, the log, the supervisor's pipes, and the pools of database and Redis take about
# forty, the capture of the screen five. In each thread a function may have a file and a connection of its own.
_RESERVE = 64
_RESERVE_OF_A_THREAD = 2


def raise_descriptor_limit() -> None:
    """Lets this process, and those that it forks, have as many descriptors as it may allow itself.

    The soft limit is often 1024, for the sake of programs that wait with select(); it is raised to the hard one.
    """
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for wanted in (_finite(hard), min(_finite(hard), _MOST_OF_MACOS)):
            if _finite(soft) < wanted:
                with contextlib.suppress(OSError, ValueError):
                    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                    return


def descriptor_limit() -> int:
    """How many descriptors this process may have."""
    return _WINDOWS if sys.platform == "win32" else _finite(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def room_for_connections(wanted: int, threads: int, limit: int) -> int:
    """How many connections a process takes of ``wanted``, 0 for as many as are good for it.

    Of ``limit`` descriptors some are kept for whatever else it opens, and two for each of its ``threads``.

    >>> room_for_connections(0, 64, 1024), room_for_connections(0, 64, 1048576), room_for_connections(0, 64, 100)
    (832, 10000, 50)
    >>> room_for_connections(500, 64, 1024), room_for_connections(5000, 64, 1024)
    (500, 832)
    """
    room = max(limit - _RESERVE - _RESERVE_OF_A_THREAD * threads, limit // 2)
    return min(wanted or _MOST_CONNECTIONS, room)


def connection_limit(settings: Settings) -> int:
    """How many connections this process takes."""
    return room_for_connections(settings.max_connections, settings.threads, descriptor_limit())


def _finite(limit: int) -> int:
    # Infinity is -1 on Linux, and the largest number elsewhere.
    return _MOST if limit < 0 else min(limit, _MOST)
