"""Who may call, and how often: the real program, its commands, and callers that sign."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from apizen.client import ApiError, AsyncClient, Client
from apizen.commands.app import app as app_commands
from apizen.commands.ban import ban
from apizen.commands.maintenance import maintenance
from apizen.governance.lockout import _REFRESH_SECONDS
from apizen.governance.signature import signature, string_to_sign
from tests.apizen.commands.operating import Operator
from tests.process import Program, run, running
from tests.services import RedisServer, postgresql, redis
from tests.support import HOST, SECRETS, Answer, until

# Machines that run the tests may hold up a process for longer than it waits for the counters' file.
BANK = """
import time
from apizen import ApiMethodBase, version
from apizen.governance.stores import shared_file

shared_file._SECONDS_OF_WAITING = 30.0

def balance(account: int):
    return {"account": account, "balance": 12}

def nap(seconds: float):
    time.sleep(seconds)

def fail(password: str):
    raise RuntimeError(f"login failed, password={password}")

@version("bank-1")
class Bank(ApiMethodBase):
    api_methods = {
        "bank.balance": {"func": balance, "auth": "sign"},
        "bank.lenient": {"func": balance, "auth": "sign", "extra": True},
        "bank.limited": {"func": balance, "rate": "100/hour"},
        "bank.nap": {"func": nap},
        "bank.fail": {"func": fail},
        "bank.open": {"func": balance, "run": "inline"},
    }
"""

NOTICED = 5.0  # seconds until a server must have noticed a command


@pytest.fixture
def workers() -> int:
    return 1


alone_or_not = pytest.mark.parametrize("workers", [1, 4])


@pytest.fixture
def teller(tmp_path: Path) -> dict[str, str]:
    """An app that is there before a server is."""
    app: dict[str, str] = operate(tmp_path, "app", "create", "teller")
    return app


@pytest.fixture
def bank(tmp_path: Path, workers: int) -> Iterator[Program]:
    (tmp_path / "bank.py").write_text(BANK, "utf-8")
    with running("--methods", "bank", "--workers", str(workers), "--lockout", "", cwd=tmp_path) as program:
        yield program


COMMANDS = {"app": app_commands, "ban": ban, "maintenance": maintenance}


def operate(folder: Path, command: str, *arguments: str) -> Any:
    """What a command of the operator's answers as JSON; it runs in this process, which takes a tenth of the time."""
    done = Operator(folder / "data").run(COMMANDS[command], *arguments, "--json")
    assert (done.status, done.error) == (0, "")
    answer = done.json
    SECRETS.update([answer["secret"]] if "secret" in answer else [])
    return answer


class Caller:
    """Calls with a signature."""

    def __init__(self, program: Program, app: dict[str, str], secret: str = "") -> None:
        self.program = program
        self.app_key = app["app_key"]
        self.secret = secret or app["secret"]

    def query(self, **parameters: str) -> str:
        sent = {
            "v": "bank-1", "method": "bank.balance", "account": "7",
            "app_key": self.app_key, "timestamp": str(int(time.time())), **parameters,
        }  # fmt: skip
        signed = signature("hmac-sha256", self.secret, string_to_sign(list(sent.items())))
        return urlencode({**sent, "sign": signed})

    def call(self, **parameters: str) -> Answer:
        return self.program.get(self.query(**parameters))


def open_call(program: Program) -> Answer:
    return program.get("v=bank-1&method=bank.open&account=7")


def becomes(caller: Caller, code: int) -> bool:
    """Whether the caller's calls get this code in time."""
    return until(lambda: caller.call(nonce=f"{time.monotonic()}").meta[0] == code, NOTICED)


def known(caller: Caller) -> bool:
    return becomes(caller, 1000)


@alone_or_not
def test_of_many_copies_of_a_signed_call_one_succeeds(teller: dict[str, str], bank: Program) -> None:
    copy = Caller(bank, teller).query(nonce="once")
    with ThreadPoolExecutor(20) as clients:
        codes = Counter(answer.meta[0] for answer in clients.map(lambda _: bank.get(copy), range(100)))
    assert codes == {1000: 1, 1032: 99}


