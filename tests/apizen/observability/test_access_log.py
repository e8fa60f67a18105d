from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apizen.call import Call
from apizen.caller import Caller
from apizen.observability.access_log import AccessLog
from apizen.observability.log_file import RotatingFile
from tests.worst import seconds_of

# Without a parent: what it logs comes nowhere else.
logger = logging.Logger("tests.access_log")


class Lines:
    """A file that keeps what it gets."""

    def __init__(self) -> None:
        self.raw = b""

    def write(self, lines: bytes) -> int:
        self.raw += lines
        return 0

    def close(self) -> None:
        pass


class Log(AccessLog):
    """An access log that can be read."""

    def __init__(self, *, parameters: bool = False) -> None:
        self.file = Lines()
        super().__init__(self.file, parameters=parameters)

    @property
    def raw(self) -> bytes:
        self.flush()
        return self.file.raw

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.raw.split(b"\n")[:-1]]


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    yield log
    log.close()


@pytest.fixture
def logged(log: Log) -> Iterator[Log]:
    """The log where this module's logger writes."""
    handler = log.handler()
    logger.addHandler(handler)
    yield log
    logger.removeHandler(handler)


def call_of(request_id: str = "order-17", **members: Any) -> Call:
    call = Call(Caller("192.0.2.7", request_id))
    for name, value in members.items():
        setattr(call, name, value)
    return call


def call_line(log: Log, **members: Any) -> Any:
    log.log_call(call_of(**members), "GET", 200, 10, 120, 0.00125)
    (line,) = log.lines()
    return line


# Calls


def test_line_of_a_call(log):
    before = time.time()
    call = call_of(claimed="12345678", version="1.0", method="math.add", code=1000, waited=0.0000012, ran=1.5)
    log.log_call(call, "POST", 200, 10, 120, 1.6000005)
    (line,) = log.lines()
    moment = line.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)
    assert moment[:19] in [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before + late)) for late in (0, 1)]
    assert line == {
        "level": "info", "event": "call", "request_id": "order-17", "address": "192.0.2.7", "app_key": "12345678",
        "v": "1.0", "method": "math.add", "verb": "POST", "code": 1000, "status": 200,
        "waited_ms": 0.001, "ran_ms": 1500.0, "total_ms": 1600.001, "bytes_in": 10, "bytes_out": 120,
    }  # fmt: skip


def test_line_of_another_path(log):
    log.log_request("192.0.2.7", "GET", "/screen/page.css", 304, 0, 0.002)
    (line,) = log.lines()
    del line["time"]
    assert line == {
        "level": "info", "event": "request", "address": "192.0.2.7", "verb": "GET", "path": "/screen/page.css",
        "status": 304, "total_ms": 2.0, "bytes_out": 0,
    }  # fmt: skip


def test_path_holds_no_secret(log):
    log.log_request("192.0.2.7", "GET", "http://joe:" + "hunter2pw" * 30 + "@h/foo;password=hush", 404, 0, 0.0)
    assert [line["path"] for line in log.lines()] == ["/foo;password=***"]


@pytest.mark.parametrize(
    ("registered", "shown"),
    [(False, "x.open&access_token=***"), (True, "x.open%26access_token=hush")],
)
def test_names_that_no_method_has_hold_no_secret(log, registered, shown):
    name = "x.open%26access_token=hush"
    line = call_line(log, registered=registered, method=name, version=name, claimed=name)
    assert (line["method"], line["v"], line["app_key"]) == (shown, shown, "x.open&access_token=***")


def test_parameters_are_off():
    log = Log()
    assert "parameters" not in call_line(log, logged_values={"a": "1"})
    log.close()


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ({"user_id": "11", "password": "hush"}, {"user_id": "11", "password": "***"}),
        ({"user": {"name": "jack", "access_token": "hush"}}, {"user": {"name": "jack", "access_token": "***"}}),
        ({}, {}),
    ],
)
def test_parameters_are_masked(parameters, shown):
    log = Log(parameters=True)
    assert call_line(log, logged_values=parameters)["parameters"] == shown
    log.close()


def test_parameters_that_were_not_read():
    log = Log(parameters=True)
    assert "parameters" not in call_line(log, logged_values=None)
    log.close()


# What a client can do

