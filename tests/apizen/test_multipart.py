"""What makes the parsing of a multipart body slow, and is refused before; the rest is in test_parameters."""

from __future__ import annotations

from contextlib import suppress

import pytest

from apizen.multipart import parse_multipart
from tests.worst import seconds_of


def part(parameters: bytes = b"", boundary: bytes = b"x") -> bytes:
    return b'--%s\r\nContent-Disposition: form-data; name="a"%s\r\n\r\n1\r\n' % (boundary, parameters)


def seconds(body: bytes, boundary: str) -> float:
    def parse() -> None:
        with suppress(ValueError):
            parse_multipart(body, boundary)

    return seconds_of(parse)


@pytest.mark.parametrize("boundary", ["b" * 70, "-" * 70, "'()+_,-./:=? x", "数".encode().decode("latin-1")])
def test_boundary(boundary: str) -> None:
    known = boundary.encode("latin-1")
    assert parse_multipart(part(boundary=known) + b"--" + known + b"--\r\n", boundary) == [("a", "1")]


@pytest.mark.parametrize("boundary", ["", "b" * 71, '"x"', 'x"', "x" * 60_000])
def test_what_is_no_boundary(boundary: str) -> None:
    with pytest.raises(ValueError, match=r"^a boundary has 1 to 70 characters$"):
        parse_multipart(part() + b"--x--", boundary)


def test_a_long_boundary_takes_no_longer() -> None:
    body = b"-" * 200_000
    assert seconds(body, "a" + "-" * 69 * 8) < 4 * seconds(body, "a" + "-" * 69)


PARAMETERS = [b"; b=c" * 60, b";" * 60, b"\r\nA: b" * 60, b'; filename="' + b";" * 60 + b'"']


@pytest.mark.parametrize("parameters", PARAMETERS, ids=range(len(PARAMETERS)))
def test_header_of_a_part(parameters: bytes) -> None:
    assert len(parse_multipart(part() + part(parameters) + b"--x--", "x")) == 2
    with pytest.raises(ValueError, match=r"^the header of a part has too many parameters$"):
        parse_multipart(part() + part(parameters * 2) + b"--x--", "x")


@pytest.mark.parametrize("filler", [b";", b"; b=c", b"; b*=c", b"; b*0=c", b'";', b"\r\nA:"])
def test_a_header_costs_no_more_than_a_body(filler: bytes) -> None:
    long = part(filler * (9600 // len(filler))) * 90 + b"--x--"
    plain = part(b'; filename="%s"' % (b"f" * 9600)) * 90 + b"--x--"
    assert len(parse_multipart(plain, "x")) == 90
    assert seconds(long, "x") < 4 * seconds(plain, "x")


def test_number_of_parts() -> None:
    assert len(parse_multipart(part() * 99 + b"--x--", "x")) == 99
    for parts in (100, 101):
        with pytest.raises(ValueError, match="too many parts"):
            parse_multipart(part() * parts + b"--x--", "x")


def test_more_parts_take_no_longer() -> None:
    empty = b"--x\r\n"
    assert seconds(empty * 80_000 + b"--x--", "x") < 4 * seconds(empty * 1000 + b"--x--", "x")
