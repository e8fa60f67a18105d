"""The edge: HTTP as clients really send it, on a real socket."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.web import RequestHandler, URLSpec

from apizen import UploadFile
from apizen.application import make_app
from apizen.exception import ApiException
from apizen.request import Request, Response
from apizen.settings import Settings
from tests.support import HOST, RunningServer, registry_of, serving, until

PATH = b"/api/router/rest?v=1.0&method=echo&name=jack"
HEAD = b"GET " + PATH + b" HTTP/1.1\r\nHost: x\r\n"
POST = b"POST " + PATH + b" HTTP/1.1\r\nHost: x\r\n"
JSON_POST = POST + b"Content-Type: application/json\r\n"


def echo(name: str, **rest: Any) -> Any:
    return {"name": name, "rest": rest}


def strict(user_id: int = 1) -> int:
    return user_id


def slow() -> str:
    time.sleep(0.2)
    return "done"


def upload(avatar: UploadFile) -> Any:
    return [avatar.name, avatar.content_type, len(avatar.body)]


METHODS = {
    "echo": {"func": echo, "run": "inline"},
    "strict": {"func": strict, "run": "inline"},
    "slow": {"func": slow},
    "upload": {"func": upload, "run": "inline"},
    "uploads": {"func": lambda files: files, "run": "inline"},
    "page": {"func": lambda: "<p>页面</p>", "raw": "text/html; charset=utf-8"},
    "text": {"func": lambda: "text", "raw": True},
    "bytes": {"func": lambda: b"\x00\x01", "raw": True},
    "not-raw": {"func": lambda: {"a": 1}, "raw": True},
    "put": {"func": strict, "run": "inline", "method": ["PUT", "delete", "Patch"]},
}
MAX_BODY = 100_000


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with serving(METHODS, max_body=MAX_BODY) as running:
        yield running


def codes(received: bytes) -> list[int]:
    """The envelope codes of all the answers in what a connection received."""
    return [int(code) for code in re.findall(rb'"meta":\{"code":(\d+)', received)]


# What HTTP itself forbids: each is answered with 1025, and the connection ends.
MALFORMED = {
    "garbage": b"garbage\r\n\r\n",
    "only a line feed before garbage": b"\n\ngarbage\r\n\r\n",
    "no version": b"GET " + PATH + b"\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": b"GET " + PATH + b" HTTP/9.9\r\n\r\n",
    "two blanks": b"GET  " + PATH + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "blank in the target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "tab in the verb": b"GE\tT " + PATH + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in the target": b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET " + PATH + b" HTTP/1.1\r\n\r\n",
    "two hosts": HEAD + b"Host: y\r\n\r\n",
    "header without a colon": HEAD + b"Nonsense\r\n\r\n",
    "header without a name": HEAD + b": value\r\n\r\n",
    "blank before the colon": HEAD + b"Name : value\r\n\r\n",
    "blank in a header name": HEAD + b"Na me: value\r\n\r\n",
    "NUL in a header": HEAD + b"Name: a\x00b\r\n\r\n",
    "bare CR in a header": HEAD + b"Name: a\rb\r\n\r\n",
    "folded header": HEAD + b"Name: a\r\n b\r\n\r\n",
    "non-ASCII header name": HEAD + "Näme: a\r\n\r\n".encode(),
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "length in words": POST + b"Content-Length: two\r\n\r\n{}",
    "length as hexadecimal": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "length with an underscore": POST + b"Content-Length: 1_0\r\n\r\n{}",
    "empty length": POST + b"Content-Length:\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "list of lengths": POST + b"Content-Length: 2, 3\r\n\r\n{}",
    "length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown transfer encoding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "two transfer encodings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunk size in words": POST + b"Transfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n",
    "negative chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    "chunk size with 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "chunk longer than its size": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
    "chunks without an end": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nxx\r\n",
    "too many parameters elsewhere": b"GET /nope?"
    + b"a&" * 1100
    + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "long query": b"GET " + PATH + b"&a=" + b"a" * 33000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "many parameters": b"GET " + PATH + b"&a" * 1100 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_request(server: RunningServer, request_bytes: bytes) -> None:
    received = server.raw(request_bytes)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nX-Request-Id: " in head
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert b"\r\nConnection: close" in head
    envelope = json.loads(body)
    assert envelope["meta"]["code"] == 1025
    assert envelope["meta"]["message"].startswith("无效的请求")
    assert envelope["response"] is None


# What is odd, and allowed.
ODD = {
    "HTTP/1.0": (b"GET " + PATH + b" HTTP/1.0\r\n\r\n", [1000]),
    "absolute form": (b"GET http://x" + PATH + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [1000]),
    "a line feed before the request": (b"\r\n" + HEAD + b"Connection: close\r\n\r\n", [1000]),
    "lower-case header names": (HEAD + b"connection: CLOSE\r\n\r\n", [1000]),
    "an empty header": (HEAD + b"Accept:\r\nConnection: close\r\n\r\n", [1000]),
    "pipelined": (HEAD + b"\r\n" + HEAD + b"Connection: close\r\n\r\n", [1000, 1000]),
    "pipelined behind a body": (
        POST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}" + HEAD + b"Connection: close\r\n\r\n",
        [1000, 1000],
    ),
    "chunked": (
        POST + b"Content-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'1\r\n{\r\n8\r\n"age":1}\r\n0\r\n\r\n',
        [1000],
    ),
    "equal lengths": (
        JSON_POST + b"Connection: close\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        [1000],
    ),
    "raw UTF-8 in the query": (
        "GET /api/router/rest?v=1.0&method=echo&name=张 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
        [1000],
    ),
    "an unknown verb": (b"BREW " + PATH + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [1019]),
    "TRACE": (b"TRACE " + PATH + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [1019]),
    "an unknown path with an unknown verb": (b"BREW / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [1035]),
}  # fmt: skip


@pytest.mark.parametrize(("request_bytes", "expected"), ODD.values(), ids=ODD.keys())
def test_odd_request(server: RunningServer, request_bytes: bytes, expected: list[int]) -> None:
    assert codes(server.raw(request_bytes)) == expected


def test_raw_utf8_is_read_as_utf8(server: RunningServer) -> None:
    received = server.raw(ODD["raw UTF-8 in the query"][0])
    assert '"name":"张"'.encode() in received


@pytest.mark.parametrize(
    ("request_bytes", "header"),
    [
        (b"GET " + PATH + b" HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"\r\nConnection: Keep-Alive\r\n"),
        (HEAD + b"Connection: close\r\n\r\n", b"\r\nConnection: close\r\n"),
    ],
)
def test_connection_header(server: RunningServer, request_bytes: bytes, header: bytes) -> None:
    assert header in server.raw(request_bytes)


def test_connection_is_kept(server: RunningServer) -> None:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=5)
    for _ in range(3):
        connection.request("GET", PATH.decode())
        answer = connection.getresponse()
        assert json.loads(answer.read())["meta"]["code"] == 1000
        assert answer.headers["Connection"] is None
        assert connection.sock is not None
    connection.close()


def test_headers_of_an_answer(server: RunningServer) -> None:
    answer = server.get("v=1.0&method=echo&name=jack")
    assert dict(answer.headers) == {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(answer.body)),
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": (
            "X-Request-Id, X-Ignored-Params, Allow, Retry-After, RateLimit, RateLimit-Policy"
        ),
        "Date": answer.headers["Date"],
        "X-Request-Id": answer.headers["X-Request-Id"],
    }
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["Date"])


def test_head_is_get_without_a_body(server: RunningServer) -> None:
    get, head = (server.send(verb, PATH.decode()) for verb in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.body))
    assert server.send("HEAD", "/nope").status == 404


def test_options_answers_the_preflight(server: RunningServer) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "x-token",
    }
    answer = server.send("OPTIONS", PATH.decode(), headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
    assert answer.headers["Access-Control-Allow-Headers"] == "x-token"
    assert answer.headers["Content-Length"] is None
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("origin", "headers"),
    [("https://app.example", ("https://app.example", "Origin")), ("", (None, None))],
)
def test_cors_setting(origin: str, headers: tuple[str | None, str | None]) -> None:
    with serving(METHODS, cors_origin=origin) as server:
        answer = server.get("v=1.0&method=strict")
        assert (answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]) == headers


@pytest.mark.parametrize("verb", ["PUT", "DELETE", "PATCH"])
def test_other_verbs(server: RunningServer, verb: str) -> None:
    assert server.send(verb, "/api/router/rest?v=1.0&method=put&user_id=3").response == 3
    refused = server.get("v=1.0&method=put")
    assert (refused.meta[0], refused.headers["Allow"]) == (1019, "PUT, PATCH, DELETE, OPTIONS")


@pytest.mark.parametrize(
    ("given", "taken"),
    [("order-17", True), ("a" * 128, True), ("a" * 129, False), ("a b", False), ('"><script>', False), ("", False)],
)
def test_request_id(server: RunningServer, given: str, taken: bool) -> None:
    answer = server.get("v=1.0&method=strict", {"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is taken
    assert re.fullmatch(r"[A-Za-z0-9._:/+=-]{1,128}", answer.headers["X-Request-Id"])


def test_request_ids_differ(server: RunningServer) -> None:
    ids = {server.get("v=1.0&method=strict").headers["X-Request-Id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize(
    ("query", "ignored"),
    [
        ("user_id=1", None),
        ("userid=1&nonce=2&user_id=1", "userid"),
        ("b=1&a=1", "a, b"),
        ("%E5%90%8D%0D%0AX=1", "%E5%90%8D%0D%0AX"),
        ("user_id=x&typo=1", "typo"),
    ],
)
def test_ignored_parameters(server: RunningServer, query: str, ignored: str | None) -> None:
    assert server.get(f"v=1.0&method=strict&{query}").headers["X-Ignored-Params"] == ignored


def test_ignored_parameters_have_an_end(server: RunningServer) -> None:
    query = "&".join(f"{'n' * 100}{number}=1" for number in range(100))
    assert len(server.get(f"v=1.0&method=strict&{query}").headers["X-Ignored-Params"]) < 2000


@pytest.mark.parametrize(
    ("accept", "xml"),
    [
        ("application/xml", True),
        ("text/xml", True),
        ("application/xml;q=0.9, application/json;q=0.5", True),
        ("application/json, application/xml;q=0.5", False),
        ("*/*", False),
        ("application/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/xml;q=x", True),
        ("", False),
    ],
)
def test_accept(server: RunningServer, accept: str, xml: bool) -> None:
    answer = server.get("v=1.0&method=strict", {"Accept": accept})
    assert (answer.status, answer.body.startswith(b"<?xml")) == (200, xml)
    assert server.get("v=1.0&method=strict&format=json", {"Accept": accept}).meta[0] == 1000


def test_format_is_stripped_and_caseless(server: RunningServer) -> None:
    answer = server.get("v=%201.0%20&method=%20strict%20&format=%20XML%20")
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert b"<code>1000</code>" in answer.body


@pytest.mark.parametrize("path", ["/nope?format=xml", "/api/router/rest?format=xml"])
def test_errors_come_in_the_format_asked_for(server: RunningServer, path: str) -> None:
    answer = server.send("GET", path)
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?><root><meta><code>10')


@pytest.mark.parametrize(
    ("method", "content_type", "body"),
    [
        ("page", "text/html; charset=utf-8", "<p>页面</p>".encode()),
        ("text", "text/plain; charset=utf-8", b"text"),
        ("bytes", "application/octet-stream", b"\x00\x01"),
    ],
)
def test_raw_results(server: RunningServer, method: str, content_type: str, body: bytes) -> None:
    answer = server.get(f"v=1.0&method={method}", {"Accept": "image/png"})
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, content_type, body)


def test_raw_result_of_another_type(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    assert server.get("v=1.0&method=not-raw").meta == (1017, "系统处理错误")
    assert "a raw method must return bytes or text, not dict" in caplog.text
    assert "1.0 not-raw failed" in caplog.text


def multipart(*parts: tuple[str, bytes]) -> bytes:
    lines = b"".join(b"--B\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts)
    return lines + b"--B--\r\n"


def test_multipart_file(server: RunningServer) -> None:
    disposition = 'Content-Disposition: form-data; name="avatar"; filename="头像.png"\r\nContent-Type: image/png'
    answer = server.post("v=1.0&method=upload", multipart((disposition, b"\x89PNG")), "multipart/form-data; boundary=B")
    assert answer.response == ["头像.png", "image/png", 4]


def test_multipart_text_is_no_file(server: RunningServer) -> None:
    body = multipart(('Content-Disposition: form-data; name="avatar"', b"text"))
    answer = server.post("v=1.0&method=upload", body, 'multipart/form-data; boundary="B"')
    assert answer.meta == (1022, "参数类型错误：avatar <UploadFile>")


def test_multipart_file_can_be_answered(server: RunningServer) -> None:
    body = multipart(('Content-Disposition: form-data; name="files"; filename="a"', b"\x00"))
    answer = server.post("v=1.0&method=uploads", body, "multipart/form-data; boundary=B")
    assert answer.response == ["a", "application/unknown", "AA=="]


@pytest.mark.parametrize("path", [PATH.decode(), "/nope"])
@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_body_is_answered_to_a_client_that_sends_all_of_it_first(
    server: RunningServer, path: str, chunked: bool
) -> None:
    body = b"x" * 5_000_000
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    connection.request("POST", path, iter([body]) if chunked else body, encode_chunked=chunked)
    answer = connection.getresponse()
    assert answer.status == 413
    assert answer.headers["Connection"] == "close"
    assert json.loads(answer.read())["meta"] == {"code": 1028, "message": f"请求体过大，上限为 {MAX_BODY} 字节"}
    connection.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is on its way is read for a minute."""
    monkeypatch.setattr("apizen.servers.tornado.lingering._SECONDS", 60.0)


