"""The guard of signed calls, in a gateway, with real apps, counters and lock-outs."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import math
import time
from collections.abc import Awaitable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apizen.call import Call
from apizen.call_plan import PUBLIC_PARAMETERS
from apizen.exception import ApiSysExceptions
from apizen.faces.rpc import Gateway
from apizen.governance.address import Networks
from apizen.governance.auth import SignatureGuards
from apizen.governance.canonical import canonical
from apizen.governance.error import CountersError
from apizen.governance.lockout import Lockout
from apizen.governance.records.apps import Apps
from apizen.governance.records.database import Database
from apizen.governance.records.live import LiveRecords
from apizen.governance.records.models import App
from apizen.governance.records.secret import SecretKey
from apizen.governance.signature import SIGN_METHODS, request_to_sign, signature, string_to_sign
from apizen.governance.signature_guard import SignatureGuard
from apizen.governance.stores.base import Group, Hit
from apizen.governance.stores.memory import MemoryCounters
from apizen.governance.stores.window import Decision
from apizen.multipart import parse_multipart
from apizen.parameters import Parameters
from apizen.pipeline import Pipeline
from apizen.request import Request, Response
from apizen.runner import Runner
from apizen.schema import UploadFile
from apizen.settings import Settings
from tests.support import Demanding, registry_of

PEER = "192.0.2.7"
FORM = "application/x-www-form-urlencoded"
FORMAT = "应为 yyyy-MM-dd HH:mm:ss（+08:00）、10 位秒数或 13 位毫秒数"
NUMBERS = itertools.count()


class Seen:
    """A guard behind the other one: keeps what that one said of the calls it let pass."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def check(self, call: Call) -> None:
        self.calls.append(call)


class Later:
    """A store that answers when it is awaited, as one on another machine."""

    shared = waits = True

    def __init__(self) -> None:
        self.store = MemoryCounters()
        self.claims: list[tuple[str, float]] = []

    async def claim(self, keys: Sequence[str], seconds: float) -> bool:
        self.claims += [(key, seconds) for key in keys if not key.startswith("familiar:")]
        await asyncio.sleep(next(NUMBERS) % 7 / 1000)
        return self.store.claim(keys, seconds)

    async def is_any_claimed(self, keys: Sequence[str]) -> bool:
        return self.store.is_any_claimed(keys)

    async def hit(self, hits: Sequence[Hit], group: Group) -> list[Decision]:
        return self.store.hit(hits, group)

    async def lock(self, key: str, seconds: float) -> None:
        self.store.lock(key, seconds)


class Broken:
    """A store that fails at once."""

    shared = waits = False

    def claim(self, keys: Sequence[str], seconds: float) -> Any:
        raise CountersError("nobody there")

    def is_any_claimed(self, keys: Sequence[str]) -> Any:
        raise CountersError("nobody there")

    def hit(self, hits: Sequence[Hit], group: Group) -> Any:
        raise CountersError("nobody there")


class BrokenLater(Broken):
    waits = True

    async def claim(self, keys: Sequence[str], seconds: float) -> Any:
        return Broken.claim(self, keys, seconds)

    async def hit(self, hits: Sequence[Hit], group: Group) -> Any:
        return Broken.hit(self, hits, group)


class Shop:
    """A gateway that takes signed calls, and the apps that may call it."""

    def __init__(self, data: Path) -> None:
        with closing(Database.open("", data)) as database:
            apps = Apps(database, SecretKey("", data))
            self.app = apps.create("any", rate="5/minute")
            self.office = apps.create("office", Networks.of(["10.0.0.0/8"]))
            self.reader = apps.create("reader", methods=["item.get", "user.*"])
            self.off = apps.create("off")
            apps.enable("off", False)
        self.unknown = self.app._replace(app_key="0000000000")
        self.records = LiveRecords("", data)
        self.records.load()
        self.open()

    def open(
        self, counters: Any = None, lockout: Any = None, records: Any = None, limit: str = "", **options: Any
    ) -> None:
        """Starts anew: nobody is locked out, and nothing was sent yet."""
        self.seen = Seen()
        self.counters = counters or MemoryCounters()
        chosen = {"sign_methods": SIGN_METHODS, "time_zone": "+08:00", "debug": False, "fail_open": False, **options}
        self.guard = SignatureGuard(
            records or self.records, self.counters, lockout or Lockout(MemoryCounters(), limit, 300), **chosen
        )

        signed = {"func": lambda **kwargs: kwargs, "run": "inline", "auth": "sign"}
        methods = {
            "item.get": signed, "item.set": signed, "user.get": signed,
            "item.drop": {"func": drop, "run": "inline", "auth": "sign"},
            "item.clear": {"func": drop, "run": "inline", "auth": "sign", "extra": True},
        }  # fmt: skip
        makers = SignatureGuards(lambda: self.guard), Demanding(self.seen)
        catalogue = registry_of(methods).catalogue(makers=makers)
        self.gateway = Gateway(catalogue, Pipeline(Runner(4, 4, 4)), multipart=parse_multipart)

    async def answer(self, request: Request) -> Response:
        given = self.gateway.handle(request)
        return given if isinstance(given, Response) else await given

    def meta(self, request: Request) -> tuple[int, str]:
        return meta(asyncio.run(self.answer(request)))

    def code(self, request: Request) -> int:
        return self.meta(request)[0]


def drop(n: int = 0, dry_run: bool = False, verbose: bool = False) -> list[Any]:
    return [n, dry_run, verbose]


def meta(response: Response) -> tuple[int, str]:
    found = json.loads(response.body)["meta"]
    return found["code"], found["message"]


