"""The algorithm: published vectors, order of names, timestamps, and whatever else somebody may send."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apizen.governance.signature import SIGN_METHODS, matches, parse_timestamp, signature, string_to_sign, zone_of
from tests.worst import LINEAR, times_longer

SECRET = "helloworld"
CHINA = timezone(timedelta(hours=8))
PUBLISHED = {
    "method": "taobao.item.seller.get",
    "app_key": "12345678",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "format": "json",
    "v": "2.0",
    "fields": "num_iid,title,nick,price,num",
    "num_iid": "11223344",
}
# Half surrogate pairs too: text from a caller should have none, and that is not to be relied on.
TEXT = st.text(st.characters(categories=["Cs", "L", "N", "P", "S", "Z", "Cc"]), max_size=30)


@pytest.mark.parametrize(
    ("method", "published"),
    [
        ("md5", "66987CB115214E59E6EC978214934FB8"),
        ("hmac", "D56D7858309C31B6251083A874D48273"),
        ("hmac-sha256", "04DB15AD0774D5CFCE2C837DE43E3FCEA9011ED74F3038FB6AB5F3C4CEA119E8"),
    ],
)
def test_signature_published(method: str, published: str) -> None:
    string = string_to_sign({**PUBLISHED, "sign_method": method}.items())
    assert signature(method, SECRET, string) == published


def test_sign_methods() -> None:
    assert SIGN_METHODS == ("hmac-sha256-v2", "hmac-sha256", "hmac", "md5")


@pytest.mark.parametrize("method", ["", "sha256", "HMAC", "hmac-sha1", "\ud800", "x" * 9999])
def test_signature_unknown_method(method: str) -> None:
    with pytest.raises(ValueError, match="there is no sign_method"):
        signature(method, SECRET, b"")


@pytest.mark.parametrize(
    ("query", "body", "string"),
    [
        ("", b"", ""),
        ("b=2&a=1", b"", "a1b2"),
        ("sign=AB&a=1&Sign=c", b"", "Signca1"),
        ("a=0&b=false&c=&d=null", b"", "a0bfalsecdnull"),
        ("b=2&a=x&b=1", b"", "axb2b1"),
        ("a_b=1&aB=2&a.b=3&a=4&A=5", b"", "A5a4a.b3aB2a_b1"),
        ("%E4%B8%AD=%E6%96%87&z=%20%2B+", b"", "z + 中文"),
        # U+FF5E is before U+1F600 in bytes, and behind it where text is sorted in UTF-16.
        ("%F0%9F%98%80=1&%EF%BD%9E=2", b"", "～2😀1"),
        ("v=1.0&method=m", b'{ "sign": 1 }', 'methodmv1.0{ "sign": 1 }'),
        ("sign=", b"\xff", "\udcff"),
    ],
)
def test_string_to_sign(query: str, body: bytes, string: str) -> None:
    pairs = parse_qsl(query, keep_blank_values=True)
    assert string_to_sign(pairs, body) == string.encode("utf-8", "surrogateescape")


@given(st.lists(st.tuples(TEXT | st.just("sign"), TEXT)), st.binary(max_size=20))
def test_string_to_sign_anything(pairs: list[tuple[str, str]], body: bytes) -> None:
    encoded = [tuple(text.encode("utf-8", "surrogatepass") for text in pair) for pair in pairs]
    kept = [pair for pair in encoded if pair[0] != b"sign"]
    kept.sort(key=lambda pair: pair[0])
    assert string_to_sign(iter(pairs), body) == b"".join(name + value for name, value in kept) + body
    assert string_to_sign(dict(pairs), body) == string_to_sign(dict(pairs).items(), body)


@given(TEXT | TEXT.map(lambda text: text * 9) | st.sampled_from(["s" * 64, "s" * 65]), st.binary(max_size=200))
def test_signature_anything(secret: str, string: bytes) -> None:
    key = secret.encode("utf-8", "surrogatepass")
    assert signature("hmac-sha256", secret, string) == hmac.new(key, string, hashlib.sha256).hexdigest().upper()
    derived = hmac.new(key, b"hmac-sha256-v2", hashlib.sha256).digest()
    assert signature("hmac-sha256-v2", secret, string) == hmac.new(derived, string, hashlib.sha256).hexdigest().upper()
    assert signature("hmac", secret, string) == hmac.new(key, string, hashlib.md5).hexdigest().upper()
    assert signature("md5", secret, string) == hashlib.md5(key + string + key).hexdigest().upper()


@pytest.mark.parametrize("good", ["00AF", "00af", "00Af"])
def test_matches(good: str) -> None:
    assert matches("00AF", good)


@pytest.mark.parametrize("bad", ["", "00AE", "00AF ", "0x00AF", "00A\uff26", "00AF\0", "\ud800", "00AF" * 9999])
def test_matches_not(bad: str) -> None:
    assert not matches("00AF", bad)


@given(TEXT)
def test_matches_anything(given: str) -> None:
    assert matches("FF", given) == (given in ("ff", "FF", "fF", "Ff"))


@pytest.mark.parametrize(
    ("text", "zone", "seconds"),
    [
        ("2016-01-01 12:00:00", "+08:00", 1451620800),
        ("2016-01-01 12:00:00", "Asia/Shanghai", 1451620800),
        ("2016-01-01 04:00:00", "UTC", 1451620800),
        ("2016-01-01 00:30:00", "-03:30", 1451620800),
        ("2016-07-01 12:00:00", "Europe/Berlin", 1467367200),
        ("2016-10-30 02:30:00", "Europe/Berlin", 1477787400),  # there twice
        ("2016-03-27 02:30:00", "Europe/Berlin", 1459042200),  # not there at all
        ("1451620800", "+08:00", 1451620800),
        ("1451620800123", "+08:00", 1451620800.123),
        ("0000000000", "UTC", 0),
        ("0001-01-01 00:00:00", "+23:59", -62135683140),
        ("9999-12-31 23:59:59", "-23:59", 253402387139),
    ],
)
def test_parse_timestamp(text: str, zone: str, seconds: float) -> None:
    assert parse_timestamp(text, zone_of(zone)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "now", "0", "-1", "1e9", "145162080", "14516208000", "145162080012", "14516208001234", "9" * 5000,
        " 1451620800", "1451620800\n", "+451620800", "1451620800.0", "1_451_620_8",
        "１４５１６２０８００", "٠١٢٣٤٥٦٧٨٩",
        "2016-01-01", "2016-01-01T12:00:00", "2016-01-01 12:00", "2016-01-01 12:00:00Z", "2016-01-01 12:00:00\n",
        "2016-1-1 12:00:00", "2016-02-30 12:00:00", "2016-01-01 25:00:00", "2016-01-01 12:60:00", "2016-12-31 23:59:60",
        "0000-01-01 00:00:00", "2016-13-01 00:00:00", "２０１６-01-01 12:00:00", "2016-01-01  12:00:00", "\ud800", "\0",
        "2016-W01-1 12:00:00", "99999-01-01 00:00:00",
    ],
)  # fmt: skip
def test_parse_timestamp_not(text: str) -> None:
    for zone in (CHINA, UTC, zoneinfo.ZoneInfo("Asia/Shanghai")):
        with pytest.raises(ValueError):
            parse_timestamp(text, zone)


ZONES = st.sampled_from(["+08:00", "-23:59", "+23:59", "UTC", "Asia/Shanghai", "America/St_Johns"])


@given(st.datetimes(), ZONES)
def test_parse_timestamp_any_date(moment: datetime, zone: str) -> None:
    text = f"{moment:%H:%M:%S}"
    found = parse_timestamp(f"{moment.year:04}-{moment.month:02}-{moment.day:02} {text}", zone_of(zone))
    assert found == moment.replace(microsecond=0, tzinfo=zone_of(zone)).timestamp()


DIGITS = st.text("0123456789-: .０٠", max_size=25)


@given(TEXT | DIGITS | st.from_regex(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", fullmatch=True), ZONES)
def test_parse_timestamp_anything(text: str, zone: str) -> None:
    with contextlib.suppress(ValueError):
        parse_timestamp(text, zone_of(zone))


def test_parse_timestamp_at_the_ends_of_time() -> None:
    for name in zoneinfo.available_timezones():
        for text in ("0001-01-01 00:00:00", "9999-12-31 23:59:59"):
            assert abs(parse_timestamp(text, zone_of(name)) - parse_timestamp(text, UTC)) < 86400


@pytest.mark.parametrize("piece", ["9" * 20, "2016-01-01 12:00:00"])
def test_parse_timestamp_of_any_length_is_quick(piece: str) -> None:
    def refuse(text: str) -> None:
        with pytest.raises(ValueError):
            parse_timestamp(text, CHINA)

    assert times_longer(refuse, piece * 50_000, piece * 400_000) < LINEAR


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "8", "+8", "+08", "08:00", "+8:00", "+08:60", "+24:00", "-99:00", "+０8:00", "GMT+8", "Asia", "Asia/",
        "Asia/Nowhere", "/etc/passwd", "../../etc/passwd", ".", "\0", "\ud800", "x" * 5000, "zone.tab",
    ],
)  # fmt: skip
def test_zone_of_not(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        zone_of(text)
    assert str(caught.value) == f"{text!r} is no time zone, as +08:00, UTC or Asia/Shanghai"
