"""The bytes of a whole request: there is one way to read them, and everything that makes the call is in them."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apizen.exception import ApiException
from apizen.governance.canonical import canonical
from apizen.multipart import parse_multipart
from apizen.parameters import Parameters
from apizen.request import Request
from apizen.schema import UploadFile
from apizen.values import Part
from tests.worst import seconds_of

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Reader:
    """Reads the bytes from left to right, knowing nothing but the form of the lines."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0

    def until(self, end: bytes) -> bytes:
        found = self.text.index(end, self.at)
        start, self.at = self.at, found + len(end)
        return self.text[start:found]

    def take(self, count: int, end: bytes) -> bytes:
        start, self.at = self.at, self.at + count + 1
        assert self.text[start + count : self.at] == end
        return self.text[start : start + count]

    def measured(self, end: bytes) -> str:
        return self.take(int(self.until(b":")), end).decode("utf-8", "surrogatepass")

    def hash(self) -> str:
        return self.take(64, b"\n").decode()

    def read(self) -> tuple[str, list[tuple[str, ...]], str]:
        """The verb; kind, name, and value of each line, or its file; the hash of the JSON body."""
        assert self.until(b"\n") == b"hmac-sha256-v2"
        verb, path = self.until(b"\n").decode(), self.until(b"\n")
        assert path == b"/api/router/rest"
        lines: list[tuple[str, ...]] = []
        json = ""
        while self.at < len(self.text):
            kind = self.until(b" ").decode()
            if kind == "json":
                json = self.hash()
            elif kind == "file":
                lines.append((kind, self.measured(b" "), self.measured(b" "), self.measured(b" "), self.hash()))
            else:
                lines.append((kind, self.measured(b" "), self.measured(b"\n")))
        return verb, lines, json


# What might pass for the end of a text, of a line, or for another line.
TRICKY = st.sampled_from(
    ["", "a", "\n", " ", ":", "1:a", "1:a 1:b\nquery 1:c 1:d\n", "json ", "中", "\ud800", "0", "\r"]
)
TEXT = st.text(max_size=6) | st.lists(TRICKY, max_size=3).map("".join)
TEXTS = st.lists(st.tuples(st.sampled_from(["query", "form"]), TEXT | st.just("sign"), TEXT), max_size=5)
FILES = st.lists(st.tuples(st.just("form"), TEXT, st.builds(UploadFile, TEXT, TEXT, st.binary(max_size=3))), max_size=3)
VERBS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])


def line_of(part: Part) -> tuple[str, ...]:
    place, name, value = part
    if isinstance(value, UploadFile):
        return "file", name, value.name, value.content_type, digest(value.body)
    return place, name, value


@given(VERBS, TEXTS, FILES, st.binary(max_size=3))
def test_there_is_one_way_to_read_it(verb: str, texts: list[Part], files: list[Part], json: bytes) -> None:
    lines = [line_of(part) for part in [*texts, *files] if part[1] != "sign" or isinstance(part[2], UploadFile)]
    read = Reader(canonical(verb, [*texts, *files], json)).read()
    assert read == (verb, lines, digest(json) if json else "")


FIELD = st.text("ab=&%+26 1:\n", max_size=3).map(lambda text: quote(text, safe="=&+"))
FIELDS = st.lists(FIELD, max_size=4).map("&".join)


def multipart(parts: list[tuple[str, str, bytes]]) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    written = (head % (name.encode(), b'; filename="%b"' % file.encode() if file else b"", value)
               for name, file, value in parts)  # fmt: skip
    return b"".join(written) + b"--x--\r\n"


LETTER = st.sampled_from(["a", "b"])
PARTS = st.lists(
    st.tuples(LETTER, st.sampled_from(["", "f", "g"]), st.sampled_from([b"1", b"2"])), min_size=1, max_size=4
)
BODIES = st.one_of(
    st.just((b"", "")),
    st.tuples(FIELDS.map(str.encode), st.just(URLENCODED)),
    st.tuples(PARTS.map(multipart), st.just(MULTIPART)),
    st.tuples(st.sampled_from([b"{}", b'{"a": "1"}', b'{"a":"1"}', b'{"b": "1"}']), st.just("application/json")),
)
REQUESTS = st.tuples(VERBS, FIELDS, BODIES)


def reading(sent: tuple[str, str, tuple[bytes, str]]) -> tuple[bytes, Any]:
    """The bytes of a request, and all that the gateway reads of it, in the order in which it has it."""
    verb, query, (body, content_type) = sent
    request = Request(verb, query, {"Content-Type": content_type} if content_type else {}, body)
    parameters = Parameters(request, parse_multipart)
    parameters.read_body()
    public = sorted((name, parameters.public(name)) for _, name, _ in parameters.parts())
    call = verb, list(parameters.named.items()), sorted(parameters.repeated.items()), public
    return canonical(verb, parameters.parts(), parameters.document()), call