def call(
    app: App, *, body: bytes = b"", content_type: str = "application/json", peer: str = PEER, **changed: str | None
) -> Request:
    """A signed request. ``changed`` are parameters; None leaves one out."""
    named: dict[str, str | None] = {
        "v": "1.0", "method": "item.get", "app_key": app.app_key, "timestamp": str(int(time.time())),
        "number": str(next(NUMBERS)), **changed,
    }  # fmt: skip
    pairs = [(name, value) for name, value in named.items() if value is not None]
    if "sign" not in named:
        signed = body if content_type == "application/json" else b""
        form = parse_qsl(body.decode(), keep_blank_values=True) if content_type == FORM else []
        method = named.get("sign_method") or "hmac-sha256"
        if method in SIGN_METHODS:
            parts = [*(("query", *pair) for pair in pairs), *(("form", *pair) for pair in form)]
            string = request_to_sign(method, "POST" if body else "GET", parts, signed)
            pairs.append(("sign", signature(method, app.secret, string)))
        else:
            pairs.append(("sign", "00"))
    headers = {"Content-Type": content_type} if body else {}
    return Request("POST" if body else "GET", urlencode(pairs), headers, body, peer)


def altered(request: Request, old: str, new: str) -> Request:
    assert old in request.query
    return request._replace(query=request.query.replace(old, new))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("data"))


@pytest.fixture
def shop(made: Shop) -> Shop:
    made.open()
    return made


@pytest.mark.parametrize("method", [None, *SIGN_METHODS])
@pytest.mark.parametrize("timestamp", ["{0:.0f}", "{0:.0f}000", "%Y-%m-%d %H:%M:%S"])
@pytest.mark.parametrize("off", [-595, 0, 595])
def test_signed_call(shop: Shop, method: str | None, timestamp: str, off: int) -> None:
    moment = time.time() + off
    written = time.strftime(timestamp.format(moment), time.gmtime(moment + 8 * 3600))
    assert shop.meta(call(shop.app, sign_method=method, timestamp=written)) == (1000, "执行成功")
    [seen] = shop.seen.calls
    assert (seen.caller.app, seen.caller.rate) == (shop.app.app_key, "5/minute")


def test_sign_in_any_case(shop: Shop) -> None:
    request = call(shop.app)
    head, equals, sign = request.query.rpartition("sign=")
    assert shop.code(request._replace(query=head + equals + sign.lower())) == 1000


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{ "b": "中", "sign": 1 }'.encode()),
        (FORM, b"b=%E4%B8%AD+x&a=&b=1"),
        (FORM, b"=&a=0&a=false"),
    ],
)
def test_signed_body(shop: Shop, content_type: str, body: bytes) -> None:
    request = call(shop.app, body=body, content_type=content_type)
    assert shop.meta(request._replace(body=body.replace(b"a", b"c").replace(b"b", b"d"))) == (1010, "无效签名")
    assert shop.code(request) == 1000


def test_signed_upload(shop: Shop) -> None:
    """Files are not signed, the fields beside them are."""
    part = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
    file = '; filename="a.txt"\r\nContent-Type: text/plain'
    body = (part.format("name", "", "张") + part.format("file", file, "content") + "--x--\r\n").encode()
    pairs = [("v", "1.0"), ("method", "item.get"), ("app_key", shop.app.app_key), ("timestamp", str(int(time.time())))]
    sign = signature("hmac-sha256", shop.app.secret, string_to_sign([*pairs, ("name", "张")]))
    request = Request(
        "POST", urlencode([*pairs, ("sign", sign)]), {"Content-Type": "multipart/form-data; boundary=x"}, body, PEER
    )
    assert shop.code(request._replace(body=body.replace("张".encode(), b"Li"))) == 1010
    # The method gives the file back, which no answer can hold; what counts is that the call came to it.
    shop.code(request)
    assert len(shop.seen.calls) == 1


def test_each_check_in_order(shop: Shop) -> None:
    """One call in which everything is wrong, put right bit by bit."""
    wrong = {"app_key": "", "timestamp": None, "sign": None, "sign_method": "sha1", "method": "item.set"}
    steps: list[tuple[dict[str, Any], tuple[int, str]]] = [
        ({}, (1026, "不允许匿名访问，应有 app_key 及签名")),
        ({"app_key": "0000000000"}, (1007, "缺少时间戳参数:timestamp")),
        ({"timestamp": "now"}, (1009, "缺少签名参数:sign")),
        ({"sign": "00"}, (1031, "无效app_key")),
        ({"app_key": shop.off.app_key}, (1031, "无效app_key")),
        ({"app_key": shop.office.app_key}, (1003, "请求被禁止，此 app_key 不能从该地址调用")),
        ({"app_key": shop.reader.app_key}, (1010, "无效签名，sign_method 应为 hmac-sha256-v2、hmac-sha256、hmac、md5")),
        ({"sign_method": "md5"}, (1008, f"非法的时间戳参数，{FORMAT}")),
        ({"timestamp": str(int(time.time()))}, (1010, "无效签名")),
    ]
    for step, expected in steps:
        wrong |= step
        assert shop.meta(call(shop.reader, **wrong)) == expected, step
    del wrong["sign"]
    assert shop.meta(call(shop.reader, **wrong)) == (1033, "权限不足，此 app_key 不能调用 item.set")
    assert shop.seen.calls == []
    last = call(shop.reader, **{**wrong, "method": "user.get"})
    assert shop.meta(last) == (1000, "执行成功")
    assert shop.meta(last) == (1032, "重复的请求")


