"""One request and its answer, as the gateway sees them: no sockets, no server."""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from apizen.call import Call

__all__ = ["GATEWAY_PATH", "Request", "Response", "header", "request_id_of"]

#: Where the gateway is.
GATEWAY_PATH = "/api/router/rest"


class Request(NamedTuple):
    """What a client sent.

    ``path`` and ``query`` are what stands before and behind the question mark as it came, bytes read as Latin-1.
    ``headers`` finds a header in any case. ``peer`` is the client's address.
    """

    verb: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    peer: str = ""
    path: str = GATEWAY_PATH


class Response(NamedTuple):
    """An answer. ``headers`` has neither Content-Length nor Date: they are the server's business."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    call: Call | None = None


def header(headers: Mapping[str, str], name: str) -> str | None:
    """One header, None where it is not there: `Mapping.get` of Tornado's headers raises and catches a
    KeyError for that, which takes longer than to look."""
    return headers[name] if name in headers else None  # noqa: SIM401 (the point of it)


_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_COUNTER = itertools.count(1)


# Unique over processes by the prefix, within one by the counter; os.urandom per request costs more.
_PREFIX = secrets.token_hex(6)


def _renew_prefix() -> None:
    global _PREFIX
    _PREFIX = secrets.token_hex(6)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_prefix)


def request_id_of(headers: Mapping[str, str]) -> str:
    """The request's own X-Request-Id where it is a token that a log can hold, else a new one.

    >>> request_id_of({'X-Request-Id': 'order-17'})
    'order-17'
    """
    given = header(headers, "X-Request-Id")
    if given is not None and _SANE.fullmatch(given):
        return given
    return f"{_PREFIX}-{next(_COUNTER):x}"