@alone_or_not
def test_exactly_as_many_calls_pass_as_the_rate_says(bank: Program) -> None:
    with ThreadPoolExecutor(20) as clients:
        answers = list(
            clients.map(lambda number: bank.get(f"v=bank-1&method=bank.limited&account={number}"), range(140))
        )
    assert Counter(answer.meta[0] for answer in answers) == {1000: 100, 1027: 40}
    refused = next(answer for answer in answers if answer.status == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["RateLimit-Policy"] == '"method";q=100;w=3600'
    assert refused.headers["RateLimit"].startswith('"method";r=0;t=')


@alone_or_not
def test_who_fails_too_often_is_locked_out(tmp_path: Path, workers: int) -> None:
    (tmp_path / "bank.py").write_text(BANK, "utf-8")
    options = ["--methods", "bank", "--workers", str(workers), "--lockout", "20/minute", "--lockout-seconds", "5"]
    app, another = (operate(tmp_path, "app", "create", name) for name in ("teller", "another"))
    with running(*options, cwd=tmp_path) as program:
        caller, forger = Caller(program, app), Caller(program, app, secret="guessed")
        stranger = Caller(program, another)
        for number in range(40 if workers > 1 else 1):  # enough to meet all workers
            assert caller.call(nonce=f"before {number}").meta[0] == 1000
        assert [forger.call(nonce=str(number)).meta[0] for number in range(20)] == [1010] * 20
        refused = forger.call(nonce="20")
        assert (refused.status, refused.meta[0]) == (403, 1002)
        assert 1 <= int(refused.headers["Retry-After"]) <= 5
        time.sleep(3 * _REFRESH_SECONDS)  # a good call of a worker that does not know yet would make its app familiar
        assert {stranger.call(nonce=f"{n} {time.time()}").meta[0] for n in range(8)} == {1002}
        # The address goes on with what needs no signature, and with an app that it has used well.
        assert {open_call(program).meta[0] for _ in range(8)} == {1000}
        assert {caller.call(nonce=f"meanwhile {number}").meta[0] for number in range(8)} == {1000}
        assert until(lambda: stranger.call(nonce=str(time.monotonic())).meta[0] == 1000, 15)


def test_pages_of_other_sites_lock_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text(BANK, "utf-8")
    app = operate(tmp_path, "app", "create", "teller")
    with running("--methods", "bank", cwd=tmp_path) as program:
        caller, forger = Caller(program, app), Caller(program, app, secret="guessed")
        image = {"User-Agent": "Mozilla/5.0", "Referer": "http://evil.example/"}
        codes = [program.get(forger.query(nonce=str(number)), headers=image).meta[0] for number in range(25)]
        assert codes == [1010] * 20 + [1002] * 5
        assert caller.call().meta[0] == 1000


def test_business_errors_lock_nobody_out(bank: Program) -> None:
    for _ in range(25):
        assert bank.get("v=bank-1&method=bank.open").meta[0] == 1018
    assert open_call(bank).meta[0] == 1000


def test_a_disabled_app(bank: Program, tmp_path: Path) -> None:
    caller = Caller(bank, operate(tmp_path, "app", "create", "teller"))
    assert known(caller)
    operate(tmp_path, "app", "disable", "teller")
    assert becomes(caller, 1031)


def test_a_new_secret(bank: Program, tmp_path: Path) -> None:
    app = operate(tmp_path, "app", "create", "teller")
    assert known(Caller(bank, app))
    renewed = operate(tmp_path, "app", "rotate", "teller")
    assert renewed["secret"] != app["secret"]
    assert known(Caller(bank, {**app, **renewed}))
    assert Caller(bank, app).call().meta == (1010, "无效签名")


def test_what_an_app_may_do(bank: Program, tmp_path: Path) -> None:
    elsewhere = operate(tmp_path, "app", "create", "elsewhere", "--addresses", "192.0.2.0/24")
    reader = operate(tmp_path, "app", "create", "reader", "--methods", "shop.*")
    hurried = operate(tmp_path, "app", "create", "hurried", "--rate", "3/hour")
    assert known(Caller(bank, operate(tmp_path, "app", "create", "witness")))
    assert Caller(bank, elsewhere).call().meta == (1003, "请求被禁止，此 app_key 不能从该地址调用")
    assert Caller(bank, reader).call().meta == (1033, "权限不足，此 app_key 不能调用 bank.balance")
    codes = [Caller(bank, hurried).call(nonce=str(number)).meta[0] for number in range(4)]
    assert codes == [1000, 1000, 1000, 1027]


def test_a_ban_is_noticed_and_survives_a_restart(bank: Program, tmp_path: Path) -> None:
    assert open_call(bank).meta[0] == 1000
    operate(tmp_path, "ban", "add", "127.0.0.0/8", "--reason", "a test")
    assert until(lambda: open_call(bank).meta[0] == 1003, NOTICED)
    assert bank.send("GET", "/api/errors").meta == (1003, "请求被禁止")
    started_later = ["--data", "other", "--database", f"sqlite:///{tmp_path}/data/apizen.db"]
    with running("--methods", "bank", *started_later, cwd=tmp_path) as restarted:
        assert open_call(restarted).meta == (1003, "请求被禁止")
    operate(tmp_path, "ban", "remove", "127.0.0.0/8")
    assert until(lambda: open_call(bank).meta[0] == 1000, NOTICED)


@pytest.mark.parametrize("workers", [4])
def test_maintenance(bank: Program, tmp_path: Path) -> None:
    def everywhere() -> set[tuple[int, str]]:
        return {open_call(bank).meta for _ in range(40)}  # enough to meet all workers

    operate(tmp_path, "maintenance", "on", "--message", "18:00 恢复")
    assert until(lambda: everywhere() == {(1001, "服务不可用，18:00 恢复")}, NOTICED)
    assert bank.send("GET", "/readyz").status == 503
    assert bank.send("GET", "/healthz").status == 200
    operate(tmp_path, "maintenance", "off")
    assert until(lambda: everywhere() == {(1000, "执行成功")}, NOTICED)


def test_the_client(bank: Program, tmp_path: Path) -> None:
    app = operate(tmp_path, "app", "create", "teller")
    assert known(Caller(bank, app))
    url = f"http://{HOST}:{bank.port}"
    with Client(url, app["app_key"], app["secret"]) as client:
        assert client.call("bank.balance", v="bank-1", account=8) == {"account": 8, "balance": 12}
        with pytest.raises(ApiError) as caught:
            client.call("bank.balance", v="bank-1", account="x")
    assert (caught.value.code, caught.value.http_status) == (1022, 400)

    async def balances() -> list[Any]:
        async with AsyncClient(url, app["app_key"], app["secret"]) as client:
            return await asyncio.gather(*(client.call("bank.balance", v="bank-1", account=n) for n in range(10)))

    assert [found["account"] for found in asyncio.run(balances())] == list(range(10))


def test_health_while_every_thread_is_stuck(tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text(BANK, "utf-8")
    with running("--methods", "bank", "--threads", "4", "--timeout", "30", cwd=tmp_path) as program:
        with ThreadPoolExecutor(8) as clients:
            naps = [clients.submit(program.get, "v=bank-1&method=bank.nap&seconds=2") for _ in range(8)]
            assert until(lambda: b"apizen_calls_in_flight 8.0" in program.send("GET", "/metrics").body)
            for _ in range(5):
                assert program.send("GET", "/healthz").status == 200
            stuck = not any(nap.done() for nap in naps)
        assert stuck


def test_the_record_holds_no_secret(tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text(BANK, "utf-8")
    app = operate(tmp_path, "app", "create", "teller")
    options = ["--methods", "bank", "--access-log", "access.log", "--log-parameters", "--workers", "2"]
    with running(*options, cwd=tmp_path) as program:
        caller = Caller(program, app)
        query = caller.query(method="bank.lenient", nonce="n-1", password="open-sesame", access_token="token-17")
        assert program.get(query, headers={"X-Request-Id": "good"}).meta[0] == 1000
        assert (
            program.get("v=bank-1&method=bank.fail&password=open-sesame", headers={"X-Request-Id": "bad"}).status == 500
        )
        sign = query.rpartition("sign=")[2]
        program.process.terminate()
        assert program.wait() == 0
    written = (tmp_path / "data" / "access.log").read_text("utf-8")
    lines = [json.loads(line) for line in written.splitlines()]
    [good] = [line for line in lines if line.get("request_id") == "good"]
    assert (good["app_key"], good["v"], good["method"], good["code"], good["status"], good["address"]) == (
        app["app_key"], "bank-1", "bank.lenient", 1000, 200, "127.0.0.1",
    )  # fmt: skip
    assert good["parameters"]["account"] == "7"
    by_level = {line["level"]: line for line in lines if line.get("request_id") == "bad"}
    call, error = by_level["info"], by_level["error"]
    assert (call["level"], call["code"], error["level"]) == ("info", 1017, "error")
    assert "RuntimeError" in error["exception"]
    for secret in (app["secret"], sign, "open-sesame", "token-17"):
        assert secret not in written


@pytest.mark.parametrize("workers", [4])
def test_what_is_counted_is_counted_over_all_workers(bank: Program) -> None:
    for _ in range(30):
        assert open_call(bank).status == 200
    line = b'apizen_calls_total{code="1000",method="bank.open",version="bank-1"} 30.0'
    assert until(lambda: all(line in bank.send("GET", "/metrics").body for _ in range(8)))
    with ThreadPoolExecutor(1) as operator:
        top = operator.submit(run, "top", "--once", "--port", str(bank.port))
        while not top.done():
            assert open_call(bank).status == 200
    assert (top.result().returncode, top.result().stderr) == (0, "")
    assert "bank.open" in top.result().stdout


def test_behind_a_trusted_proxy(tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text(BANK, "utf-8")
    operate(tmp_path, "ban", "add", "203.0.113.9")
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    for options, code in ((["--trusted-proxies", "127.0.0.1"], 1003), ([], 1000)):
        with running("--methods", "bank", *options, cwd=tmp_path) as program:
            answer = program.get("v=bank-1&method=bank.open&account=7", headers=forwarded)
            assert answer.meta[0] == code


def test_bans_outlive_a_database_that_was_emptied(tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text(BANK, "utf-8")
    operate(tmp_path, "ban", "add", "203.0.113.9")
    file, kept = tmp_path / "data" / "apizen.db", tmp_path / "kept.db"
    shutil.copy(file, kept)
    options = ["--methods", "bank", "--workers", "2", "--trusted-proxies", "127.0.0.1"]
    with running(*options, cwd=tmp_path) as program:

        def everywhere() -> set[tuple[int, str]]:
            answers = [program.send("GET", "/readyz") for _ in range(10)]  # enough to meet all workers
            return {(answer.status, answer.json.get("reason", "")) for answer in answers}

        def banned() -> set[int]:
            query, headers = "v=bank-1&method=bank.open&account=7", {"X-Forwarded-For": "203.0.113.9"}
            return {program.get(query, headers).meta[0] for _ in range(10)}

        assert (everywhere(), banned()) == ({(200, "")}, {1003})
        (tmp_path / "empty").touch()
        (tmp_path / "empty").rename(file)
        lost = {(503, "the database of apps and bans has gone or lacks what was read from it")}
        assert until(lambda: everywhere() == lost, NOTICED)
        assert (banned(), file.stat().st_size) == ({1003}, 0)
        kept.rename(file)
        assert until(lambda: everywhere() == {(200, "")}, NOTICED)
        assert banned() == {1003}


KEY = {"APIZEN_SECRET_KEY": "one key for all machines"}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Program], dict[str, str], RedisServer]]:
    """Two servers with folders of their own, as two machines; they share a PostgreSQL and a Redis, and an app."""
    with ExitStack() as stack:
        database = stack.enter_context(postgresql())
        store = stack.enter_context(redis())
        folders = [tmp_path_factory.mktemp("machine") for _ in range(2)]
        options = ["--database", database, "--json"]
        ended = run("app", "create", "teller", *options, cwd=folders[0], env=KEY)
        assert (ended.returncode, ended.stderr) == (0, "")
        programs = []
        for folder in folders:
            (folder / "bank.py").write_text(BANK, "utf-8")
            shared = ["--database", database, "--store", store.url, "--methods", "bank"]
            programs.append(stack.enter_context(running(*shared, cwd=folder, env=KEY)))
        yield programs, json.loads(ended.stdout), store


@pytest.mark.second_chance("Redis has a second for an answer, which a busy machine may not keep")
def test_several_machines_count_together(machines: tuple[list[Program], dict[str, str], RedisServer]) -> None:
    programs, app, _ = machines
    copy = Caller(programs[0], app).query(nonce="once")
    with ThreadPoolExecutor(20) as clients:
        copies = list(clients.map(lambda number: programs[number % 2].get(copy).meta[0], range(40)))
        calls = list(
            clients.map(
                lambda number: programs[number % 2].get(f"v=bank-1&method=bank.limited&account={number}").meta[0],
                range(140),
            )
        )
    assert Counter(copies) == {1000: 1, 1032: 39}
    assert Counter(calls) == {1000: 100, 1027: 40}


def test_a_store_that_fails(machines: tuple[list[Program], dict[str, str], RedisServer]) -> None:
    programs, app, store = machines
    caller = Caller(programs[0], app)
    store.kill()
    refused = caller.call(nonce="without a store")
    assert (refused.status, refused.meta) == (503, (1030, "服务繁忙，暂时无法验证签名"))
    assert int(refused.headers["Retry-After"]) >= 1
    assert {programs[0].get(f"v=bank-1&method=bank.limited&account={n}").meta[0] for n in range(120)} == {1000}
    store.start()
    assert until(lambda: caller.call(nonce=str(time.monotonic())).meta[0] == 1000)


@alone_or_not
def test_a_replay_after_a_restart(teller: dict[str, str], tmp_path: Path, workers: int) -> None:
    (tmp_path / "bank.py").write_text(BANK, "utf-8")
    options = ["--methods", "bank", "--workers", str(workers)]
    with running(*options, cwd=tmp_path) as program:
        sent = Caller(program, teller).query(nonce="once")
        assert program.get(sent).meta[0] == 1000
    with running(*options, cwd=tmp_path) as restarted:
        assert restarted.get(sent).meta == (1032, "重复的请求")
