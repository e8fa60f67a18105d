"""A second protocol: the same guards, runner, log and metrics behind a face of some dozens of lines."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from apizen.application import Application, make_app
from apizen.governance.records.apps import Apps
from apizen.governance.records.database import Database
from apizen.governance.records.secret import SecretKey
from apizen.service import Services
from apizen.settings import Settings
from tests.apizen.faces.line import LineFace
from tests.support import registry_of

LINES = Path(__file__).with_name("line.py").read_text("utf-8").splitlines()


async def later(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def numbers() -> AsyncIterator[int]:
    for number in range(3):
        yield number


def fail() -> None:
    raise KeyError("the secret of the house")


METHODS: dict[str, Any] = {
    "add": {"func": lambda a, b=1: int(a) + int(b), "run": "inline"},
    "thread": {"func": lambda a: a},
    "later": {"func": later},
    "numbers": {"func": numbers},
    "typed": {"func": later, "timeout": 5},
    "fail": {"func": fail},
    "rare": {"func": lambda: "once", "rate": "1/hour"},
    "signed": {"func": lambda **rest: rest, "auth": "sign"},
}


@pytest.fixture
def app(tmp_path: Path) -> Application:
    return make_app(Settings(access_log="calls.log", data=str(tmp_path)), registry_of(METHODS))


def told(app: Application, *lines: bytes) -> list[Any]:
    """The answers to some lines, from a face behind a real socket."""

    async def main() -> list[Any]:
        face, services = LineFace(app), Services(app.services)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async for line in reader:
                writer.write(await face.answer(line, "192.0.2.7"))
            writer.close()

        await services.start()
        try:
            async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"".join(line + b"\n" for line in lines))
                writer.write_eof()
                answers = [json.loads(line) async for line in reader]
                writer.close()
                return answers
        finally:
            await services.close()

    return asyncio.run(main())


def line(method: str, values: Any = None, **public: Any) -> bytes:
    return json.dumps({"call": f"1.0 {method}", "values": values or {}, "public": public}).encode()


def test_it_is_short() -> None:
    assert len(LINES) < 60


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (line("add", {"a": "1", "b": 2}), {"value": 3}),
        (line("thread", {"a": [1]}), {"value": [1]}),
        (line("later", {"value": "7"}), {"value": 7}),
        (line("numbers"), {"value": [0, 1, 2]}),
        (line("typed", {"value": "x"}), {"error": [1022, "参数类型错误：value <int>"]}),
        (line("add"), {"error": [1018, "缺少方法所需参数:a"]}),
        (line("other"), {"error": [1013, "不存在的方法名"]}),
        (line("fail"), {"error": [1017, "系统处理错误"]}),
        (line("signed"), {"error": [1026, "不允许匿名访问，应有 app_key 及签名"]}),
        (line("thread", [1]), {"error": [1025, "无效的请求，应为一行 JSON"]}),
        (line("signed", app_key=5), {"error": [1025, "无效的请求，应为一行 JSON"]}),
        (b"[", {"error": [1025, "无效的请求，应为一行 JSON"]}),
    ],
)
def test_answers(app: Application, asked: bytes, answer: dict[str, Any]) -> None:
    assert told(app, asked) == [answer]


def test_guards_count_its_callers(app: Application) -> None:
    first, second = told(app, line("rare"), line("rare"))
    assert first == {"value": "once"}
    assert second["error"][0] == 1027


def test_a_signed_call(tmp_path: Path, app: Application) -> None:
    """Signed as a POST with a JSON body is."""
    with closing(Database.open("", tmp_path)) as database:
        shop = Apps(database, SecretKey("", tmp_path)).create("shop")
    values, public = (
        {"a": 1},
        {"app_key": shop.app_key, "timestamp": str(int(time.time())), "sign_method": "hmac-sha256"},
    )
    text = "".join(name + public[name] for name in sorted(public)) + json.dumps(values, separators=(",", ":"))
    sign = hmac.new(shop.secret.encode(), text.encode(), hashlib.sha256).hexdigest().upper()
    good = line("signed", values, **public, sign=sign)
    first, again, wrong = told(app, good, good, line("signed", {"a": 2}, **public, sign=sign))
    assert first["value"]["a"] == 1
    assert (again["error"][0], wrong["error"][0]) == (1032, 1010)


def test_log_and_metrics(tmp_path: Path, app: Application) -> None:
    told(app, line("add", {"a": 1}), line("add"), line("other"))
    lines = map(json.loads, (tmp_path / "calls.log").read_text("utf-8").splitlines())
    seen = [(each["address"], each["method"], each["code"]) for each in lines if each["event"] == "call"]
    assert seen == [("192.0.2.7", "add", 1000), ("192.0.2.7", "add", 1018), ("192.0.2.7", "other", 1013)]
    assert app.observation.metrics is not None
    app.observation.metrics.publish()
    text = app.observation.metrics.exposition("text/plain")[1].decode()
    assert 'apizen_calls_total{code="1000",method="add",version="1.0"} 1.0' in text
    assert 'apizen_calls_total{code="1018",method="add",version="1.0"} 1.0' in text
