"""The program as its operator meets it: start, settings, commands, signals."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apizen.settings import Settings
from tests.process import Program, run, running
from tests.support import HOST

SHOP = """
import time
from apizen import ApiMethodBase, version

def price(item: str, count: int = 1):
    return {"item": item, "price": 3 * count}

def nap(seconds: float):
    time.sleep(seconds)
    return "rested"

def fail():
    raise LookupError("no such thing")

@version("shop-1")
class Shop(ApiMethodBase):
    api_methods = {
        "shop.price": {"func": price},
        "shop.nap": {"func": nap},
        "shop.fail": {"func": fail},
        "shop.only-put": {"func": price, "method": ["put"]},
    }
"""

BROKEN = """
from apizen import ApiMethodBase, version

def any_number(*numbers: int):
    return sum(numbers)

def unreadable(size: "Sizes"):
    return size

@version("broken-1")
class Broken(ApiMethodBase):
    api_methods = {
        "good": {"func": len, "run": "inline"},
        "many": {"func": any_number},
        "hint": {"func": unreadable},
        "typo": {"func": len, "enabel": False},
        "none": {"func": None},
        "verb": {"func": len, "method": ["fetch"]},
        "time": {"func": len, "timeout": -1},
    }
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")
    (tmp_path / "broken.py").write_text(BROKEN, "utf-8")
    return tmp_path


def test_start_prints_the_urls_and_takes_little_longer_than_importing() -> None:
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import tornado.web, tornado.httpserver"], check=True)
    importing = time.monotonic() - started
    with running() as program:
        assert program.get("v=1.0&method=matrix.api.class-func&name=jim").response == {"name": "jim"}
        taken = time.monotonic() - started - importing
        assert taken < max(1, 8 * importing)  # the benchmark has the real figure
        assert f"http://127.0.0.1:{program.port}/api/router/rest?v=…&method=…" in program.banner


def test_all_addresses_are_printed() -> None:
    with running("--host", "0.0.0.0") as program:
        assert f"http://127.0.0.1:{program.port}/" in program.banner


def test_idle_memory() -> None:
    with running() as program:
        program.get("v=1.0&method=matrix.api.err-func")
        status = Path(f"/proc/{program.process.pid}/status")
        if not status.exists():
            pytest.skip("no /proc here to read the memory from")
        (resident,) = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
        assert int(resident.split()[1]) < 50 * 1024


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it(number: signal.Signals) -> None:
    with running() as program:
        program.signal(number)
        assert program.wait(8) == 0


def test_signal_lets_calls_finish_and_refuses_new_ones(shop: Path) -> None:
    with running("--methods", "shop", cwd=shop) as program, ThreadPoolExecutor() as clients:
        kept = http.client.HTTPConnection(HOST, program.port, timeout=10)
        kept.request("GET", "/api/router/rest?v=shop-1&method=shop.price&item=a")
        assert json.loads(kept.getresponse().read())["meta"]["code"] == 1000
        napping = clients.submit(program.get, "v=shop-1&method=shop.nap&seconds=2")
        time.sleep(0.4)
        program.signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, program.port))
        kept.request("GET", "/api/router/rest?v=shop-1&method=shop.price&item=a")
        refused = kept.getresponse()
        assert (refused.status, json.loads(refused.read())["meta"]["code"]) == (403, 1001)
        assert napping.result().response == "rested"
        assert program.wait(8) == 0
        kept.close()


def test_second_signal_ends_it_at_once(shop: Path) -> None:
    with running("--methods", "shop", cwd=shop) as program, ThreadPoolExecutor() as clients:
        napping = clients.submit(program.get, "v=shop-1&method=shop.nap&seconds=20")
        time.sleep(0.5)
        program.signal(signal.SIGINT)
        time.sleep(0.2)
        program.signal(signal.SIGINT)
        assert program.wait() == 1  # after the first alone it is 0
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            napping.result()


def test_stuck_thread_does_not_keep_it_alive(shop: Path) -> None:
    with running("--methods", "shop", "--timeout", "0.2", cwd=shop) as program:
        assert program.get("v=shop-1&method=shop.nap&seconds=30").meta == (1029, "处理超时")
        program.signal(signal.SIGTERM)
        assert program.wait(8) == 0


