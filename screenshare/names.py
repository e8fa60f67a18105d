"""The names under which a browser may ask for the screen.

A web page can let its own name point to this machine (DNS rebinding): its browser then takes what this machine
answers for that page's own, and the page reads it. None of these names can belong to
such a page, and an address is no name that it could let point here.

>>> names = HostNames(['share.example.com'])
>>> 'share.example.com' in names, '192.0.2.1' in names, 'rebound.example' in names
(True, True, False)
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator

from tornado.httputil import HTTPServerRequest, split_host_and_port

from screenshare.peer import is_address

__all__ = ["HostNames"]


class HostNames:
    """This machine's names, every address, and ``more`` names or addresses.

    Raises ValueError for what is neither.
    """

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._names = {"localhost", *_own_names()}
        for name in more:
            if not is_address(name) and not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
                raise ValueError(f"{name!r} is no name of a host, as share.example.com")
            self._names.add(name.lower().removesuffix("."))

    def __contains__(self, name: str) -> bool:
        plain = name.strip("[]").removesuffix(".")
        return plain in self._names or plain.endswith(".localhost") or is_address(plain)

    def know(self, request: HTTPServerRequest) -> bool:
        """Whether all that the request asks for is among them.

        A proxy may put another Host in the place of the browser's, and that one into X-Forwarded-Host.
        """
        return all(name in self for name in _names_of(request))


def _own_names() -> Iterator[str]:
    own = socket.gethostname().lower()
    first = own.partition(".")[0]
    if first:
        yield own
        yield first
        yield f"{first}.local"  # multicast DNS (RFC 6762)


def _names_of(request: HTTPServerRequest) -> Iterator[str]:
    yield request.host_name
    forwarded = request.headers.get("X-Forwarded-Host")
    if forwarded is not None:
        for host in forwarded.lower().split(","):
            yield split_host_and_port(host.strip())[0]