@pytest.mark.parametrize("app_key", ["0", "\0", "中", "' OR 1=1 --", "9" * 9999])
def test_app_key_unknown(shop: Shop, app_key: str) -> None:
    assert shop.meta(call(shop.app, app_key=app_key)) == (1031, "无效app_key")


@pytest.mark.parametrize(
    ("peer", "code"),
    [("10.1.2.3", 1000), ("::ffff:10.1.2.3", 1000), ("192.0.2.7", 1003), ("::1", 1003), ("", 1003)],
)
def test_addresses_of_an_app(shop: Shop, peer: str, code: int) -> None:
    assert shop.code(call(shop.office, peer=peer)) == code


@pytest.mark.parametrize(("method", "code"), [("item.get", 1000), ("user.get", 1000), ("item.set", 1033)])
def test_methods_of_an_app(shop: Shop, method: str, code: int) -> None:
    assert shop.code(call(shop.reader, method=method)) == code


@pytest.mark.parametrize("method", ["", "sha1", "MD5", "hmac-md5", " md5", "中"])
def test_sign_method_unknown(shop: Shop, method: str) -> None:
    expected = (1010, "无效签名，sign_method 应为 hmac-sha256-v2、hmac-sha256、hmac、md5")
    assert shop.meta(call(shop.app, sign_method=method)) == expected


def test_sign_method_switched_off(shop: Shop) -> None:
    shop.open(sign_methods=["hmac-sha256"])
    for method in ("md5", "hmac"):
        assert shop.meta(call(shop.app, sign_method=method)) == (1010, "无效签名，sign_method 应为 hmac-sha256")
    assert shop.code(call(shop.app)) == 1000


@pytest.mark.parametrize("sign", ["", "00", "中", "\0", "0" * 64, "F" * 100_000])
def test_sign_wrong(shop: Shop, sign: str) -> None:
    assert shop.meta(call(shop.app, sign=sign[:9000])) == (1010, "无效签名")


@pytest.mark.parametrize(
    ("old", "new"),
    [("v=1.0", "v=1.0&w=2"), ("number=", "number=0"), ("number=", "numbers="), ("item.get", "item.set")],
)
def test_what_was_changed_on_the_way(shop: Shop, old: str, new: str) -> None:
    assert shop.code(altered(call(shop.app), old, new)) == 1010


NO_SUCH = "无效签名，该方法没有参数 "


def sent_as(request: Request, query: str, body: bytes = b"", content_type: str = FORM) -> Request:
    """The request with something else of the same signature at the end of its query, or in its body."""
    kept = request.query.partition("&dry_run=true")[0] + request.query[request.query.index("&sign=") :]
    return request._replace(query=f"{query}&{kept}", body=body, headers={"Content-Type": content_type} if body else {})


@pytest.mark.parametrize(
    ("query", "body", "content_type", "answer"),
    [
        ("dry_run=true", b"", "", (1000, "执行成功")),
        ("", b"dry_run=true", FORM, (1000, "执行成功")),
        ("dry_runt=rue", b"", "", (1010, f"{NO_SUCH}dry_runt")),
        ("dry_r=untrue", b"", "", (1010, f"{NO_SUCH}dry_r")),
        ("", b"dry_runt=rue", FORM, (1010, f"{NO_SUCH}dry_runt")),
        ("", b'--x\r\nContent-Disposition: form-data; name="dry_runt"\r\n\r\nrue\r\n--x--\r\n',
         "multipart/form-data; boundary=x", (1010, f"{NO_SUCH}dry_runt")),
        ("dry_run=true", b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nrue\r\n--x--\r\n',
         "multipart/form-data; boundary=x", (1010, f"{NO_SUCH}f")),
    ],
)  # fmt: skip
def test_parameters_that_nobody_takes(
    shop: Shop, query: str, body: bytes, content_type: str, answer: tuple[int, str]
) -> None:
    request = call(shop.app, method="item.drop", number=None, dry_run="true")
    assert shop.meta(sent_as(request, query, body, content_type)) == answer
    assert bool(shop.seen.calls) == (answer[0] == 1000)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("x" * 9000, "x" * 64), ("中 文", "中 文"), ("", ""), ("a\0\r\nb", None), ("<b>&", "<b>&")],
)
def test_the_name_of_what_nobody_takes(shop: Shop, name: str, shown: str | None) -> None:
    changed = {"method": "item.drop", "number": None, name: "1"}
    for form in ("json", "xml"):
        answer = asyncio.run(shop.answer(call(shop.app, format=form, **changed)))
        if form == "json" and shown is not None:
            assert meta(answer) == (1010, NO_SUCH + shown)
        assert answer.status == 400
        assert b"<code>1010</code>" in answer.body or form == "json"
        assert b"\0" not in answer.body


def test_members_of_a_json_body_that_nobody_takes(shop: Shop) -> None:
    def answer(method: str, body: bytes) -> tuple[int, str]:
        return shop.meta(call(shop.app, method=method, number=None, body=body))

    assert answer("item.drop", b'{"n": 1}') == (1000, "执行成功")
    assert answer("item.drop", b'{"n": 1, "m": 2, "k": 3}') == (1010, f"{NO_SUCH}k")
    assert answer("item.clear", b'{"n": 1, "m": 2, "k": 3}') == (1000, "执行成功")
    assert answer("item.get", b'{"n": 1, "m": 2, "k": 3}') == (1000, "执行成功")


def test_an_entry_may_allow_what_nobody_takes(shop: Shop) -> None:
    assert shop.meta(call(shop.app, method="item.clear", more="1")) == (1000, "执行成功")


