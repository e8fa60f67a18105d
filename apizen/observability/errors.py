"""The list of errors at ``/api/errors``: what each code means, why it may have come, and what to do.

It is made from the declarations of the errors, the gateway's and the application's. A program gets it as the response
of an envelope, a browser as HTML; ``?format=json`` and ``?format=html`` choose. The HTML is in Chinese or in English,
as the browser asks or ``?lang=`` says. Each code has an anchor in it, as ``/api/errors#1010``.

>>> first = error_list()[0]
>>> first['code'], first['http_status'], first['retryable']
(1001, 403, True)
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from apizen.exception import ApiException, ApiSysExceptions, declared_errors
from apizen.faces.envelope import Envelope
from apizen.faces.negotiation import preferred
from apizen.faces.pages import Page
from apizen.observability.errors_html import html_of
from apizen.request import Request, Response, header

__all__ = ["ERRORS_PATH", "error_list", "errors_page"]

ERRORS_PATH = "/api/errors"

_HEADERS = (("Vary", "Accept, Accept-Language"), ("X-Content-Type-Options", "nosniff"))
# The HTML is one file that loads nothing else, and this forbids it to.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")


def error_list() -> list[dict[str, Any]]:
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


def errors_page(response_key: str) -> Page:
    """The page with the list. ``response_key`` is the name of the result in the envelope, as in the gateway's."""
    envelope = Envelope(response_key)

    def answer(request: Request) -> Response:
        wanted = _argument(request, "format").lower() or preferred(_accepted(request, "Accept"), ("json", "html"))
        if wanted == "html":
            return _html(_argument(request, "lang") or preferred(_accepted(request, "Accept-Language"), ("en", "zh")))
        if wanted == "json":
            body = envelope.success(error_list(), xml=False)
            return Response(200, [("Content-Type", "application/json; charset=utf-8")], body)
        raise ApiSysExceptions.invalid_format("format 应为 json 或 html")

    return Page(ERRORS_PATH, answer, _HEADERS)


def _html(language: str) -> Response:
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", _POLICY)]
    return Response(200, headers, html_of(error_list(), "zh" if language == "zh" else "en"))


def _accepted(request: Request, name: str) -> str:
    return header(request.headers, name) or ""


def _argument(request: Request, name: str) -> str:
    """The last value of a name in the query string, empty where there is none. Raises 1025 for what is not UTF-8.

    >>> _argument(Request('GET', 'lang=de&lang=%20zh&x', {}), 'lang')
    'zh'
    """
    values = parse_qs(request.query, keep_blank_values=True, encoding="latin-1").get(name, [])
    try:
        texts = [value.encode("latin-1").decode() for value in values]
    except UnicodeDecodeError:
        raise ApiSysExceptions.bad_request from None
    return _CONTROL.sub(" ", texts[-1]).strip() if texts else ""
