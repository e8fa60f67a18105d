from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from apizen import exception
from apizen.application import make_app
from apizen.error_texts import ERROR_TEXTS
from apizen.exception import ApiBaseExceptions, ApiSysExceptions
from apizen.observability.errors import error_list
from apizen.settings import Settings
from tests.services import chromium
from tests.support import HOST, RunningServer, registry_of
from webapi.exception import ApiSubExceptions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
RETRYABLE = {1001, 1027, 1030}

Declarations: Any = type(ApiBaseExceptions)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with RunningServer(make_app(Settings(access_log="off", metrics=False), registry_of({}))) as running:
        yield running


@pytest.fixture
def declared() -> Iterator[Any]:
    """Declares an error of an application, for one test."""

    def declare(**declaration: Any) -> Any:
        return Declarations("Errors", (ApiBaseExceptions,), {"__module__": __name__, "failed": declaration}).failed

    yield declare
    Declarations.declared.pop(29001, None)


# The explanations


def system_errors() -> dict[int, Any]:
    errors = [error for error in vars(ApiSysExceptions).values() if isinstance(error, type)]
    return {error.err_code: error for error in errors}


def test_every_code_of_the_gateway_is_explained():
    assert list(ERROR_TEXTS) == sorted(system_errors())


@pytest.mark.parametrize("code", ERROR_TEXTS)
def test_explanation(code):
    error, explanation = system_errors()[code], ERROR_TEXTS[code]
    assert {name: getattr(error, name) for name in explanation._fields} == explanation._asdict()
    for text in (explanation.cause, explanation.remedy):
        assert re.search("[\u4e00-\u9fff]", text)
        assert re.fullmatch("[^。]+。", text), "one sentence"
    for text in (explanation.cause_english, explanation.remedy_english):
        assert text.isascii()
        assert re.fullmatch(r"[A-Z].+[^.]\.", text)


def test_what_may_be_sent_again():
    assert {code for code, error in system_errors().items() if error.retryable} == RETRYABLE


def test_english_is_that_of_the_docstring():
    rows = re.findall(r"^(\d{4}) \d{3}  \S+ +(\S.*)$", exception.__doc__ or "", re.MULTILINE)
    assert {int(code): text for code, text in rows[1:]} == {code: e.english for code, e in system_errors().items()}


def test_an_application_may_explain_nothing(declared):
    error = declared(api_code=29001, api_msg="失败")
    assert [getattr(error, name) for name in ("english", "cause", "remedy", "retryable")] == ["", "", "", False]


def test_an_application_explains(declared):
    declared(
        api_code=29001, http_code=409, api_msg="库存不足", english="out of stock", cause="已售完。",
        cause_english="It is sold out.", remedy="改日再来。", remedy_english="Come again.", retryable=True,
    )  # fmt: skip
    assert error_list()[-1] == {
        "code": 29001, "http_status": 409, "message": "库存不足", "english": "out of stock", "cause": "已售完。",
        "cause_english": "It is sold out.", "remedy": "改日再来。", "remedy_english": "Come again.", "retryable": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("remedy", None, "remedy must be a text, not None"),
        ("cause_english", 1, "cause_english must be a text, not 1"),
        ("retryable", "yes", "retryable must be True or False, not 'yes'"),
        ("remdy", "x", "unknown key 'remdy', did you mean 'remedy'?"),
    ],
)
def test_explanation_refused(declared, key, value, problem):
    with pytest.raises(ValueError, match=re.escape(f"{__name__}.Errors.failed: {problem}") + "$"):
        declared(api_code=29001, api_msg="失败", **{key: value})


# The list


def test_list_has_every_declared_error():
    codes = [entry["code"] for entry in error_list()]
    assert codes == sorted(Declarations.declared)
    assert {*ERROR_TEXTS, ApiSubExceptions.empty_result.err_code} <= set(codes)


def test_json(server):
    answer = server.send("GET", "/api/errors")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert answer.meta == (1000, "执行成功")
    assert answer.response == error_list()


