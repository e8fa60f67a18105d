"""Each code of the gateway, as a client gets it through a real socket."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from apizen.exception import ApiBaseExceptions, ApiSysExceptions
from apizen.governance.address import Networks
from apizen.governance.records.apps import Apps
from apizen.governance.records.bans import Bans
from apizen.governance.records.database import Database
from apizen.governance.records.models import App
from apizen.governance.records.secret import SecretKey
from apizen.governance.signature import signature, string_to_sign
from tests.support import SECRETS, Answer, RunningServer, serving, until

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
    server.app.pipeline.draining = True
    try:
        answer = server.get(GOOD)
    finally:
        server.app.pipeline.draining = False
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


class Bank(NamedTuple):
    """A server with methods that want a signature, and its apps by name."""

    server: RunningServer
    apps: dict[str, App]

    def get(self, name: str, **changes: str | None) -> Answer:
        """A signed call of an app's, with some of its parameters changed before it is signed, or left out."""
        app = self.apps[name]
        sent = {"v": "1.0", "method": "signed", "user_id": "1", "app_key": app.app_key, "timestamp": now(), **changes}
        pairs = [(key, value) for key, value in sent.items() if value is not None]
        if "sign" not in changes:
            pairs.append(("sign", signature("hmac-sha256", app.secret, string_to_sign(pairs))))
        return self.server.get(urlencode(pairs))


def now(seconds: int = 0) -> str:
    return str(int(time.time()) + seconds)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    data = tmp_path_factory.mktemp("data")
    with closing(Database.open("", data)) as database:
        apps = Apps(database, SecretKey("", data))
        made = [
            apps.create("all"),
            apps.create("elsewhere", Networks.of(["192.0.2.0/24"])),
            apps.create("others", methods=["shop.*"]),
            apps.create("disabled"),
        ]
        apps.enable("disabled", False)
    methods = {
        "signed": {"func": echo, "auth": "sign", "run": "inline"},
        "limited": {"func": echo, "rate": "1/hour", "run": "inline"},
    }
    SECRETS.update(app.secret for app in made)
    with serving(methods, data=str(data), lockout="", access_log="access.log", log_parameters=True) as running:
        yield Bank(running, {app.name: app for app in made})


FORMAT = "应为 yyyy-MM-dd HH:mm:ss（+08:00）、10 位秒数或 13 位毫秒数"

# Code, the app that calls, what it changes, and what the message says behind the declared text.
SIGNED = [
    (1003, "elsewhere", {}, "，此 app_key 不能从该地址调用"),
    (1007, "all", {"timestamp": None}, ":timestamp"),
    (1008, "all", {"timestamp": "yesterday"}, f"，{FORMAT}"),
    (1009, "all", {"sign": None}, ":sign"),
    (1010, "all", {"sign": "0" * 64}, ""),
    (1010, "all", {"sign_method": "sha1"}, "，sign_method 应为 hmac-sha256-v2、hmac-sha256、hmac、md5"),
    (1026, "all", {"app_key": None}, "，应有 app_key 及签名"),
    (1031, "all", {"app_key": "0000000000"}, ""),
    (1031, "disabled", {}, ""),
    (1033, "others", {}, "，此 app_key 不能调用 signed"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "app", "changes", "detail"), SIGNED)
def test_code_of_a_signed_call(bank: Bank, code: int, app: str, changes: dict[str, str | None], detail: str) -> None:
    check(bank.get(app, **changes), code, detail)


def test_1000_for_a_signed_call(bank: Bank) -> None:
    answer = bank.get("all", nonce="good")
    assert (answer.status, answer.meta, answer.response) == (200, (1000, "执行成功"), [1, "jack"])


def test_a_file_takes_the_place_of_no_signed_parameter(bank: Bank) -> None:
    app = bank.apps["all"]
    sent = {
        "v": "1.0",
        "method": "signed",
        "user_id": "1",
        "name": "signed",
        "app_key": app.app_key,
        "timestamp": now(),
    }
    sign = signature("hmac-sha256", app.secret, string_to_sign(sent))
    head = b'--x\r\nContent-Disposition: form-data; name="name"; filename="n"\r\n\r\n'
    body = head + b"not signed\r\n--x--\r\n"
    answer = bank.server.post(urlencode({**sent, "sign": sign}), body, "multipart/form-data; boundary=x")
    check(answer, 1025, "，签名的参数不能与文件同名：name")