STUBBORN = """
import asyncio
from apizen import ApiMethodBase, version

async def stubborn():
    while True:
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            pass

@version("stubborn-1")
class Stubborn(ApiMethodBase):
    api_methods = {"stubborn": {"func": stubborn, "timeout": 0.2}}
"""


def test_stubborn_coroutine_does_not_keep_it_alive(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN, "utf-8")
    done = run("call", "--methods", "stubborn", "stubborn", "v=stubborn-1", cwd=tmp_path)
    assert json.loads(done.stdout)["meta"]["code"] == 1029
    with running("--methods", "stubborn", cwd=tmp_path) as program:
        assert program.get("v=stubborn-1&method=stubborn").meta[0] == 1029
        program.signal(signal.SIGTERM)
        assert program.wait(8) == 0


def test_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"Error: can't listen on 127.0.0.1:{port}: Address already in use"


def test_methods_lists_signatures(shop: Path) -> None:
    lines = run("methods", "--methods", "shop", cwd=shop).stdout.splitlines()
    set_user = "  matrix.api.set-user(user_id: int, name: str, mark: float = None, age: int = 19)"
    assert lines[0] == "shop-1"
    assert lines.index("1.0") < lines.index("1.1") < lines.index("1.2")
    assert f"{set_user}  GET, POST, HEAD, OPTIONS" in lines
    assert "  matrix.api.api-stop()  -  (disabled)" in lines
    assert "  shop.price(item: str, count: int = 1)  GET, POST, HEAD, OPTIONS" in lines


CALLS = [
    (("matrix.api.set-user", "v=1.0", "user_id=11", "name=张"), 0, 1000),
    (("matrix.api.set-user", "v=1.0", "user_id=x", "name=张"), 1, 1022),
    (("matrix.api.raise-error", "v=1.1"), 1, 2001),
    (("matrix.api.only-post", "v=1.2"), 1, 2001),
    (("shop.price", "v=shop-1", "item=a b=c&d"), 0, 1000),
    (("shop.only-put", "v=shop-1", "item=a"), 0, 1000),
    (("nope", "v=1.0"), 1, 1013),
    (("matrix.api.set-user",), 1, 1004),
]


@pytest.mark.parametrize(("arguments", "status", "code"), CALLS)
def test_call_prints_the_envelope(shop: Path, arguments: tuple[str, ...], status: int, code: int) -> None:
    done = run("call", "--methods", "shop", *arguments, cwd=shop)
    assert (done.returncode, json.loads(done.stdout)["meta"]["code"]) == (status, code)


def test_call_in_xml() -> None:
    done = run("call", "matrix.api.class-func", "v=1.0", "name=<", "format=xml")
    assert "<response><name>&lt;</name></response>" in done.stdout


def test_call_refuses_what_is_no_parameter() -> None:
    done = run("call", "matrix.api.class-func", "name")
    assert done.returncode == 2
    assert "'name' is no NAME=VALUE" in done.stderr


def test_check_is_content() -> None:
    done = run("check")
    assert (done.returncode, done.stdout) == (0, "3 versions, 24 methods, 0 problems\n")


PROBLEMS = [
    "version broken-1, method many: broken.any_number ({here}/broken.py:4): parameter *numbers: positional parameters "
    "without a name are not supported; registered in broken.Broken ({here}/broken.py:10)",
    "version broken-1, method hint: broken.unreadable ({here}/broken.py:7): parameter size: its type hint 'Sizes' "
    "can't be read: name 'Sizes' is not defined; registered in broken.Broken ({here}/broken.py:10)",
    "version broken-1, method typo: unknown key 'enabel' in its entry, did you mean 'enable'?",
    "version broken-1, method none: func must be a function, not None;",
    "version broken-1, method verb: method must name some of GET, POST, PUT, PATCH, DELETE, not ['fetch'];",
    "version broken-1, method time: timeout must be a number of seconds above 0, not -1;",
]


def test_check_reports_each_problem(shop: Path) -> None:
    done = run("check", "--methods", "broken", cwd=shop)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[-1] == "4 versions, 31 methods, 6 problems"
    for line, expected in zip(lines, PROBLEMS, strict=False):
        assert line.startswith(expected.format(here=shop)), line


