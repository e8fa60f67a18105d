"""The client: against the real gateway, and against a server that answers what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import functools
import json
import pickle
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from apizen.client import ApiError, AsyncClient, Client
from apizen.governance.records.apps import Apps
from apizen.governance.records.database import Database
from apizen.governance.records.secret import SecretKey
from apizen.governance.signature import SIGN_METHODS, request_to_sign, signature
from apizen.request import GATEWAY_PATH
from tests.support import HOST, serving

SECRET = "f00dfeed"
GOOD = {"meta": {"code": 1000, "message": "执行成功"}, "response": {"id": 1}}


@pytest.fixture(scope="module", autouse=True)
def certificates_read_once() -> Iterator[None]:
    """Each of httpx's clients reads all certificates of the world, which takes longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@contextmanager
def plain(*arguments: Any, **options: Any) -> Iterator[Callable[..., Any]]:
    with Client(*arguments, **options) as client:
        yield client.call


@contextmanager
def awaited(*arguments: Any, **options: Any) -> Iterator[Callable[..., Any]]:
    with asyncio.Runner() as runner:
        client = AsyncClient(*arguments, **options)
        runner.run(client.__aenter__())
        try:
            yield lambda *given, **named: runner.run(client.call(*given, **named))
        finally:
            runner.run(client.__aexit__(None, None, None))


@pytest.fixture(params=[plain, awaited])
def connect(request: pytest.FixtureRequest) -> Any:
    """Gives the `call` of a client of either kind, made of the arguments."""
    return request.param


class Color(Enum):
    RED = "red"


def echo(**kwargs: Any) -> dict[str, Any]:
    return kwargs


def typed(day: date, price: Decimal, tags: list[int], user: dict[str, Any], yes: bool, note: str = "none") -> Any:
    return [day, price, tags, user, yes, note]


METHODS = {
    "echo": {"func": echo, "method": ["GET", "POST", "PUT", "PATCH", "DELETE"], "run": "inline"},
    "typed": {"func": typed, "run": "inline"},
    "nothing": {"func": lambda: None, "run": "inline"},
    "post.only": {"func": lambda: "posted", "method": "POST", "run": "inline"},
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(METHODS) as server:
        yield f"http://{HOST}:{server.port}{GATEWAY_PATH}"


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_call_sends_what_it_is_given(connect: Any, url: str, verb: str) -> None:
    sent = {
        "text": "中 &=+%?#/\r\n\t\0😀", "": "no name", "empty": "", "a b&c": "x", "number": 12, "large": 10**30,
        "fraction": 1.5, "yes": True, "no": False, "none": None, "list": ["a", None, 1], "dict": {"中": [True]},
        "day": date(2026, 1, 2), "moment": datetime(2026, 1, 2, 3, tzinfo=UTC), "price": Decimal("1.10"),
        "id": uuid.UUID(int=1), "color": Color.RED, "self": "s", "verb": "v", "url": "u", "parameters": "p",
    }  # fmt: skip
    with connect(url) as call:
        assert call("echo", verb, v="1.0", **sent) == {
            "v": "1.0", "method": "echo", "text": "中 &=+%?#/\r\n\t\0😀", "": "no name", "empty": "", "a b&c": "x",
            "number": "12", "large": "1" + "0" * 30, "fraction": "1.5", "yes": "true", "no": "false",
            "list": '["a",null,1]', "dict": '{"中":[true]}', "day": "2026-01-02", "moment": "2026-01-02T03:00:00Z",
            "price": "1.10", "id": "00000000-0000-0000-0000-000000000001", "color": "red", "self": "s", "verb": "v",
            "url": "u", "parameters": "p",
        }  # fmt: skip


def test_call_arguments_and_results(connect: Any, url: str) -> None:
    given = {"day": date(2026, 1, 2), "price": Decimal("1.10"), "tags": [1, 2], "user": {"a": [None]}, "yes": False}
    with connect(url) as call:
        assert call("typed", v=1.0, **given, note=None) == ["2026-01-02", "1.10", [1, 2], {"a": [None]}, False, "none"]
        assert call("nothing", v="1.0") is None
        assert call("post.only", v="1.0") == "posted"


@pytest.mark.parametrize(
    ("arguments", "named", "code", "message", "status"),
    [
        (["nothing.there"], {"v": "1.0"}, 1013, "不存在的方法名", 404),
        (["nothing"], {}, 1004, "缺少版本参数:v", 400),
        (["post.only", "GET"], {"v": "1.0"}, 1019, "不支持的http请求方式", 405),
        (["typed"], {"v": "1.0", "day": "today"}, 1022, "参数类型错误：day <date>", 400),
    ],
)
def test_call_raises(
    connect: Any, url: str, arguments: list[str], named: dict[str, Any], code: int, message: str, status: int
) -> None:
    with connect(url) as call, pytest.raises(ApiError) as caught:
        call(*arguments, **named)
    error = caught.value
    assert (error.code, error.message, error.http_status) == (code, message, status)
    assert error.request_id
    assert str(error) == f"{code} {message} (HTTP {status}, request {error.request_id})"
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


def test_call_of_a_server_with_another_response_key(connect: Any) -> None:
    with serving(METHODS, response_key="respone") as server, connect(f"http://{HOST}:{server.port}") as call:
        assert call("echo", v="1.0", id=7)["id"] == "7"


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        ({"method": "m"}, TypeError, "'method' is the client's own parameter"),
        ({"format": "xml"}, TypeError, "'format' is the client's own parameter"),
        ({"a": object()}, TypeError, "a: Encoding objects of type object is unsupported"),
        ({"a": float("nan")}, ValueError, "a: Out of range float values are not JSON compliant"),
        ({"a": [float("inf")]}, ValueError, "a: Out of range float values are not JSON compliant"),
    ],
)
def test_call_refuses_what_cannot_be_sent(
    connect: Any, url: str, named: dict[str, Any], error: type[Exception], message: str
) -> None:
    with connect(url) as call, pytest.raises(error) as caught:
        call("echo", v="1.0", **named)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("verb", ["", "get", "HEAD", "OPTIONS", "TRACE"])
