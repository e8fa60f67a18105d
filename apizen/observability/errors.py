"""The catalogue of errors at ``/api/errors``: what each code means, why it may have come, and what to do.

It is made of the declarations themselves, the gateway's and the application's. A program gets it as the
envelope of a list, a browser as a page; ``?format=json`` and ``?format=html`` choose. The page is in Chinese
or in English, as the browser asks or ``?lang=`` says; each code has an anchor, as ``/api/errors#1010``.

>>> first = catalogue()[0]
>>> first['code'], first['http_status'], first['retryable']
(1001, 403, True)
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tornado.routing import URLSpec
from tornado.template import Template

from apizen.exception import ApiException, ApiSysExceptions, declared_errors
from apizen.faces.envelope import Envelope
from apizen.faces.rpc import Gateway
from apizen.servers.tornado.pages import EnvelopeHandler

__all__ = ["ERRORS_PATH", "catalogue", "errors_rules"]

ERRORS_PATH = "/api/errors"

_PAGE = Path(__file__).parent / "page" / "errors.html"
# The page is one file: it loads nothing, and may not.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
_FIRST_OF_APPLICATION = 2000


def catalogue() -> list[dict[str, Any]]:
    """Every declared error, by code."""
    return [_entry(error) for error in declared_errors()]


def _entry(error: type[ApiException]) -> dict[str, Any]:
    return {
        "code": error.err_code,
        "http_status": error.status_code,
        "message": error.text,
        "english": error.english,
        "cause": error.cause,
        "cause_english": error.cause_english,
        "remedy": error.remedy,
        "remedy_english": error.remedy_english,
        "retryable": error.retryable,
    }


def errors_rules(gateway: Gateway, response_key: str) -> list[URLSpec]:
    """The rule for an `Application`. ``response_key`` names the envelope's member, as that of the gateway."""
    return [URLSpec(ERRORS_PATH, _ErrorsHandler, {"gateway": gateway, "envelope": Envelope(response_key)})]


class _ErrorsHandler(EnvelopeHandler):
    def initialize(self, gateway: Gateway, envelope: Envelope) -> None:  # type: ignore[override]
        super().initialize(gateway)
        self._envelope = envelope

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Vary", "Accept, Accept-Language")
        self.set_header("X-Content-Type-Options", "nosniff")

    def get(self) -> None:
        headers = self.request.headers
        wanted = self.get_query_argument("format", "").lower() or _preferred(
            headers.get("Accept", ""), ("json", "html")
        )
        if wanted == "html":
            language = self.get_query_argument("lang", "") or _preferred(
                headers.get("Accept-Language", ""), ("en", "zh")
            )
            self._page("zh" if language == "zh" else "en")
        elif wanted == "json":
            self.set_header("Content-Type", "application/json; charset=utf-8")
            self.finish(self._envelope.success(catalogue(), xml=False))
        else:
            self.refuse(ApiSysExceptions.invalid_format("format 应为 json 或 html"))

    head = get

    def _page(self, language: str) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", _POLICY)
        entries = catalogue()
        groups = [
            [entry for entry in entries if entry["code"] < _FIRST_OF_APPLICATION],
            [entry for entry in entries if entry["code"] >= _FIRST_OF_APPLICATION],
        ]
        self.finish(_template().generate(zh=language == "zh", groups=groups))


@cache
def _template() -> Template:
    return Template(_PAGE.read_text("utf-8"), "errors.html", whitespace="oneline")


def _preferred(header: str, choices: tuple[str, str]) -> str:
    """The one of two that a header such as Accept likes better; the first where it likes both the same.

    >>> _preferred('text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', ('json', 'html'))
    'html'
    >>> _preferred('*/*', ('json', 'html')), _preferred('zh-CN,zh;q=0.9,en;q=0.8', ('en', 'zh'))
    ('json', 'zh')
    """
    first, second = (_quality(header, choice) for choice in choices)
    return choices[second > first]


def _quality(header: str, choice: str) -> float:
    """The q (RFC 9110, 12.4.2) of the media type or the language that a header names."""
    best = 0.0
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        if choice in name.replace("-", "/").split("/"):
            weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
            try:
                best = max(best, float(weight))
            except ValueError:
                best = 1.0
    return best
