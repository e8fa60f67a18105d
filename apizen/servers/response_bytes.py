"""An answer as it is sent: the status line, the headers, and the body."""

from __future__ import annotations

import http
import time

from apizen.clock import http_date
from apizen.request import Response

__all__ = ["write_response"]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in http.HTTPStatus}


def write_response(verb: str, response: Response, connection: str | None) -> bytes:
    """The bytes of an answer to a request with this verb; to HEAD it has no body.

    ``connection`` is the value of the header Connection, None for no such header. A Date that the answer brings
    stays where it is.

    >>> write_response('GET', Response(404, [('Date', 'today')], b'gone'), 'close')
    b'HTTP/1.1 404 Not Found\\r\\nDate: today\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\ngone'
    """
    status, headers, body, _ = response
    lines = "".join([f"\r\n{name}: {value}" for name, value in headers])
    status_line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} "
    date = "" if "\r\nDate: " in lines else f"\r\nDate: {http_date(time.time())}"
    length = "" if status == 204 else f"\r\nContent-Length: {len(body)}"
    ending = "" if connection is None else f"\r\nConnection: {connection}"
    head = f"{status_line}{date}{lines}{length}{ending}\r\n\r\n".encode("latin-1")
    return head if verb == "HEAD" else head + body