HOSTILE = [
    'x\n{"event":"call","code":1000}',
    "x\r\nforged",
    "x\x00\x1b[2J\x07",
    "x\x85\u2028\u2029",
    "x\x9b2J\u202e\u2066\ufeff",
    '"}, {"',
    "half \ud800 a pair",
    "方法",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_in_their_line(log, name):
    log.log_call(call_of(method=name, version=name, claimed=name), name, 404, 0, 0, 0.0)
    log.log_request("192.0.2.7", name, name, 404, 0, 0.0)
    raw = log.raw.decode()
    assert len(raw.splitlines()) == 2
    assert all(character.isprintable() for character in raw.replace("\n", ""))
    call, request = log.lines()
    seen = name.replace("\ud800", "?")
    assert [call[key] for key in ("method", "v", "app_key", "verb")] == [seen] * 4
    assert [request[key] for key in ("verb", "path")] == [seen] * 2


@settings(deadline=None)
@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_name_is_one_line(name):
    log = Log(parameters=True)
    log.log_call(call_of(method=name, logged_values={name: name}), "GET", 404, 0, 0, 0.0)
    log.close()
    assert len(log.raw.decode().splitlines()) == 1
    assert len(log.lines()) == 1


def test_long_names_are_cut(log):
    line = call_line(log, method="m" * 129, version="v" * 128, claimed="k" * 1_000_000)
    assert (line["method"], line["v"], line["app_key"]) == ("m" * 127 + "…", "v" * 128, "k" * 127 + "…")


# Errors


HUSH = "hush"


def fail(password: str) -> None:
    raise ValueError(f"could not log in with password={password}")


def test_error_with_its_traceback(logged):
    try:
        fail(HUSH)
    except ValueError:
        logger.exception("%s failed", "1.0 login", extra={"request_id": "order-17"})
    (line,) = logged.lines()
    assert {key: line[key] for key in ("level", "event", "request_id", "logger")} == {
        "level": "error", "event": "1.0 login failed", "request_id": "order-17", "logger": "tests.access_log",
    }  # fmt: skip
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("\nValueError: could not log in with password=***")
    assert "in fail\n" in line["exception"]
    assert b"hush" not in logged.raw


def test_error_given_as_an_exception(logged):
    logger.error("failed", exc_info=KeyError("access_token", "hush"))
    (line,) = logged.lines()
    assert line["exception"] == "KeyError: ('access_token', '***')"


def test_warning_without_a_traceback(logged):
    logger.warning("%d threads are stuck, sign=%s", 3, "hush")
    (line,) = logged.lines()
    del line["time"]
    assert line == {
        "level": "warning", "event": "3 threads are stuck, sign=***", "request_id": "", "logger": "tests.access_log",
    }  # fmt: skip


def test_what_is_below_a_warning_is_not_logged(logged):
    logger.info("something")
    assert logged.lines() == []


def test_message_is_made_when_it_is_logged(logged):
    values = [1]
    logger.warning("values: %s", values)
    values.append(2)
    assert [line["event"] for line in logged.lines()] == ["values: [1]"]


def test_message_that_does_not_fit_its_values(logged, capsys):
    logger.warning("%d", "x")
    assert logged.lines() == []
    assert "--- Logging error ---" in capsys.readouterr().err


def test_long_errors_are_cut(logged):
    logger.error("m" * 10_000, exc_info=ValueError("e" * 100_000))
    (line,) = logged.lines()
    assert line["event"] == "m" * 3999 + "…"
    assert line["exception"] == "ValueError: " + "e" * 7988 + "\n…\n" + "e" * 8000


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_exception_that_cannot_be_told(logged):
    logger.error("failed", exc_info=Silent())
    (line,) = logged.lines()
    assert line["exception"].endswith("Silent: <exception str() failed>")


def test_errors_come_before_the_line_of_their_call(logged):
    logger.error("failed", extra={"request_id": "order-17"})
    logged.log_call(call_of(), "GET", 500, 0, 0, 0.0)
    assert sorted(line["event"] for line in logged.lines()) == ["call", "failed"]


# The file


def test_the_end_of_the_process_loses_nothing(tmp_path):
    """`logging.shutdown`, which runs when a process ends, flushes what is left."""
    child = os.fork()
    if child == 0:
        log = AccessLog(RotatingFile(tmp_path / "access.log"))
        handler = log.handler()
        log.log_call(call_of(), "GET", 200, 0, 0, 0.0)
        logging.shutdown([lambda: handler])  # type: ignore[list-item]
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len((tmp_path / "access.log").read_text().splitlines()) == 1


def test_rotation_loses_no_line(tmp_path: Path):
    log = AccessLog(RotatingFile(tmp_path / "access.log", limit=200_000, kept=20))
    for number in range(5000):
        log.log_call(call_of(request_id=f"{number}"), "GET", 200, 0, 0, 0.0)
    log.close()
    found = [json.loads(line)["request_id"] for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted(map(int, found)) == list(range(5000))
    assert len(list(tmp_path.iterdir())) > 3
    assert log.lost == 0


def test_a_line_costs_little_more_than_its_json(log):
    call = call_of(claimed="12345678", version="1.0", method="math.add", code=1000)
    lines = seconds_of(lambda: [log.log_call(call, "GET", 200, 0, 120, 0.001) for _ in range(1000)])
    known = {"event": "call", **{f"key-{number}": "12345678" for number in range(12)}}
    assert lines < 20 * seconds_of(lambda: [json.dumps(known) for _ in range(1000)])
