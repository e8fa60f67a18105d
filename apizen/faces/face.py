"""What a face is to the server that it stands behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from apizen.call import Call
from apizen.exception import ApiException
from apizen.request import Request, Response

__all__ = ["Face", "Observer"]

#: Is told of each answer to a call: the call, the verb, the HTTP status, the bytes of the body that came and of the
#: answer that went, and the seconds in between.
Observer = Callable[[Call, str, int, int, int, float], None]


class Face(Protocol):
    """Answers the requests of one protocol. The server asks one face after the other whose a request is."""

    @property
    def draining(self) -> bool:
        """Whether whoever gets an answer has to send the next request on another connection."""
        ...

    #: Whether it wants the bodies of its requests. The server throws them away for one that does not, and asks by
    #: itself whether the caller is banned.
    reads_bodies: bool

    def owns(self, path: str) -> bool:
        """Whether requests for this path are its own."""
        ...

    def handle(self, request: Request, foreseen: Any = None, /) -> Response | Awaitable[Response]:
        """Answers a request of its own; ``foreseen`` is what `foresee` gave. Never raises."""
        ...

    def foresee(self, request: Request, length: int, /) -> Awaitable[Any]:
        """Judges a request with a large body before that is read, by all but the body, which has ``length`` bytes.

        Gives the answer, where there is one already; else anything for `handle`, with an attribute ``most``: the
        number of bytes that the body may have.
        """
        ...

    def refuse(self, request: Request, error: ApiException) -> Response:
        """The answer to a request that the server could not hand over."""
        ...
