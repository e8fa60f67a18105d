"""Counters that the worker processes of one machine share in a file.

The file has tables of fixed size: the windows of each group, and who is locked out. A call reads and writes a
few hundred bytes of it while no other process does. One write puts down a window, so that a killed process
leaves it whole; a window that is not whole is begun anew. While it has the file, a process may also claim: the
claims lie in another one, ``claims`` beside it.

SQLite was measured too: 15 µs a call, twice as long in the lock for which all others wait. The counts survive
a restart, not always a loss of power. They begin anew where the number of places, or the layout, is another.

>>> counters = FileCounters(getfixture('tmp_path') / 'counters')
>>> counters.hit([(limits.parse('100/minute'), 'address:192.0.2.7')])[0].remaining
99
>>> counters.claim(['nonce:12345678:f3a8'], 600), counters.claim(['nonce:12345678:f3a8'], 600)
(True, False)
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import limits

from apizen.governance.error import CountersError
from apizen.governance.stores.base import COUNTED_CALLERS, MOST_LOCKS, Fullness, Group, Hit, places_of
from apizen.governance.stores.claims import Claims
from apizen.governance.stores.digest_table import PLACES, DigestTable, TableFull, digest_of
from apizen.governance.stores.shared_file import SharedFile, SharedFileError
from apizen.governance.stores.window import GRAINS, Decision, Window, decide

__all__ = ["FileCounters"]

T = TypeVar("T")

_TABLES_AT = 4096


class FileCounters:
    """Counters in a file, which is made when it is needed. For one thread of each process."""

    shared = True
    waits = False

    def __init__(self, path: Path, clock: Callable[[], float] = time.time, callers: int = COUNTED_CALLERS) -> None:
        buckets = [-(-places // PLACES) for places in places_of(callers)]
        *windows_at, locks_at = accumulate(map(_Windows.size, buckets), initial=_TABLES_AT)
        # Changes with the layout: a file of another one is made anew.
        header = b"apizen counters 2 of %d\n" % callers
        self._file = SharedFile(path, header, locks_at + _Locks.size())
        self._clock = clock
        self._windows = [_Windows(self._file, *each) for each in zip(windows_at, buckets, strict=True)]
        self._locks = _Locks(self._file, locks_at)
        self._claims = Claims(path.with_name("claims"), alone=False)
        self._fullness = Fullness()

    @property
    def times_full(self) -> int:
        return self._fullness.times

    def hit(self, hits: Sequence[Hit], group: Group = Group.ADDRESSES) -> list[Decision]:
        keys = [(limit, digest_of(limit.key_for(key))) for limit, key in hits]
        windows = self._windows[group]
        try:
            return self._locked(lambda: windows.hit(keys, self._clock()))
        except TableFull:
            raise self._fullness.error(group) from None

    def claim(self, keys: Sequence[str], seconds: float) -> bool:
        def claim() -> bool:
            now = self._clock()
            return self._claims.claim(keys, now, now + seconds)

        return self._locked(claim)

    def is_any_claimed(self, keys: Sequence[str]) -> bool:
        return self._locked(lambda: self._claims.has_any(keys, self._clock()))

    def lock(self, key: str, seconds: float) -> None:
        self._locked(lambda: self._locks.lock(key, self._clock(), seconds))

    def locks(self) -> Mapping[str, float]:
        return self._locked(lambda: self._locks.found(self._clock()))

    def close(self) -> None:
        self._file.close()
        self._claims.close()

    def _locked(self, operation: Callable[[], T]) -> T:
        try:
            return self._file.locked(operation)
        except SharedFileError as error:
            raise CountersError(str(error)) from error


class _Records:
    """Records of bytes by keys, in a table of the file."""

    _HEADER = struct.Struct("<IH")

    def __init__(self, file: SharedFile, offset: int, buckets: int, size: int) -> None:
        self.table = DigestTable(file, buckets, offset)
        self._file = file
        self._data_at = offset + DigestTable.size(buckets)
        self._size = self._HEADER.size + size

    @classmethod
    def size(cls, buckets: int, size: int) -> int:
        """The bytes of so many buckets with records of this size."""
        return DigestTable.size(buckets) + buckets * PLACES * (cls._HEADER.size + size)

    def read(self, number: int) -> bytes:
        """A record; empty where it is not whole."""
        data = self._file.read(self._data_at + number * self._size, self._size)
        checksum, length = self._HEADER.unpack_from(data)
        content = data[self._HEADER.size :][:length]
        return content if zlib.crc32(content) == checksum else b""

    def write(self, number: int, content: bytes) -> None:
        header = self._HEADER.pack(zlib.crc32(content), len(content))
        self._file.write(self._data_at + number * self._size, header + content)


class _Windows:
    """The windows of one group."""

    _GRAIN_END = struct.Struct("<d")
    _SIZE = _GRAIN_END.size + 12 * GRAINS

    def __init__(self, file: SharedFile, offset: int, buckets: int) -> None:
        self._records = _Records(file, offset, buckets, self._SIZE)

    @classmethod
    def size(cls, buckets: int) -> int:
        return _Records.size(buckets, cls._SIZE)

    def hit(self, keys: Sequence[tuple[limits.RateLimitItem, bytes]], now: float) -> list[Decision]:
        windows = [(limit, *self._open(digest, limit.get_expiry(), now)) for limit, digest in keys]
        decisions = decide([(limit, window) for limit, _, window in windows], now)
        if all(decision.allowed for decision in decisions):
            for _, number, window in windows:
                self._save(number, window)
        return decisions

    def _open(self, digest: bytes, seconds: float, now: float) -> tuple[int, Window]:
        """The number and the window of a key, which has both from then on."""
        table = self._records.table
        place = table.find(digest, now)
        if place.until < now + seconds:
            if not place.found:
                self._save(place.number, Window())
            # A quarter longer than needed, so that not every call writes it.
            table.keep(digest, place, now, now + seconds * 1.25)
        return place.number, self._load(place.number)

    def _load(self, number: int) -> Window:
        window = Window()
        content = self._records.read(number)
        if content:
            (window.grain_end,) = self._GRAIN_END.unpack_from(content)
            counts_at = self._GRAIN_END.size + (len(content) - self._GRAIN_END.size) // 12 * 8
            window.times.frombytes(content[self._GRAIN_END.size : counts_at])
            window.counts.frombytes(content[counts_at:])
            window.total = sum(window.counts)
        return window

    def _save(self, number: int, window: Window) -> None:
        grain_end = self._GRAIN_END.pack(window.grain_end)
        self._records.write(number, grain_end + window.times.tobytes() + window.counts.tobytes())


class _Locks:
    """Who is locked out."""

    _UNTIL = struct.Struct("<d")
    _BUCKETS = MOST_LOCKS // PLACES
    _SIZE = 120

    def __init__(self, file: SharedFile, offset: int) -> None:
        self._records = _Records(file, offset, self._BUCKETS, self._SIZE)

    @classmethod
    def size(cls) -> int:
        return _Records.size(cls._BUCKETS, cls._SIZE)

    def lock(self, key: str, now: float, seconds: float) -> None:
        digest, until = digest_of(key), now + seconds
        place = self._records.table.find(digest, now, displacing=True)
        self._records.write(place.number, (self._UNTIL.pack(until) + key.encode())[: self._SIZE])
        self._records.table.keep(digest, place, now, until)

    def found(self, now: float) -> dict[str, float]:
        """Who is locked out at this time, until when."""
        found = {}
        for number in self._records.table.kept(now):
            content = self._records.read(number)
            if content and (until := self._UNTIL.unpack_from(content)[0]) > now:
                found[content[self._UNTIL.size :].decode(errors="replace")] = until
        return found