def test_call_refuses_a_verb(connect: Any, url: str, verb: str) -> None:
    with connect(url) as call, pytest.raises(ValueError, match="the verb must be one of GET, POST, PUT, PATCH, DELETE"):
        call("echo", verb)


@pytest.mark.parametrize("make", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["127.0.0.1:8010"], {}, "must be the gateway's URL, as http://127.0.0.1:8010/api/router/rest"),
        ([""], {}, "must be the gateway's URL"),
        (["http://"], {}, "must be the gateway's URL"),
        (["ftp://host/"], {}, "must be the gateway's URL"),
        (["http://host/api?v=1.0"], {}, "must be the gateway's URL"),
        (["http://host/api?"], {}, "must be the gateway's URL"),
        (["http://host/#a"], {}, "must be the gateway's URL"),
        (["http://host:port/"], {}, "'http://host:port/' is no URL"),
        (["http://host/", "key"], {}, "app_key and secret belong together"),
        (["http://host/", "", "secret"], {}, "app_key and secret belong together"),
        (
            ["http://host/", "key", "secret"],
            {"sign_method": "sha1"},
            "sign_method must be one of hmac-sha256-v2, hmac-sha256, hmac, md5, not 'sha1'",
        ),
    ],
)
def test_client_refuses(make: Any, arguments: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make(*arguments, **options)
    assert message in str(caught.value)


class Script:
    """A server that gives the answers of a list, one after the other, and keeps what was sent."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []
        self.sent: list[dict[str, str]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                script.take("POST", body.decode())
                self.answer()

            def do_GET(self) -> None:
                script.take("GET", self.path.partition("?")[2])
                self.answer()

            def answer(self) -> None:
                answer = script.answers.pop(0)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, content = answer
                self.send_response_only(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *values: Any) -> None:
                pass

        self.server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self.server.server_port}/api"

    def take(self, verb: str, sent: str) -> None:
        pairs = parse_qsl(sent, keep_blank_values=True)
        self.sent.append(dict(pairs))
        if "sign" in self.sent[-1]:
            method = self.sent[-1]["sign_method"]
            place = "query" if verb == "GET" else "form"
            string = request_to_sign(method, verb, [(place, *pair) for pair in pairs])
            assert self.sent[-1]["sign"] == signature(method, SECRET, string)

    def will(self, code: int = 1000, message: str = "", status: int = 200, **headers: str) -> None:
        """Adds the answer of an envelope."""
        envelope = GOOD if code == 1000 else {"meta": {"code": code, "message": message}, "response": None}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, named, json.dumps(envelope).encode()))


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    thread = threading.Thread(target=script.server.serve_forever, args=(0.01,))
    thread.start()
    yield script
    script.server.shutdown()
    script.server.server_close()
    thread.join(5)
    assert not script.answers, "answers that nobody asked for"


@pytest.mark.parametrize("method", SIGN_METHODS)
def test_signed_call(connect: Any, script: Script, method: str) -> None:
    script.will()
    script.will()
    with connect(script.url, "key", SECRET, sign_method=method) as call:
        assert call("m", v="1.0", user="张 三", empty="", list=[1]) == {"id": 1}
        assert call("m", "GET", v="1.0", user="张 三") == {"id": 1}
    first, second = script.sent
    names = {"method", "v", "user", "empty", "list", "app_key", "timestamp", "nonce", "sign_method", "sign"}
    assert first.keys() == names
    assert (first["app_key"], first["sign_method"], first["user"]) == ("key", method, "张 三")
    assert abs(int(first["timestamp"]) / 1000 - time.time()) < 30
    assert first["nonce"] != second["nonce"]


def test_signed_call_is_signed_by_the_best_method(connect: Any, script: Script) -> None:
    script.will()
    with connect(script.url, "key", SECRET) as call:
        call("m", v="1.0")
    assert script.sent[0]["sign_method"] == SIGN_METHODS[0] == "hmac-sha256-v2"


def test_signed_call_refuses_its_own_parameters(connect: Any, script: Script) -> None:
    with connect(script.url, "key", SECRET) as call:
        for name in ("app_key", "timestamp", "nonce", "sign_method", "sign"):
            with pytest.raises(TypeError, match=f"'{name}' is the client's own parameter"):
                call("m", v="1.0", **{name: "x"})


def test_unsigned_call_has_no_signature(connect: Any, script: Script) -> None:
    script.will()
    with connect(script.url) as call:
        call("m", v="1.0", access_token="t", app_key="k")
    assert script.sent == [{"method": "m", "v": "1.0", "access_token": "t", "app_key": "k"}]


@pytest.mark.parametrize("off", [-86_000, 86_000])
def test_clock_is_corrected_once(connect: Any, script: Script, off: int) -> None:
    server_time = time.time() + off
    script.will(1008, "慢", 400, Date=email.utils.formatdate(server_time, usegmt=True))
    script.will()
    script.will()
    with connect(script.url, "key", SECRET) as call:
        assert call("m", v="1.0") == {"id": 1}
        assert call("m", v="1.0") == {"id": 1}
    stamps = [int(sent["timestamp"]) / 1000 for sent in script.sent]
    assert abs(stamps[0] - time.time()) < 30
    assert [abs(stamp - server_time) < 30 for stamp in stamps] == [False, True, True]
    assert len({sent["nonce"] for sent in script.sent}) == 3


def test_clock_is_corrected_once_only(connect: Any, script: Script) -> None:
    for _ in range(2):
        script.will(1008, "慢", 400, Date=email.utils.formatdate(usegmt=True))
    with connect(script.url, "key", SECRET) as call, pytest.raises(ApiError) as caught:
        call("m", v="1.0")
    assert (caught.value.code, len(script.sent)) == (1008, 2)


@pytest.mark.parametrize("off", [-87_000, 87_000, -1e9, 1e9])
def test_clock_is_corrected_by_a_day_at_most(connect: Any, script: Script, off: float) -> None:
    script.will(1008, "慢", 400, Date=email.utils.formatdate(time.time() + off, usegmt=True))
    script.will()
    with connect(script.url, "key", SECRET) as call:
        with pytest.raises(ApiError) as caught:
            call("m", v="1.0")
        assert (caught.value.code, len(script.sent)) == (1008, 1)
        assert call("m", v="1.0") == {"id": 1}
    assert abs(int(script.sent[1]["timestamp"]) / 1000 - time.time()) < 30


@pytest.mark.parametrize("code", [1000, 1010, 1027, 1030])
def test_clock_is_corrected_after_1008_only(connect: Any, script: Script, code: int) -> None:
    script.will(code, "no", 400, Date=email.utils.formatdate(time.time() - 3600, usegmt=True), Retry_After="11")
    script.will()
    with connect(script.url, "key", SECRET) as call:
        with contextlib.suppress(ApiError):
            call("m", v="1.0")
        assert call("m", v="1.0") == {"id": 1}
    assert all(abs(int(sent["timestamp"]) / 1000 - time.time()) < 30 for sent in script.sent)


def test_clock_of_an_unsigned_call(connect: Any, script: Script) -> None:
    """A function's own 1008: the call may have had an effect."""
    script.will(1008, "慢", 400, Date=email.utils.formatdate(usegmt=True))
    with connect(script.url) as call, pytest.raises(ApiError) as caught:
        call("m", v="1.0")
    assert (caught.value.code, len(script.sent)) == (1008, 1)


FAR = "Mon, 01 Jan 2024 00:00:00 +99999999999999"


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}, {"Date": ""}, {"Date": FAR}])
def test_clock_without_a_date(connect: Any, script: Script, headers: dict[str, str]) -> None:
    script.will(1008, "慢", 400, **headers)
    with connect(script.url, "key", SECRET) as call, pytest.raises(ApiError) as caught:
        call("m", v="1.0")
    assert (caught.value.code, len(script.sent)) == (1008, 1)