@pytest.mark.parametrize("method", ["item.drop", "item.clear", "item.get"])
def test_a_public_parameter_comes_once(shop: Shop, method: str) -> None:
    """``v1.0verbosetrue`` is a version and a parameter, or two versions, of which the query's would count."""
    request = call(shop.app, method=method, number=None, verbose="true", sign_method="hmac-sha256")
    moved = request._replace(
        query=altered(request, "&verbose=true", "").query, body=b"v=erbosetrue", headers={"Content-Type": FORM}
    )
    assert shop.meta(moved) == (1010, "无效签名，公共参数 v 只能有一个")
    twice = call(shop.app, method=method, number=None, body=b"sign=00&n=1&n=2", content_type=FORM)
    assert shop.meta(twice) == (1010, "无效签名，公共参数 sign 只能有一个")
    assert shop.code(call(shop.app, method=method, number=None, body=b"n=1&n=2", content_type=FORM)) == 1000


def test_what_nobody_takes_is_told_to_nobody_else(shop: Shop) -> None:
    shop.open(limit="2/minute")
    for _ in range(5):
        assert shop.meta(call(shop.app, method="item.drop")) == (1010, f"{NO_SUCH}number")
    assert shop.meta(call(shop.app, method="item.drop", sign="00")) == (1010, "无效签名")
    assert shop.code(call(shop.app, method="item.drop", number=None)) == 1000


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, 1000),
        ({"verb": "HEAD"}, 1010),
        ({"verb": "POST"}, 1010),
        ({"query": ("a=1&b=", "%61=%31&b=")}, 1000),
        ({"query": ("a=1&b=", "a=1b=")}, 1010),
        ({"query": ("a=1&b=2", "b=2&a=1")}, 1010),
        ({"query": ("a=1&b=2", "a=&b=12")}, 1010),
        ({"query": ("&b=2", ""), "body": b"b=2"}, 1010),
        ({"query": ("&b=2", "&b=2&c=3")}, 1010),
        ({"query": ("&sign=", "&sign=00&sign=")}, 1010),
        ({"body": b"c=3"}, 1010),
        ({"body": b"{}", "content_type": "application/json"}, 1010),
        ({"body": b"sign=00"}, 1010),
        ({"query": ("hmac-sha256-v2", "hmac-sha256")}, 1010),
    ],
)
def test_a_whole_request_that_was_changed_on_the_way(shop: Shop, changed: dict[str, Any], code: int) -> None:
    request = call(shop.app, sign_method="hmac-sha256-v2", a="1", b="2")
    sent = altered(request, *changed.get("query", ("a=1", "a=1")))
    headers = {"Content-Type": changed.get("content_type", FORM)} if "body" in changed else {}
    sent = sent._replace(verb=changed.get("verb", "GET"), body=changed.get("body", b""), headers=headers)
    assert shop.code(sent) == code
    assert shop.code(request) == (1000 if code == 1010 else 1032)


@pytest.mark.parametrize("content_type", ["application/json", FORM])
def test_a_body_that_was_changed_on_the_way(shop: Shop, content_type: str) -> None:
    bodies = {"application/json": [b'{"n":1}', b'{"n": 1}'], FORM: [b"n=1", b"n=1&n=1"]}
    body, other = bodies[content_type]
    request = call(shop.app, sign_method="hmac-sha256-v2", body=body, content_type=content_type)
    assert shop.code(request._replace(body=other)) == 1010
    assert shop.code(request._replace(body=b"", headers={})) == 1010
    assert shop.code(request._replace(verb="GET")) == 1010
    assert shop.code(request) == 1000


def test_a_file_that_was_changed_on_the_way(shop: Shop) -> None:
    head = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
    body = f"{head}content\r\n--x--\r\n".encode()
    pairs = [("v", "1.0"), ("method", "item.get"), ("app_key", shop.app.app_key), ("timestamp", str(int(time.time())))]
    pairs.append(("sign_method", "hmac-sha256-v2"))
    file = UploadFile("a.txt", "text/plain", b"content")
    string = canonical("POST", [*(("query", *pair) for pair in pairs), ("form", "file", file)])
    query = urlencode([*pairs, ("sign", signature("hmac-sha256-v2", shop.app.secret, string))])
    request = Request("POST", query, {"Content-Type": "multipart/form-data; boundary=x"}, body, PEER)
    for old, new in ((b"content\r", b"CONTENT\r"), (b"a.txt", b"b.txt"), (b"/plain", b"/html"), (b'"file"', b'"f"')):
        assert body != body.replace(old, new)
        assert shop.code(request._replace(body=body.replace(old, new))) == 1010
    # The method gives the file back, which no answer can hold; what counts is that the call came to it.
    shop.code(request)
    assert len(shop.seen.calls) == 1


def test_head_is_signed_as_head(shop: Shop) -> None:
    request = call(shop.app, sign_method="hmac-sha256-v2", sign="")
    pairs = parse_qsl(request.query.removesuffix("&sign="))
    string = canonical("HEAD", [("query", *pair) for pair in pairs])
    sign = signature("hmac-sha256-v2", shop.app.secret, string)
    assert shop.code(request._replace(query=f"{request.query}{sign}")) == 1010
    assert shop.code(request._replace(query=f"{request.query}{sign}", verb="HEAD")) == 1000


def test_only_whole_requests(shop: Shop) -> None:
    shop.open(sign_methods=["hmac-sha256-v2"])
    expected = (1010, "无效签名，sign_method 应为 hmac-sha256-v2")
    for method in (None, "hmac-sha256", "hmac", "md5"):
        assert shop.meta(call(shop.app, sign_method=method)) == expected
    assert shop.code(call(shop.app, sign_method="hmac-sha256-v2")) == 1000


