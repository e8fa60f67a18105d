"""What Tornado's `Application` is told: limits on forms, the answer to unknown paths, how its requests are logged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tornado.httputil import ParseBodyConfig, ParseMultipartConfig, set_parse_body_config
from tornado.web import Application, RequestHandler, stream_request_body

from apizen.exception import ApiException, ApiSysExceptions
from apizen.request import Request, Response

__all__ = ["UnknownPath", "limit_forms", "web_application"]

# Tornado reads the forms of an application's handlers on the loop: a character of a part's header takes it a
# microsecond.
_MULTIPART = ParseMultipartConfig(max_parts=50, max_part_header_size=1024)


def limit_forms() -> None:
    """Limits the forms that the handlers of an application take, in the whole process."""
    set_parse_body_config(ParseBodyConfig(multipart=_MULTIPART))


@stream_request_body
class UnknownPath(RequestHandler):
    """Answers every path that nothing else serves with 1035, which ``refuse`` writes.

    A body is read and thrown away: Tornado would parse every form, of which nobody asks.
    """

    def initialize(self, refuse: Callable[[Request, ApiException], Response]) -> None:
        self._refuse = refuse

    def data_received(self, chunk: bytes) -> None:
        pass

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        response = self._refuse(_asked(self), ApiSysExceptions.unknown_path())
        self.clear()
        self.clear_header("Server")
        self.set_status(response.status)
        for name, value in response.headers:
            self.set_header(name, value)
        self.finish(response.body)

    def compute_etag(self) -> None:
        return None


def web_application(
    handlers: Sequence[Any],
    refuse: Callable[[Request, ApiException], Response],
    log: Callable[[Request, int, int, float], None],
) -> Application:
    """Tornado's application of some rules. ``refuse`` writes the answer to an unknown path, ``log`` is told of all."""
    return Application(
        list(handlers),
        default_handler_class=UnknownPath,
        default_handler_args={"refuse": refuse},
        log_function=_log_function(log),
    )


def _log_function(log: Callable[[Request, int, int, float], None]) -> Callable[[RequestHandler], None]:
    """A value for the setting ``log_function``.

    ``log`` is told of each answer: the request, the HTTP status, the bytes of the body, and the seconds that it took.
    """

    def log_request(handler: RequestHandler) -> None:
        size = int(handler._headers.get("Content-Length", 0))
        log(_asked(handler), handler.get_status(), size, handler.request.request_time())

    return log_request


def _asked(handler: RequestHandler) -> Request:
    request = handler.request
    peer = request.remote_ip or ""
    return Request(request.method or "", request.query, request.headers, peer=peer, path=request.path)
