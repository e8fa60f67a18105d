"""Who is switched off for which deaths of workers, for how long, and what is marked while something runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from apizen import ApiMethodBase, version
from apizen.breaker import Breaker
from apizen.catalogue import Catalogue
from apizen.endpoint import Endpoint
from apizen.exception import ApiSysExceptions
from apizen.faces.rpc import Gateway
from apizen.pipeline import Pipeline
from apizen.request import Request, Response
from apizen.runner import Runner
from apizen.version import Registry
from tests.support import registry_of


class Tools:
    def shared(self) -> None: ...


def killer() -> None: ...
def other() -> None: ...
def innocent() -> None: ...


tools = Tools()
METHODS = {"kill": killer, "other": other, "good": innocent, "bound": tools.shared}


def catalogue_of(methods: dict[str, Any]) -> Catalogue:
    """Two versions that have all methods."""
    registry = Registry()
    for name in ("1", "2"):
        entries = {key: {"func": function} for key, function in methods.items()}
        version(name, registry=registry)(type("Methods", (ApiMethodBase,), {"api_methods": entries}))
    return registry.catalogue()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A breaker, its clock, and workers that die when they are told to."""

    def __init__(self, methods: dict[str, Any] = METHODS) -> None:
        self.clock = Clock()
        self.catalogue = catalogue_of(methods)
        self.breaker = Breaker(self.catalogue, 3, self.clock)

    def endpoint(self, name: str) -> Endpoint:
        """``kill`` of version 1, or ``2 kill``."""
        asked, _, method = name.rpartition(" ")
        return self.catalogue.find(asked or "1", method)

    def die(self, *running: str, worker: int = 0) -> bool:
        self.breaker.begin(worker)
        for name in running:
            self.breaker.mark(self.endpoint(name))
        return self.breaker.blame(worker)

    def call(self, name: str) -> None:
        self.breaker.check(self.endpoint(name))
        self.breaker.run(self.endpoint(name), lambda: None)

    def left(self, name: str) -> int:
        """What Retry-After says; 0 where a call may pass, which is then tried and does not end."""
        try:
            self.breaker.check(self.endpoint(name))
        except ApiSysExceptions.service_busy as error:
            return int(error.headers["Retry-After"])
        return 0

    def off(self) -> set[str]:
        return {name for name in METHODS if self.left(name)}


