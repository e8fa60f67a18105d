"""The answers to calls: what a function gave, or what went wrong, as status, headers and body."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import quote

from apizen.exception import SUCCESS_CODE, ApiException, printable
from apizen.faces.cross_origin import CrossOrigin
from apizen.faces.envelope import Envelope
from apizen.faces.exchange import Exchange
from apizen.faces.plain import Unread, plain
from apizen.faces.reading import AnswerTooLarge, Reading
from apizen.request import Response, header

__all__ = ["Answers"]

_CONTENT_TYPES = {False: "application/json; charset=utf-8", True: "application/xml; charset=utf-8"}


class Answers:
    """Writes the answers.

    ``response_key`` names the member of the envelope with the result, ``cors_origin`` is the value of
    Access-Control-Allow-Origin (empty: no such header), ``max_answer`` is the number of bytes that the body of a
    success may have.
    """

    def __init__(self, response_key: str, cors_origin: str, max_answer: int) -> None:
        self._envelope = Envelope(response_key)
        self._cross_origin = CrossOrigin(cors_origin)
        self._max_answer = max_answer

    def _reading(self, exchange: Exchange) -> Reading:
        """What reads the generators of an answer, as long as its call has time."""
        timeout = 0.0 if exchange.endpoint is None else exchange.endpoint.timeout
        return Reading(exchange.name, self._max_answer, exchange.admitted + timeout)

    async def gather(self, exchange: Exchange, values: AsyncIterator[Any]) -> Any:
        """A list of what an async generator yields. Raises `AnswerTooLarge`, TypeError, and 1029."""
        return await self._reading(exchange).gather(values)

    def success(self, exchange: Exchange, value: Any) -> Response:
        """What a function gave. Raises `AnswerTooLarge`, and TypeError for what can't be written."""
        raw = None if exchange.endpoint is None else exchange.endpoint.raw
        if raw is not None:
            content_type, body = _raw(raw, value)
        else:
            content_type = _CONTENT_TYPES[exchange.xml]
            try:
                tree = plain(value)
            except Unread:
                tree = self._reading(exchange).plain(value)
            body = self._envelope.success(tree, xml=exchange.xml)
        if len(body) > self._max_answer:
            raise AnswerTooLarge(self._max_answer)
        exchange.code = SUCCESS_CODE
        return Response(200, self._headers(exchange, content_type), body, exchange)

    def failure(self, exchange: Exchange, error: ApiException) -> Response:
        """What went wrong."""
        exchange.code = error.err_code
        body = self._envelope.error(error.err_code, error.message, xml=exchange.xml)
        headers = self._headers(exchange, _CONTENT_TYPES[exchange.xml])
        headers.extend(printable(error.headers).items())
        return Response(error.status_code, headers, body, exchange)

    def _headers(self, exchange: Exchange, content_type: str) -> list[tuple[str, str]]:
        request_id = exchange.caller.request_id
        headers = [("Content-Type", content_type), ("X-Request-Id", request_id), *self._cross_origin.headers]
        headers += exchange.headers
        if exchange.ignored and (ignored := _listed(exchange.ignored)):
            headers.append(("X-Ignored-Params", ignored))
        return headers

    def preflight(self, exchange: Exchange) -> Response:
        """What a browser wants to know before a page calls."""
        asked = header(exchange.request.headers, "Access-Control-Request-Headers")
        headers = [("X-Request-Id", exchange.caller.request_id), *self._cross_origin.preflight(asked)]
        return Response(204, headers, b"", exchange)


def _raw(content_type: str, result: Any) -> tuple[str, bytes]:
    if isinstance(result, str):
        return content_type or "text/plain; charset=utf-8", result.encode()
    if isinstance(result, (bytes, bytearray, memoryview)):
        return content_type or "application/octet-stream", bytes(result)
    raise TypeError(f"a raw method must return bytes or text, not {type(result).__name__}")


def _listed(names: Iterable[str]) -> str:
    """Parameter names as a header's value: percent-encoded, since a header is ASCII and has an end."""
    return ", ".join(quote(name[:64], safe="[]") for name in names)
