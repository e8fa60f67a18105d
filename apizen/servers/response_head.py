"""The head of an answer as it is sent: the status line and the headers."""

from __future__ import annotations

import http
import time

from apizen.clock import http_date
from apizen.request import Response

__all__ = ["write_head"]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in http.HTTPStatus}


def write_head(response: Response, connection: str | None) -> bytes:
    """The status line and headers of an answer, with the blank line that ends them.

    ``connection`` is the value of the header Connection, None for no such header. A Date that the answer brings
    stays where it is.

    >>> write_head(Response(404, [('Date', 'today')], b'gone'), 'close')
    b'HTTP/1.1 404 Not Found\\r\\nDate: today\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\n'
    """
    headers = "".join([f"\r\n{name}: {value}" for name, value in response.headers])
    status_line = _STATUS_LINES.get(response.status) or f"HTTP/1.1 {response.status} "
    date = "" if "\r\nDate: " in headers else f"\r\nDate: {http_date(time.time())}"
    lines = [status_line, date, headers]
    if response.status != 204:
        lines.append(f"\r\nContent-Length: {len(response.body)}")
    if connection is not None:
        lines.append(f"\r\nConnection: {connection}")
    lines.append("\r\n\r\n")
    return "".join(lines).encode("latin-1")
