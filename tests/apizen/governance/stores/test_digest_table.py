"""The table of digests beside a plain dict: what is live is known, whatever its bytes are and wherever it stands."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apizen.governance.stores.digest_table import LONGEST, PLACES, DigestTable, MemoryPages, TableFull, digest_of

NOW = 1_000_000
BUCKET = 0


def table_of(buckets: int = 1) -> DigestTable:
    return DigestTable(MemoryPages(DigestTable.size(buckets)), buckets)


def digest(key: bytes, bucket: int = BUCKET) -> bytes:
    return key + bucket.to_bytes(8, "little")


def keys(count: int, seed: int = 1) -> Iterator[bytes]:
    numbers = random.Random(seed)
    return (numbers.randbytes(8) for _ in range(count))


def test_digest_of_is_what_files_and_redis_hold() -> None:
    """Other digests would forget what was claimed before the server was started anew."""
    assert digest_of("nonce").hex() == "7be108efa2fad101cb74c8adccf5dafe"
    assert len({digest_of(key) for key in ("", "a", "b", "\udcff")}) == 4


def test_claim_against_a_dict() -> None:
    numbers = random.Random(7)
    table = table_of(4)
    known: dict[bytes, int] = {}
    names = [digest(key, number % 4) for number, key in enumerate(keys(600))]
    refused = 0
    for step in range(20_000):
        now = NOW + step // 10
        name, until = numbers.choice(names), now + numbers.choice([1, 300, 5000])
        free = known.get(name, 0) <= now
        try:
            assert table.claim(name, now, until) == free
        except TableFull:
            refused += 1
            assert free
            assert sum(end > now for each, end in known.items() if each[8:] == name[8:]) == PLACES
            continue
        if free:
            known[name] = until
        assert table.find(name, now).found
    assert 0 < refused < 15_000


def test_full_bucket_forgets_nothing() -> None:
    table = table_of()
    taken = list(keys(PLACES))
    assert all(table.claim(digest(key), NOW, NOW + 600 + number) for number, key in enumerate(taken))
    for more in keys(200, seed=2):
        with pytest.raises(TableFull):
            table.claim(digest(more), NOW, NOW + 600)
        with pytest.raises(TableFull):
            table.find(digest(more), NOW)
    assert not any(table.claim(digest(key), NOW + 599, NOW + 9999) for key in taken)
    # The one place that is free is found, wherever it is.
    for number in range(PLACES):
        assert table.claim(digest(b"new%05d" % number), NOW + 600 + number, NOW + 9999)
    with pytest.raises(TableFull):
        table.claim(digest(b"one more"), NOW + 600 + PLACES, NOW + 9999)


def test_key_that_seems_to_stand_across_two_others() -> None:
    table = table_of()
    # All want place 0, then place 1: the first two stand side by side.
    first, second = b"\0\1AAABCD", b"\0\1EFGHIJ"
    across = (first + (NOW + 600).to_bytes(4, "little") + second)[4:12]
    assert table.claim(digest(first), NOW, NOW + 600)
    assert table.claim(digest(second), NOW, NOW + 600)
    assert table.find(digest(second), NOW).number == table.find(digest(first), NOW).number + 1
    assert not table.find(digest(across), NOW).found
    assert table.claim(digest(across), NOW, NOW + 600)
    # Behind the two it stands at a place of its own, which the search must reach.
    assert [table.claim(digest(key), NOW, NOW + 600) for key in (first, second, across)] == [False] * 3


@given(
    st.lists(st.lists(st.sampled_from([0, 1, 255]), min_size=8, max_size=8).map(bytes), unique=True, max_size=PLACES)
)
def test_keys_of_few_different_bytes(names: list[bytes]) -> None:
    """Many of them seem to stand where they don't; one has the bytes of an empty place."""
    table = table_of()
    assert [table.claim(digest(name), NOW, NOW + 600) for name in names] == [True] * len(names)
    assert [table.claim(digest(name), NOW, NOW + 600) for name in names] == [False] * len(names)
    assert [table.claim(digest(name), NOW + 600, NOW + 700) for name in names] == [True] * len(names)


def test_kept() -> None:
    table = table_of(3)
    for bucket, key in enumerate(keys(3)):
        table.claim(digest(key, bucket), NOW, NOW + 10 * bucket + 1)
    assert sorted(number // PLACES for number in table.kept(NOW)) == [0, 1, 2]
    assert sorted(number // PLACES for number in table.kept(NOW + 1)) == [1, 2]


@pytest.mark.parametrize(("until", "kept"), [(NOW + 0.1, NOW + 1), (NOW + 1, NOW + 1), (1e12, NOW + LONGEST)])
def test_until_is_never_earlier_than_asked(until: float, kept: int) -> None:
    table = table_of()
    table.claim(digest_of("a"), NOW, until)
    assert table.find(digest_of("a"), NOW) == (table.find(digest_of("a"), NOW).number, True, kept)


class CountedPages(MemoryPages):
    """Pages that keep what was written to them."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.written: list[bytes] = []

    def write(self, offset: int, data: bytes) -> None:
        super().write(offset, data)
        self.written.append(data)


def test_claim_is_one_write() -> None:
    pages = CountedPages(DigestTable.size(4))
    table = DigestTable(pages, 4)
    assert [table.claim(digest_of("a"), NOW, NOW + 600) for _ in range(3)] == [True, False, False]
    assert pages.written == [digest_of("a")[:8] + (NOW + 600).to_bytes(4, "little")]


def test_garbage_takes_no_places() -> None:
    """Of random times a tenth lies in the past and a 64th where it could be; all others were never written."""
    pages = MemoryPages(DigestTable.size(8))
    pages.write(0, random.Random(3).randbytes(DigestTable.size(8)))
    table = DigestTable(pages, 8)
    now = 1_800_000_000
    assert len(list(table.kept(now))) < 8 * PLACES / 20
    names = [digest(key, number % 8) for number, key in enumerate(keys(8 * PLACES * 3 // 4))]
    assert all(table.claim(name, now, now + 600) for name in names)
    assert not any(table.claim(name, now, now + 600) for name in names)


def test_clock_set_back_by_years() -> None:
    table = table_of()
    assert all(table.claim(digest(key), NOW + 3 * LONGEST, NOW + 3 * LONGEST + 600) for key in keys(PLACES))
    assert table.claim(digest(next(keys(1))), NOW, NOW + 600)
    assert table.claim(digest(b"one more"), NOW, NOW + 600)


def test_displacing() -> None:
    table = table_of()
    taken = [digest(key) for key in keys(PLACES)]
    for number, name in enumerate(taken):
        table.claim(name, NOW, NOW + 600 - number)
    place = table.find(digest(b"one more"), NOW, displacing=True)
    assert (place.found, place.until) == (False, 0)
    table.keep(digest(b"one more"), place, NOW, NOW + 900)
    assert table.find(digest(b"one more"), NOW).found
    assert all(table.find(name, NOW).found for name in taken[:-1])
    assert not table.find(taken[-1], NOW, displacing=True).found
    assert table.find(taken[0], NOW, displacing=True).found
