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
from typing import Any
from urllib.parse import urlsplit

from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    ParseBodyConfig,
    ParseMultipartConfig,
    RequestStartLine,
    ResponseStartLine,
    set_parse_body_config,
)
from tornado.web import Application

from apizen.body_size import LARGE_BODY, check_size
from apizen.call import Call
from apizen.exception import ApiException, ApiSysExceptions
from apizen.faces.exchange import Exchange
from apizen.faces.rpc import Gateway
from apizen.media_type import media_type
from apizen.parameters import FORM
from apizen.request import GATEWAY_PATH, Request, Response, header
from apizen.servers.body_budget import BodyBudget
from apizen.servers.tornado.connection import Connection

__all__ = ["Front", "Observer"]

logger = logging.getLogger(__name__)

#: Is told of each answer of the gateway: the call, the verb, the HTTP status, the bytes of the body that came and
#: of the answer that went, and the seconds in between.
Observer = Callable[[Call, str, int, int, int, float], None]

# A client that still sends its body when the answer is out sees a reset instead of the answer; so the
# body is read and thrown away for a while (as nginx's lingering_close).
_LINGER_SECONDS = 5.0
_LINGER_BYTES = 64 * 1024 * 1024
_UNLIMITED = 1 << 62
# Tornado reads the forms of an application's handlers on the loop: a percent sign takes it 200 bytes, a character of a
# part's header a microsecond.
_MAX_TORNADO_FORM = 64 * 1024
_TORNADO_MULTIPART = ParseMultipartConfig(max_parts=50, max_part_header_size=1024)

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

    ``max_body`` is in bytes, and for the application; the gateway knows its own. ``admit`` raises an `ApiException`
    for a request that may go to neither; the gateway asks it by itself, among its doors.
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
        self.budget = BodyBudget()
        set_parse_body_config(ParseBodyConfig(multipart=_TORNADO_MULTIPART))
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
        self._stream: Connection | None = None  # while it owes a body
        self._chunks: list[bytes] = []
        self._received = 0
        self._most = front.max_body
        self._held = 0
        self._foreseen: Exchange | None = None
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
        try:
            if start_line.version == "HTTP/1.1" and len(headers.get_list("Host")) != 1:
                raise ApiSysExceptions.bad_request("应有一个 Host")
            length = self._expect_body()
            if path != GATEWAY_PATH:
                return self._hand_over(start_line, headers, length)
            if start_line.method == "OPTIONS":
                self._front.admit(self._request())
        except ApiException as error:
            self._refuse(error)
            return None
        return self._foresee(length) if length and length > min(LARGE_BODY, self._most) else None

    def _expect_body(self) -> int:
        """The length of the body as the client says it, 0 where it does not."""
        length = header(self._headers, "Content-Length")
        if length is None and "Transfer-Encoding" not in self._headers:
            return 0
        self._stream = _stream_of(self._connection)
        if self._stream is not None:
            self._stream.expect_body()
        return int(length[:20]) if length is not None and length.isdecimal() else 0

    def _hand_over(self, start_line: RequestStartLine, headers: HTTPHeaders, length: int) -> Awaitable[None] | None:
        """Gives the request to the application. Raises what keeps it out."""
        if media_type(header(headers, "Content-Type") or "").name == FORM:
            self._most = min(self._most, _MAX_TORNADO_FORM)
        check_size(length, self._most)
        inner = self._front.application.start_request(self._server_connection, self._connection)
        try:
            self._front.admit(self._request())
            received = inner.headers_received(start_line, headers)
        except HTTPInputError:
            raise ApiSysExceptions.bad_request from None
        self._inner = inner
        return received

    async def _foresee(self, length: int) -> None:
        """Lets the gateway judge a request with a body of this length before it is read."""
        foreseen = await self._front.gateway.foresee(self._request(), length)
        if isinstance(foreseen, Response):
            self._end(foreseen)
        else:
            self._foreseen = foreseen
            self._most = foreseen.most

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received += len(chunk)
        if self._refused:
            if self._received > _LINGER_BYTES:
                self._end_linger()
            return None
        if self._stream is not None:
            self._stream.add_body(len(chunk))
        try:
            self._front.budget.take(len(chunk), of=self._received)
            self._held += len(chunk)
            if self._inner is not None or self._foreseen is not None:
                check_size(self._received, self._most)
        except ApiException as error:
            if self._inner is not None:
                self._inner.on_connection_close()
            self._refuse(error)
            return None
        if self._inner is not None:
            return self._unhurried(self._inner.data_received(chunk))
        self._chunks.append(chunk)
        large = self._received > min(LARGE_BODY, self._most)
        return self._foresee(self._received) if large and self._foreseen is None else None

    def _unhurried(self, pending: Awaitable[None] | None) -> Awaitable[None] | None:
        """Takes the time that a handler needs for a piece of a body off that of the client."""
        if pending is None or self._stream is None:
            return pending
        stream = self._stream

        async def wait() -> None:
            stream.end_body()
            await pending
            stream.expect_body()

        return wait()

    def finish(self) -> None:
        if self._stream is not None:
            self._stream.end_body()
        if self._refused:
            self._end_linger()
        elif self._inner is not None:
            self._give_back()
            self._inner.finish()
        else:
            self._answer()

    def on_connection_close(self) -> None:
        self._chunks.clear()
        self._give_back()
        if self._linger is not None:
            self._linger.cancel()
        elif self._inner is not None:
            self._inner.on_connection_close()

    def _answer(self) -> None:
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        answer = self._front.gateway.handle(self._request(body), self._foreseen)
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
        if self._held:
            self._give_back()
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
        if self._front.gateway.pipeline.draining:
            return "close"
        asked = header(self._headers, "Connection")
        if asked is None:
            return None
        if self._start_line.version == "HTTP/1.1":
            return "close" if asked.lower() == "close" else None
        return "Keep-Alive" if asked.lower() == "keep-alive" else None

    def _give_back(self) -> None:
        self._front.budget.give_back(self._held)
        self._held = 0

    def _refuse(self, error: ApiException) -> None:
        self._end(self._front.gateway.refuse(self._request(), error))

    def _end(self, response: Response) -> None:
        """Answers at once and ends the connection, having read what is on its way for a while."""
        self._refused = True
        self._chunks.clear()
        self._give_back()
        self._inner = None
        self._send(response, "close")
        stream = _stream_of(self._connection)
        if stream is not None:
            stream.refused = True
            stream.end_body()
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


def _stream_of(connection: HTTPConnection) -> Connection | None:
    stream = getattr(connection, "stream", None)
    return stream if isinstance(stream, Connection) else None


def _path_of(target: str) -> str:
    """The path of a request target in absolute form (RFC 9112, 3.2.2)."""
    try:
        return urlsplit(target).path
    except ValueError:
        return ""