def test_response_key():
    settings = Settings(access_log="off", metrics=False, response_key="respone")
    with RunningServer(make_app(settings, registry_of({}))) as server:
        assert set(server.send("GET", "/api/errors").json) == {"meta", "respone"}


@pytest.mark.parametrize(
    ("query", "headers", "content_type", "title"),
    [
        ("", {"Accept": "*/*"}, "application/json", ""),
        ("", {"Accept": "application/json, text/html;q=0.5"}, "application/json", ""),
        ("", {"Accept": BROWSER}, "text/html", "Error codes"),
        ("", {"Accept": BROWSER, "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}, "text/html", "错误码"),
        ("", {"Accept": BROWSER, "Accept-Language": "en-GB,en;q=0.9,zh;q=0.8"}, "text/html", "Error codes"),
        ("", {"Accept": BROWSER, "Accept-Language": "de"}, "text/html", "Error codes"),
        ("?format=html", {}, "text/html", "Error codes"),
        ("?format=HTML&lang=zh", {"Accept-Language": "en"}, "text/html", "错误码"),
        ("?format=html&lang=en", {"Accept-Language": "zh"}, "text/html", "Error codes"),
        ("?format=json", {"Accept": BROWSER}, "application/json", ""),
    ],
)
def test_form(server, query, headers, content_type, title):
    answer = server.send("GET", f"/api/errors{query}", headers=headers)
    assert (answer.status, answer.headers["Content-Type"]) == (200, f"{content_type}; charset=utf-8")
    assert f"<title>{title}</title>" in answer.body.decode() if title else answer.json
    assert answer.headers["Vary"] == "Accept, Accept-Language"


def test_unknown_form(server):
    answer = server.send("GET", "/api/errors?format=yaml")
    assert (answer.status, answer.meta) == (400, (1011, "无效数据格式，format 应为 json 或 html"))


def test_verbs(server):
    assert (server.send("HEAD", "/api/errors").status, server.send("HEAD", "/api/errors").body) == (200, b"")
    assert server.send("POST", "/api/errors", b"").meta == (1019, "不支持的http请求方式")


def test_page_escapes_what_an_application_writes(server, declared):
    declared(api_code=29001, api_msg="<b>粗</b>", cause="<script>alert(1)</script>")
    page = server.send("GET", "/api/errors?format=html&lang=zh").body.decode()
    assert "&lt;b&gt;粗&lt;/b&gt;" in page
    assert "<script" not in page


def test_page_shows_what_is_there_in_the_other_language(server, declared):
    declared(api_code=29001, api_msg="失败", cause="原因。")
    page = server.send("GET", "/api/errors?format=html&lang=en").body.decode()
    article = page[page.index('<article id="29001">') :]
    assert "失败" in article
    assert "<dd>原因。</dd>" in article
    assert "What to do" not in article


# The page in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "heading"), [("en-GB", "Error codes"), ("zh-CN", "错误码")])
def test_page_in_a_browser(server, browser, locale, heading, scheme):
    context = browser.new_context(locale=locale, color_scheme=scheme, viewport={"width": 390, "height": 844})
    page: Page = context.new_page()
    complaints: list[str] = []
    addresses: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: addresses.append(request.url))
    address = f"http://{HOST}:{server.port}/api/errors"
    page.goto(f"{address}#1010")
    assert page.text_content("h1") == heading
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    top = page.evaluate("document.getElementById('1010').getBoundingClientRect().top")
    assert 0 <= top < 844
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    lightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours]
    assert (lightness[0] > lightness[1]) is (scheme == "dark")
    assert page.locator("article").count() == len(error_list())
    page.click("nav a[hreflang]")
    assert page.text_content("h1") == {"Error codes": "错误码", "错误码": "Error codes"}[heading]
    assert complaints == []
    assert {each.split("?")[0].split("#")[0] for each in addresses} == {address}
    context.close()
