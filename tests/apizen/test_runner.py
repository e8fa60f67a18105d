"""Where functions run: threads, the event loop, timeouts, limits; by a real server where clients matter."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import itertools
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import wraps
from typing import Any

import pytest

from apizen.exception import ApiException
from apizen.runner import Runner
from tests.support import RunningServer, registry_of, serving, until

REQUEST = contextvars.ContextVar[str]("REQUEST", default="none")


ENDED: list[str] = []


def nap(seconds: float = 5) -> str:
    time.sleep(seconds)
    ENDED.append("nap")
    return "rested"


async def nap_async(seconds: float = 5) -> str:
    await asyncio.sleep(seconds)
    ENDED.append("nap-async")
    return "rested"


async def stubborn() -> str:
    """Swallows its cancellation."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue
    ENDED.append("stubborn")
    return "late"


async def count(until: int) -> AsyncIterator[int]:
    for number in range(until):
        yield number


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def made_async(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def own_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(function(*args, **kwargs))

    return wrapper


def raising(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


def raising_async(error: BaseException) -> Callable[[], Any]:
    async def function() -> None:
        raise error

    return function


def generator() -> Iterator[int]:
    yield 1
    raise LookupError("in the middle")


TAKEN: dict[str, int] = {}


def endless(name: str) -> Iterator[str]:
    for TAKEN[name] in itertools.count():
        yield "x" * 10


async def endless_async(name: str, pause: float = -1) -> AsyncIterator[str]:
    for item in endless(name):
        if pause >= 0:
            await asyncio.sleep(pause)
        yield item


async def stubborn_async(name: str) -> AsyncIterator[str]:
    """Swallows its cancellation and goes on."""
    for item in endless(name):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)
        yield item


async def gives_endless(name: str) -> Any:
    return endless(name)


ENDLESS: dict[str, Any] = {
    "thread": {"func": lambda: endless("thread"), "timeout": 0.3},
    "nested": {"func": lambda: {"rows": [endless("nested")]}, "timeout": 0.3},
    "inline": {"func": lambda: endless("inline"), "run": "inline"},
    "loop": {"func": lambda: endless_async("loop"), "timeout": 0.3},
    "loop-pausing": {"func": lambda: endless_async("loop-pausing", 0), "timeout": 0.3},
    "async": {"func": functools.partial(endless_async, "async"), "timeout": 0.3},
    "stubborn": {"func": functools.partial(stubborn_async, "stubborn"), "timeout": 0.3},
    "async-plain": {"func": functools.partial(gives_endless, "async-plain"), "timeout": 0.3},
}

AWKWARD = {
    "system-exit": SystemExit(3),
    "stop-iteration": StopIteration(),
    "cancelled": asyncio.CancelledError(),
    "generator-exit": GeneratorExit(),
    "keyboard-interrupt": KeyboardInterrupt(),
    "recursion": RecursionError(),
    "memory": MemoryError(),
    "timeout": TimeoutError(),
}

METHODS: dict[str, Any] = {
    "nap": {"func": nap, "timeout": 0.3},
    "short": {"func": lambda: "here"},
    "inline": {"func": lambda: "here", "run": "inline"},
    "nap-async": {"func": nap_async, "timeout": 0.3},
    "stubborn": {"func": stubborn, "timeout": 0.2},
    "count": {"func": count},
    "decorated": {"func": decorated(nap_async)},
    "generator": {"func": generator},
    "made-async": {"func": made_async(nap)},
    "gives-coroutine": {"func": lambda seconds: nap_async(float(seconds))},
    "gives-coroutine-inline": {"func": lambda seconds: nap_async(float(seconds)), "run": "inline"},
    "own-loop": {"func": own_loop(nap_async)},
    **{f"thread-{name}": {"func": raising(error)} for name, error in AWKWARD.items()},
    **{f"loop-{name}": {"func": raising_async(error)} for name, error in AWKWARD.items()},
    "inline-system-exit": {"func": raising(SystemExit(3)), "run": "inline"},
    "inline-stop-iteration": {"func": raising(StopIteration()), "run": "inline"},
    "inline-cancelled": {"func": raising(asyncio.CancelledError()), "run": "inline"},
    "inline-keyboard-interrupt": {"func": raising(KeyboardInterrupt()), "run": "inline"},
    "inline-generator-exit": {"func": raising(GeneratorExit()), "run": "inline"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with serving(METHODS) as running:
        yield running


@pytest.mark.parametrize(
    ("query", "response"),
    [
        ("method=nap&seconds=0", "rested"),
        ("method=nap-async&seconds=0", "rested"),
        ("method=decorated&seconds=0", "rested"),
        ("method=count&until=3", [0, 1, 2]),
        ("method=made-async&seconds=0", "rested"),
        ("method=gives-coroutine&seconds=0", "rested"),
        ("method=gives-coroutine-inline&seconds=0", "rested"),
        ("method=own-loop&seconds=0", "rested"),
    ],
)
def test_every_kind_of_function_runs(server: RunningServer, query: str, response: Any) -> None:
    assert server.get(f"v=1.0&{query}").response == response


@pytest.mark.parametrize("method", ["nap", "nap-async", "stubborn"])
def test_timeout(server: RunningServer, method: str, caplog: pytest.LogCaptureFixture) -> None:
    ENDED.clear()
    answer = server.get(f"v=1.0&method={method}")
    assert (answer.status, answer.meta) == (504, (1029, "处理超时"))
    assert method not in ENDED
    assert f"1.0 {method} overran its timeout" in caplog.text


@pytest.mark.parametrize("method", ENDLESS)
def test_what_has_no_end_is_read_no_longer_than_its_call_may_take(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving({**ENDLESS, "short": METHODS["short"]}, timeout=0.3, max_answer=2**40) as server:
        assert server.get(f"v=1.0&method={method}").meta == (1029, "处理超时")
        assert f"1.0 {method} " in caplog.text
        assert until(lambda: server.app.pipeline.runner.overrun == 0)
        taken = TAKEN[method]
        assert taken > 1
        assert server.get("v=1.0&method=short").response == "here"
        assert not until(lambda: TAKEN[method] > taken + 1, 0.1)


@pytest.mark.parametrize("method", ENDLESS)
def test_what_has_no_end_is_read_no_further_than_an_answer_may_be_long(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    endpoints = {
        name: {key: value for key, value in entry.items() if key != "timeout"} for name, entry in ENDLESS.items()
    }
    with serving(endpoints, timeout=60, max_answer=1300) as server:
        assert server.get(f"v=1.0&method={method}").meta == (1017, "系统处理错误")
    assert "the answer has more than 1300 bytes, which is the setting max_answer" in caplog.text
    assert TAKEN[method] == 100  # of 13 bytes each, with quotes and comma


@pytest.mark.parametrize("method", [name for name in METHODS if name.partition("-")[2] in AWKWARD])
def test_awkward_exception_is_a_system_error(
    server: RunningServer, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert server.get(f"v=1.0&method={method}").meta == (1017, "系统处理错误")
    assert f"1.0 {method} failed" in caplog.text
    assert server.get("v=1.0&method=short").response == "here"


def test_exception_in_a_generator(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    assert server.get("v=1.0&method=generator").meta == (1017, "系统处理错误")
    assert "LookupError: in the middle" in caplog.text


def test_writing_xml_stalls_no_other() -> None:
    rows = [{"name": "x" * 10, "number": number} for number in range(60_000)]

    async def rows_async() -> Any:
        return rows

    methods = {"rows": {"func": lambda: rows}, "rows-async": {"func": rows_async}, "short": METHODS["inline"]}
    for method in ("rows", "rows-async"):
        with serving(methods) as server, ThreadPoolExecutor(1) as client:
            started = time.monotonic()
            long = client.submit(server.get, f"v=1.0&method={method}&format=xml")
            longest = 0.0
            while not long.done():
                asked = time.monotonic()
                server.get("v=1.0&method=short")
                longest = max(longest, time.monotonic() - asked)
            assert long.result().status == 200
            assert longest < 0.5 * (time.monotonic() - started)


def test_thread_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def ask(runner: Runner) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(ApiException) as caught:
                await runner.in_thread(endpoint(), lambda: 1)
        assert caught.value.err_code == 1030
        return await runner.in_thread(endpoint(), lambda: 2)

    assert run(ask, threads=2) == 2


def test_slow_function_stalls_no_other() -> None:
    timeout = 2
    methods = {**METHODS, "nap": {"func": nap, "timeout": timeout}}
    with serving(methods) as server, ThreadPoolExecutor(51) as clients:
        started = time.monotonic()
        slow = [clients.submit(server.get, "v=1.0&method=nap&seconds=4") for _ in range(50)]
        longest = 0.0
        while time.monotonic() - started < timeout / 2:
            for method in ("short", "inline"):
                asked = time.monotonic()
                assert server.get(f"v=1.0&method={method}").response == "here"
                longest = max(longest, time.monotonic() - asked)
        assert {one.result().meta for one in slow} == {(1029, "处理超时")}
        assert time.monotonic() - started < 4 * timeout  # all at once, not one batch after the other
        assert longest < timeout / 2  # a call that waits for a slow one's thread waits for its timeout


def test_full_queue_refuses() -> None:
    release = threading.Event()
    methods = {"wait": {"func": lambda: release.wait(5)}}
    with serving(methods, threads=2, queue=2) as server, ThreadPoolExecutor(8) as clients:
        calls = as_completed([clients.submit(server.get, "v=1.0&method=wait") for _ in range(8)])
        refused = [call.result().meta[0] for call in itertools.islice(calls, 6)]
        release.set()
        answered = [call.result().meta[0] for call in calls]
    assert refused == [1030] * 6
    assert answered == [1000] * 2  # one runs: a method alone gets half of the threads; one waits


def run(main: Callable[[Runner], Any], **limits: int) -> Any:
    """Runs a coroutine with a runner of its own, and sees that its threads end."""

    async def with_runner() -> Any:
        runner = Runner(**{"threads": 8, "queue_limit": 8, "overrun_limit": 8, **limits})
        try:
            return await main(runner)
        finally:
            runner.close()

    before = set(threading.enumerate())
    result = asyncio.run(with_runner())
    assert until(lambda: not set(threading.enumerate()) - before)
    return result


def endpoint(timeout: float = 5, name: str = "m") -> Any:
    return registry_of({name: {"func": nap, "timeout": timeout}}).catalogue().find("1.0", name)


def test_context_variables_reach_the_function() -> None:
    async def ask(runner: Runner) -> list[str]:
        REQUEST.set("order-17")
        here = endpoint()

        async def on_loop() -> str:
            return REQUEST.get()

        return [await runner.in_thread(here, REQUEST.get), await runner.on_loop(here, on_loop)]

    assert run(ask) == ["order-17", "order-17"]


def test_a_method_alone_gets_half_of_the_threads_and_another_one_finds_some() -> None:
    running: dict[str, int] = {"a": 0, "b": 0}
    most = dict(running)
    lock = threading.Lock()

    def work(name: str) -> None:
        with lock:
            running[name] += 1
            most[name] = max(most[name], running[name])
        time.sleep(0.05)
        with lock:
            running[name] -= 1

    async def both(runner: Runner) -> None:
        ends = {name: endpoint(name=name) for name in running}
        calls = [runner.in_thread(ends[name], lambda name=name: work(name)) for name in ("a",) * 20 + ("b",) * 20]
        await asyncio.gather(*calls)

    run(both, queue_limit=100)
    assert most["a"] <= 5
    assert most["b"] >= 2


def test_waiting_calls_run_in_their_order() -> None:
    order: list[int] = []

    async def in_order(runner: Runner) -> None:
        here = endpoint()
        await asyncio.gather(*(runner.in_thread(here, lambda n=n: order.append(n)) for n in range(10)))

    run(in_order, threads=2, queue_limit=100)
    assert order == list(range(10))


def test_a_call_that_waits_too_long_times_out_without_running() -> None:
    ran: list[str] = []
    release = threading.Event()

    async def wait(runner: Runner) -> ApiException:
        blocking = asyncio.ensure_future(runner.in_thread(endpoint(name="slow"), lambda: release.wait(5)))
        await asyncio.sleep(0)
        with pytest.raises(ApiException) as caught:
            await runner.in_thread(endpoint(timeout=0.1, name="late"), lambda: ran.append("late"))
        release.set()
        await blocking
        return caught.value

    assert run(wait, threads=1).err_code == 1029
    assert ran == []


def test_threads_that_overran_come_back() -> None:
    release = threading.Event()

    async def overrun(runner: Runner) -> list[int]:
        here = endpoint(timeout=0.1)

        async def code_of(call: Callable[[], object]) -> int:
            try:
                await runner.in_thread(here, call)
            except ApiException as error:
                return error.err_code
            return 1000

        codes = [await code_of(lambda: release.wait(10)) for _ in range(3)]
        release.set()
        async with asyncio.timeout(5):
            while await code_of(lambda: 7) != 1000:
                await asyncio.sleep(0.01)
        return codes

    assert run(overrun, threads=2, overrun_limit=2) == [1029, 1029, 1030]


def test_a_burst_of_stuck_calls_holds_no_more_threads_than_allowed() -> None:
    most = 0
    before = set(threading.enumerate())

    async def burst(runner: Runner) -> None:
        nonlocal most
        here = endpoint(timeout=0.1)
        calls = [asyncio.ensure_future(runner.in_thread(here, lambda: time.sleep(0.5))) for _ in range(60)]
        for _ in range(8):
            await asyncio.sleep(0.05)
            most = max(most, len(set(threading.enumerate()) - before))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert {error.err_code for error in answers if isinstance(error, ApiException)} == {1029}

    run(burst, threads=8, overrun_limit=4, queue_limit=1000)
    assert most <= 8


def test_many_calls_leave_no_thread_and_no_memory_behind() -> None:
    async def many(runner: Runner) -> int:
        here = endpoint()
        for _ in range(20):
            await asyncio.gather(*(runner.in_thread(here, lambda: bytearray(10_000)) for _ in range(100)))
        return sys.getrefcount(here)

    assert run(many, queue_limit=1000) < 10
