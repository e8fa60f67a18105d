"""Tornado's edge: the gateway's URL served straight from the HTTP connection, every other path by an Application.

`Front` stands in front of the `Application` as an `HTTPServerConnectionDelegate`, a documented interface
of Tornado's; the gateway's requests never become a `RequestHandler`, which halves what a call costs. What
`RequestHandler` would have done is done here: one answer whatever happens, Content-Length, HEAD, the
limit on bodies, clients that go away.
"""

from __future__ import annotations

import asyncio
import http
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import Application, RequestHandler

from apizen.connection import Connection
from apizen.exception import ApiException, ApiSysExceptions
from apizen.gateway import Gateway
from apizen.message import Call, Request, Response, header

__all__ = ["GATEWAY_PATH", "EnvelopeHandler", "Front", "Observer", "UnknownPath"]

GATEWAY_PATH = "/api/router/rest"

logger = logging.getLogger(__name__)

#: Is told of each answer of the gateway: the call, the verb, the HTTP status, the bytes of the body that came and
#: of the answer that went, and the seconds in between.
Observer = Callable[[Call, str, int, int, int, float], None]

# A client that still sends its body when the answer is out sees a reset instead of the answer; so the
# body is read and thrown away for a while (as nginx's lingering_close).
_LINGER_SECONDS = 5.0
_LINGER_BYTES = 64 * 1024 * 1024
_UNLIMITED = 1 << 62

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in http.HTTPStatus}


