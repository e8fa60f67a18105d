"""A hash table of fixed size that remembers keys until a time, in memory or in a file.

Keys stand as 64 bits of their digest, in buckets of 64 places: a bucket is read at once and searched by
`bytes.find`. A place whose time is over is free, so the table empties itself and never grows. A new key goes
to one of two places that its digest names, where one of them is free, so that not all 64 need be looked at.
A bucket without a free place takes no new key: what is remembered is never given up for it, unless who asks
wants that. Full buckets begin at about three fifths of all places.

A place is written by one write, a key and its time together. A time further ahead than `LONGEST` was never
written here: what garbage lies in a file does not take places for ever.

>>> table = DigestTable(MemoryPages(DigestTable.size(4)), buckets=4)
>>> [table.claim(digest_of('nonce'), now, until=160) for now in (100, 159, 160)]
[True, False, True]
>>> place = table.find(digest_of('caller'), now=100)
>>> place.found
False
>>> table.keep(digest_of('caller'), place, now=100, until=160)
>>> [table.find(digest_of('caller'), now).found for now in (159, 160)]
[True, False]
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple, Protocol

__all__ = ["LONGEST", "PLACES", "DigestTable", "MemoryPages", "Place", "TableFull", "TablePages", "digest_of"]

#: Places of a bucket.
PLACES = 64
#: Seconds, two years: nothing is remembered for longer.
LONGEST = 2**26

_PLACE = struct.Struct("<8sI")
_KEY = 8
_TIMES = struct.Struct("<" + f"{_KEY}xI" * PLACES)
_TIME = struct.Struct("<I")
# The key, and the number that says its bucket.
_DIGEST = struct.Struct("<8sQ")
_BUCKET = PLACES * _PLACE.size

# Copied, which takes half as long as to make one.
_HASH = blake2b(digest_size=_DIGEST.size)


class TableFull(Exception):
    """No place is free for this key."""


class TablePages(Protocol):
    """Bytes that can be read and written in place."""

    def read(self, offset: int, size: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...


class MemoryPages:
    """Pages of zeros in the memory of this process. What was never written takes no memory."""

    __slots__ = ("_bytes",)

    def __init__(self, size: int) -> None:
        # Not a bytearray, which writes all of its zeros at once.
        if hasattr(mmap, "MAP_PRIVATE"):
            self._bytes = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        else:  # Windows
            self._bytes = mmap.mmap(-1, size)

    def read(self, offset: int, size: int) -> bytes:
        return self._bytes[offset : offset + size]

    def write(self, offset: int, data: bytes) -> None:
        self._bytes[offset : offset + len(data)] = data


class Place(NamedTuple):
    """Where a key stands, or may be put. ``until``: the second at which it is forgotten."""

    number: int
    found: bool
    until: int


def digest_of(key: str) -> bytes:
    """What stands for a key."""
    digest = _HASH.copy()
    digest.update(key.encode("utf-8", "surrogatepass"))
    return digest.digest()


class DigestTable:
    """The table. It lies at ``offset`` of the pages and takes ``size(buckets)`` bytes of them."""

    __slots__ = ("_buckets", "_offset", "_pages")

    def __init__(self, pages: TablePages, buckets: int, offset: int = 0) -> None:
        self._pages = pages
        self._buckets = buckets
        self._offset = offset

    @staticmethod
    def size(buckets: int) -> int:
        return buckets * _BUCKET

    def claim(self, digest: bytes, now: float, until: float) -> bool:
        """Remembers a key, until the end of the second ``until``; False where it is remembered already.

        Raises `TableFull` when no place is free for it.
        """
        key, number = _DIGEST.unpack(digest)
        start = self._offset + number % self._buckets * _BUCKET
        page = self._pages.read(start, _BUCKET)
        at = _place_of(key, page)
        if at == -1:
            at = _free_place(digest, page, now)
        elif now < _TIME.unpack_from(page, at + _KEY)[0] <= now + LONGEST:
            return False
        self._write(start + at, key, now, until)
        return True

    def has(self, digest: bytes, now: float) -> bool:
        """Whether a key is remembered."""
        key, number = _DIGEST.unpack(digest)
        page = self._pages.read(self._offset + number % self._buckets * _BUCKET, _BUCKET)
        at = _place_of(key, page)
        return at != -1 and now < _TIME.unpack_from(page, at + _KEY)[0] <= now + LONGEST

    def find(self, digest: bytes, now: float, *, displacing: bool = False) -> Place:
        """The place of a key. One that has none gets a free one; where none is free, `TableFull` is raised, or with
        ``displacing`` it gets the place of what would be forgotten first.
        """
        key, number = _DIGEST.unpack(digest)
        bucket = number % self._buckets
        page = self._pages.read(self._offset + bucket * _BUCKET, _BUCKET)
        at = _place_of(key, page)
        known = at != -1
        if not known:
            at = _free_place(digest, page, now, displacing)
        (until,) = _TIME.unpack_from(page, at + _KEY)
        live = known and now < until <= now + LONGEST
        return Place(bucket * PLACES + at // _PLACE.size, live, until if live else 0)

    def keep(self, digest: bytes, place: Place, now: float, until: float) -> None:
        """Remembers a key at its place, until the end of the second ``until``."""
        self._write(self._offset + place.number * _PLACE.size, digest[:_KEY], now, until)

    def _write(self, start: int, key: bytes, now: float, until: float) -> None:
        self._pages.write(start, _PLACE.pack(key, min(math.ceil(until), int(now) + LONGEST)))

    def kept(self, now: float) -> Iterator[int]:
        """The numbers of all places that are taken."""
        for bucket in range(self._buckets):
            times = _TIMES.unpack(self._pages.read(self._offset + bucket * _BUCKET, _BUCKET))
            if max(times) > now:
                first, end = bucket * PLACES, now + LONGEST
                yield from (first + place for place, until in enumerate(times) if now < until <= end)


def _place_of(key: bytes, page: bytes) -> int:
    """Where in a bucket a key stands, -1 for nowhere."""
    at = page.find(key)
    while at % _PLACE.size and at != -1:
        at = page.find(key, at + 1)  # the end of one place and the beginning of the next
    return at


def _free_place(digest: bytes, page: bytes, now: float, displacing: bool = False) -> int:
    """Where in a bucket a key may be put. Raises `TableFull`, unless one of those there may be displaced."""
    for byte in digest[:2]:
        at = byte % PLACES * _PLACE.size
        if not now < _TIME.unpack_from(page, at + _KEY)[0] <= now + LONGEST:
            return at
    times = _TIMES.unpack_from(page)
    chosen = min(times)
    if chosen > now and max(times) > now + LONGEST:
        chosen = max(times)
    elif chosen > now and not displacing:
        raise TableFull
    return times.index(chosen) * _PLACE.size
