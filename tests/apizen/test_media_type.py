from __future__ import annotations

import pytest

from apizen.exception import ApiSysExceptions
from apizen.media_type import MAX_CONTENT_TYPE, MediaType, _parsed, media_type
from tests.worst import LINEAR, times_longer

READ = [
    ("application/json", MediaType("application/json")),
    (" Application/JSON ; ", MediaType("application/json")),
    ("application/json;charset=UTF-8", MediaType("application/json", "utf-8")),
    ("application/json; charset = utf-8", MediaType("application/json", "utf-8")),
    ('a/b; charset="utf\\-8"', MediaType("a/b", "utf-8")),
    ("a/b; charset", MediaType("a/b")),
    ("a/b; charset=", MediaType("a/b")),
    ("a/b;;; x=1; charset=utf-8;", MediaType("a/b", "utf-8")),
    ("a/b; charset=utf-8; charset=gbk", MediaType("a/b", "utf-8")),
    ("a/b; xcharset=gbk", MediaType("a/b")),
    ("a/b; BOUNDARY=Xy", MediaType("a/b", "", "Xy")),
    ('a/b; boundary="x; charset=gbk"', MediaType("a/b", "", "x; charset=gbk")),
    ("a/b; boundary=a'()+_,-./:=?", MediaType("a/b", "", "a'()+_,-./:=?")),
]
NOT_READ = ["", "/", "a/", "/b", "a", "a/b c", "a/b, c/d", 'a/b; charset="utf-8', 'a/b; charset="u"8', "a/b x=1", "ä/b"]


@pytest.mark.parametrize(("content_type", "found"), READ)
def test_media_type(content_type: str, found: MediaType) -> None:
    assert media_type(content_type) == found


@pytest.mark.parametrize("content_type", NOT_READ)
def test_media_type_of_what_is_none(content_type: str) -> None:
    assert media_type(content_type) == MediaType("")


def test_media_type_of_any_length() -> None:
    longest = "a/" + "b" * (MAX_CONTENT_TYPE - 2)
    assert media_type(longest).name == longest
    with pytest.raises(ApiSysExceptions.unacceptable_content_type):
        media_type(longest + "b")


WORST = [
    ('a/b;"', ";"),
    ("a/b", ";a"),
    ('a/b;a="', "\\"),
    ('a/b;a="', "a"),
    ("a/b;", " "),
    ("a/b;a", "="),
    ("a/b", ";a=1"),
]


@pytest.mark.parametrize(("start", "unit"), WORST)
def test_time_is_linear(start: str, unit: str) -> None:
    read = _parsed.__wrapped__  # past its cache
    assert times_longer(read, start + unit * 20_000, start + unit * 160_000) < LINEAR
