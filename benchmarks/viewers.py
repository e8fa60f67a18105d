"""Viewers of a stream in one process: ``python -m benchmarks.viewers --help``.

It prints ``begin`` and ``end`` at both ends of what it measures, then one line of JSON: the parts that each
viewer got, how many of all were new pictures, the delays of a sample of them, and the mean size of a JPEG. A delay
is from the time that the binary clock in the picture shows, which is when its change began, to the picture's last
byte here, in seconds.

The viewers read from plain sockets into one small buffer and keep only the sampled pictures, which are decoded
after the end, so that looking disturbs little. Silent viewers ask for the stream and never read; one that is
thrown out asks again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count

__all__ = ["Tally"]

_BUFFER_BYTES = 256 * 1024
_HEAD_BYTES = 4096
_SAMPLES = 200
_CHANGES_PER_SECOND = 28
_LOOK_SECONDS = 0.5
_ESTABLISHED = 1

# A part that names its length, and one in a chunk of its own, as Flask sends what a generator yields.
_NAMED = re.compile(rb"Content-Length: (\d+)\r\n(?:[^\r\n]+\r\n)*\r\n")
_CHUNK = re.compile(rb"\r\n([0-9a-f]+)\r\n(--frame\r\nContent-Type: image/jpeg\r\n\r\n)")


@dataclass(slots=True)
class Tally:
    """What all viewers saw between the two ends. Each sample is a JPEG with the time of its last byte."""

    sample_every: int
    parts: list[int]
    bytes: int = 0
    new: int = 0
    samples: list[tuple[bytes, float]] = field(default_factory=list)
    measuring: bool = False
    turn: Iterator[int] = field(default_factory=count)


class _Viewer(asyncio.BufferedProtocol):
    """Splits a stream into its parts."""

    buffer = memoryview(bytearray(_BUFFER_BYTES))

    def __init__(self, tally: Tally, number: int, request: bytes) -> None:
        self._tally = tally
        self._number = number
        self._request = request
        self._head = b""
        self._left = 0
        self._length = self._last_length = 0
        self._sample: bytearray | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, count: int) -> None:
        place = 0
        while place < count:
            if self._left:
                place += self._take_body(self.buffer[place : min(count, place + self._left)])
            else:
                place += self._take_head(self.buffer[place : min(count, place + _HEAD_BYTES)])

    def _take_head(self, data: memoryview) -> int:
        before = len(self._head)
        self._head += data
        found = _NAMED.search(self._head) or _CHUNK.search(self._head)
        if found is None:
            self._head = self._head[-_HEAD_BYTES:]
            return len(data)
        if found.re is _NAMED:
            self._length = int(found[1])
        else:
            self._length = int(found[1], 16) - len(found[2]) - len(b"\r\n")
        self._left, self._head = self._length, b""
        if self._tally.measuring and next(self._tally.turn) % self._tally.sample_every == 0:
            self._sample = bytearray()
        return found.end() - before

    def _take_body(self, data: memoryview) -> int:
        if self._sample is not None:
            self._sample += data
        self._left -= len(data)
        if not self._left:
            self._take_part()
        return len(data)

    def _take_part(self) -> None:
        tally = self._tally
        sample, self._sample = self._sample, None
        if tally.measuring:
            tally.parts[self._number] += 1
            tally.bytes += self._length
            # Pictures of the same length in a row are, but for one in hundreds, the same picture.
            tally.new += self._length != self._last_length
            if sample is not None:
                tally.samples.append((bytes(sample), time.time()))
        self._last_length = self._length


def main() -> None:
    parser = argparse.ArgumentParser(description="Watch a stream.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--viewers", type=int, default=1)
    parser.add_argument("--silent", type=int, default=0, help="viewers that never read")
    parser.add_argument("--warm-up", type=float, default=2)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    print(json.dumps(_summary(asyncio.run(_watch(arguments)))), flush=True)


async def _watch(arguments: argparse.Namespace) -> Tally:
    parts = arguments.viewers * _CHANGES_PER_SECOND * arguments.seconds
    tally = Tally(max(1, round(parts / _SAMPLES)), [0] * arguments.viewers)
    request = f"GET {arguments.path} HTTP/1.1\r\nHost: {arguments.host}\r\n\r\n".encode()
    address = arguments.host, arguments.port
    silent = [asyncio.ensure_future(_stay_silent(address, request)) for _ in range(arguments.silent)]
    with ExitStack() as stack:
        for number in range(arguments.viewers):
            stack.callback((await _connect(_Viewer(tally, number, request), address)).abort)
        await _measure(tally, arguments.warm_up, arguments.seconds)
    for task in silent:
        task.cancel()
    await asyncio.gather(*silent, return_exceptions=True)
    return tally


async def _measure(tally: Tally, warm_up: float, seconds: float) -> None:
    await asyncio.sleep(warm_up)
    tally.measuring = True
    print("begin", flush=True)
    await asyncio.sleep(seconds)
    tally.measuring = False
    print("end", flush=True)


async def _connect(viewer: _Viewer, address: tuple[str, int]) -> asyncio.Transport:
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: viewer, *address)
    return transport


async def _stay_silent(address: tuple[str, int], request: bytes) -> None:
    while True:
        with socket.create_connection(address, timeout=5) as silent:
            silent.sendall(request)
            while silent.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED:
                await asyncio.sleep(_LOOK_SECONDS)


def _summary(tally: Tally) -> dict[str, object]:
    delays = [delay for jpeg, seen in tally.samples if (delay := _delay(jpeg, seen)) is not None]
    return {
        "parts": tally.parts,
        "new": tally.new,
        "delays": delays,
        "unreadable": len(tally.samples) - len(delays),
        "jpeg_bytes": tally.bytes / max(1, sum(tally.parts)),
    }


def _delay(jpeg: bytes, seen: float) -> float | None:
    """None where the picture shows no clock."""
    import cv2
    import numpy

    from screenshare.pattern import read_clock

    image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_REDUCED_COLOR_2)
    shown = None if image is None else read_clock(image)
    return None if shown is None else ((round(seen * 1000) - shown) % 2**32) / 1000


if __name__ == "__main__":
    main()