@settings(deadline=None)
@given(st.lists(REQUESTS, min_size=10, max_size=10))
def test_of_the_same_bytes_the_gateway_reads_the_same(requests: list[tuple[str, str, tuple[bytes, str]]]) -> None:
    """No name is ``sign`` here, which is the one thing that is left out."""
    calls: dict[bytes, Any] = {}
    for sent in requests:
        try:
            signed, call = reading(sent)
        except ApiException:  # what can't be read can't be called
            continue
        assert calls.setdefault(signed, call) == call


BASE = ("POST", "a=1&b=2", (b"c=3", URLENCODED))
FILE = multipart([("c", "", b"3"), ("d", "f", b"4")])
UPLOAD = ("POST", "a=1", (FILE, MULTIPART))
JSON = ("POST", "a=1", (b'{"c": 3}', "application/json"))


@pytest.mark.parametrize(
    ("sent", "changed"),
    [
        (BASE, ("PUT", "a=1&b=2", (b"c=3", URLENCODED))),
        (("GET", "a=1", (b"", "")), ("HEAD", "a=1", (b"", ""))),
        (BASE, ("POST", "b=2&a=1", (b"c=3", URLENCODED))),
        (BASE, ("POST", "a=1&b=2&c=3", (b"", ""))),
        (BASE, ("POST", "b=2", (b"a=1&c=3", URLENCODED))),
        (BASE, ("POST", "a=1b2", (b"c=3", URLENCODED))),
        (BASE, ("POST", "a1=&b=2", (b"c=3", URLENCODED))),
        (BASE, ("POST", "a=1&b=2&b=2", (b"c=3", URLENCODED))),
        (BASE, ("POST", "a=1&b=2", (b"c=3&d=", URLENCODED))),
        (BASE, ("POST", "a=1&b=2", (b'{"c": "3"}', "application/json"))),
        (BASE, ("POST", "a=1&b=2", (multipart([("c", "f", b"3")]), MULTIPART))),
        (("GET", "a=1&a=2", (b"", "")), ("GET", "a=2&a=1", (b"", ""))),
        (UPLOAD, ("POST", "a=1", (FILE.replace(b"4", b"5"), MULTIPART))),
        (UPLOAD, ("POST", "a=1", (FILE.replace(b'"f"', b'"g"'), MULTIPART))),
        (UPLOAD, ("POST", "a=1", (FILE.replace(b'"d"', b'"e"'), MULTIPART))),
        (UPLOAD, ("POST", "a=1", (FILE.replace(b'"f"', b'"f"\r\nContent-Type: text/html'), MULTIPART))),
        (UPLOAD, ("POST", "a=1", (FILE.replace(b'; filename="f"', b""), MULTIPART))),
        (JSON, ("POST", "a=1", (b'{"c": 4}', "application/json"))),
        (JSON, ("POST", "a=1", (b'{"c":3}', "application/json"))),
        (JSON, ("POST", "a=1", (b'{"c": 3}', URLENCODED))),
        (JSON, ("POST", "a=1", (b"", ""))),
    ],
)  # fmt: skip
def test_whatever_changes_a_call_changes_the_bytes(sent: Any, changed: Any) -> None:
    assert reading(sent)[0] != reading(changed)[0]


@pytest.mark.parametrize(
    ("sent", "same"),
    [
        (BASE, ("POST", "%61=%31&&b=2", (b"c=%33", URLENCODED))),
        (BASE, ("POST", "a=1&b=2&sign=AB", (b"c=3&sign=CD", f"{URLENCODED}; charset=UTF-8"))),
        (BASE, ("POST", "a=1&b=2", (multipart([("c", "", b"3")]), MULTIPART))),
        (JSON, ("POST", "a=1", (b'{"c": 3}', "Application/JSON; charset=utf-8"))),
        (("POST", "a=1&b=2&a=3", (b"", "")), ("POST", "a=1&a=3&b=2", (b"", ""))),
    ],
)
def test_what_changes_no_call_does_not(sent: Any, same: Any) -> None:
    assert reading(sent)[0] == reading(same)[0]


@pytest.mark.parametrize("where", ["file", "json"])
def test_a_large_body_is_not_copied(where: str) -> None:
    content = b"x" * 8_000_000
    file = UploadFile("f", "t", content if where == "file" else b"")
    tracemalloc.start()
    try:
        canonical("POST", [("form", "a", file)], content if where == "json" else b"")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(content) / 100


def test_many_parts_take_a_time_that_is_linear() -> None:
    def seconds(count: int) -> float:
        parts = [("query", f"n{number}", "v") for number in range(count)]
        return seconds_of(lambda: [canonical("POST", parts) for _ in range(8000 // count)])

    assert seconds(8000) < 4 * seconds(1000)