@pytest.mark.parametrize(("code", "status"), [(1001, 403), (1027, 429), (1030, 503)])
def test_retries(connect: Any, script: Script, code: int, status: int) -> None:
    script.will(code, "later", status, Retry_After="0")
    script.will(code, "later", status, Retry_After="0")
    script.will()
    with connect(script.url, "key", SECRET) as call:
        assert call("m", v="1.0") == {"id": 1}
    assert len({sent["sign"] for sent in script.sent}) == 3
    assert len({sent["nonce"] for sent in script.sent}) == 3


def test_retries_three_attempts(connect: Any, script: Script) -> None:
    for number in range(3):
        script.will(1030, f"busy {number}", 503, Retry_After="0", X_Request_Id=f"r{number}")
    with connect(script.url) as call, pytest.raises(ApiError) as caught:
        call("m", v="1.0")
    assert vars(caught.value) == {"code": 1030, "message": "busy 2", "http_status": 503, "request_id": "r2"}


@pytest.mark.parametrize(("headers", "least"), [({}, 0.1), ({"Retry_After": "1"}, 1), ({"Retry_After": "soon"}, 0.1)])
def test_retries_wait(connect: Any, script: Script, headers: dict[str, str], least: float) -> None:
    script.will(1030, "busy", 503, **headers)
    script.will()
    started = time.perf_counter()
    with connect(script.url) as call:
        assert call("m", v="1.0") == {"id": 1}
    assert time.perf_counter() - started >= least * 0.99


