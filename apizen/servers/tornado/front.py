"""Tornado's edge: the faces served straight from the HTTP connection, every other path by an Application.

`Front` stands in front of the `Application` as an `HTTPServerConnectionDelegate`, a documented interface
of Tornado's; a face's requests never become a `RequestHandler`, which halves what a call costs. What
`RequestHandler` would have done is done here: one answer whatever happens, Content-Length, HEAD, the
limit on bodies, clients that go away.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

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
from tornado.web import Application

from apizen.exception import ApiException, ApiSysExceptions
from apizen.faces.face import Face, Observer
from apizen.request import Request, Response, header
from apizen.servers import http_rules
from apizen.servers.edge import Edge
from apizen.servers.incoming_body import IncomingBody
from apizen.servers.response_bytes import write_response
from apizen.servers.tornado.connection import Connection
from apizen.servers.tornado.lingering import Lingering
from apizen.servers.tornado.web_application import limit_forms

__all__ = ["Front"]

_UNLIMITED = 1 << 62


class Front(Edge, HTTPServerConnectionDelegate):
    """Gives each request to the face whose it is, or to the application. See `Edge` for the rest."""

    def __init__(
        self,
        faces: Sequence[Face],
        application: Application,
        max_body: int,
        observers: Sequence[Observer] = (),
        check_ban: Callable[[Request], None] = lambda request: None,
    ) -> None:
        super().__init__(faces, max_body, observers, check_ban)
        self.application = application
        limit_forms()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return _Message(self, server_conn, request_conn)

    def bad_request(self) -> bytes:
        """What is sent to a client that sends no HTTP."""
        return write_response("GET", self.malformed(), "close")


class _Message(HTTPMessageDelegate):
    """One request on its way in and its answer on its way out."""

    def __init__(self, front: Front, server_connection: object, connection: HTTPConnection) -> None:
        self._front = front
        self._server_connection = server_connection
        self._connection = connection
        self._stream: Connection | None = None  # while it owes a body
        self._face = front.faces[0]
        self._inner: HTTPMessageDelegate | None = None  # the application's, where no face owns the request
        self._body: IncomingBody | None = None  # where one is announced
        self._foreseen: Any = None
        self._lingering: Lingering | None = None  # from when the request was refused

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if not isinstance(start_line, RequestStartLine):
            raise TypeError("a server reads requests only")
        self._start_line = start_line
        self._headers = headers
        self._started = time.perf_counter()
        path, _, query = start_line.path.partition("?")
        path = path if path.startswith("/") else http_rules.path_of(path)
        context: Any = getattr(self._connection, "context", None)
        peer = getattr(context, "remote_ip", "")
        self._request = Request(start_line.method, query, headers, b"", peer, path)
        if isinstance(self._connection, HTTP1Connection):
            # The limit is kept here: Tornado would end the connection with a bare 400.
            self._connection.set_max_body_size(_UNLIMITED)
        try:
            http_rules.check_host(start_line.version, headers.get_list("Host"))
            announced = http_rules.announced_length(headers)
            if announced is not None:
                self._expect_body(announced)
            return self._begin()
        except ApiException as error:
            self._refuse(error)
            return None

    def _expect_body(self, announced: int) -> None:
        self._body = IncomingBody(self._front.budget, self._front.max_body, announced)
        self._stream = Connection.of(self._connection)
        if self._stream is not None:
            self._stream.expect_body()

    def _begin(self) -> Awaitable[None] | None:
        """Finds out whose the request is. Raises what keeps it out."""
        body = self._body
        face = self._front.route(self._request, body)
        if face is None:
            return self._hand_over()
        self._face = face
        judged_now = face.reads_bodies and body is not None and body.is_large(body.announced)
        return self._foresee(body, body.announced) if judged_now and body is not None else None

    def _hand_over(self) -> Awaitable[None] | None:
        """Gives the request to the application. Raises what keeps it out."""
        inner = self._front.application.start_request(self._server_connection, self._connection)
        try:
            received = inner.headers_received(self._start_line, self._headers)
        except HTTPInputError:
            raise ApiSysExceptions.bad_request from None
        self._inner = inner
        return received

    async def _foresee(self, body: IncomingBody, length: int) -> None:
        """Lets the face judge a request with a body of this length before it is read."""
        foreseen = await self._face.foresee(self._request, length)
        if isinstance(foreseen, Response):
            self._end(foreseen)
        else:
            self._foreseen = foreseen
            body.limit(foreseen.most)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._lingering is not None:
            self._lingering.receive(len(chunk))
        elif self._body is not None:
            return self._receive(self._body, chunk)
        return None

    def _receive(self, body: IncomingBody, chunk: bytes) -> Awaitable[None] | None:
        if self._stream is not None:
            self._stream.add_body(len(chunk))
        try:
            body.add(chunk)
        except ApiException as error:
            if self._inner is not None:
                self._inner.on_connection_close()
            self._refuse(error)
            return None
        if self._inner is not None:
            pending = self._inner.data_received(chunk)
            return pending if pending is None or self._stream is None else self._stream.unhurried(pending)
        judged = self._foreseen is not None or not body.kept
        return None if judged or not body.is_large(body.received) else self._foresee(body, body.received)

    def finish(self) -> None:
        if self._stream is not None:
            self._stream.end_body()
        if self._lingering is not None:
            self._lingering.end()
        elif self._inner is not None:
            self._end_body()
            self._inner.finish()
        else:
            self._answer()

    def on_connection_close(self) -> None:
        self._end_body()
        if self._lingering is not None:
            self._lingering.cancel()
        elif self._inner is not None:
            self._inner.on_connection_close()

    def _answer(self) -> None:
        request = self._request if self._body is None else self._request._replace(body=self._body.take())
        answer = self._face.handle(request, self._foreseen)
        if isinstance(answer, Response):
            self._write(answer)
        else:
            self._front.in_flight.begin(answer, self._write_late)

    def _write_late(self, response: Response | None) -> None:
        if response is None:  # the call may have had an effect, so its code is not one to try again
            response = self._face.refuse(self._request, ApiSysExceptions.call_timeout("服务器正在停止"))
        self._write(response)

    def _end_body(self) -> None:
        if self._body is not None:
            self._body.end()

    def _write(self, response: Response) -> None:
        self._end_body()
        asked = header(self._headers, "Connection")
        self._send(response, http_rules.connection_header(self._start_line.version, asked, self._face.draining))
        self._connection.finish()

    def _send(self, response: Response, connection: str | None) -> None:
        # The head goes with the body in one piece: HTTPConnection.write_headers would build and check
        # anew, for each answer, what is known to be right; it takes 25 µs of the 110 a call has.
        verb = self._start_line.method
        sent = write_response(verb, response, connection)
        self._connection.write(sent)
        call = response.call
        if call is not None:
            received = 0 if self._body is None else self._body.received
            seconds = time.perf_counter() - self._started
            for observe in self._front.observers:
                observe(call, verb, response.status, received, len(sent), seconds)

    def _refuse(self, error: ApiException) -> None:
        self._end(self._face.refuse(self._request, error))

    def _end(self, response: Response) -> None:
        """Answers at once and ends the connection."""
        self._end_body()
        self._inner = None
        self._send(response, "close")
        if (stream := Connection.of(self._connection)) is not None:
            stream.refuse()
        self._lingering = Lingering(self._connection, http_rules.lingers(self._headers))
