"""Each code of the gateway, as a client gets it through a real socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apizen.exception import ApiBaseExceptions, ApiSysExceptions
from tests.support import Answer, RunningServer, serving, until

DECLARED = {code: error for code, error in type(ApiBaseExceptions).declared.items() if code < 2000}
MESSAGES = {code: error.text for code, error in DECLARED.items()}


def echo(user_id: int, name: str = "jack") -> Any:
    return [user_id, name]


def nap(seconds: float) -> None:
    time.sleep(seconds)


def fail() -> None:
    raise KeyError("the secret of the house")


def raise_declared(code: int) -> None:
    raise DECLARED[code]


METHODS = {
    "echo": {"func": echo, "run": "inline"},
    "post": {"func": echo, "method": ["post"]},
    "stopped": {"func": echo, "enable": False},
    "wrong": {"func": lambda *values: values},
    "fail": {"func": fail},
    "nap": {"func": nap, "timeout": 0.2},
    "raise": {"func": raise_declared, "run": "inline"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with serving(METHODS, max_body=1000, threads=4, overrun=2) as running:
        yield running


GOOD = "v=1.0&method=echo&user_id=1"

# Code, what is asked for, and what the message says behind the declared text.
REQUESTS = [
    (1004, "method=echo&user_id=1", ":v"),
    (1005, "v=9.9&method=echo&user_id=1", ""),
    (1005, "v=&method=echo&user_id=1", ""),
    (1006, "v=1.0%0A2&method=echo&user_id=1", ""),
    (1011, f"{GOOD}&format=yaml", "，format 应为 json 或 xml"),
    (1011, f"{GOOD}&format=", "，format 应为 json 或 xml"),
    (1011, f"{GOOD}&name=%FF", "，查询串不是 UTF-8"),
    (1012, "v=1.0&user_id=1", ":method"),
    (1012, "", ":method"),
    (1013, "v=1.0&method=nope", ""),
    (1013, "v=1.0&method=", ""),
    (1016, "v=1.0&method=stopped&user_id=1", ""),
    (1017, "v=1.0&method=fail", ""),
    (1018, "v=1.0&method=echo", ":user_id"),
    (1019, "v=1.0&method=post&user_id=1", ""),
    (1020, "v=1.0&method=wrong", ""),
    (1022, "v=1.0&method=echo&user_id=12.2", "：user_id <int>"),
    (1029, "v=1.0&method=nap&seconds=0.5", ""),
]  # fmt: skip

ACCEPTED = "application/json、application/x-www-form-urlencoded 或 multipart/form-data"

BODIES = [
    (1021, b"", "application/json", "，Input data was truncated"),
    (1021, b"[1]", "application/json", "，应为 JSON 对象"),
    (1021, b'{"user_id": NaN}', "application/json", "，JSON is malformed: invalid character (byte 12)"),
    (1021, b'{"name": "\xff"}', "application/json; charset=utf-8", "，not UTF-8"),
    (1021, b'{"name": ' + b"[" * 200 + b"]" * 200 + b"}", "application/json", "，nested deeper than 100 levels"),
    (1023, b"user_id=1", None, ""),
    (1024, b"user_id=1", "text/plain", f"，应为 {ACCEPTED}"),
    (1024, b"{}", "application/json; charset=gbk", "，charset 应为 utf-8"),
    (1011, b"name=%FF", "application/x-www-form-urlencoded", "，表单不是 UTF-8"),
    (1025, b"--x", "multipart/form-data; boundary=x", "，multipart/form-data 格式错误"),
    (1028, b"{" + b" " * 1000 + b"}", "application/json", "，上限为 1000 字节"),
]  # fmt: skip


def check(answer: Answer, code: int, detail: str) -> None:
    assert answer.meta == (code, MESSAGES[code] + detail)
    assert answer.status == DECLARED[code].status_code
    assert answer.response is None
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize(("code", "query", "detail"), REQUESTS)
def test_code_by_query(server: RunningServer, code: int, query: str, detail: str) -> None:
    check(server.get(query), code, detail)


@pytest.mark.parametrize(("code", "body", "content_type", "detail"), BODIES)
def test_code_by_body(server: RunningServer, code: int, body: bytes, content_type: str | None, detail: str) -> None:
    check(server.post(f"{GOOD}", body, content_type), code, detail)


def test_1000_success(server: RunningServer) -> None:
    answer = server.get(GOOD)
    assert (answer.status, answer.meta, answer.response) == (200, (1000, "执行成功"), [1, "jack"])


def test_1001_while_draining(server: RunningServer) -> None:
    server.app.gateway.draining = True
    try:
        answer = server.get(GOOD)
    finally:
        server.app.gateway.draining = False
    check(answer, 1001, "")
    assert answer.headers["Connection"] == "close"


def test_1025_without_host(server: RunningServer) -> None:
    received = server.raw(b"GET /api/router/rest?v=1.0&method=echo HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert '"code":1025,"message":"无效的请求，应有一个 Host"'.encode() in received


def test_1030_when_threads_are_stuck(server: RunningServer) -> None:
    with ThreadPoolExecutor(4) as clients:
        first = [clients.submit(server.get, "v=1.0&method=nap&seconds=1.5") for _ in range(2)]
        assert [one.result().meta[0] for one in first] == [1029, 1029]
    check(server.get("v=1.0&method=nap&seconds=0"), 1030, "")
    check(server.get("v=1.0&method=fail"), 1017, "")
    assert until(lambda: server.get("v=1.0&method=nap&seconds=0").meta[0] == 1000)


def test_1034_without_acceptable_format(server: RunningServer) -> None:
    answer = server.get(GOOD, {"Accept": "image/png"})
    check(answer, 1034, "，应为 application/json 或 application/xml")


@pytest.mark.parametrize("path", ["/", "/api/router/rest/", "/api/router", "//api/router/rest", "/%zz"])
def test_1035_unknown_path(server: RunningServer, path: str) -> None:
    check(server.send("GET", path), 1035, "")


@pytest.mark.parametrize(
    ("query", "allow"),
    [("v=1.0&method=post&user_id=1", "POST, OPTIONS"), ("v=1.0&method=stopped", "")],
)
def test_allow_names_the_verbs(server: RunningServer, query: str, allow: str) -> None:
    assert server.get(query).headers["Allow"] == allow


@pytest.mark.parametrize("code", sorted(DECLARED))
def test_declared_code_raised_by_a_function(server: RunningServer, code: int) -> None:
    """An application may raise each of them; those of the guards have no other source yet."""
    check(server.get(f"v=1.0&method=raise&code={code}"), code, "")


def test_codes_are_complete() -> None:
    assert sorted(DECLARED) == list(range(1001, 1036))
    provoked = {code for code, *_ in REQUESTS} | {code for code, *_ in BODIES} | {1001, 1025, 1030, 1034, 1035}
    for_guards = {1002, 1003, 1007, 1008, 1009, 1010, 1014, 1015, 1026, 1027, 1031, 1032, 1033}
    assert provoked | for_guards == set(DECLARED)


def test_system_error_tells_nothing(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    answer = server.get("v=1.0&method=fail", {"X-Request-Id": "order-17"})
    assert b"secret" not in answer.body
    assert answer.headers["X-Request-Id"] == "order-17"
    (record,) = [record for record in caplog.records if record.name == "apizen.gateway"]
    assert record.getMessage() == "1.0 fail failed, request order-17"
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def test_system_error_in_debug_mode() -> None:
    with serving(METHODS, debug=True) as server:
        assert server.get("v=1.0&method=fail").meta == (1017, "系统处理错误，KeyError: 'the secret of the house'")


def test_declarations_of_the_gateway_stand_in_one_class() -> None:
    assert {error.err_code for error in vars(ApiSysExceptions).values() if hasattr(error, "err_code")} == set(DECLARED)