def test_a_broken_method_leaves_the_others_working(shop: Path) -> None:
    with running("--methods", "broken", cwd=shop) as program:
        for method in ("many", "hint", "typo", "none", "verb", "time"):
            answer = program.get(f"v=broken-1&method={method}")
            assert (answer.status, answer.meta) == (500, (1020, "错误的API配置"))
        assert program.get("v=broken-1&method=good&obj=abc").response == 3
        program.process.terminate()
        assert program.process.stderr is not None
        reported = program.process.stderr.read()
        assert reported.count("bad configuration: version broken-1, method ") == 6


WRONG_SETTINGS = [
    (("serve", "--prot", "1"), {}, "No such option '--prot'."),
    (("check",), {"APIZEN_PROT": "1"}, "unknown environment variable APIZEN_PROT, did you mean 'APIZEN_PORT'?"),
    (("check", "--port", "x"), {}, "Invalid value for '--port': 'x' is not a valid integer."),
    (("check",), {"APIZEN_PORT": "x"}, "'x' is not a valid integer."),
    (("check", "--port", "70000"), {}, "port must be at most 65535, not 70000"),
    (("check", "--timeout", "0"), {}, "timeout must be at least 0.001, not 0.0"),
    (("check", "--timeout", "nan"), {}, "timeout must be at least 0.001, not nan"),
    (("check", "--methods", "no.such.module"), {}, "there is no module 'no.such.module'"),
    (("check", "--config", "nowhere.toml"), {}, "'nowhere.toml' does not exist"),
    (("chekc",), {}, "No such command 'chekc'"),
]


@pytest.mark.parametrize(("arguments", "variables", "message"), WRONG_SETTINGS)
def test_wrong_setting(arguments: tuple[str, ...], variables: dict[str, str], message: str) -> None:
    done = run(*arguments, env=variables)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "unknown setting 'prot', did you mean 'port'?"),
        ('port = "80"', "port must be of type int, not '80'"),
        ("debug = 1", "debug must be of type bool, not 1"),
        ("port = ", "Invalid value (at end of document)"),
        ("methods = [1]", "methods must be a list of texts, not [1]"),
        ("methods = 3", "methods must be of type list, not 3"),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "wrong.toml").write_text(text)
    done = run("check", "--config", "wrong.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_settings_win_in_their_order(shop: Path) -> None:
    (shop / "api.toml").write_text(
        'methods = ["shop"]\nresponse_key = "file"\ncors_origin = "https://file"\ntimeout = 1\n'
    )
    variables = {"APIZEN_CONFIG": "api.toml", "APIZEN_RESPONSE_KEY": "variable"}

    def key(*arguments: str, env: dict[str, str]) -> str:
        done = run("call", *arguments, "shop.price", "v=shop-1", "item=a", cwd=shop, env=env)
        return next(name for name in json.loads(done.stdout) if name != "meta")

    assert key("--config", "api.toml", env={}) == "file"
    assert key(env=variables) == "variable"
    assert key("--response-key", "respone", env=variables) == "respone"
    with running(cwd=shop, env=variables) as program:
        assert program.get("v=shop-1&method=shop.price&item=a").headers["Access-Control-Allow-Origin"] == "https://file"


def test_serve_is_the_default_command() -> None:
    assert Settings().port == 8010
    done = run("--port", "99999")
    assert (done.returncode, "port must be at most 65535" in done.stderr) == (2, True)


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def test_debug_tells_the_exception_and_reloads(shop: Path) -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    with running("--methods", "shop", "--debug", "--port", str(port), cwd=shop) as program:
        client = Program(program.process, "", port)
        assert client.get("v=shop-1&method=shop.fail").meta == (1017, "系统处理错误，LookupError: no such thing")
        time.sleep(1)  # the watcher looks twice a second; a change is what differs from its first look

        def change() -> None:
            (shop / "shop.py").write_text(SHOP.replace("3 * count", "4 * count"), "utf-8")

        def reloaded() -> bool:
            try:
                return client.get("v=shop-1&method=shop.price&item=a").response["price"] == 4
            except (OSError, http.client.HTTPException):
                return False

        change()
        if not until(reloaded, 8):
            change()  # its first look came late
            assert until(reloaded)
