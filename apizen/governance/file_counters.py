"""Counters that the worker processes of one machine share in a file.

The file has three tables of fixed size: claims, windows, locks. A call reads and writes a few hundred bytes
of it while no other process does. One write puts down a window, so that a killed process leaves it whole; a
window that is not whole is begun anew.

SQLite was measured too: 15 µs a call, twice as long in the lock for which all others wait. The counts survive
a restart, not always a loss of power.

>>> counters = FileCounters(getfixture('tmp_path') / 'counters')
>>> counters.hit(limits.parse('100/minute'), 'address:192.0.2.7').remaining
99
>>> counters.claim('nonce:12345678:f3a8', 600), counters.claim('nonce:12345678:f3a8', 600)
(True, False)

The windows are a storage of the library `limits`:

>>> from limits.strategies import MovingWindowRateLimiter
>>> MovingWindowRateLimiter(counters.storage).hit(limits.parse('100/minute'), 'address:192.0.2.7')
True
>>> counters.hit(limits.parse('100/minute'), 'address:192.0.2.7').remaining
97
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import limits
from limits.storage import MovingWindowSupport, Storage

from apizen.governance.counters import CLAIM_BUCKETS, CountersError, Decision, Hit
from apizen.governance.digest_table import PLACES, DigestTable, TableFull, digest_of
from apizen.governance.shared_file import SharedFile, SharedFileError
from apizen.governance.window import GRAINS, Window, decide, grain_of

__all__ = ["FileCounters", "FileStorage"]

T = TypeVar("T")

# Changes with the layout: a file of another one is made anew.
_HEADER = b"apizen counters 1\n"

_WINDOW_BUCKETS = 512
_WINDOW_HEADER = struct.Struct("<dII")
_WINDOW = _WINDOW_HEADER.size + 12 * GRAINS

_LOCK_BUCKETS = 64
_LOCK_HEADER = struct.Struct("<dH")
_LOCK = 128

_CLAIMS_AT = 4096
_WINDOWS_AT = _CLAIMS_AT + DigestTable.size(CLAIM_BUCKETS)
_WINDOW_DATA_AT = _WINDOWS_AT + DigestTable.size(_WINDOW_BUCKETS)
_LOCKS_AT = _WINDOW_DATA_AT + _WINDOW_BUCKETS * PLACES * _WINDOW
_LOCK_DATA_AT = _LOCKS_AT + DigestTable.size(_LOCK_BUCKETS)
_SIZE = _LOCK_DATA_AT + _LOCK_BUCKETS * PLACES * _LOCK


def _locked(file: SharedFile, operation: Callable[[], T]) -> T:
    try:
        return file.locked(operation)
    except SharedFileError as error:
        raise CountersError(str(error)) from error
    except TableFull:
        raise CountersError("the file of counters is full") from None


class FileCounters:
    """Counters in a file, which is made when it is needed. For one thread of each process."""

    shared = True
    waits = False

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = SharedFile(path, _HEADER, _SIZE)
        self._clock = clock
        self._claims = DigestTable(self._file, CLAIM_BUCKETS, _CLAIMS_AT)
        self._locks = DigestTable(self._file, _LOCK_BUCKETS, _LOCKS_AT)
        self.storage = FileStorage(self._file, clock)

    def hit(self, limit: limits.RateLimitItem, key: str) -> Decision:
        return self.hit_all(((limit, key),))[0]

    def hit_all(self, hits: Sequence[Hit]) -> list[Decision]:
        # Not by limits' strategy, which asks twice for what one decision tells, without a lock in between.
        return self.storage.hit_all(hits)

    def claim(self, key: str, seconds: float) -> bool:
        return self.claim_all((key,), seconds)

    def claim_all(self, keys: Sequence[str], seconds: float) -> bool:
        digests = [digest_of(key) for key in keys]

        def claim() -> bool:
            now = self._clock()
            return all(self._claims.claim(digest, now, now + seconds) for digest in digests)

        return _locked(self._file, claim)

    def lock(self, key: str, seconds: float) -> None:
        digest, name = digest_of(key), key.encode()[: _LOCK - _LOCK_HEADER.size]

        def lock() -> None:
            now = self._clock()
            place = self._locks.find(digest, now)
            data = _LOCK_HEADER.pack(now + seconds, len(name)) + name
            self._file.write(_LOCK_DATA_AT + place.number * _LOCK, data)
            self._locks.keep(digest, place, now + seconds)

        _locked(self._file, lock)

    def locks(self) -> Mapping[str, float]:
        return _locked(self._file, self._read_locks)

    def _read_locks(self) -> dict[str, float]:
        now = self._clock()
        found = {}
        for number in self._locks.kept(now):
            data = self._file.read(_LOCK_DATA_AT + number * _LOCK, _LOCK)
            until, length = _LOCK_HEADER.unpack_from(data)
            if until > now:
                found[data[_LOCK_HEADER.size :][:length].decode(errors="replace")] = until
        return found

    def close(self) -> None:
        self._file.close()


class FileStorage(Storage, MovingWindowSupport):
    """The windows of a file of counters, as a storage of `limits` for its moving window."""

    STORAGE_SCHEME = None

    def __init__(self, file: SharedFile, clock: Callable[[], float]) -> None:
        super().__init__()
        self._file = file
        self._clock = clock
        self._table = DigestTable(file, _WINDOW_BUCKETS, _WINDOWS_AT)

    @property
    def base_exceptions(self) -> type[Exception]:
        return CountersError

    def hit_all(self, hits: Sequence[Hit]) -> list[Decision]:
        """Counts a call under several limits, or under none of them when one has no room."""
        keys = [(limit, digest_of(limit.key_for(key))) for limit, key in hits]

        def count() -> list[Decision]:
            now = self._clock()
            windows = [(limit, *self._open(digest, limit.get_expiry(), now)) for limit, digest in keys]
            decisions = decide([(limit, window) for limit, _, window in windows], now)
            if all(decision.allowed for decision in decisions):
                for _, number, window in windows:
                    self._save(number, window)
            return decisions

        return _locked(self._file, count)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        digest = digest_of(key)

        def acquire() -> bool:
            now = self._clock()
            number, window = self._open(digest, expiry, now)
            window.forget(now, expiry)
            if window.total + amount > limit:
                return False
            for _ in range(amount):
                window.add(now, grain_of(limit, expiry))
            self._save(number, window)
            return True

        return _locked(self._file, acquire)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        digest = digest_of(key)

        def look() -> tuple[float, int]:
            now = self._clock()
            window = self._open(digest, expiry, now)[1]
            window.forget(now, expiry)
            return (window.times[0] if window.times else now), window.total

        return _locked(self._file, look)

    def _open(self, digest: bytes, seconds: float, now: float) -> tuple[int, Window]:
        """The number and the window of a key, which has both from then on."""
        place = self._table.find(digest, now)
        if place.until < now + seconds:
            if not place.found:
                self._save(place.number, Window())
            # A quarter longer than needed, so that not every call writes it.
            self._table.keep(digest, place, now + seconds * 1.25)
        return place.number, self._load(place.number)

    def _load(self, number: int) -> Window:
        data = self._file.read(_WINDOW_DATA_AT + number * _WINDOW, _WINDOW)
        grain_end, length, checksum = _WINDOW_HEADER.unpack_from(data)
        window = Window()
        content = data[_WINDOW_HEADER.size :][: 12 * length]
        if length <= GRAINS and zlib.crc32(content) == checksum:
            window.times.frombytes(content[: 8 * length])
            window.counts.frombytes(content[8 * length :])
            window.total = sum(window.counts)
            window.grain_end = grain_end
        return window

    def _save(self, number: int, window: Window) -> None:
        content = window.times.tobytes() + window.counts.tobytes()
        header = _WINDOW_HEADER.pack(window.grain_end, len(window.times), zlib.crc32(content))
        self._file.write(_WINDOW_DATA_AT + number * _WINDOW, header + content)

    def clear(self, key: str) -> None:
        digest = digest_of(key)
        _locked(self._file, lambda: self._save(self._open(digest, 0, self._clock())[0], Window()))

    def check(self) -> bool:
        try:
            _locked(self._file, lambda: None)
        except CountersError:
            return False
        return True

    def reset(self) -> None:
        _locked(self._file, self._file.reset)

    # The interface has them for the strategies of fixed windows, which a rate here never is.

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError("this storage has moving windows only")

    def get(self, key: str) -> int:
        raise NotImplementedError("this storage has moving windows only")

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError("this storage has moving windows only")
