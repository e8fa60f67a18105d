"""What the real program counts when many callers come, when it is started with other workers, and when its files
are damaged.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from apizen.commands.app import app as app_commands
from apizen.governance.signature import signature, string_to_sign
from tests.apizen.commands.operating import Operator
from tests.process import Program, running
from tests.support import HOST, SECRETS, until

SHOP = """
from apizen import ApiMethodBase, version

def one():
    return 1

@version("shop-1")
class Shop(ApiMethodBase):
    api_methods = {
        "open": {"func": one, "run": "inline"},
        "limited": {"func": one, "run": "inline", "rate": "3/hour"},
        "signed": {"func": one, "run": "inline", "auth": "sign", "rate": "3/hour"},
    }
"""
#: The least that the setting takes, so that few calls fill the tables.
SMALL = ["--counted-callers", "1024", "--trusted-proxies", "127.0.0.0/8"]

one_or_two = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture
def app(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")
    made: dict[str, str] = Operator(tmp_path / "data").run(app_commands, "create", "buyer", "--json").json
    SECRETS.add(made["secret"])
    return made


@contextmanager
def shop(folder: Path, workers: int, *options: str) -> Iterator[Program]:
    with running("--methods", "shop", "--workers", str(workers), *options, cwd=folder) as program:
        yield program


def signed(app: dict[str, str], nonce: object, secret: str = "") -> str:
    sent = {"v": "shop-1", "method": "signed", "app_key": app["app_key"], "timestamp": str(int(time.time())),
            "nonce": str(nonce)}  # fmt: skip
    return urlencode(
        {**sent, "sign": signature("hmac-sha256", secret or app["secret"], string_to_sign(list(sent.items())))}
    )


def codes(program: Program, query: str, addresses: Iterable[str]) -> list[int]:
    """The codes that a call gets from each of some addresses, all over one connection."""
    found = []
    with closing(http.client.HTTPConnection(HOST, program.port, timeout=10)) as connection:
        for address in addresses:
            connection.request("GET", f"/api/router/rest?{query}", headers={"X-Forwarded-For": address})
            found.append(json.loads(connection.getresponse().read())["meta"]["code"])
    return found


def times_full(program: Program) -> float:
    metrics = program.send("GET", "/metrics").body.decode()
    return float(re.findall(r"^apizen_counters_full_total (\S+)$", metrics, re.MULTILINE)[0])


LIMITED = "v=shop-1&method=limited"


@one_or_two
def test_many_addresses_do_not_end_rates(app: dict[str, str], tmp_path: Path, workers: int) -> None:
    with shop(tmp_path, workers, *SMALL) as program:
        before = "192.0.2.7"
        assert codes(program, LIMITED, [before] * 2) == [1000] * 2
        assert times_full(program) == 0
        # One network of 48 bits, of which each network of 64 is a caller.
        flood = Counter(codes(program, LIMITED, [f"2001:db8:1:{number:x}::1" for number in range(1500)]))
        # As many as there are places pass, and three more, of which the whole network has the count.
        assert flood[1000] <= 1024 + 3
        assert flood[1027] == 1500 - flood[1000] >= 400
        assert until(lambda: times_full(program) >= flood[1027])
        # Who had a place keeps it.
        assert codes(program, LIMITED, [before] * 2) == [1000, 1027]
        # A network that is new has one count, and so has each other one.
        for network in ("198.51.100.{}", "203.0.113.{}", "2001:db8:2:{:x}::1"):
            new = [network.format(number) for number in range(1, 90)]
            found = Counter(codes(program, LIMITED, new))
            assert found[1000] < 89
            assert found[1027] > 0
        # Apps have places of their own.
        assert [program.get(signed(app, number)).meta[0] for number in range(4)] == [1000] * 3 + [1027]
        program.process.kill()
        assert program.process.stderr is not None
        log = program.process.stderr.read()
    line = (
        "all places for counted addresses are taken, new ones are counted as networks: see the setting counted_callers"
    )
    assert 1 <= log.count(line) <= workers
    assert "calls pass unlimited" not in log
    assert "Traceback" not in log


@one_or_two
def test_many_addresses_do_not_end_lock_outs(app: dict[str, str], tmp_path: Path, workers: int) -> None:
    forged = signed(app, "forged", secret="guessed")
    with shop(tmp_path, workers, *SMALL, "--lockout", "3/minute") as program:
        # Neither those of rates nor those of other failures take the places of one who fails.
        codes(program, LIMITED, [f"2001:db8:1:{number:x}::1" for number in range(1100)])
        assert codes(program, forged, ["192.0.2.7"] * 3) == [1010] * 3
        assert until(lambda: codes(program, forged, ["192.0.2.7"] * 8) == [1002] * 8)
        flood = Counter(codes(program, forged, [f"2001:db8:1:{number:x}::1" for number in range(400)]))
        assert flood[1010] <= 256 + 3
        assert flood[1002] == 400 - flood[1010] >= 100
        # The network is locked out, and nobody else is.
        assert until(lambda: codes(program, forged, ["2001:db8:1:ffff::1"] * 8) == [1002] * 8)
        assert codes(program, forged, ["2001:db8:2::1", "192.0.2.8"]) == [1010] * 2


@pytest.mark.parametrize("order", [(1, 2, 1), (2, 1, 2)])
def test_a_replay_after_a_restart_with_other_workers(
    app: dict[str, str], tmp_path: Path, order: tuple[int, ...]
) -> None:
    sent: list[str] = []
    for number, workers in enumerate(order):
        with shop(tmp_path, workers) as program:
            assert [program.get(query).meta for query in sent] == [(1032, "重复的请求")] * len(sent)
            sent.append(signed(app, number))
            assert program.get(sent[-1]).meta[0] == 1000
        # It was killed: nothing that was answered is lost.


@one_or_two
def test_of_copies_one_succeeds_whoever_is_killed(app: dict[str, str], tmp_path: Path, workers: int) -> None:
    """The server is killed while copies of a call are under way, and started with another number of workers."""
    query = signed(app, "copy")
    found: list[int] = []

    def send(program: Program) -> None:
        try:
            found.append(program.get(query).meta[0])
        except (OSError, http.client.HTTPException, ValueError):
            return  # killed

    with shop(tmp_path, workers) as program, ThreadPoolExecutor(8) as clients:
        sending = [clients.submit(send, program) for _ in range(16)]
        assert until(lambda: found)
        program.process.kill()
        for each in sending:
            each.result()
    # The one that succeeded may have been killed before it could say so.
    assert Counter(found)[1000] <= 1
    with shop(tmp_path, 3 - workers) as program:
        assert [program.get(query).meta[0] for _ in range(4)] == [1032] * 4


DAMAGES: list[Callable[[Path], object]] = [
    lambda path: os.truncate(path, 0),
    lambda path: os.truncate(path, 10_000),
    lambda path: path.write_bytes(random.Random(1).randbytes(2**20)),
    lambda path: path.unlink(),
]


@one_or_two
@pytest.mark.parametrize("damage", DAMAGES, ids=["emptied", "cut", "overwritten", "deleted"])
def test_files_damaged_while_in_use(
    app: dict[str, str], tmp_path: Path, workers: int, damage: Callable[[Path], object]
) -> None:
    """No process ends, no call tells what is wrong inside, and soon all is counted again."""
    with shop(tmp_path, workers, "--lockout", "3/minute", "--trusted-proxies", "127.0.0.0/8") as program:
        first = signed(app, "first")
        assert program.get(first).meta[0] == 1000
        assert codes(program, LIMITED, ["192.0.2.7"]) == [1000]
        for path in (tmp_path / "data").iterdir():
            if path.name in ("claims", "counters"):
                damage(path)
        allowed = {
            1000, 1032, 1027,
            1030,  # 暂时无法验证签名: for a call, until the file is looked at
        }  # fmt: skip
        for number in range(8):
            answer = program.get(signed(app, f"during {number}"))
            assert answer.meta[0] in allowed, answer.body
            assert "claims" not in answer.body.decode()
        if workers == 1:
            assert program.get(first).meta[0] == 1032

        def counted() -> bool:
            copy = signed(app, time.monotonic())
            found = [program.get(copy).meta[0] for _ in range(4)]
            return found[0] in (1000, 1027) and found[1:] == [1032] * 3

        assert until(counted)
        assert until(lambda: codes(program, LIMITED, ["192.0.2.8"] * 9)[-1] == 1027)
        forged = signed(app, "forged", secret="guessed")
        assert until(lambda: codes(program, forged, ["192.0.2.9"] * 4)[-1] == 1002)
        assert program.process.poll() is None
        program.process.kill()
        assert program.process.stderr is not None
        log = program.process.stderr.read()
    assert "Traceback" not in log
    assert "was ended by signal" not in log
