"""A hash table of fixed size that remembers keys until a time, in memory or in a file.

Keys stand as 64 bits of their digest, in buckets of 128 places: a bucket is read at once and searched by
`bytes.find`. A place whose time is over is free, so the table empties itself and never grows. A bucket
without a free place takes no new key: what is remembered is never given up for it. That begins at about
two thirds of all places.

>>> table = DigestTable(MemoryPages(DigestTable.size(4)), buckets=4)
>>> digest = digest_of('nonce')
>>> place = table.find(digest, now=100)
>>> place.found
False
>>> table.keep(digest, place, until=160)
>>> [table.find(digest, now).found for now in (159, 160)]
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
_KEY = 8
_BUCKET = PLACES * (_TIME.size + _KEY)
_FOREVER = 2**32 - 1


class TableFull(Exception):
    """No place is free for this key."""


class Pages(Protocol):
    """Bytes that can be read and written in place."""

    def read(self, offset: int, size: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...


class MemoryPages:
    """Pages of this process; what was never written takes no memory."""

    __slots__ = ("_bytes",)

    def __init__(self, size: int) -> None:
        # Not a bytearray, which writes all of its zeros at once.
        self._bytes = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

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
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


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

    def find(self, digest: bytes, now: float) -> Place:
        """The place of a key. Raises `TableFull` when it has none and none is free."""
        bucket = int.from_bytes(digest[_KEY:], "little") % self._buckets
        page = self._pages.read(self._offset + bucket * _BUCKET, _BUCKET)
        at = page.find(digest[:_KEY], _TIMES.size)
        while at != -1:
            place, rest = divmod(at - _TIMES.size, _KEY)
            if rest == 0:
                (until,) = _TIME.unpack_from(page, place * _TIME.size)
                return Place(bucket * PLACES + place, until > now, until)
            at = page.find(digest[:_KEY], at + 1)
        times = _TIMES.unpack_from(page)
        oldest = min(times)
        if oldest > now:
            raise TableFull
        return Place(bucket * PLACES + times.index(oldest), False, oldest)

    def keep(self, digest: bytes, place: Place, until: float) -> None:
        """Remembers a key at its place, until the end of the second ``until``."""
        bucket, number = divmod(place.number, PLACES)
        start = self._offset + bucket * _BUCKET
        self._pages.write(start + _TIMES.size + number * _KEY, digest[:_KEY])
        self._pages.write(start + number * _TIME.size, _TIME.pack(min(math.ceil(until), _FOREVER)))

    def kept(self, now: float) -> Iterator[int]:
        """The numbers of all places that are taken."""
        for bucket in range(self._buckets):
            times = _TIMES.unpack(self._pages.read(self._offset + bucket * _BUCKET, _TIMES.size))
            if max(times) > now:
                yield from (bucket * PLACES + place for place, until in enumerate(times) if until > now)