def test_too_large_body_is_answered_before_it_is_sent(server: RunningServer, patient: None) -> None:
    started = time.monotonic()
    received = server.raw(POST + b"Expect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n", 30)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - started < 30


def test_body_at_the_limit_is_read(server: RunningServer) -> None:
    body = json.dumps({"text": "x" * (MAX_BODY - 12)}).encode()
    assert len(body) == MAX_BODY
    assert server.post("v=1.0&method=echo&name=jack", body).meta[0] == 1000


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"Content-Length: 99999999999999999999\r\n\r\n",
        b"POST " + PATH + b" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\n",
    ],
)
def test_a_request_has_one_answer(server: RunningServer, request_bytes: bytes) -> None:
    assert len(codes(server.raw(request_bytes))) == 1


def test_refused_connection_is_closed(server: RunningServer, patient: None) -> None:
    for request in (MALFORMED["no host"], POST + b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000):
        started = time.monotonic()
        assert b"Connection: close" in server.raw(request, 30)
        assert time.monotonic() - started < 30


def test_expect_continue(server: RunningServer) -> None:
    with socket.create_connection((HOST, server.port), timeout=5) as connection:
        connection.sendall(JSON_POST + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert codes(received) == [1000]


def test_a_long_boundary_is_not_looked_for(server: RunningServer) -> None:
    def seconds(boundary: str, code: int) -> float:
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        started = time.process_time()  # the server is a thread of this process
        answer = server.send("POST", "/nothing", b"-" * MAX_BODY, headers)
        assert answer.meta[0] == code
        return time.process_time() - started

    short = min(seconds("a" + "-" * 69, 1035) for _ in range(3))
    assert min(seconds("a" + "-" * 150, 1024) for _ in range(3)) < 8 * short


class Own(RequestHandler):
    """A handler that an application brings."""

    def post(self) -> None:
        self.finish(self.get_body_argument("name", "none"))


OWN_PART = 'Content-Disposition: form-data; name="name"'


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([OWN_PART], 200),
        ([OWN_PART] * 49, 200),
        ([OWN_PART] * 50, 400),
        ([OWN_PART + ";a=" + "b" * 900], 200),
        ([OWN_PART + ";a=" + "b" * 1024], 400),
    ],
)
def test_forms_of_an_applications_handlers(parts: list[str], status: int) -> None:
    app = make_app(Settings(access_log="off"), registry_of(METHODS), [URLSpec("/own", Own)])
    with RunningServer(app) as own:
        body = multipart(*((head, b"jack") for head in parts))
        answer = own.send("POST", "/own", body, {"Content-Type": "multipart/form-data; boundary=B"})
        assert (answer.status, answer.body == b"jack") == (status, status == 200)


