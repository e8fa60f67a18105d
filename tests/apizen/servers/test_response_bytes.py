from __future__ import annotations

import re

import pytest

from apizen.request import Response
from apizen.servers.response_bytes import write_response

DATE = rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"


@pytest.mark.parametrize(
    ("response", "connection", "head"),
    [
        (
            Response(200, [("X-A", "1"), ("X-A", "2")], b"abc"), None,
            rb"HTTP/1\.1 200 OK" + DATE + rb"\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 3\r\n\r\n",
        ),
        (Response(204, [], b""), None, rb"HTTP/1\.1 204 No Content" + DATE + rb"\r\n\r\n"),
        (Response(299, [], b""), None, rb"HTTP/1\.1 299 " + DATE + rb"\r\nContent-Length: 0\r\n\r\n"),
        (
            Response(200, [], b""), "close",
            rb"HTTP/1\.1 200 OK" + DATE + rb"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
        (
            Response(200, [("X-A", "1"), ("Date", "now"), ("X-B", "2")], b""), None,
            rb"HTTP/1\.1 200 OK\r\nX-A: 1\r\nDate: now\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            Response(200, [("X-A", "Date: now")], b""), None,
            rb"HTTP/1\.1 200 OK" + DATE + rb"\r\nX-A: Date: now\r\nContent-Length: 0\r\n\r\n",
        ),
    ],
)  # fmt: skip
def test_head(response, connection, head):
    assert re.fullmatch(head, write_response("HEAD", response, connection))
    assert re.fullmatch(head + response.body, write_response("GET", response, connection))
