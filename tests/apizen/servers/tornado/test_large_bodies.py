"""Large bodies, bodies that don't come, answers that nobody takes: on real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from apizen import parameters as parameters_module
from apizen.body_size import LARGE_BODY
from apizen.governance.records.bans import Bans
from apizen.governance.records.database import Database
from apizen.servers.tornado import connection as connection_module
from apizen.servers.tornado import server as server_module
from tests.support import HOST, RunningServer, serving, until

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
MAX_BODY = 300_000


def echo(text: str = "") -> int:
    return len(text)


METHODS = {
    "echo": {"func": echo, "run": "inline"},
    "post": {"func": echo, "method": ["post"]},
    "limited": {"func": echo, "method": ["post"], "rate": "2/hour"},
    "small": {"func": echo, "max_body": 100},
    "huge": {"func": echo, "max_body": 3_000_000},
    "raw": {"func": lambda: "text", "raw": True, "method": ["post"]},
    "stopped": {"func": echo, "enable": False},
    "any": {"func": lambda **named: sorted(named)},
    "answer": {"func": lambda size: "x" * int(size)},
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with serving(METHODS, max_body=MAX_BODY) as running:
        yield running


def head(query: str, length: int | None, content_type: str | None = JSON, *more: str, verb: str = "POST") -> bytes:
    """The head of a request to the gateway; without a length its body comes in chunks."""
    lines = [f"{verb} /api/router/rest?{query} HTTP/1.1", "Host: x"]
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, *more, "", ""]).encode()


def code_in(received: bytes) -> tuple[int, int]:
    """The HTTP status and the envelope's code of the only answer that was received."""
    (status,) = re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z](?!ontinue)", received)
    (code,) = re.findall(rb'<code>(\d+)</code>|"code":(\d+)', received)
    return int(status), int(b"".join(code))


def first_of(server: RunningServer, request: bytes) -> bytes:
    """What comes back at first."""
    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536)


LARGE = 200_000
KNOWN_BEFORE_THE_BODY = {
    "no such format": (head("v=1.0&method=echo&format=x", LARGE), (400, 1011)),
    "no method": (head("v=1.0", LARGE), (400, 1012)),
    "no version": (head("method=echo", LARGE), (400, 1004)),
    "no such version": (head("v=9&method=echo", LARGE), (400, 1005)),
    "no such method": (head("v=1.0&method=nope", LARGE), (404, 1013)),
    "no such method, in XML": (head("v=1.0&method=nope&format=xml", LARGE), (404, 1013)),
    "no such method, of a form": (head("v=1.0&method=nope", LARGE, FORM), (404, 1013)),
    "stopped": (head("v=1.0&method=stopped", LARGE), (405, 1016)),
    "another verb": (head("v=1.0&method=post", LARGE, verb="GET"), (405, 1019)),
    "no such verb": (head("v=1.0&method=echo", LARGE, verb="BREW"), (405, 1019)),
    "a query that is not UTF-8": (head("v=1.0&method=echo&a=%FF", LARGE), (400, 1011)),
    "a query that is too long": (head("v=1.0&method=echo&a=" + "a" * 33_000, LARGE), (400, 1025)),
    "no Content-Type": (head("v=1.0&method=echo", LARGE, None), (400, 1023)),
    "another Content-Type": (head("v=1.0&method=echo", LARGE, "text/plain"), (415, 1024)),
    "another charset": (head("v=1.0&method=echo", LARGE, f"{JSON}; charset=gbk"), (415, 1024)),
    "a long Content-Type": (head("v=1.0&method=echo", LARGE, 'a/b;"' + ";" * 60_000), (415, 1024)),
    "compressed": (head("v=1.0&method=echo", LARGE, JSON, "Content-Encoding: gzip"), (415, 1024)),
    "another form of the answer": (head("v=1.0&method=echo", LARGE, JSON, "Accept: image/png"), (406, 1034)),
    "above the limit": (head("v=1.0&method=echo", MAX_BODY + 1), (413, 1028)),
    "far above the limit": (head("v=1.0&method=echo", 10**30), (413, 1028)),
    "above the method's limit": (head("v=1.0&method=huge", 3_000_001), (413, 1028)),
    "above the small limit of the method": (head("v=1.0&method=small", LARGE), (413, 1028)),
    "above the limit of forms": (head("v=1.0&method=huge", 1024 * 1024 + 1, FORM), (413, 1028)),
    "a form that may name its method, too large": (head("", MAX_BODY + 1, FORM), (413, 1028)),
    "a path without anything": (head("", MAX_BODY + 1).replace(b"/api/router/rest", b"/nope"), (413, 1028)),
    "a form for a path": (head("", 64 * 1024 + 1, FORM).replace(b"/api/router/rest", b"/nope"), (413, 1028)),
}  # fmt: skip