class Shout:
    """A face of a test: answers with what it got, in capitals."""

    draining = False
    reads_bodies = True

    def owns(self, path: str) -> bool:
        return path.startswith("/shout/")

    async def handle(self, request: Request, foreseen: Any = None, /) -> Response:
        most = None if foreseen is None else foreseen.most
        return Response(200, [], f"{request.path}?{request.query} {len(request.body)} {most}".upper().encode())

    async def foresee(self, request: Request, length: int, /) -> Any:
        return Response(200, [], b"NO") if length > 500_000 else SimpleNamespace(most=400_000)

    def refuse(self, request: Request, error: ApiException) -> Response:
        return Response(418, [], str(error.err_code).encode())


@pytest.mark.parametrize(
    ("target", "size", "answer"),
    [
        ("/shout/a%20b?c=1", 3, (200, b"/SHOUT/A%20B?C=1 3 NONE")),
        ("http://x/shout/a", 0, (200, b"/SHOUT/A? 0 NONE")),
        ("/shout/a", 300_000, (200, b"/SHOUT/A? 300000 400000")),
        ("/shout/a", 450_000, (418, b"1028")),
        ("/shout/a", 600_000, (200, b"NO")),
    ],
)
def test_another_face(target: str, size: int, answer: tuple[int, bytes]) -> None:
    with serving(METHODS, max_body=MAX_BODY) as server:
        server.server.front.faces += (Shout(),)
        got = server.send("POST", target, b"x" * size)
        assert (got.status, got.body) == answer
        assert server.get("v=1.0&method=strict").response == 1
        assert server.send("GET", "/shout").meta[0] == 1035


