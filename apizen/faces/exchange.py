"""One request while it is answered: what has been found out about it, and in which form its answer goes."""

from __future__ import annotations

import contextlib

from apizen.exception import ApiException, ApiSysExceptions
from apizen.faces.negotiation import accepts_xml
from apizen.guard import Admission
from apizen.parameters import Parameters, no_multipart
from apizen.request import Call, Request, header, request_id_of
from apizen.version import Endpoint

__all__ = ["Exchange"]

_FORMATS = {"json": False, "xml": True}


class Exchange(Call):
    """What is known of one request.

    ``most`` is the number of bytes that its body may have. ``foreseen`` is true when what its query and headers
    tell has been judged, ``admission`` then remembers the ``asked`` guards that let it pass.
    """

    __slots__ = (
        "acceptable",
        "admission",
        "admitted",
        "asked",
        "endpoint",
        "foreseen",
        "headers",
        "ignored",
        "most",
        "request",
        "xml",
    )

    def __init__(self, request: Request, address: str, most: int) -> None:
        super().__init__(request_id_of(request.headers), address)
        self.request = request
        self.most = most
        self.foreseen = False
        self.admission: Admission | None = None
        self.asked = 0
        self.admitted = 0.0
        self.headers: list[tuple[str, str]] = []
        self.xml = False
        self.acceptable = True
        self.ignored = ""
        self.endpoint: Endpoint | None = None

    @property
    def name(self) -> str:
        """The method, for the log."""
        return "no method" if self.endpoint is None else f"{self.endpoint.version} {self.endpoint.name}"

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