@pytest.mark.parametrize(("request_bytes", "expected"), KNOWN_BEFORE_THE_BODY.values(), ids=KNOWN_BEFORE_THE_BODY)
def test_what_is_known_before_the_body_is_answered_before_it_comes(
    server: RunningServer, request_bytes: bytes, expected: tuple[int, int]
) -> None:
    received = first_of(server, request_bytes)
    assert code_in(received) == expected
    assert b"\r\nConnection: close\r\n" in received


def test_a_large_body_is_asked_for_where_nothing_speaks_against_it(server: RunningServer) -> None:
    asked = head("v=1.0&method=echo", LARGE, JSON, "Expect: 100-continue", "Connection: close")
    with socket.create_connection((HOST, server.port), timeout=5) as connection:
        connection.sendall(asked)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(json.dumps({"text": "x" * (LARGE - 12)}).encode())
        assert f'"response":{LARGE - 12}}}'.encode() in connection.recv(65536)
    refused = head("v=1.0&method=nope", LARGE, JSON, "Expect: 100-continue")
    assert code_in(first_of(server, refused)) == (404, 1013)


def chunk(size: int) -> bytes:
    return b"%x\r\n%s\r\n" % (size, b" " * size)


def test_chunks_are_judged_when_they_are_many(server: RunningServer) -> None:
    sent = head("v=1.0&method=nope", None) + chunk(LARGE_BODY) + chunk(1)
    assert code_in(first_of(server, sent)) == (404, 1013)
    assert server.raw(head("v=1.0&method=nope", None) + chunk(LARGE_BODY - 1), 0.2) == b""
    assert server.raw(head("v=1.0&method=echo", None) + chunk(LARGE_BODY) + chunk(1), 0.2) == b""
    sent = head("v=1.0&method=echo", None) + chunk(MAX_BODY) + chunk(1)
    assert code_in(first_of(server, sent)) == (413, 1028)


