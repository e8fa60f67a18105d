"""Which form or language a header asks for, and how long it may think about that."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from apizen.faces.negotiation import accepts_xml, preferred

CHOICES = {
    "": False,
    "*/*": False,
    "application/json": False,
    "application/xml": True,
    "text/xml": True,
    "text/*": True,
    "application/*": False,
    "application/json;q=0.5, application/xml": True,
    "application/json, application/xml;q=0.5": False,
    "application/json;q=0, application/xml;q=0": None,
    "image/png": None,
    "text/html, application/xml;q=0.9, */*;q=0.8": False,
    "application/xml;q=nonsense": True,
    "image/png," * 99 + "application/xml": True,
    "image/png," * 100 + "application/xml": None,
}


@pytest.mark.parametrize("accept", CHOICES, ids=lambda accept: accept[:40])
def test_choice(accept: str) -> None:
    assert accepts_xml(accept) is CHOICES[accept]


FORMS = ("json", "html")
LANGUAGES = ("en", "zh")


@pytest.mark.parametrize(
    ("header", "choices", "choice"),
    [
        ("", FORMS, "json"),
        ("*/*", FORMS, "json"),
        ("text/html", FORMS, "html"),
        ("TEXT/HTML", FORMS, "html"),
        ("application/json, text/html", FORMS, "json"),
        ("application/json;q=0.5, text/html;level=1;q=0.6", FORMS, "html"),
        ("application/json;q=0.5, text/html;q=nonsense", FORMS, "html"),
        ("text/html;q=0", FORMS, "json"),
        ("text/html;q=nan", FORMS, "json"),
        ("html", FORMS, "html"),
        ("text/xhtml", FORMS, "json"),
        ("image/png," * 99 + "text/html", FORMS, "html"),
        ("image/png," * 100 + "text/html", FORMS, "json"),
        ("de", LANGUAGES, "en"),
        ("zh", LANGUAGES, "zh"),
        ("zh-Hant-TW;q=0.4, zh;q=0.6, en-GB;q=0.5", LANGUAGES, "zh"),
        ("zh;q=0.6, zh-Hant-TW;q=0.4, en-GB;q=0.5", LANGUAGES, "zh"),
    ],
)
def test_preference(header: str, choices: tuple[str, str], choice: str) -> None:
    assert preferred(header, choices) == choice


def accepts_xml_anew(accept: str) -> None:
    accepts_xml.cache_clear()
    accepts_xml(accept)


def preferred_form(accept: str) -> None:
    preferred(accept, FORMS)


def seconds(choose: Callable[[str], None], header: str) -> float:
    def once() -> float:
        started = time.perf_counter()
        choose(header)
        return time.perf_counter() - started

    return min(once() for _ in range(5))


@pytest.mark.parametrize("choose", [accepts_xml_anew, preferred_form])
@pytest.mark.parametrize("item", [",", "a/b,", "a/b;q=1,", "*/*;q=0.5;a=b,"])
def test_a_long_header_takes_no_longer(item: str, choose: Callable[[str], None]) -> None:
    assert seconds(choose, item * (60_000 // len(item))) < 4 * seconds(choose, item * 100)
