"""Guards and doors, through the gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from apizen.call import Call
from apizen.exception import ApiSysExceptions
from apizen.faces.rpc import Gateway
from apizen.guard import Guard
from apizen.multipart import parse_multipart
from apizen.pipeline import Door, Pipeline
from apizen.request import Request, Response
from apizen.runner import Runner
from tests.support import Demanding, registry_of


def add(a: int, b: int) -> int:
    return a + b


class Keyed:
    """Lets a caller pass who sends the key; counts whom it asked."""

    reads_body = True

    def __init__(self) -> None:
        self.asked: list[Call] = []

    def foresee(self, call: Call) -> None:
        return None

    def check(self, call: Call) -> Awaitable[None] | None:
        self.asked.append(call)
        call.headers.append(("RateLimit", '"method";r=1'))
        if call.values.public("app_key") != "right":
            raise ApiSysExceptions.invalid_app_key
        return None


class Late(Keyed):
    """The same, having waited."""

    def check(self, call: Call) -> Awaitable[None] | None:
        async def decide() -> None:
            await asyncio.sleep(0)
            Keyed.check(self, call)

        return decide()


def gateway_of(*guards: Guard, run: str = "inline", doors: Sequence[Door] = (), **options: Any) -> Gateway:
    methods = {
        "guarded": {"func": add, "run": run, "auth": "sign"},
        "open": {"func": add, "run": "inline", "auth": None},
    }
    catalogue = registry_of(methods).catalogue(makers=[Demanding(guard) for guard in guards])
    pipeline = Pipeline(Runner(4, 4, 4), doors=doors)
    return Gateway(catalogue, pipeline, multipart=parse_multipart, **options)


def answer(gateway: Gateway, query: str, body: bytes = b"", peer: str = "192.0.2.7") -> Response:
    headers = {"Content-Type": "application/json"} if body else {}

    async def handle() -> Response:
        given = gateway.handle(Request("POST" if body else "GET", query, headers, body, peer))
        return given if isinstance(given, Response) else await given

    return asyncio.run(handle())


def code(response: Response) -> int:
    found: int = json.loads(response.body)["meta"]["code"]
    return found


LARGE = json.dumps({"filler": "x" * 300_000}).encode()


@pytest.mark.parametrize("body", [b"", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("run", ["inline", "thread"])
@pytest.mark.parametrize("guards", [[Keyed()], [Late()], [Keyed(), Late(), Keyed()], [Late(), Late()]])
def test_guards(guards: list[Keyed], run: str, body: bytes) -> None:
    gateway = gateway_of(*guards, run=run)
    for guard in guards:
        guard.asked.clear()
    passed = answer(gateway, "v=1.0&method=guarded&a=1&b=2&app_key=right", body)
    assert json.loads(passed.body)["response"] == 3
    assert [len(guard.asked) for guard in guards] == [1] * len(guards)
    assert ("RateLimit", '"method";r=1') in passed.headers
    refused = answer(gateway, "v=1.0&method=guarded&a=1&b=2&app_key=wrong", body)
    assert (refused.status, code(refused)) == (401, 1031)
    assert ("RateLimit", '"method";r=1') in refused.headers
    assert [len(guard.asked) for guard in guards] == [2] + [1] * (len(guards) - 1)


def test_what_a_guard_is_told() -> None:
    guard = Keyed()
    answer(gateway_of(guard), "v=1.0&method=guarded&a=1&b=2&app_key=right", b'{"b": 3}')
    [call] = guard.asked
    assert (call.caller.address, call.version, call.method, call.verb) == ("192.0.2.7", "1.0", "guarded", "POST")
    assert call.values.named["b"] == 3
    assert call.values.document() == b'{"b": 3}'


def test_a_guard_is_asked_before_the_arguments_and_after_the_verb() -> None:
    guard = Keyed()
    gateway = gateway_of(guard)
    assert code(answer(gateway, "v=1.0&method=guarded&a=x")) == 1031
    assert code(answer(gateway, "v=1.0&method=guarded&a=x&b=1&app_key=right")) == 1022
    assert code(answer(gateway, "v=1.0&method=other")) == 1013
    assert len(guard.asked) == 2


def test_what_is_open_asks_nobody() -> None:
    guard = Keyed()
    assert code(answer(gateway_of(guard), "v=1.0&method=open&a=1&b=2")) == 1000
    assert guard.asked == []


def test_a_guard_that_breaks_is_1017() -> None:
    class Broken:
        reads_body = False

        def check(self, call: Call) -> None:
            raise RuntimeError("secret")

    broken = answer(gateway_of(Broken()), "v=1.0&method=guarded&a=1&b=2")
    assert (broken.status, code(broken)) == (500, 1017)
    assert b"secret" not in broken.body


@pytest.mark.parametrize("entry", [{"auth": "sign"}, {"rate": "1/minute"}])
def test_an_entry_that_asks_for_a_guard_is_not_open_where_there_is_none(entry: dict[str, str]) -> None:
    catalogue = registry_of({"m": {"func": add, **entry}}).catalogue()
    [key] = entry
    [problem] = catalogue.problems
    assert problem.reason.startswith(f"unknown key {key!r} in its entry")
    with pytest.raises(ApiSysExceptions.error_api_config):
        catalogue.find("1.0", "m")


def closed(address: str) -> None:
    if address == "192.0.2.66":
        raise ApiSysExceptions.forbidden_request


@pytest.mark.parametrize("query", ["", "v=1.0&method=open&a=1&b=2", "v=1.0&method=other", "format=none"])
def test_doors(query: str) -> None:
    gateway = gateway_of(doors=[closed])
    assert code(answer(gateway, query)) != 1003
    refused = answer(gateway, query, peer="192.0.2.66")
    assert (refused.status, code(refused)) == (403, 1003)


def test_the_record_of_a_call() -> None:
    gateway = gateway_of(Keyed(), run="thread", address_of=lambda request: "198.51.100.1")
    call = answer(gateway, "v=1.0&method=guarded&a=1&b=2&app_key=right").call
    assert call is not None
    assert (call.caller.address, call.version, call.method, call.registered, call.code) == (
        "198.51.100.1", "1.0", "guarded", True, 1000,
    )  # fmt: skip
    assert call.waited >= 0
    assert call.ran > 0
    unknown = answer(gateway, "v=1.0&method=other").call
    assert unknown is not None
    assert (unknown.version, unknown.method, unknown.registered, unknown.code) == ("1.0", "other", False, 1013)


@pytest.mark.parametrize(
    ("query", "headers", "xml"),
    [
        ("", {}, False),
        ("v=1.0&method=open&format=xml", {}, True),
        ("v=1.0&method=open&format=none", {"Accept": "application/xml"}, False),
        ("", {"Accept": "application/xml"}, True),
    ],
)
def test_a_door_answers_in_the_form_that_is_asked_for(query: str, headers: dict[str, str], xml: bool) -> None:
    refused = gateway_of(doors=[closed]).handle(Request("GET", query, headers, b"", "192.0.2.66"))
    assert isinstance(refused, Response)
    assert refused.body.startswith(b"<?xml") is xml


@pytest.mark.parametrize("body", [b"", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("guard", [Keyed(), Late()])
def test_an_app_that_no_guard_has_proved_is_nobody(guard: Keyed, body: bytes) -> None:
    """Whoever claims to be somebody else must not be logged as that, unless with a refusal."""
    gateway = gateway_of(guard)
    for claimed, code, logged in (("right", 1000, ""), ("wrong", 1031, "wrong")):
        call = answer(gateway, f"v=1.0&method=guarded&a=1&b=2&app_key={claimed}", body).call
        assert call is not None
        assert (call.code, call.claimed or call.caller.app) == (code, logged)