class _Clock:
    """The Date header (RFC 9110, 6.6.1), made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def line(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\n"
        return self._line


_clock = _Clock()


def write_head(response: Response, connection: str | None) -> bytes:
    """The status line and headers of an answer, with the blank line that ends them."""
    lines = [_STATUS_LINES.get(response.status) or f"HTTP/1.1 {response.status} \r\n", _clock.line()]
    lines += [f"{name}: {value}\r\n" for name, value in response.headers]
    if response.status != 204:
        lines.append(f"Content-Length: {len(response.body)}\r\n")
    if connection is not None:
        lines.append(f"Connection: {connection}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")


class Front(HTTPServerConnectionDelegate):
    """Gives each request to the gateway or to the application.

    ``max_body`` is in bytes. ``admit`` raises an `ApiException` for a request that may go to neither;
    the gateway asks it by itself, among its doors.
    """

    def __init__(
        self,
        gateway: Gateway,
        application: Application,
        max_body: int,
        observers: Sequence[Observer] = (),
        admit: Callable[[Request], None] = lambda request: None,
    ) -> None:
        self.gateway = gateway
        self.application = application
        self.max_body = max_body
        self.observers = tuple(observers)
        self.admit = admit
        #: The calls that run; without a reference a task could be collected before it ends.
        self.tasks: set[asyncio.Future[Response]] = set()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return _Message(self, server_conn, request_conn)

    def malformed(self) -> bytes:
        """The whole answer to what is no HTTP request at all."""
        response = self.gateway.refuse(Request("GET", "", {}), ApiSysExceptions.bad_request())
        return write_head(response, "close") + response.body


class _Message(HTTPMessageDelegate):
    """One request on its way in and its answer on its way out."""

    def __init__(self, front: Front, server_connection: object, connection: HTTPConnection) -> None:
        self._front = front
        self._server_connection = server_connection
        self._connection = connection
        self._chunks: list[bytes] = []
        self._received = 0
        self._inner: HTTPMessageDelegate | None = None
        self._refused = False
        self._linger: asyncio.TimerHandle | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if not isinstance(start_line, RequestStartLine):
            raise TypeError("a server reads requests only")
        self._start_line = start_line
        self._headers = headers
        self._started = time.perf_counter()
        path, _, self._query = start_line.path.partition("?")
        if not path.startswith("/"):
            path = _path_of(path)
        if isinstance(self._connection, HTTP1Connection):
            # The limit is kept here: Tornado would end the connection with a bare 400.
            self._connection.set_max_body_size(_UNLIMITED)
        length = header(headers, "Content-Length")
        if length is not None and length.isdecimal() and int(length[:20]) > self._front.max_body:
            self._refuse(self._too_large())
            return None
        if start_line.version == "HTTP/1.1" and len(headers.get_list("Host")) != 1:
            self._refuse(ApiSysExceptions.bad_request("应有一个 Host"))
            return None
        if path == GATEWAY_PATH:
            return None
        return self._hand_over(start_line, headers)

    def _hand_over(self, start_line: RequestStartLine, headers: HTTPHeaders) -> Awaitable[None] | None:
        """Gives the request to the application."""
        inner = self._front.application.start_request(self._server_connection, self._connection)
        try:
            self._front.admit(self._request())
            received = inner.headers_received(start_line, headers)
        except HTTPInputError:
            self._refuse(ApiSysExceptions.bad_request())
            return None
        except ApiException as error:
            self._refuse(error)
            return None
        self._inner = inner
        return received

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received += len(chunk)
        if self._refused:
            if self._received > _LINGER_BYTES:
                self._end_linger()
            return None
        if self._received > self._front.max_body:
            if self._inner is not None:
                self._inner.on_connection_close()
            self._refuse(self._too_large())
            return None
        if self._inner is not None:
            return self._inner.data_received(chunk)
        self._chunks.append(chunk)
        return None

    def finish(self) -> None:
        if self._refused:
            self._end_linger()
        elif self._inner is not None:
            self._inner.finish()
        else:
            self._answer()

    def on_connection_close(self) -> None:
        self._chunks.clear()
        if self._linger is not None:
            self._linger.cancel()
        elif self._inner is not None:
            self._inner.on_connection_close()

    def _answer(self) -> None:
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        answer = self._front.gateway.handle(self._request(body))
        if isinstance(answer, Response):
            self._write(answer)
            return
        task = asyncio.ensure_future(answer)
        self._front.tasks.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Future[Response]) -> None:
        self._front.tasks.discard(task)
        if task.cancelled():  # the server stops: the call may have had an effect, so its code is not one to try again
            self._write(self._front.gateway.refuse(self._request(), ApiSysExceptions.call_timeout("服务器正在停止")))
        else:
            self._write(task.result())

    def _request(self, body: bytes = b"") -> Request:
        context: Any = getattr(self._connection, "context", None)
        peer = getattr(context, "remote_ip", "")
        return Request(self._start_line.method, self._query, self._headers, body, peer)

    def _write(self, response: Response) -> None:
        self._send(response, self._connection_header())
        self._connection.finish()

    def _send(self, response: Response, connection: str | None) -> None:
        head = write_head(response, connection)
        # The head goes with the body in one piece: HTTPConnection.write_headers would build and check
        # anew, for each answer, what is known to be right; it takes 25 µs of the 110 a call has.
        sent = head if self._start_line.method == "HEAD" else head + response.body
        self._connection.write(sent)
        call = response.call
        if call is not None:
            seconds = time.perf_counter() - self._started
            for observe in self._front.observers:
                observe(call, self._start_line.method, response.status, self._received, len(sent), seconds)

    def _connection_header(self) -> str | None:
        if self._front.gateway.draining:
            return "close"
        asked = header(self._headers, "Connection")
        if asked is None:
            return None
        if self._start_line.version == "HTTP/1.1":
            return "close" if asked.lower() == "close" else None
        return "Keep-Alive" if asked.lower() == "keep-alive" else None

    def _too_large(self) -> ApiException:
        return ApiSysExceptions.body_too_large(f"上限为 {self._front.max_body} 字节")

    def _refuse(self, error: ApiException) -> None:
        """Answers at once and ends the connection, having read what is on its way for a while."""
        self._refused = True
        self._chunks.clear()
        self._inner = None
        self._send(self._front.gateway.refuse(self._request(), error), "close")
        stream = getattr(self._connection, "stream", None)
        if isinstance(stream, Connection):
            stream.refused = True
        sends = "Content-Length" in self._headers or "Transfer-Encoding" in self._headers
        if not sends or "Expect" in self._headers:  # with Expect the client waits for a word first
            self._connection.finish()
        else:
            self._linger = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._end_linger)

    def _end_linger(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
            self._connection.finish()
            if isinstance(self._connection, HTTP1Connection):
                self._connection.close()


def _path_of(target: str) -> str:
    """The path of a request target in absolute form (RFC 9112, 3.2.2)."""
    try:
        return urlsplit(target).path
    except ValueError:
        return ""


class EnvelopeHandler(RequestHandler):
    """Base of the application's own handlers: what goes wrong in one is answered with an envelope, too."""

    _ERRORS: ClassVar[dict[int, type[ApiException]]] = {
        404: ApiSysExceptions.unknown_path,
        405: ApiSysExceptions.not_allowed_request,
        413: ApiSysExceptions.body_too_large,
    }

    def initialize(self, gateway: Gateway) -> None:
        self.gateway = gateway

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

    def prepare(self) -> None:
        self.refuse(ApiSysExceptions.unknown_path())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.refuse(ApiSysExceptions.unknown_path())
