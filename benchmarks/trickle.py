"""Calls at a steady rate: ``python -m benchmarks.trickle HOST PORT TARGET SECONDS``; prints its times as JSON.

A call's time is from just before it is sent to when its answer's last byte came to the kernel (SO_TIMESTAMPNS),
so that a machine on which this process must wait for its turn isn't taken for a slow server. Calls don't wait
for each other. Linux only.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time

__all__ = ["main"]

_CALLS_PER_SECOND = 100

_CONNECTIONS = 10
_TIMESTAMPS = 35  # SO_TIMESTAMPNS and SCM_TIMESTAMPNS
_TIMESPEC = struct.Struct("@qq")
_ANSWER_BYTES = 4096
_PATIENCE = 5.0


class _Line:
    """One connection, with at most one call on it."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address, timeout=_PATIENCE)
        self.socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._sent = 0.0

    def call(self) -> None:
        self._sent = time.time()
        self.socket.sendall(self._request)

    def answer(self) -> float:
        """The seconds that the call took."""
        data, stamps, _, _ = self.socket.recvmsg(_ANSWER_BYTES, 128)
        if not data.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a call failed: {data!r}")
        if not stamps:  # the kernel begins to stamp a moment after it was asked to
            return time.time() - self._sent
        seconds, nanoseconds = _TIMESPEC.unpack(stamps[0][2])
        return seconds + nanoseconds / 1e9 - self._sent


def main(host: str, port: str, target: str, seconds: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    idle = [_Line((host, int(port)), request) for _ in range(_CONNECTIONS)]
    times: list[float] = []
    with selectors.DefaultSelector() as selector:
        for line in idle:
            selector.register(line.socket, selectors.EVENT_READ, line)
        started = time.monotonic()
        for number in range(round(float(seconds) * _CALLS_PER_SECOND)):
            _collect(selector, idle, times, started + number / _CALLS_PER_SECOND)
            idle.pop(0).call()
        _collect(selector, idle, times, time.monotonic() + 1)
    print(json.dumps(times))


def _collect(selector: selectors.BaseSelector, idle: list[_Line], times: list[float], until: float) -> None:
    """Takes the answers that come before a time; also waits for one where all lines are busy."""
    while (left := until - time.monotonic()) > 0 or not idle:
        for key, _ in selector.select(max(left, 0.0) if idle else _PATIENCE):
            times.append(key.data.answer())
            idle.append(key.data)


if __name__ == "__main__":
    main(*sys.argv[1:])
