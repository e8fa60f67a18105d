from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apizen.exception import ApiException, ApiSysExceptions
from apizen.faces.pages import Page, Pages
from apizen.request import Call, Request, Response

TEXT = ("Content-Type", "text/plain")


def hello(request: Request) -> Response:
    return Response(200, [TEXT, ("X-More", "1")], request.query.encode())


async def later(request: Request) -> Response:
    await asyncio.sleep(0)
    return hello(request)


def fail(request: Request) -> Response:
    raise ValueError("secret")


async def fail_later(request: Request) -> Response:
    raise ValueError("secret")


def refuse(request: Request) -> Response:
    raise ApiSysExceptions.invalid_format("x")


def refusal(request: Request, error: ApiException) -> Response:
    headers = [TEXT, ("X-Request-Id", "17"), ("Vary", "Origin")]
    return Response(error.status_code, headers, str(error.err_code).encode(), Call("17", ""))


HEADERS = (("Vary", "Accept"), ("X-Page", "1"))
PAGES = [
    Page("/hello", hello, HEADERS),
    Page("/later", later, HEADERS),
    Page("/quiet", hello, logged=False),
    Page("/fail", fail),
    Page("/fail-later", fail_later),
    Page("/refuse", refuse),
]


def ask(path: str, verb: str = "GET") -> tuple[Response, list[Any]]:
    """The answer of a page, and what was logged."""
    logged: list[Any] = []
    pages = Pages(PAGES, refusal, lambda *facts: logged.append(facts))
    answer = pages.handle(Request(verb, "a=1", {}, path=path))

    async def result() -> Response:
        return answer if isinstance(answer, Response) else await answer

    return asyncio.run(result()), logged


def names_of(response: Response) -> list[str]:
    return [name for name, _ in response.headers]


def test_paths():
    pages = Pages(PAGES, refusal, lambda *facts: None)
    assert [path for path in ("/hello", "/hell", "/hello/", "/Hello", "", "*") if pages.owns(path)] == ["/hello"]


@pytest.mark.parametrize("path", ["/hello", "/later"])
@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_answer(path, verb):
    answer, [[request, status, size, seconds]] = ask(path, verb)
    assert (answer.status, answer.body, answer.call) == (200, b"a=1", None)
    assert names_of(answer) == ["Content-Type", "Date", "Vary", "X-Page", "X-More"]
    assert (request.path, status, size) == (path, 200, 3)
    assert seconds >= 0


def test_a_page_that_is_not_logged():
    assert ask("/quiet")[1] == []
    assert ask("/quiet", "POST")[1] == []


@pytest.mark.parametrize("verb", ["POST", "OPTIONS", "BREW", "get"])
@pytest.mark.parametrize("path", ["/hello", "/later"])
def test_other_verbs(path, verb):
    answer, [[_, status, size, _]] = ask(path, verb)
    assert (answer.status, answer.body, answer.call) == (405, b"1019", None)
    assert (status, size) == (405, 4)
    assert names_of(answer) == ["Content-Type", "Date", "Vary", "X-Page", "X-Request-Id"]
    assert dict(answer.headers)["Vary"] == "Origin"


@pytest.mark.parametrize("path", ["/fail", "/fail-later"])
def test_a_page_that_fails(path, caplog):
    answer, logged = ask(path)
    assert (answer.status, answer.body) == (500, b"1017")
    assert logged[0][1] == 500
    [record] = caplog.records
    assert record.getMessage() == f"the page {path} failed"
    assert "secret" in caplog.text


def test_a_page_that_refuses(caplog):
    assert ask("/refuse")[0].body == b"1011"
    assert not caplog.records
