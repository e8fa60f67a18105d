"""A hash table of fixed size that remembers keys until a time, in memory or in a file.

Keys stand as 64 bits of their digest, in buckets of 128 places: a bucket is read at once and searched by
`bytes.find`. A place whose time is over is free, so the table empties itself and never grows. A new key goes
to one of two places that its digest names, where one of them is free, so that not all 128 need be looked at.
A bucket without a free place takes no new key: what is remembered is never given up for it. That begins at
about two thirds of all places.

>>> table = DigestTable(MemoryPages.anonymous(DigestTable.size(4)), buckets=4)
>>> [table.claim(digest_of('nonce'), now, until=160) for now in (100, 159, 160)]
[True, False, True]
>>> place = table.find(digest_of('caller'), now=100)
>>> place.found
False
>>> table.keep(digest_of('caller'), place, until=160)
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

__all__ = ["PLACES", "DigestTable", "MemoryPages", "Pages", "Place", "TableFull", "digest_of"]

#: Places of a bucket.
PLACES = 128

_TIMES = struct.Struct(f"<{PLACES}I")
_TIME = struct.Struct("<I")
# The key, and the number that says its bucket.
_DIGEST = struct.Struct("<8sQ")
_KEY = 8
_BUCKET = PLACES * (_TIME.size + _KEY)
_FOREVER = 2**32 - 1

# Copied, which takes half as long as to make one.
_HASH = blake2b(digest_size=_DIGEST.size)


class TableFull(Exception):
    """No place is free for this key."""


class Pages(Protocol):
    """Bytes that can be read and written in place."""

    def read(self, offset: int, size: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...


class MemoryPages:
    """Pages in the memory of this process."""

    __slots__ = ("_bytes",)

    def __init__(self, memory: mmap.mmap) -> None:
        self._bytes = memory

    @classmethod
    def anonymous(cls, size: int) -> MemoryPages:
        """Pages of zeros. What was never written takes no memory."""
        # Not a bytearray, which writes all of its zeros at once.
        if hasattr(mmap, "MAP_PRIVATE"):
            return cls(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        return cls(mmap.mmap(-1, size))  # Windows

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

    def __init__(self, pages: Pages, buckets: int, offset: int = 0) -> None:
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
        place = _place_of(key, page)
        if place == -1:
            place = _free_place(digest, page, now)
        elif _TIME.unpack_from(page, place * _TIME.size)[0] > now:
            return False
        self._write(start, place, key, until)
        return True

    def find(self, digest: bytes, now: float) -> Place:
        """The place of a key. Raises `TableFull` when it has none and none is free."""
        key, number = _DIGEST.unpack(digest)
        bucket = number % self._buckets
        page = self._pages.read(self._offset + bucket * _BUCKET, _BUCKET)
        place = _place_of(key, page)
        known = place != -1
        if not known:
            place = _free_place(digest, page, now)
        (until,) = _TIME.unpack_from(page, place * _TIME.size)
        return Place(bucket * PLACES + place, known and until > now, until)

    def keep(self, digest: bytes, place: Place, until: float) -> None:
        """Remembers a key at its place, until the end of the second ``until``."""
        bucket, number = divmod(place.number, PLACES)
        self._write(self._offset + bucket * _BUCKET, number, digest[:_KEY], until)

    def _write(self, start: int, place: int, key: bytes, until: float) -> None:
        # The time last: of a process that is killed in between, nothing is remembered.
        self._pages.write(start + _TIMES.size + place * _KEY, key)
        self._pages.write(start + place * _TIME.size, _TIME.pack(min(math.ceil(until), _FOREVER)))

    def kept(self, now: float) -> Iterator[int]:
        """The numbers of all places that are taken."""
        for bucket in range(self._buckets):
            times = _TIMES.unpack(self._pages.read(self._offset + bucket * _BUCKET, _TIMES.size))
            if max(times) > now:
                yield from (bucket * PLACES + place for place, until in enumerate(times) if until > now)


def _place_of(key: bytes, page: bytes) -> int:
    """The place of a bucket where a key stands, -1 for none."""
    at = page.find(key, _TIMES.size)
    while at != -1:
        place, rest = divmod(at - _TIMES.size, _KEY)
        if rest == 0:
            return place
        at = page.find(key, at + 1)  # the end of one key and the beginning of the next
    return -1


def _free_place(digest: bytes, page: bytes, now: float) -> int:
    """A place of a bucket where nothing is remembered. Raises `TableFull`."""
    for byte in digest[:2]:
        place = byte % PLACES
        if _TIME.unpack_from(page, place * _TIME.size)[0] <= now:
            return place
    times = _TIMES.unpack_from(page)
    oldest = min(times)
    if oldest > now:
        raise TableFull
    return times.index(oldest)
