"""What HTTP asks of a server, whichever it is: rules on the head of a request and on its answer, without any IO.

What a rule forbids is raised as an `ApiException`; the server answers with it and ends the connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from apizen.body_size import LARGE_BODY
from apizen.exception import ApiSysExceptions
from apizen.media_type import media_type
from apizen.parameters import FORM
from apizen.request import Request, header

__all__ = [
    "announced_length",
    "check_host",
    "check_unread",
    "connection_header",
    "is_large",
    "limit_unread",
    "lingers",
    "path_of",
]

# Tornado reads the forms of an application's handlers on the event loop, and needs 200 bytes for a percent sign.
_MAX_FORM = 64 * 1024
_MAX_FIELDS = 1000
# RFC 3986, 3.2.2, and a port.
_HOST = re.compile(r"(?:[A-Za-z0-9\[\]:._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*")


def path_of(target: str) -> str:
    """The path of a request's target without its query, in origin or absolute form (RFC 9112, 3.2), as it came.

    >>> path_of('/a%20b'), path_of('http://api.example/a')
    ('/a%20b', '/a')
    """
    if target.startswith("/"):
        return target
    try:
        return urlsplit(target).path
    except ValueError:
        return ""


def check_host(version: str, hosts: Sequence[str]) -> None:
    """Raises 1025 for a request that does not name one host (RFC 9112, 3.2); in HTTP/1.0 none need."""
    if version == "HTTP/1.1" and len(hosts) != 1:
        raise ApiSysExceptions.bad_request("应有一个 Host")


def announced_length(headers: Mapping[str, str]) -> int | None:
    """The length of the body that is announced: 0 where it comes in chunks, None where there is none."""
    length = header(headers, "Content-Length")
    if length is None:
        return 0 if "Transfer-Encoding" in headers else None
    return int(length[:20]) if length.isdecimal() else 0


def is_large(length: int, most: int) -> bool:
    """Whether a request is judged before the rest of its body is read: ``length`` bytes are announced, or have come."""
    return length > min(LARGE_BODY, most)


def limit_unread(headers: Mapping[str, str], max_body: int) -> int:
    """How many bytes the body of a request that is no call may have."""
    return min(max_body, _MAX_FORM) if media_type(header(headers, "Content-Type") or "").name == FORM else max_body


def check_unread(request: Request) -> None:
    """Raises 1025 for a request that is no call, where its Host is malformed or its query has too many fields.

    >>> check_unread(Request('GET', 'a=1', {'Host': 'api.example:8010'}))
    """
    host = header(request.headers, "Host") or ""
    if request.query.count("&") >= _MAX_FIELDS or not _HOST.fullmatch(host):
        raise ApiSysExceptions.bad_request


def connection_header(version: str, asked: str | None, draining: bool) -> str | None:
    """The header Connection of an answer (RFC 9112, 9.3), where it needs one.

    ``asked`` is the header of the request, ``draining`` says that no more requests shall come.

    >>> connection_header('HTTP/1.1', 'Close', False), connection_header('HTTP/1.0', 'keep-alive', False)
    ('close', 'Keep-Alive')
    """
    if draining:
        return "close"
    if asked is None:
        return None
    if version == "HTTP/1.1":
        return "close" if asked.lower() == "close" else None
    return "Keep-Alive" if asked.lower() == "keep-alive" else None


def lingers(headers: Mapping[str, str]) -> bool:
    """Whether the client of a refused request may still be sending its body.

    Then the connection must not be closed at once: the client would see a reset, and not the answer. With Expect it
    waits for a word before it sends.
    """
    return announced_length(headers) is not None and "Expect" not in headers
