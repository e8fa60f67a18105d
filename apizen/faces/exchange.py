"""One request of the gateway while it is answered: what has been found out, and in which form its answer goes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

from apizen.call import Call
from apizen.caller import Caller
from apizen.endpoint import Endpoint
from apizen.exception import ApiException, ApiSysExceptions
from apizen.faces.negotiation import accepts_xml
from apizen.parameters import Parameters, no_multipart
from apizen.request import Request, Response, header, request_id_of

__all__ = ["Exchange", "Writer"]

_FORMATS = {"json": False, "xml": True}


class Writer(Protocol):
    """Writes what a function gave."""

    def success(self, exchange: Exchange, value: Any) -> Response: ...

    async def gather(self, exchange: Exchange, values: AsyncIterator[Any]) -> Any: ...


class Exchange(Call):
    """What is known of one request.

    ``most`` is the number of bytes that its body may have. ``foreseen`` is true when what its query and headers
    tell has been judged.
    """

    __slots__ = ("acceptable", "endpoint", "foreseen", "most", "request", "writer", "xml")

    def __init__(self, request: Request, address: str, most: int, writer: Writer) -> None:
        super().__init__(Caller(address, request_id_of(request.headers), request.headers), verb=request.verb)
        self.request = request
        self.most = most
        self.writer = writer
        self.foreseen = False
        self.xml = False
        self.acceptable = True
        self.endpoint: Endpoint | None = None

    @property
    def writes_long(self) -> bool:
        """XML takes long to write."""
        return self.xml and self.endpoint is not None and self.endpoint.raw is None

    def write(self, value: Any) -> Response:
        return self.writer.success(self, value)

    async def gather(self, values: AsyncIterator[Any]) -> Any:
        return await self.writer.gather(self, values)

    def choose_format(self, parameters: Parameters) -> None:
        """Chooses the form of the answer by ``format``, else by the Accept header. Raises 1011."""
        asked = parameters.public("format")
        if asked is None:
            accept = header(self.request.headers, "Accept")
            if accept is not None and accept != "*/*":
                accepted = accepts_xml(accept)
                self.acceptable = accepted is not None
                self.xml = accepted is True
            return
        xml = _FORMATS.get(asked.strip().lower())
        if xml is None:
            self.xml = False
            raise ApiSysExceptions.invalid_format("format 应为 json 或 xml")
        self.xml = xml

    def guess_format(self) -> None:
        """Chooses the form of an answer to a request that is not read, by its query and its headers."""
        self.xml = accepts_xml(self.request.headers.get("Accept", "")) is True
        with contextlib.suppress(ApiException):  # the error to report is another one
            self.choose_format(Parameters(self.request._replace(body=b""), no_multipart))