def test_what_one_method_signs_is_nothing_to_another(shop: Shop) -> None:
    """A value that looks like a call of the platform's form, in a request that is signed as a whole."""
    hidden = f"app_key{shop.app.app_key}methoditem.settimestamp{int(time.time())}v1.0z"
    request = call(shop.app, sign_method="hmac-sha256-v2", number=None, text=hidden)
    pairs = dict(parse_qsl(request.query))
    sign = pairs.pop("sign")
    before, _, after = canonical("GET", [("query", *pair) for pair in pairs.items()]).decode().partition(hidden)
    forged = {
        "": before, "app_key": shop.app.app_key, "method": "item.set", "timestamp": hidden[-15:-5], "v": "1.0",
        "z": after,
    }  # fmt: skip
    assert string_to_sign(forged).decode() == before + hidden + after
    assert shop.code(request._replace(query=urlencode({**forged, "sign": sign}))) == 1010


def test_sign_of_another_app(shop: Shop) -> None:
    assert shop.code(altered(call(shop.app), shop.app.app_key, shop.reader.app_key)) == 1010


@pytest.mark.parametrize("timestamp", ["", "now", "14516208000", "２０１６-01-01 12:00:00", "9" * 5000, "\0"])
def test_timestamp_malformed(shop: Shop, timestamp: str) -> None:
    assert shop.meta(call(shop.app, timestamp=timestamp)) == (1008, f"非法的时间戳参数，{FORMAT}")


@pytest.mark.parametrize(("off", "direction"), [(-602, "慢"), (602, "快"), (-28800, "慢"), (1e9, "快")])
def test_timestamp_off(shop: Shop, off: float, direction: str) -> None:
    code, message = shop.meta(call(shop.app, timestamp=f"{time.time() + off:.0f}"))
    seconds = int(message.split()[1])
    assert message == f"非法的时间戳参数，比服务器时间{direction} {seconds} 秒，应在 600 秒以内；{FORMAT}"
    assert (code, abs(seconds - abs(off)) < 30) == (1008, True)


def test_timestamp_in_another_zone(shop: Shop) -> None:
    shop.open(time_zone="America/New_York")
    written = time.strftime("%Y-%m-%d %H:%M:%S")
    code, message = shop.meta(call(shop.app, timestamp=written))
    assert (code, message.endswith("应为 yyyy-MM-dd HH:mm:ss（America/New_York）、10 位秒数或 13 位毫秒数")) == (
        1008,
        True,
    )


@pytest.mark.parametrize("store", [MemoryCounters, Later])
def test_replay(shop: Shop, store: Any) -> None:
    shop.open(store())
    request = call(shop.app)
    head, equals, sign = request.query.rpartition("sign=")
    assert shop.code(request) == 1000
    for again in (
        request,
        request._replace(query=head + equals + sign.lower()),
        request._replace(query=f"{equals}{sign}&{head[:-1]}"),
        request._replace(verb="POST"),
        request._replace(peer="192.0.2.8"),
    ):
        assert shop.meta(again) == (1032, "重复的请求")
    assert shop.code(call(shop.app)) == 1000


@pytest.mark.parametrize("store", [MemoryCounters, Later])
def test_replay_of_a_nonce(shop: Shop, store: Any) -> None:
    shop.open(store())
    now = int(time.time())
    assert shop.code(call(shop.app, nonce="a", timestamp=str(now))) == 1000
    assert shop.code(call(shop.app, nonce="a", timestamp=str(now))) == 1032
    assert shop.code(call(shop.reader, nonce="a", timestamp=str(now))) == 1000
    assert shop.code(call(shop.app, nonce="a", timestamp=str(now - 1))) == 1000
    assert shop.code(call(shop.app, nonce="b", timestamp=str(now))) == 1000
    for _ in range(2):  # no nonce at all
        assert shop.code(call(shop.app, nonce="", timestamp=str(now))) == 1000


def test_replay_with_the_border_between_name_and_value_moved(shop: Shop) -> None:
    """The signature is the same; what the function would get is not."""
    request = call(shop.app, nonce="a", num="1", number=None)
    assert shop.code(request) == 1000
    assert shop.code(altered(request, "nonce=a&num=1", "nonce=anum1")) == 1032


def test_a_nonce_is_kept_only_for_a_good_signature(shop: Shop) -> None:
    counters = Later()
    shop.open(counters)
    request = call(shop.app, nonce="a")
    assert shop.code(altered(request, "number=", "number=0")) == 1010
    assert counters.claims == []
    assert shop.code(request) == 1000


@pytest.mark.parametrize("off", [-590, 0, 590])
def test_a_claim_outlives_its_timestamp(shop: Shop, off: int) -> None:
    counters = Later()
    shop.open(counters)
    before = time.time()
    request = call(shop.app, nonce="n", timestamp=str(math.floor(before) + off))
    assert shop.code(request) == 1000
    assert [key.split(":")[:2] for key, _ in counters.claims] == [
        ["sign", shop.app.app_key],
        ["nonce", shop.app.app_key],
    ]
    passes_until = math.floor(before) + off + 600
    for _, seconds in counters.claims:
        assert passes_until <= before + seconds <= time.time() + seconds <= passes_until + 40