@pytest.mark.parametrize("method", ["echo", "post", "huge"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("content_type", [JSON, FORM, MULTIPART])
def test_a_large_body_is_taken(server: RunningServer, method: str, chunked: bool, content_type: str) -> None:
    text = "x" * LARGE
    bodies = {
        JSON: json.dumps({"text": text}),
        FORM: f"text={text}",
        MULTIPART: f'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n{text}\r\n--x--\r\n',
    }
    body = bodies[content_type].encode()
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    for query in (f"v=1.0&method={method}", f"v=1.0&method={method}"):  # twice on the same connection
        sent: Any = iter([body[:1000], body[1000:]]) if chunked else body
        path = f"/api/router/rest?{query}"
        connection.request("POST", path, sent, {"Content-Type": content_type}, encode_chunked=chunked)
        assert json.loads(connection.getresponse().read())["response"] == LARGE
    connection.close()


TOO_LARGE = (1028, "请求体过大，上限为 100 字节")


def test_a_large_form_may_name_its_method(server: RunningServer) -> None:
    assert server.post("", b"v=1.0&method=echo&text=" + b"x" * LARGE, FORM).response == LARGE
    assert server.post("", b"v=1.0&method=nope&text=" + b"x" * LARGE, FORM).meta[0] == 1013
    assert server.post("v=1.0", b"method=echo&text=" + b"x" * LARGE, FORM).response == LARGE
    assert server.post("", b"v=1.0&method=small&text=" + b"x" * LARGE, FORM).meta == (
        1028,
        "请求体过大，上限为 100 字节",
    )


def test_the_limit_of_a_method(server: RunningServer) -> None:
    assert server.post("v=1.0&method=small", b'{"text": "' + b"x" * 88 + b'"}').response == 88
    assert server.post("v=1.0&method=small", b'{"text": "' + b"x" * 89 + b'"}').meta == (
        1028,
        "请求体过大，上限为 100 字节",
    )
    assert server.post("v=1.0&method=huge", json.dumps({"text": "x" * 2_000_000}).encode()).response == 2_000_000


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_rate_counts_a_call_once(size: int) -> None:
    body = json.dumps({"text": "x" * size}).encode()
    with serving(METHODS) as server:
        for left in (1, 0):
            answer = server.post("v=1.0&method=limited", body)
            assert (answer.meta[0], answer.headers["RateLimit"].split(";t=")[0]) == (1000, f'"method";r={left}')
        assert code_in(first_of(server, head("v=1.0&method=limited", LARGE))) == (429, 1027)
        assert server.post("v=1.0&method=limited", body).meta[0] == 1027


def banned_data(folder: Path) -> str:
    with closing(Database.open("", folder)) as database:
        Bans(database).add(HOST, None, "scan")
    return str(folder)


def test_a_banned_address_is_told_so_before_the_body(tmp_path: Path) -> None:
    with serving(METHODS, data=banned_data(tmp_path)) as server:
        assert code_in(first_of(server, head("v=1.0&method=echo", LARGE))) == (403, 1003)


@pytest.mark.parametrize("path", ["/api/router/rest", "/api/errors", "/nope"])
def test_a_banned_address_gets_no_preflight(tmp_path: Path, path: str) -> None:
    with serving(METHODS, data=banned_data(tmp_path)) as server:
        answer = server.send("OPTIONS", path)
        assert (answer.status, answer.meta[0]) == (403, 1003)
        assert answer.headers["Access-Control-Allow-Methods"] is None


# What a stranger sends to make the server work


WORST_BODIES = {
    "percent signs": (FORM, b"text=" + b"%" * 1_000_000, 1000),
    "escapes": (FORM, b"text=" + b"%41" * 300_000, 1000),
    "fields": (FORM, b"&" * 1_000_000, 1025),
    "brackets": (JSON, b"[" * 2_000_000, 1021),
    "arrays": (JSON, b'{"text": [' + b"[]," * 600_000 + b"[]]}", 1021),
    "objects": (JSON, b'{"text": [' + b"{}," * 600_000 + b"{}]}", 1021),
    "texts": (JSON, b'{"text": [' + b'"a",' * 450_000 + b'""]}', 1022),
    "quotes": (JSON, b'"' * 2_000_000, 1021),
    "escaped quotes": (JSON, b'{"text": "' + b'\\"' * 1_000_000 + b'"}', 1000),
    "digits": (JSON, b'{"text": ' + b"1" * 2_000_000 + b"}", 1000),
    "infinities": (JSON, b'{"text": [' + b"1e999," * 300_000 + b"0]}", 1022),
    "parts": (MULTIPART, b"--x\r\n" * 400_000, 1025),
    "boundaries without an end": (MULTIPART, b"--x" * 600_000, 1025),
}  # fmt: skip


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that read bodies and parts of them."""
    names: list[str] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def note(*arguments: Any) -> Any:
            names.append(threading.current_thread().name)
            return function(*arguments)

        return note

    for name in ("decode", "_fields", "_parts"):
        monkeypatch.setattr(parameters_module, name, noting(getattr(parameters_module, name)))
    return names


@pytest.mark.parametrize(("content_type", "body", "code"), WORST_BODIES.values(), ids=WORST_BODIES)
def test_the_worst_bodies_are_read_beside_the_loop(
    readers: list[str], content_type: str, body: bytes, code: int
) -> None:
    with serving(METHODS) as server, ThreadPoolExecutor(1) as client:
        worst = client.submit(server.post, "v=1.0&method=huge", body, content_type)
        while not worst.done():
            assert server.get("v=1.0&method=echo&text=x").response == 1
        assert worst.result().meta[0] == code
    large = [name for name in readers if name != "server"]  # the queries are read on the loop
    assert large
    assert all(name.startswith("apizen-reader") for name in large)


@pytest.mark.parametrize(("verb", "path", "status"), [("POST", "/nope", 404), ("GET", "/healthz", 200)])
def test_no_form_is_read_where_none_is_wanted(server: RunningServer, verb: str, path: str, status: int) -> None:
    """Tornado would answer each of these with 400."""
    for content_type, body in ((MULTIPART, b"--x"), (MULTIPART, b"--x\r\n" * 200 + b"--x--"), (FORM, b"&" * 2000)):
        assert server.send(verb, path, body, {"Content-Type": content_type}).status == status


# Bodies that don't come


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    """A server that looks at its connections all the time, and whose patience is short."""
    monkeypatch.setattr(connection_module, "_SLOW_SECONDS", 0.5)
    monkeypatch.setattr(connection_module, "_STALLED_SECONDS", 0.5)
    monkeypatch.setattr(server_module, "_IDLE_SECONDS", 1.5)
    with serving(METHODS, max_body=40_000_000) as server:
        looking = server.begin_to(server.server._end_late_connections())
        yield server
        looking.cancel()


def ended(connection: socket.socket) -> bool:
    """Whether the server ends a connection, without an answer."""
    connection.settimeout(20)
    try:
        return connection.recv(65536) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("path", [b"/api/router/rest", b"/nope"])
@pytest.mark.parametrize("came", [0, 1, 100_000])
def test_a_body_that_does_not_come_ends_its_connection(hasty: RunningServer, path: bytes, came: int) -> None:
    with socket.create_connection((HOST, hasty.port)) as connection:
        asked = head("v=1.0&method=echo", LARGE).replace(b"/api/router/rest", path)
        connection.sendall(asked + b" " * came)
        assert ended(connection)
    assert until(lambda: hasty.server.front.budget.held == 0)


def test_a_body_that_trickles_ends_its_connection(hasty: RunningServer) -> None:
    with socket.create_connection((HOST, hasty.port)) as connection:
        connection.sendall(head("v=1.0&method=echo", LARGE))
        connection.settimeout(0.02)
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < LARGE:
                connection.sendall(b" ")
                sent += 1
                time.sleep(0.005)
        assert 0 < sent < LARGE


def test_a_body_that_comes_slowly_enough_is_taken(hasty: RunningServer) -> None:
    body = json.dumps({"text": "x" * 80_000}).encode()
    with socket.create_connection((HOST, hasty.port)) as connection:
        connection.sendall(head("v=1.0&method=echo", len(body), JSON, "Connection: close"))
        for start in range(0, len(body), 2000):  # for twice the patience
            connection.sendall(body[start : start + 2000])
            time.sleep(0.025)
        connection.settimeout(10)
        assert code_in(connection.recv(65536)) == (200, 1000)


# Answers that nobody takes


def test_an_answer_that_nobody_takes_ends_its_connection(hasty: RunningServer) -> None:
    with socket.create_connection((HOST, hasty.port)) as connection:
        connection.sendall(b"GET /api/router/rest?v=1.0&method=answer&size=30000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        connections = hasty.server.connections
        assert until(lambda: connections.writing)
        assert until(lambda: not connections.writing and len(connections) == 0, 20)


def test_an_answer_that_is_taken_slowly_is_sent_whole(hasty: RunningServer) -> None:
    size = 8_000_000
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.connect((HOST, hasty.port))
        asked = f"GET /api/router/rest?v=1.0&method=answer&size={size} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall(asked.encode())
        received = 0
        started = time.monotonic()
        while chunk := connection.recv(65536):
            received += len(chunk)
            if time.monotonic() - started < 2:  # four times the patience
                time.sleep(0.02)
        assert received > size


# The budget


def test_the_budget_of_all_bodies() -> None:
    with serving(METHODS, max_body=MAX_BODY) as server, ExitStack() as stack:
        budget = server.server.front.budget
        budget.most = 400_000
        for _ in range(2):
            unfinished = stack.enter_context(socket.create_connection((HOST, server.port)))
            unfinished.sendall(head("v=1.0&method=echo", LARGE) + b" " * 140_000)
        assert until(lambda: budget.held == 280_000)
        answer = server.post("v=1.0&method=echo", b'{"text": "' + b"x" * 100_000 + b'"}')
        assert (answer.status, *answer.meta) == (503, 1030, "服务繁忙，请求体占用的内存已达上限")
        assert answer.headers["Retry-After"] == "1"
        assert server.post("v=1.0&method=echo", b'{"text": "xx"}').response == 2
        assert budget.held == 280_000
        stack.close()
        assert until(lambda: budget.held == 0)
        assert server.post("v=1.0&method=echo", b'{"text": "' + b"x" * 100_000 + b'"}').response == 100_000


def test_the_body_of_a_call_counts_until_its_answer() -> None:
    gate = threading.Event()
    body = json.dumps({"text": "x" * 100_000}).encode()
    with serving({"wait": {"func": lambda text: gate.wait(10)}}) as server, ThreadPoolExecutor(1) as client:
        waiting = client.submit(server.post, "v=1.0&method=wait", body)
        budget = server.server.front.budget
        assert until(lambda: server.app.pipeline.in_flight)
        assert budget.held == len(body)
        gate.set()
        assert waiting.result().response is True
        assert until(lambda: budget.held == 0)


# Readers


def test_a_body_waits_within_the_timeout_of_its_call() -> None:
    body = json.dumps({"text": "x" * 100_000}).encode()
    methods = {"quick": {"func": echo, "timeout": 0.2}, "patient": {"func": echo, "timeout": 30}}
    gate = threading.Event()
    with serving(methods) as server:
        readers = server.app.gateway._readers
        held = [server.begin_to(readers.run(lambda: gate.wait(10), 10)) for _ in range(2)]
        assert server.post("v=1.0&method=quick", body).meta == (1029, "处理超时")
        gate.set()
        assert [each.result(10) for each in held] == [True, True]
        assert server.post("v=1.0&method=patient", body).response == 100_000