def test_client_that_goes_away_disturbs_nobody(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    for request in (HEAD, POST + b"Content-Length: 100\r\n\r\n{", HEAD.replace(b"=echo", b"=slow") + b"\r\n"):
        with socket.create_connection((HOST, server.port)) as connection:
            connection.sendall(request)
    time.sleep(0.4)
    assert server.get("v=1.0&method=slow").response == "done"
    assert until(lambda: not server.server.front.in_flight)
    assert not caplog.records


def test_gateway_url_has_no_etag(server: RunningServer) -> None:
    for path in (PATH.decode(), "/nope"):
        assert server.send("GET", path).headers["ETag"] is None


@pytest.mark.parametrize("kind", ["thread", "loop"])
def test_a_call_that_outlasts_the_server(kind: str) -> None:
    """It may have had an effect, so it must not get 1001, which says that it may be sent again."""
    begun = threading.Event()

    def nap() -> None:
        begun.set()
        time.sleep(2)

    async def nap_async() -> None:
        begun.set()
        await asyncio.sleep(2)

    with ThreadPoolExecutor(1) as client:
        with serving({"nap": {"func": nap if kind == "thread" else nap_async}}) as server:
            late = client.submit(server.get, "v=1.0&method=nap")
            assert begun.wait(10)
        assert late.result().meta == (1029, "处理超时，服务器正在停止")