@pytest.mark.parametrize("seconds", ["11", "9" * 400])
def test_retries_not_after_long(connect: Any, script: Script, seconds: str) -> None:
    script.will(1027, "slow down", 429, Retry_After=seconds)
    with connect(script.url) as call, pytest.raises(ApiError) as caught:
        call("m", v="1.0")
    assert caught.value.code == 1027


# 2001 is an application's error that this process does not know.
@pytest.mark.parametrize("code", [1002, 1010, 1017, 1029, 1032, 2001, -1, 0])
def test_retries_nothing_else(connect: Any, script: Script, code: int) -> None:
    script.will(code, "no", 403, Retry_After="0")
    with connect(script.url, "key", SECRET) as call, pytest.raises(ApiError) as caught:
        call("m", v="1.0")
    assert (caught.value.code, len(script.sent)) == (code, 1)


def test_retries_after_the_clock_was_corrected(connect: Any, script: Script) -> None:
    script.will(1008, "慢", 400, Date=email.utils.formatdate(usegmt=True))
    script.will(1030, "busy", 503, Retry_After="0")
    script.will(1030, "busy", 503, Retry_After="0")
    script.will()
    with connect(script.url, "key", SECRET) as call:
        assert call("m", v="1.0") == {"id": 1}


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (502, "text/html", b"<html>Bad Gateway"),
        (200, "text/html; charset=utf-8", b"<html>Log in"),
        (302, "text/html", b""),
        (200, "application/json", b"[]"),
        (200, "application/json", b"null"),
        (200, "application/json", b'{"meta": null, "response": 1}'),
        (200, "application/json", b'{"meta": {"code": 1000}, "response": 1}'),
        (200, "application/json", b'{"meta": {"code": 1000, "message": ""}}'),
        (200, "application/json", b'{"meta": {"code": "x", "message": ""}, "a": 1}'),
        (200, "application/json", b'{"meta": {"code": 1e999, "message": ""}, "a": 1}'),
        (200, "application/json", b"[" * 100_000),
        (200, "application/json", b'"\xff"'),
    ],
)  # fmt: skip
def test_answer_without_an_envelope(connect: Any, script: Script, status: int, content_type: str, body: bytes) -> None:
    headers = {"Content-Type": content_type, "X-Request-Id": "r1", "Location": "/login"}
    script.answers.append((status, headers, body))
    with connect(script.url) as call, pytest.raises(ApiError) as caught:
        call("m", v="1.0")
    assert vars(caught.value) == {
        "code": 0,
        "message": f"no envelope but {content_type}",
        "http_status": status,
        "request_id": "r1",
    }


