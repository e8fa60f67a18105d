"""Both framings, read back from their bytes alone."""

from __future__ import annotations

import email.parser
import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screenshare.framing import BOUNDARY, BROWSER, CONTENT_TYPE, FRAMINGS, HEADERS, LENGTH, response_head
from screenshare.picture import Frame

JPEGS = [
    b"\xff\xd8\xff\xd9",
    b"\xff\xd8--" + BOUNDARY[:-1] + b"\r\n\r\n\xff\xd9",
    b"\xff\xd8" + bytes(100_000) + b"\xff\xd9",
]


def frame_of(jpeg: bytes, number: int = 1, wall_time: float = 1_700_000_000.123456) -> Frame:
    return Frame(number, jpeg, 5.0, wall_time, 2, 2)


def test_browser_sends_the_next_headers_with_each_picture() -> None:
    stream = BROWSER.opening + b"".join(BROWSER.part(frame_of(jpeg)) for jpeg in JPEGS)
    opening = b"--" + BOUNDARY + b"\r\nContent-Type: image/jpeg\r\n\r\n"
    assert stream == opening + b"".join(jpeg + b"\r\n" + opening for jpeg in JPEGS)
    assert b"Content-Length" not in stream


def test_length_is_read_without_looking_for_the_boundary() -> None:
    stream = LENGTH.opening + b"".join(LENGTH.part(frame_of(jpeg)) for jpeg in JPEGS)
    found = []
    rest = stream.removeprefix(b"--" + BOUNDARY + b"\r\n")
    while rest:
        block, rest = rest.split(b"\r\n\r\n", 1)
        headers = email.parser.Parser().parsestr(block.decode())
        assert headers["Content-Type"] == "image/jpeg"
        assert headers["X-Timestamp"] == "1700000000.123456"
        length = int(headers["Content-Length"])
        found.append(rest[:length])
        assert rest[length:].startswith(b"\r\n--" + BOUNDARY + b"\r\n")
        rest = rest[length + len(BOUNDARY) + 6 :]
    assert found == JPEGS


@given(jpeg=st.binary(max_size=200), wall_time=st.floats(0, 4e9))
def test_length_part_names_length_and_time_of_any_frame(jpeg: bytes, wall_time: float) -> None:
    head, body = LENGTH.part(frame_of(jpeg, wall_time=wall_time)).split(b"\r\n\r\n", 1)
    lines = dict(line.split(": ") for line in head.decode().split("\r\n"))
    assert int(lines["Content-Length"]) == len(jpeg)
    assert float(lines["X-Timestamp"]) == pytest.approx(wall_time, abs=1e-6)
    assert body == jpeg + b"\r\n--" + BOUNDARY + b"\r\n"


def test_response_head() -> None:
    status, rest = response_head(1_700_000_000.0).split(b"\r\n", 1)
    headers = email.parser.Parser().parsestr(rest.decode())
    assert status == b"HTTP/1.1 200 OK"
    assert rest.endswith(b"\r\n\r\n")
    assert headers["Content-Type"] == CONTENT_TYPE
    assert headers["Connection"] == "close"
    assert email.utils.parsedate_to_datetime(headers["Date"]).timestamp() == 1_700_000_000
    assert "Content-Length" not in headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")


def test_framings_have_names() -> None:
    assert FRAMINGS == {"browser": BROWSER, "length": LENGTH}