@pytest.mark.parametrize("nonce", [None, "n"])
def test_of_many_copies_one_succeeds(shop: Shop, nonce: str | None) -> None:
    shop.open(Later())
    request = call(shop.app, nonce=nonce)

    async def send() -> list[int]:
        answers = await asyncio.gather(*(shop.answer(request) for _ in range(100)))
        return [meta(answer)[0] for answer in answers]

    assert sorted(asyncio.run(send())) == [1000] + [1032] * 99


@pytest.mark.parametrize("fail_open", [True, False])
@pytest.mark.parametrize("make", [Broken, BrokenLater])
def test_store_that_fails(shop: Shop, make: type[Broken], fail_open: bool, caplog: pytest.LogCaptureFixture) -> None:
    shop.open(make(), fail_open=fail_open)
    for _ in range(3):
        answer = asyncio.run(shop.answer(call(shop.app, nonce="n")))
        if fail_open:
            assert meta(answer) == (1000, "执行成功")
        else:
            assert (answer.status, *meta(answer)) == (503, 1030, "服务繁忙，暂时无法验证签名")
            assert int(dict(answer.headers)["Retry-After"]) >= 1
    verb = "pass unchecked" if fail_open else "are refused"
    assert [record.getMessage() for record in caplog.records] == [f"signed calls {verb}: nobody there"]


@pytest.mark.parametrize("fail_open", [True, False])
def test_apps_that_are_not_known(shop: Shop, tmp_path: Path, fail_open: bool, caplog: pytest.LogCaptureFixture) -> None:
    shop.open(records=LiveRecords("", tmp_path), fail_open=fail_open)
    for _ in range(3):
        answer = asyncio.run(shop.answer(call(shop.app)))
        assert meta(answer)[0] == (1000 if fail_open else 1030)
        assert fail_open or int(dict(answer.headers)["Retry-After"]) >= 1
    assert {seen.caller.app for seen in shop.seen.calls} <= {""}
    assert len(caplog.records) == 1
    # What a caller can know to be wrong is said all the same.
    assert shop.code(call(shop.app, sign=None)) == 1009


@pytest.mark.parametrize("store", [Broken, BrokenLater])
def test_failed_calls_that_cannot_be_counted(shop: Shop, store: Any) -> None:
    shop.open(lockout=Lockout(store(), "1/minute", 300))
    for _ in range(3):
        assert shop.meta(call(shop.app, sign="00")) == (1010, "无效签名")
        assert shop.meta(call(shop.unknown)) == (1031, "无效app_key")


@pytest.mark.parametrize("store", [MemoryCounters, Later])
def test_lockout_after_failed_calls(shop: Shop, store: Any) -> None:
    shop.open(lockout=Lockout(store(), "3/minute", 300))
    for failing in (call(shop.app, sign="00"), call(shop.unknown), call(shop.off)):
        assert shop.code(failing) in (1010, 1031)
    refused = asyncio.run(shop.answer(call(shop.app, sign="00")))
    assert (refused.status, meta(refused)[0]) == (403, 1002)
    assert int(dict(refused.headers)["Retry-After"]) >= 1
    assert shop.code(call(shop.app)) == 1002
    assert shop.code(call(shop.reader)) == 1002
    assert shop.code(call(shop.app, app_key=None)) == 1026
    # An app works on where it was used rightly.
    assert shop.code(call(shop.app, peer="192.0.2.8")) == 1000


IMAGE = {"Sec-Fetch-Site": "cross-site", "User-Agent": "Mozilla/5.0", "Host": "192.0.2.1:8010"}


def marked(request: Request) -> Request:
    """The request as the page of another site makes a browser send it."""
    return request._replace(headers={**request.headers, **IMAGE})


@pytest.mark.parametrize("store", [MemoryCounters, Later])
def test_pages_of_other_sites_lock_nobody_else_out(shop: Shop, store: Any) -> None:
    shop.open(store(), lockout=Lockout(store(), "3/minute", 300))
    for _ in range(3):
        assert shop.code(marked(call(shop.app, sign="00"))) == 1010
    for request in (call(shop.app, sign="00"), call(shop.app), call(shop.reader)):
        assert shop.code(marked(request)) == 1002
        assert shop.code(request) in (1000, 1010)
    assert shop.code(marked(call(shop.office))) == 1002
    # What was used well from there is looked at, whoever sends it.
    assert shop.code(marked(call(shop.app))) == 1000
    assert shop.code(marked(call(shop.app, sign="00"))) == 1002


def test_marks_give_no_more_than_as_many_guesses_again(shop: Shop) -> None:
    shop.open(limit="3/minute")
    codes = [shop.code(marked(call(shop.app, sign="00")) if number < 20 else call(shop.app, sign="00"))
             for number in range(40)]  # fmt: skip
    assert (codes.count(1010), codes.count(1002)) == (6, 34)
    for number in range(20):  # nor does it help to change them once the address is locked out
        request = call(shop.app, sign="00")
        mark = [{"Origin": "null"}, {"User-Agent": "Mozilla/5.0"}, {"Sec-Fetch-Site": "none"}, {}][number % 4]
        assert shop.code(request._replace(headers=mark)) == 1002


def test_marked_calls_are_refused_by_either_lockout(shop: Shop) -> None:
    shop.open(limit="3/minute")
    for _ in range(3):
        assert shop.code(call(shop.app, sign="00")) == 1010
    assert shop.code(marked(call(shop.app, sign="00"))) == 1002