def test_connection_refused(connect: Any) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        with connect(f"http://{HOST}:{taken.getsockname()[1]}") as call, pytest.raises(ApiError) as caught:
            call("m", v="1.0")
    assert (caught.value.code, caught.value.http_status, caught.value.request_id) == (0, 0, "")
    assert caught.value.message.startswith("no answer: ConnectError")
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_connection_that_breaks_is_not_tried_again(connect: Any, script: Script, verb: str) -> None:
    script.answers.append(None)
    with connect(script.url) as call, pytest.raises(ApiError) as caught:
        call("m", verb, v="1.0")
    assert (caught.value.code, len(script.sent)) == (0, 1)
    assert "Server disconnected without sending a response" in caught.value.message


def test_answer_that_does_not_come(connect: Any) -> None:
    with (
        socket.create_server((HOST, 0)) as silent,
        connect(f"http://{HOST}:{silent.getsockname()[1]}", timeout=0.2) as call,
        pytest.raises(ApiError) as caught,
    ):
        call("m", v="1.0")
    assert caught.value.message in ("no answer: ReadTimeout", "no answer: ReadTimeout: timed out")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """A real server of signed calls: its URL, an app_key and its secret."""
    data = tmp_path_factory.mktemp("data")
    with closing(Database.open("", data)) as database:
        app = Apps(database, SecretKey("", data)).create("shop")
    with serving({"echo": METHODS["echo"] | {"auth": "sign"}}, data=str(data)) as server:
        yield f"http://{HOST}:{server.port}", app.app_key, app.secret


@pytest.mark.parametrize("method", SIGN_METHODS)
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_real_gateway_takes_the_signature(connect: Any, shop: tuple[str, str, str], method: str, verb: str) -> None:
    with connect(*shop, sign_method=method) as call:
        for text in ("", "中 &=+%?#/\r\n\0😀～", "0", "false"):
            assert call("echo", verb, v="1.0", text=text, Zeta=1, list=["é"])["text"] == text


def test_real_gateway_corrects_the_clock(
    connect: Any, shop: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow:
        asked = 0

        @classmethod
        def time(cls) -> float:
            cls.asked += 1
            return time.time() - 3600

    monkeypatch.setattr("apizen.client.account.time", Slow)
    with connect(*shop) as call:
        assert call("echo", v="1.0", id=1)["id"] == "1"
        assert Slow.asked == 3  # the first timestamp, the correction, the second timestamp
        assert call("echo", v="1.0", id=2)["id"] == "2"
        assert Slow.asked == 4


def test_real_gateway_refuses_a_wrong_secret(connect: Any, shop: tuple[str, str, str]) -> None:
    url, app_key, _ = shop
    with connect(url, app_key, "wrong") as call, pytest.raises(ApiError) as caught:
        call("echo", v="1.0")
    assert (caught.value.code, caught.value.message, caught.value.http_status) == (1010, "无效签名", 400)


def test_import_needs_no_server() -> None:
    code = "import sys, apizen.client; print({'tornado', 'sqlalchemy', 'limits', 'redis'} & sys.modules.keys() or '')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