HISTORIES: dict[str, tuple[list[str], set[str]]] = {
    "two deaths are not three": (["kill"] * 2, set()),
    "three in a row": (["kill"] * 3, {"kill"}),
    "many calls of one worker are one death": (["kill kill kill"] * 2, set()),
    "deaths without a call say nothing": (["", "", "", ""], set()),
    "and excuse nobody": (["kill", "", "kill", "", "kill"], {"kill"}),
    "three different ones": (["kill", "other", "good"], set()),
    "by turns, the first is found": (["kill", "other", "kill", "other", "kill"], {"kill"}),
    "by turns, the second is found": (["kill", "other"] * 3, {"kill", "other"}),
    "one was not always there": (["kill good", "kill", "good kill"], {"kill"}),
    "who was always there is found when the other is gone": (["kill good", "other good", "kill", "kill"], {"kill"}),
    "what is explained counts against nobody": (["kill good", "kill good", "kill", "good"], {"kill"}),
    "nothing tells two apart": (["kill good"] * 3, {"kill", "good"}),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_who_is_switched_off(history: str) -> None:
    deaths, off = HISTORIES[history]
    bench = Bench()
    for number, running in enumerate(deaths):
        bench.die(*running.split(), worker=number % 3)
    assert bench.off() == off


def test_of_two_the_one_whose_calls_end() -> None:
    bench = Bench()
    bench.breaker.begin(1)
    bench.call("good")
    for worker in range(3):
        assert bench.die("kill", "good", worker=worker) is (worker == 2)
    assert bench.off() == {"kill"}


@pytest.mark.parametrize("names", [["kill", "2 kill", "kill"], ["bound", "2 bound", "2 bound"]])
def test_versions_of_one_function_are_one(names: list[str], caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    assert [bench.die(name) for name in names] == [False, False, True]
    name = names[0]
    assert bench.left(name) == bench.left(f"2 {name}") == 300
    ended = f"1 {name}, 2 {name}: it ran in 3 workers when they died; calls get 1030, in 300 s one is tried"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("ERROR", ended)]


def test_deaths_are_forgotten_after_an_hour() -> None:
    bench = Bench()
    for _ in range(5):
        assert bench.die("kill") is False
        bench.clock.now += 1800.1
    assert bench.die("kill", "good") is False
    bench.clock.now += 1800.1
    assert bench.die("good", "good") is False
    assert bench.die("kill", "good") is True
    assert bench.off() == {"good"}


def test_a_call_that_is_tried_is_alone_and_brings_the_function_back(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    for _ in range(3):
        bench.die("kill")
    bench.clock.now += 299.5
    assert bench.left("kill") == 1
    bench.clock.now += 0.5
    assert [bench.left("kill"), bench.left("2 kill"), bench.left("kill")] == [0, 60, 60]
    bench.clock.now += 60
    caplog.clear()
    bench.call("2 kill")
    assert [bench.left("kill"), bench.left("2 kill"), bench.left("kill")] == [0, 0, 0]
    assert caplog.messages == ["1 kill, 2 kill: a call was tried and came to an end, so it is back"]


def test_a_call_that_fails_has_come_to_an_end() -> None:
    bench = Bench()
    for _ in range(3):
        bench.die("kill")
    bench.clock.now += 300
    bench.breaker.check(bench.endpoint("kill"))
    with pytest.raises(ZeroDivisionError):
        bench.breaker.run(bench.endpoint("kill"), lambda: 1 // 0)
    assert bench.left("kill") == 0


def test_each_pause_is_longer(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    for _ in range(3):
        bench.die("kill")
    pauses = []
    for _ in range(6):
        pauses.append(bench.left("kill"))
        bench.clock.now += pauses[-1]
        assert bench.left("kill") == 0
        caplog.clear()
        assert bench.die("kill", "good") is True
    assert pauses == [300, 600, 1200, 2400, 3600, 3600]
    assert caplog.messages == [
        "1 kill, 2 kill: a worker died when it was tried again; calls get 1030, in 3600 s one is tried"
    ]
    assert bench.off() == {"kill"}


@pytest.mark.parametrize(("good_for", "pause"), [(3599, 600), (3600, 300)])
def test_a_function_that_was_good_for_an_hour_starts_anew(good_for: float, pause: int) -> None:
    bench = Bench()
    for _ in range(3):
        bench.die("kill")
    bench.clock.now += 300
    bench.call("kill")
    bench.clock.now += good_for
    assert [bench.die("kill") for _ in range(3)] == [False, False, True]
    assert bench.left("kill") == pause


def test_a_call_that_began_before_explains_its_death() -> None:
    bench = Bench()
    bench.breaker.begin(1)
    bench.breaker.mark(bench.endpoint("kill"))
    bench.breaker.mark(bench.endpoint("good"))
    for _ in range(3):
        bench.die("kill")
    bench.clock.now += 100
    assert bench.breaker.blame(1) is True
    assert bench.left("kill") == 200
    assert [bench.die("good") for _ in range(2)] == [False, False]


def test_a_call_that_began_before_does_not_end_the_pause() -> None:
    bench = Bench()
    bench.breaker.begin(1)
    bench.breaker.mark(bench.endpoint("kill"))
    for _ in range(3):
        bench.die("kill")
    bench.breaker.begin(1)
    bench.breaker.leave(bench.endpoint("kill"))
    assert bench.left("kill") == 300


def test_who_ends_in_order_blames_nobody() -> None:
    bench = Bench()
    for _ in range(3):
        bench.breaker.begin(1)
        bench.breaker.mark(bench.endpoint("kill"))
        bench.breaker.end()
        assert bench.breaker.blame(1) is False
    assert bench.off() == set()


def test_nothing_registered() -> None:
    breaker = Breaker(Registry().catalogue(), 2)
    assert breaker.blame(0) is False


Seen = list[list[str]]


def ways(seen: Callable[[], None]) -> dict[str, dict[str, Any]]:
    """A method for each way to run; each looks at the marks while it runs."""

    def plain() -> None:
        seen()

    def written() -> Iterator[int]:
        seen()
        yield 1

    async def on_loop() -> None:
        seen()
        await asyncio.sleep(0)
        seen()

    async def written_on_loop() -> Any:
        return written()

    async def yields() -> AsyncIterator[int]:
        seen()
        yield 1

    def gives_coroutine() -> Awaitable[None]:
        seen()
        return on_loop()

    def fails() -> None:
        seen()
        raise LookupError

    async def swallows() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        seen()

    functions = [plain, written, on_loop, written_on_loop, yields, gives_coroutine, fails]
    entries = {function.__name__: {"func": function} for function in functions}
    inline = {
        f"inline_{each.__name__}": {"func": each, "run": "inline"} for each in (plain, written, gives_coroutine, fails)
    }
    return {**entries, **inline, "swallows": {"func": swallows, "timeout": 0.01}}


class Looking(Breaker):
    """Knows what is marked."""

    def marked(self) -> list[int]:
        return [int(begun - ended) for begun, ended in zip(self._mine_begun, self._mine_ended, strict=True)]


async def answer_of(catalogue: Catalogue, breaker: Breaker, query: str) -> Response:
    """The answer, when nothing runs any more."""
    runner = Runner(2, 10, 2, breaker)
    answer = Gateway(catalogue, Pipeline(runner, breaker=breaker)).handle(Request("GET", query, {}))
    response = answer if isinstance(answer, Response) else await answer
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    runner.close()
    return response


def switch_off(breaker: Breaker, endpoint: Endpoint) -> None:
    breaker.begin(1)
    for _ in range(3):
        breaker.mark(endpoint)
        breaker.blame(1)
    breaker.begin(0)


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("name", ways(lambda: None))
def test_what_runs_is_marked(name: str, form: str) -> None:
    seen: Seen = []
    entry = ways(lambda: seen.append([calls for calls in breaker.marked() if calls]))[name]
    catalogue = registry_of({name: entry, "idle": {"func": innocent}}).catalogue()
    breaker = Looking(catalogue, 2)
    response = asyncio.run(answer_of(catalogue, breaker, f"v=1.0&method={name}&format={form}"))
    assert response.status == (500 if name.endswith("fails") else 504 if name == "swallows" else 200)
    assert seen
    assert all(marks == [1] for marks in seen)
    assert breaker.marked() == [0, 0]


@pytest.mark.parametrize("name", ["plain", "inline_plain", "on_loop"])
def test_what_is_off_does_not_run(name: str) -> None:
    seen: Seen = []
    catalogue = registry_of({name: ways(lambda: seen.append([]))[name]}).catalogue()
    breaker = Breaker(catalogue, 2)
    switch_off(breaker, catalogue.find("1.0", name))
    response = asyncio.run(answer_of(catalogue, breaker, f"v=1.0&method={name}"))
    assert response.status == 503
    assert '{"code":1030,"message":"服务繁忙，该方法暂时停用"}' in response.body.decode()
    assert dict(response.headers)["Retry-After"] == "300"
    assert not seen


def test_what_waits_for_a_thread_is_asked_again() -> None:
    ran: list[int] = []
    release = threading.Event()
    catalogue = registry_of(
        {"hold": {"func": lambda: release.wait(10)}, "bad": {"func": lambda: ran.append(1)}}
    ).catalogue()
    breaker = Looking(catalogue, 2)
    hold, bad = catalogue.find("1.0", "hold"), catalogue.find("1.0", "bad")

    async def main() -> None:
        runner = Runner(1, 10, 2, breaker)
        holding = asyncio.ensure_future(runner.in_thread(hold, hold.plan.function))
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(runner.in_thread(bad, bad.plan.function))
        await asyncio.sleep(0)
        assert breaker.marked() == [1, 0]  # what waits does not run
        switch_off(breaker, bad)
        release.set()
        await holding
        with pytest.raises(ApiSysExceptions.service_busy, match="该方法暂时停用"):
            await waiting
        runner.close()

    asyncio.run(main())
    assert ran == []