@pytest.mark.parametrize("store", [MemoryCounters, Later])
def test_a_lockout_lets_familiar_apps_pass(shop: Shop, store: Any) -> None:
    shop.open(store(), lockout=Lockout(store(), "3/minute", 300))
    assert shop.code(call(shop.app)) == 1000
    for _ in range(3):
        assert shop.code(call(shop.unknown)) == 1031
    for _ in range(5):
        assert shop.code(call(shop.app)) == 1000
        assert shop.code(call(shop.reader)) == 1002  # never used well from here
    big = call(shop.app, body=b'{"a": "%s"}' % (b"x" * 100_000))
    assert shop.code(big._replace(body=big.body.replace(b"a", b"b"))) == 1002
    assert shop.code(big) == 1000
    assert shop.code(call(shop.app, peer="192.0.2.8")) == 1000
    assert shop.code(call(shop.app, peer="192.0.2.8", sign="00")) == 1010


@pytest.mark.parametrize("store", [MemoryCounters, Later])
def test_a_locked_out_caller_is_refused_before_a_large_body_is_read(shop: Shop, store: Any) -> None:
    shop.open(store(), lockout=Lockout(store(), "3/minute", 300))
    length = 100_000

    def foreseen(request: Request) -> int:
        headers = {**request.headers, "Content-Type": "application/json"}
        found = asyncio.run(shop.gateway.foresee(request._replace(verb="POST", headers=headers, body=b""), length))
        return json.loads(found.body)["meta"]["code"] if isinstance(found, Response) else 0

    assert shop.code(call(shop.app)) == 1000
    assert [foreseen(call(app)) for app in (shop.app, shop.reader, shop.unknown)] == [0, 0, 0]
    for _ in range(3):
        assert shop.code(call(shop.unknown)) == 1031
    assert [foreseen(call(app)) for app in (shop.app, shop.reader, shop.unknown)] == [0, 1002, 1002]
    assert foreseen(call(shop.reader, peer="192.0.2.8")) == 0


def test_a_lockout_tells_who_is_wrong_nothing_else(shop: Shop) -> None:
    shop.open(limit="3/minute")
    good = call(shop.app)
    assert shop.code(good) == 1000
    for _ in range(3):
        assert shop.code(call(shop.unknown)) == 1031
    wrong: list[dict[str, str | None]] = [
        {"sign": "00"}, {"sign": None}, {"timestamp": None}, {"timestamp": "now"}, {"timestamp": "0000000000"},
        {"sign_method": "sha1"}, {"sign_method": "md5", "sign": "00"}, {"sign": good.query.rpartition("=")[2]},
    ]  # fmt: skip
    answers = {shop.meta(call(shop.app, **changed)) for changed in wrong}
    assert answers == {(1002, "限制时间内调用失败次数，已达 3 次，请在 300 秒后重试")}
    # What is wrong with a call whose signature is right is said.
    assert shop.code(good) == 1032
    assert shop.meta(call(shop.app, method="item.drop")) == (1010, f"{NO_SUCH}number")


def test_a_lockout_is_not_made_longer_by_what_it_refuses(shop: Shop) -> None:
    class Counting(MemoryCounters):
        hits = 0

        def hit(self, hits: Sequence[Hit], group: Group = Group.ADDRESSES) -> list[Decision]:
            self.hits += 1
            return super().hit(hits, group)

    counters = Counting()
    shop.open(lockout=Lockout(counters, "3/minute", 300))
    assert shop.code(call(shop.app)) == 1000
    for _ in range(3):
        assert shop.code(call(shop.app, sign="00")) == 1010
    for request in (call(shop.app, sign="00"), marked(call(shop.app, sign="00"))):
        assert [shop.code(request) for _ in range(5)] == [1002] * 5
    assert counters.hits == 3


@pytest.mark.parametrize("change", ["1033", "1010", "1032"])
def test_an_app_is_familiar_by_a_good_call_only(shop: Shop, change: str) -> None:
    good = call(shop.reader)
    shop.open(limit="1/minute")
    if change == "1032":
        assert shop.code(good) == 1000
    refused = {
        "1033": call(shop.reader, method="item.set"),
        "1010": call(shop.reader, sign="00", peer="192.0.2.8"),
        "1032": good,
    }[change]
    assert shop.code(refused._replace(peer="192.0.2.8")) == int(change)
    shop.code(call(shop.unknown, peer="192.0.2.8"))
    assert shop.code(call(shop.reader, peer="192.0.2.8")) == 1002


