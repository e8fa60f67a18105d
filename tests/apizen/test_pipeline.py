"""The pipeline without a face."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from apizen.call import Call
from apizen.caller import Caller
from apizen.exception import ApiException
from apizen.pipeline import Pipeline
from apizen.runner import Runner
from apizen.settings import Settings
from apizen.values import Values
from tests.support import Demanding, registry_of


class Counting:
    """Counts whom it asked; ``reads_body`` says whether it needs the body for that."""

    def __init__(self, reads_body: bool) -> None:
        self.reads_body = reads_body
        self.asked: list[tuple[str, str, bool]] = []

    def check(self, call: Call) -> None:
        self.asked.append((call.version, call.method, call.registered))

    foresee = check


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not to be told")


def gives(value: Any) -> Any:
    return lambda: value


def leaves() -> Iterator[int]:
    yield 1
    raise SystemExit(3)


async def numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


async def later(a: int = 0) -> int:
    await asyncio.sleep(0)
    return a


def fails() -> None:
    raise SystemExit(3)


METHODS: dict[str, Any] = {
    "inline": {"func": lambda a, b=1: [a, b], "run": "inline"},
    "thread": {"func": lambda a, b=1: [a, b]},
    "later": {"func": later},
    "numbers": {"func": numbers},
    "future": {"func": later, "timeout": 5},
    "coroutine": {"func": lambda: later(7), "run": "inline"},
    "exits": {"func": fails, "run": "inline"},
    "guarded": {"func": lambda a: a, "run": "inline", "auth": "sign"},
}


def endpoint_of(name: str, *guards: Any) -> Any:
    makers = [Demanding(guard) for guard in guards or [Counting(False)]]
    return registry_of(METHODS).catalogue(Settings(), makers).find("1.0", name)


def run(endpoint: Any, call: Call, pipeline: Pipeline | None = None) -> Any:
    async def main() -> Any:
        runner = Runner(4, 4, 4)
        given = (pipeline or Pipeline(runner)).call(endpoint, call)
        try:
            return await given if inspect.isawaitable(given) else given
        finally:
            runner.close()

    return asyncio.run(main())


def call_with(**values: Any) -> Call:
    return Call(Caller("192.0.2.7", "order-17"), Values(values, {}, b"{}"))


@pytest.mark.parametrize(
    ("name", "values", "value"),
    [
        ("inline", {"a": 1}, [1, 1]), ("thread", {"a": 1, "b": 2}, [1, 2]), ("later", {"a": "5"}, 5),
        ("numbers", {}, [1, 2]), ("coroutine", {}, 7), ("guarded", {"a": 1}, 1),
    ],
)  # fmt: skip
def test_values(name: str, values: dict[str, Any], value: Any) -> None:
    call = call_with(**values)
    assert run(endpoint_of(name), call) == value
    assert (call.version, call.method, call.registered) == ("1.0", name, True)
    assert call.ran > 0


def test_what_does_not_run_inline_is_awaited_and_what_does_is_there() -> None:
    pipeline = Pipeline(Runner(4, 4, 4))
    assert pipeline.call(endpoint_of("inline"), call_with(a=1)) == [1, 1]
    waiting = pipeline.call(endpoint_of("later"), call_with())
    assert inspect.isawaitable(waiting)
    asyncio.run(asyncio.wait_for(waiting, 10))
    pipeline.runner.close()


def test_names_that_are_ignored_are_few_and_found_in_the_thread_of_a_large_call() -> None:
    call = call_with(a=1, **{f"n{number:04}": 0 for number in range(300)})
    found: list[str] = []

    async def in_thread(work: Any) -> Any:
        def noted() -> Any:
            found.append(threading.current_thread().name)
            return work()

        return await asyncio.to_thread(noted)

    call.in_thread = in_thread
    assert run(endpoint_of("inline"), call) == [1, 1]
    assert call.ignored == [f"n{number:04}" for number in range(20)]
    assert len(found) == 1
    assert found[0] != "MainThread"


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("reads_body", "times"), [(False, 1), (True, 2)])
def test_a_guard_is_asked_again_only_where_it_reads_the_body(reads_body: bool, times: int, large: bool) -> None:
    guard = Counting(reads_body)
    endpoint, call = endpoint_of("guarded", guard), call_with(a=1)
    asyncio.run(Pipeline(Runner(4, 4, 4)).foresee(endpoint, call))
    if large:
        call.in_thread = asyncio.to_thread
    assert run(endpoint, call) == 1
    assert guard.asked == [("1.0", "guarded", True)] * times


@pytest.mark.parametrize("error", [KeyError("secret"), Odd()])
@pytest.mark.parametrize("debug", [False, True])
def test_any_error_can_be_explained(error: Exception, debug: bool) -> None:
    call = call_with()
    told = Pipeline(Runner(4, 4, 4), debug=debug).explain(call, error)
    assert isinstance(told, ApiException)
    assert (told.err_code, call.code) == (1017, 1017)
    assert told.message == (
        "系统处理错误，KeyError: 'secret'" if debug and isinstance(error, KeyError) else "系统处理错误"
    )


def test_what_would_end_the_process_is_an_error_of_the_call() -> None:
    with pytest.raises(RuntimeError, match="the function raised SystemExit"):
        run(endpoint_of("exits"), call_with())


def test_a_generator_that_would_end_the_process_is_an_error_of_the_call() -> None:
    class Listing(Call):
        def write(self, value: Any) -> Any:
            return list(value)

    async def generators() -> Iterator[int]:
        return leaves()

    endpoint = registry_of({"m": {"func": generators}}).catalogue().find("1.0", "m")
    with pytest.raises(RuntimeError, match="the function raised SystemExit"):
        run(endpoint, Listing(Caller(), Values({}, {}, b"")))
