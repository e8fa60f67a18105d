"""The answers to calls: what a function gave, or what went wrong, as status, headers and body."""

from __future__ import annotations

import logging
from typing import Any

from apizen.exception import SUCCESS_CODE, ApiException, ApiSysExceptions, printable
from apizen.faces.cross_origin import CrossOrigin
from apizen.faces.envelope import AnswerTooLarge, Envelope, Reading, Unread, plain
from apizen.faces.exchange import Exchange
from apizen.request import Response, header
from apizen.version import Endpoint

__all__ = ["Answers"]

logger = logging.getLogger(__name__)

_CONTENT_TYPES = {False: "application/json; charset=utf-8", True: "application/xml; charset=utf-8"}


class Answers:
    """Writes the answers.

    ``response_key`` names the member of the envelope with the result, ``cors_origin`` is the value of
    Access-Control-Allow-Origin (empty: no such header), ``debug`` adds the text of an exception to 1017,
    ``max_answer`` is the number of bytes that the body of a success may have.
    """

    def __init__(self, response_key: str, cors_origin: str, debug: bool, max_answer: int) -> None:
        self._envelope = Envelope(response_key)
        self._cross_origin = CrossOrigin(cors_origin)
        self._debug = debug
        self._max_answer = max_answer

    def reading(self, exchange: Exchange, endpoint: Endpoint) -> Reading:
        """What reads the generators of an answer, as long as its call has time."""
        return Reading(exchange.name, self._max_answer, exchange.admitted + endpoint.timeout)

    def success(self, exchange: Exchange, endpoint: Endpoint, result: Any) -> Response:
        """What a function gave. Raises `AnswerTooLarge`, and TypeError for what can't be written."""
        if endpoint.raw is not None:
            content_type, body = _raw(endpoint.raw, result)
        else:
            content_type = _CONTENT_TYPES[exchange.xml]
            try:
                tree = plain(result)
            except Unread:
                tree = self.reading(exchange, endpoint).plain(result)
            body = self._envelope.success(tree, xml=exchange.xml)
        if len(body) > self._max_answer:
            raise AnswerTooLarge(self._max_answer)
        exchange.code = SUCCESS_CODE
        return Response(200, self._headers(exchange, content_type), body, exchange)

    def failure(self, exchange: Exchange, error: BaseException) -> Response:
        """What went wrong: an `ApiException` as it is declared, anything else as 1017, and to the log."""
        try:
            return self._error_answer(exchange, error)
        except Exception as broken:  # an exception of a function's that can't even be told
            self._log(exchange, "raised what can't be answered", broken)
            return self._error_answer(exchange, ApiSysExceptions.system_error())

    def _error_answer(self, exchange: Exchange, error: BaseException) -> Response:
        if not isinstance(error, ApiException):
            self._log(exchange, "failed", error)
            error = ApiSysExceptions.system_error(f"{type(error).__name__}: {error}" if self._debug else None)
        exchange.code = error.err_code
        body = self._envelope.error(error.err_code, error.message, xml=exchange.xml)
        headers = self._headers(exchange, _CONTENT_TYPES[exchange.xml])
        headers.extend(printable(error.headers).items())
        return Response(error.status_code, headers, body, exchange)

    def _log(self, exchange: Exchange, what: str, error: BaseException) -> None:
        request_id = exchange.request_id
        known = {"request_id": request_id}
        logger.error("%s %s, request %s", exchange.name, what, request_id, exc_info=error, extra=known)

    def _headers(self, exchange: Exchange, content_type: str) -> list[tuple[str, str]]:
        headers = [("Content-Type", content_type), ("X-Request-Id", exchange.request_id), *self._cross_origin.headers]
        headers += exchange.headers
        if exchange.ignored:
            headers.append(("X-Ignored-Params", exchange.ignored))
        return headers

    def preflight(self, exchange: Exchange) -> Response:
        """What a browser wants to know before a page calls."""
        asked = header(exchange.request.headers, "Access-Control-Request-Headers")
        headers = [("X-Request-Id", exchange.request_id), *self._cross_origin.preflight(asked)]
        return Response(204, headers, b"", exchange)


def _raw(content_type: str, result: Any) -> tuple[str, bytes]:
    if isinstance(result, str):
        return content_type or "text/plain; charset=utf-8", result.encode()
    if isinstance(result, (bytes, bytearray, memoryview)):
        return content_type or "application/octet-stream", bytes(result)
    raise TypeError(f"a raw method must return bytes or text, not {type(result).__name__}")