def test_a_large_body_is_signed_too(bank: Bank) -> None:
    app = bank.apps["all"]
    body = json.dumps({"user_id": 7, "name": "x" * 300_000}).encode()
    for sent_body, code in ((body, 1000), (body.replace(b"7", b"8"), 1010)):
        sent = {"v": "1.0", "method": "signed", "app_key": app.app_key, "timestamp": now()}
        sign = signature("hmac-sha256", app.secret, string_to_sign(sent, body))
        assert bank.server.post(urlencode({**sent, "sign": sign}), sent_body).meta[0] == code


@pytest.mark.parametrize(("seconds", "which"), [(-700, "慢"), (700, "快")])
def test_1008_says_by_how_much(bank: Bank, seconds: int, which: str) -> None:
    code, message = bank.get("all", timestamp=now(seconds)).meta
    assert code == 1008
    assert re.fullmatch(rf"非法的时间戳参数，比服务器时间{which} (69|70)\d 秒，应在 600 秒以内；.*", message)


def test_1002_when_locked_out(tmp_path: Path) -> None:
    methods = {"signed": {"func": echo, "auth": "sign"}, "open": {"func": echo}}
    with serving(methods, data=str(tmp_path), lockout="2/minute", lockout_seconds=60) as server:
        failing = f"v=1.0&method=signed&user_id=1&app_key=1&sign=0&timestamp={now()}"
        assert [server.get(failing).meta[0] for _ in range(2)] == [1031, 1031]
        locked = server.get(failing)
        assert server.get("v=1.0&method=other").meta[0] == 1013
        assert server.get("v=1.0&method=open&user_id=1").meta[0] == 1000
    wait = locked.headers["Retry-After"]
    check(locked, 1002, f"，已达 2 次，请在 {wait} 秒后重试")
    assert 50 < int(wait) <= 60


def test_1003_when_banned(tmp_path: Path) -> None:
    with closing(Database.open("", tmp_path)) as database:
        Bans(database).add("127.0.0.0/8", reason="a reason for the operator")
    with serving(METHODS, data=str(tmp_path)) as server:
        check(server.get(GOOD), 1003, "")
        check(server.send("GET", "/api/errors"), 1003, "")


def test_1001_in_maintenance(tmp_path: Path) -> None:
    with closing(Database.open("", tmp_path)) as database:
        database.set_maintenance("18:00 恢复")
    with serving(METHODS, data=str(tmp_path)) as server:
        check(server.get(GOOD), 1001, "，18:00 恢复")


def test_1027_beyond_the_rate(bank: Bank) -> None:
    assert bank.server.get("v=1.0&method=limited&user_id=1").meta[0] == 1000
    refused = bank.server.get("v=1.0&method=limited&user_id=2")
    wait = refused.headers["Retry-After"]
    check(refused, 1027, f"，该方法每 3600 秒最多调用 1 次，请在 {wait} 秒后重试")
    assert 3500 < int(wait) <= 3600
    assert refused.headers["RateLimit-Policy"] == '"method";q=1;w=3600'


def test_1032_when_sent_again(bank: Bank) -> None:
    at = now()
    assert bank.get("all", timestamp=at, nonce="once").meta[0] == 1000
    check(bank.get("all", timestamp=at, nonce="once"), 1032, "")


@pytest.mark.parametrize("code", sorted(DECLARED))
def test_declared_code_raised_by_a_function(server: RunningServer, code: int) -> None:
    """An application may raise each of them; those of access tokens have no other source yet."""
    check(server.get(f"v=1.0&method=raise&code={code}"), code, "")


def test_the_catalogue_has_what_can_be_provoked(server: RunningServer) -> None:
    tables = {code for code, *_ in (*REQUESTS, *BODIES, *SIGNED)}
    provoked = tables | {1001, 1002, 1025, 1027, 1030, 1032, 1034, 1035}
    of_access_tokens = {1014, 1015}
    shown = {entry["code"] for entry in server.send("GET", "/api/errors").response}
    assert {code for code in shown if code < 2000} == provoked | of_access_tokens == set(DECLARED)


def test_system_error_tells_nothing(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    answer = server.get("v=1.0&method=fail", {"X-Request-Id": "order-17"})
    assert b"secret" not in answer.body
    assert answer.headers["X-Request-Id"] == "order-17"
    (record,) = [record for record in caplog.records if record.name == "apizen.pipeline"]
    assert record.getMessage() == "1.0 fail failed, request order-17"
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def test_system_error_in_debug_mode() -> None:
    with serving(METHODS, debug=True) as server:
        assert server.get("v=1.0&method=fail").meta == (1017, "系统处理错误，KeyError: 'the secret of the house'")


def test_declarations_of_the_gateway_stand_in_one_class() -> None:
    assert {error.err_code for error in vars(ApiSysExceptions).values() if hasattr(error, "err_code")} == set(DECLARED)
