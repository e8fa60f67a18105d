"""Methods whose calls end the process that serves them, and the service that goes on."""

from __future__ import annotations

import http.client
import itertools
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.test_workers import log_of
from tests.process import Program, running
from tests.support import Answer, until

DEADLY = """
import asyncio
import ctypes
import os
import time
from pathlib import Path

from apizen import ApiMethodBase, breaker, version

breaker._FIRST_PAUSE = float(os.environ.get("FIRST_PAUSE", "300"))

def good():
    return "good"

def slow():
    time.sleep(0.2)
    return "slow"

def leaves():
    os._exit(1)

def faults():
    ctypes.string_at(0)

async def leaves_later():
    await asyncio.sleep(0.01)
    os._exit(1)

def leaves_in_writing():
    yield 1
    os._exit(1)

async def leaves_in_writing_later():
    return leaves_in_writing()

def leaves_late():
    time.sleep(0.2)
    os._exit(1)

def some_leave(leave: bool = True):
    if leave:
        os._exit(1)
    return "stayed"

def may_leave():
    if Path("deadly").exists():
        os._exit(1)
    return "stayed"

functions = [
    good, slow, leaves, faults, leaves_later, leaves_in_writing, leaves_in_writing_later, some_leave, may_leave,
]

class Methods(ApiMethodBase):
    api_methods = {
        **{function.__name__: {"func": function} for function in functions},
        "inline": {"func": lambda: leaves(), "run": "inline"},
        "leaves_late": {"func": leaves_late, "timeout": 0.05},
    }

version("1")(Methods)
version("2")(type("Same", (Methods,), {}))
"""

OFF = (1030, "服务繁忙，该方法暂时停用")

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="needs processes that fork")


@contextmanager
def deadly(folder: Path, first_pause: float = 300) -> Iterator[Program]:
    (folder / "deadly_methods.py").write_text(DEADLY, "utf-8")
    arguments = ("--workers", "2", "--methods", "deadly_methods", "--access-log", "off")
    with running(*arguments, cwd=folder, env={"FIRST_PAUSE": str(first_pause)}) as program:
        yield program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with deadly(tmp_path_factory.mktemp("deadly")) as program:
        yield program


def call(program: Program, query: str) -> Answer | None:
    """The answer; None where the connection was cut."""
    try:
        return program.get(query)
    except (http.client.HTTPException, ConnectionError):
        return None


def until_off(program: Program, *queries: str) -> tuple[int, Answer]:
    """Calls, by turns, until one is refused: how many were cut before, and the refusal."""
    cut = 0
    for query in itertools.islice(itertools.cycle(queries), 300):
        answer = call(program, query)
        if answer is None:
            cut += 1
        elif answer.status == 503:
            return cut, answer
    raise AssertionError("nothing is refused")


WAYS = ["leaves", "faults", "inline", "leaves_later", "leaves_in_writing", "leaves_in_writing_later"]


@pytest.mark.parametrize("method", WAYS)
def test_three_deaths_switch_a_method_off_in_all_versions(program: Program, method: str) -> None:
    cut, refused = until_off(program, f"v=1&method={method}", f"v=2&method={method}")
    assert cut in (3, 4)  # the parent may be told of the third death a moment after its client
    assert refused.meta == OFF
    assert 290 < int(refused.headers["Retry-After"]) <= 300
    for query in (f"v=1&method={method}", f"v=2&method={method}") * 4:
        assert program.get(query).meta == OFF
    assert program.get("v=1&method=good").response == "good"


def test_a_call_that_nobody_waits_for_is_found_too(program: Program) -> None:
    until_off(program, "v=1&method=leaves_late")
    assert program.get("v=1&method=leaves_late").meta == OFF
    assert program.get("v=1&method=good").response == "good"


def test_a_method_that_dies_for_some_calls(program: Program) -> None:
    cut, refused = until_off(program, "v=1&method=some_leave", "v=1&method=some_leave&leave=false")
    assert (cut in (3, 4), refused.meta) == (True, OFF)


class Caller:
    """Calls one method again and again, in a thread, until told to stop."""

    def __init__(self, program: Program, method: str) -> None:
        self.answers: list[Answer | None] = []
        self._query = f"v=1&method={method}"
        self._program = program
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            self.answers.append(call(self._program, self._query))

    def stop(self) -> None:
        self._stopped.set()


@pytest.mark.parametrize("method", ["leaves", "faults"])
def test_the_others_go_on(tmp_path: Path, method: str) -> None:
    with deadly(tmp_path) as program, ThreadPoolExecutor(8) as threads:
        callers = [Caller(program, name) for name in ("good", "good", "slow", "slow", "slow", "slow")]
        running = [threads.submit(caller.run) for caller in callers]
        try:
            assert until(lambda: all(caller.answers for caller in callers))
            cut, _ = until_off(program, f"v=1&method={method}")
            before = [len(caller.answers) + 1 for caller in callers]  # one may be on its way
            assert until(
                lambda: all(len(caller.answers) >= count + 5 for caller, count in zip(callers, before, strict=True))
            )
        finally:
            for caller in callers:
                caller.stop()
        for each in running:
            each.result()
        for caller, count in zip(callers, before, strict=True):
            assert {None if answer is None else answer.status for answer in caller.answers} <= {None, 200}
            assert all(answer is not None for answer in caller.answers[count:])
        assert call(program, f"v=1&method={method}").meta == OFF
        program.signal(signal.SIGTERM)
        assert program.wait(20) == 0
        lines = log_of(program).splitlines()
    off = [line.partition(": ")[2] for line in lines if "ERROR" in line]
    assert off == [f"1 {method}, 2 {method}: it ran in 3 workers when they died; calls get 1030, in 300 s one is tried"]
    deaths = [line for line in lines if "; the next starts" in line]
    assert len(deaths) == cut
    assert deaths[2].endswith("; the next starts at once")


def test_a_method_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "deadly").touch()
    with deadly(tmp_path, first_pause=0.5) as program:
        assert until_off(program, "v=1&method=may_leave")[0] in (3, 4)
        assert until(lambda: call(program, "v=1&method=may_leave") is None)
        assert program.get("v=1&method=may_leave").meta == OFF
        (tmp_path / "deadly").unlink()
        assert until(
            lambda: (
                call(program, "v=1&method=may_leave") is not None and program.get("v=2&method=may_leave").status == 200
            )
        )
        program.signal(signal.SIGTERM)
        assert program.wait(20) == 0
        lines = [line.partition(": ")[2] for line in log_of(program).splitlines() if "breaker" in line]
    methods = "1 may_leave, 2 may_leave"
    assert lines == [
        f"{methods}: it ran in 3 workers when they died; calls get 1030, in 0.5 s one is tried",
        f"{methods}: a worker died when it was tried again; calls get 1030, in 1 s one is tried",
        f"{methods}: a call was tried and came to an end, so it is back",
    ]