def test_who_is_locked_out_does_not_pass_unchecked(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.open(limit="1/minute", fail_open=True)
    assert shop.code(call(shop.app)) == 1000
    assert shop.code(call(shop.unknown)) == 1031
    shop.records.known = False
    try:
        assert shop.code(call(shop.app, sign="00")) == 1002
    finally:
        shop.records.known = True
    assert len(caplog.records) == 1


def test_lockout_is_not_for_mistakes(shop: Shop) -> None:
    shop.open(limit="3/minute")
    good = call(shop.reader)
    for _ in range(5):
        assert shop.code(call(shop.reader, timestamp="now")) == 1008
        assert shop.code(call(shop.reader, timestamp="0000000000")) == 1008
        assert shop.code(call(shop.reader, sign=None)) == 1009
        assert shop.code(call(shop.reader, sign_method="sha1")) == 1010
        assert shop.code(call(shop.reader, method="item.set")) == 1033
        assert shop.code(call(shop.office)) == 1003
        assert shop.code(good) in (1000, 1032)
    assert shop.code(call(shop.reader)) == 1000


def test_debug_shows_what_was_signed(shop: Shop) -> None:
    shop.open(debug=True)
    request = call(shop.app, a="中 文", timestamp="{}", number=None)
    now = str(int(time.time()))
    request = altered(request, "timestamp=%7B%7D", f"timestamp={now}")
    expected = f"a中 文app_key{shop.app.app_key}methoditem.gettimestamp{now}v1.0"
    code, message = shop.meta(request)
    assert (code, message) == (1010, f"无效签名，服务器签名的字符串为 {expected}")
    for method in SIGN_METHODS:
        assert signature(method, shop.app.secret, expected.encode()).lower() not in message.lower()


def test_debug_shows_no_secret(shop: Shop) -> None:
    shop.open(debug=True)
    for method in SIGN_METHODS:
        code, message = shop.meta(call(shop.app, sign="00", sign_method=method, a=f"<{shop.app.secret}>"))
        signed = message.removeprefix("无效签名，服务器签名的字符串为 ")
        assert code == 1010
        assert shop.app.secret not in message
        assert ("query 1:a 34:<******>\n" if method == "hmac-sha256-v2" else "a<******>app_key") in signed
        assert (signed.startswith("******") and signed.endswith("******")) == (method == "md5")


def test_debug_cuts_what_is_long(shop: Shop) -> None:
    shop.open(debug=True)
    _, message = shop.meta(call(shop.app, sign="00", body=b'{"a": "%s"}' % (b"x" * 100_000)))
    assert len(message) < 2100
    assert message.endswith("个字符）")


def test_no_debug_shows_nothing(shop: Shop) -> None:
    assert shop.meta(call(shop.app, sign="00")) == (1010, "无效签名")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sign_methods": ["md5", "sha1"]},
            "there is no sign_method 'sha1', known are: hmac, hmac-sha256, hmac-sha256-v2, md5",
        ),
        ({"sign_methods": []}, "sign_methods must name some of hmac-sha256-v2, hmac-sha256, hmac, md5"),
        ({"time_zone": "Peking"}, "'Peking' is no time zone, as +08:00, UTC or Asia/Shanghai"),
    ],
)
def test_guard_that_cannot_be(shop: Shop, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        shop.open(**options)
    assert str(caught.value) == message


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUE = st.none() | TEXT | st.sampled_from(["md5", "1451620800", "2016-01-01 12:00:00", "%ff"])


@given(st.fixed_dictionaries(dict.fromkeys(("timestamp", "sign", "sign_method", "nonce"), VALUE)), VALUE, st.data())
def test_whatever_is_sent_is_answered(
    made: Shop, sent: dict[str, str | None], app_key: str | None, data: st.DataObject
) -> None:
    made.open(debug=data.draw(st.booleans()))
    named = {
        "app_key": data.draw(st.sampled_from([made.app.app_key, app_key])),
        **sent,
        "v": "1.0",
        "method": "item.get",
    }
    query = "&".join(f"{name}={quote(value)}" for name, value in named.items() if value is not None)
    code = made.code(Request("GET", query, {}, b"", PEER))
    assert code in (1007, 1008, 1009, 1010, 1026, 1031)


def test_nothing_secret_is_logged(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shop.open(Broken(), debug=True, limit="1/minute")
    for request in (call(shop.app), call(shop.app, sign="00"), call(shop.app, sign="00"), call(shop.unknown)):
        shop.code(request)
    assert shop.app.secret not in caplog.text


def test_what_a_guard_gives_is_awaitable_only_where_the_store_waits(shop: Shop) -> None:
    def check(counters: Any) -> Awaitable[None] | None:
        shop.open(counters)
        shop.code(call(shop.app))
        [seen] = shop.seen.calls
        request = call(shop.app)
        seen.values = Parameters(request, parse_multipart)
        return shop.guard.check(seen)

    assert check(MemoryCounters()) is None
    later = check(Later())
    assert later is not None
    asyncio.run(_finish(later))


async def _finish(later: Awaitable[None]) -> None:
    await later


@pytest.mark.parametrize(
    ("entry", "settings", "accepted"),
    [
        ({"auth": "sign"}, {}, PUBLIC_PARAMETERS | {"a", "b"}),
        ({}, {"auth": "sign"}, PUBLIC_PARAMETERS | {"a", "b"}),
        ({"auth": "sign", "extra": False}, {}, PUBLIC_PARAMETERS | {"a", "b"}),
        ({"auth": "sign", "extra": True}, {}, None),
        ({"auth": "sign", "func": lambda a, **rest: a}, {}, None),
    ],
)
def test_names_that_a_signed_method_takes(shop: Shop, entry: Any, settings: Any, accepted: Any) -> None:
    methods = {"m": {"func": lambda a, *, b=1: a, **entry}}
    catalogue = registry_of(methods).catalogue(Settings(**settings), [SignatureGuards(lambda: shop.guard)])
    [guard] = catalogue.find("1.0", "m").guards
    assert isinstance(guard, SignatureGuard)
    assert guard._accepted == accepted


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"extar": True}, "unknown key 'extar' in its entry, did you mean 'extra'?"),
        ({"extra": "yes"}, "extra must be True or False, not 'yes'"),
        ({"extra": None}, "extra must be True or False, not None"),
        ({"auth": "sing"}, "auth must be 'sign' or None, not 'sing'"),
        ({"auth": ""}, "auth must be 'sign' or None, not ''"),
        ({"auth": True}, "auth must be 'sign' or None, not True"),
    ],
)
def test_entry_with_a_problem(shop: Shop, entry: Any, reason: str) -> None:
    methods = {"m": {"func": lambda **rest: rest, **entry}}
    catalogue = registry_of(methods).catalogue(makers=[SignatureGuards(lambda: shop.guard)])
    assert [problem.reason.partition("; registered")[0] for problem in catalogue.problems] == [reason]
    with pytest.raises(ApiSysExceptions.error_api_config):
        catalogue.find("1.0", "m")
