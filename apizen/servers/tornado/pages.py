"""Tornado's handlers for the server's own paths: what goes wrong in one is answered with an envelope, too."""

from __future__ import annotations

from typing import Any, ClassVar

from tornado.web import RequestHandler, stream_request_body

from apizen.exception import ApiException, ApiSysExceptions
from apizen.faces.rpc import Gateway
from apizen.request import Request

__all__ = ["EnvelopeHandler", "UnknownPath"]


@stream_request_body
class EnvelopeHandler(RequestHandler):
    """Base of the handlers. A body is read and thrown away: Tornado would parse every form, of which nobody asks."""

    _ERRORS: ClassVar[dict[int, type[ApiException]]] = {
        404: ApiSysExceptions.unknown_path,
        405: ApiSysExceptions.not_allowed_request,
        413: ApiSysExceptions.body_too_large,
    }

    def initialize(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def data_received(self, chunk: bytes) -> None:
        pass

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        default = ApiSysExceptions.bad_request if status_code < 500 else ApiSysExceptions.system_error
        self.refuse(self._ERRORS.get(status_code, default)())

    def refuse(self, error: ApiException) -> None:
        """Ends the request with an error's envelope."""
        request = self.request
        response = self.gateway.refuse(Request(request.method or "GET", request.query, request.headers), error)
        self.clear()
        self.clear_header("Server")
        self.set_status(response.status)
        for name, value in response.headers:
            self.set_header(name, value)
        self.finish(response.body)

    def compute_etag(self) -> None:
        return None


class UnknownPath(EnvelopeHandler):
    """Answers every path that nothing else serves."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.refuse(ApiSysExceptions.unknown_path())
