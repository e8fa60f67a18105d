"""What apizen's edge takes for granted of Tornado beyond its documentation, on plain Tornado and a real socket.

Where one of these fails with another Tornado, the module that its message names must be looked at before the bound
in requirements.txt goes up. `make test-tornado` runs them with the newest.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPFile,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    parse_multipart_form_data,
)
from tornado.iostream import IOStream
from tornado.web import Application, RequestHandler

from apizen.servers.tornado.connection import _BARE_400

HOST = "127.0.0.1"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Recorded(IOStream):
    """Tornado's own stream, which remembers what Tornado asks of it."""

    def __init__(self, connection: socket.socket) -> None:
        self.waits: list[Awaitable[bytes]] = []
        self.written: list[bytes] = []
        self.nodelays: list[bool] = []
        self.ends = 0
        #: What is written in place of something else.
        self.instead: dict[bytes, bytes] = {}
        super().__init__(connection)

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        self.waits.append(super().read_until_regex(regex, max_bytes))
        return self.waits[-1]

    def write(self, data: bytes | memoryview) -> asyncio.Future[None]:
        self.written.append(bytes(data))
        return super().write(self.instead.get(bytes(data), data))

    def set_nodelay(self, value: bool) -> None:
        self.nodelays.append(value)

    def close_fd(self) -> None:
        super().close_fd()
        self.ends += 1


Step = Callable[["Message"], Any]


class Message(HTTPMessageDelegate):
    """Notes what it is told, and does what a test wants at that step."""

    def __init__(self, plain: Plain, connection: Any) -> None:
        self.plain = plain
        self.connection = connection

    def _note(self, step: str, value: object = None) -> Any:
        self.plain.events.append((step, value) if value is not None else (step,))
        do = self.plain.steps.get(step)
        return None if do is None else do(self)

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        return self._note("headers", start_line.method)

    def data_received(self, chunk: bytes) -> Any:
        return self._note("data", chunk)

    def finish(self) -> None:
        self._note("finish")

    def on_connection_close(self) -> None:
        self._note("close")


def answer(message: Message) -> None:
    """As apizen answers: the whole head and the body in one write, without write_headers."""
    message.connection.write(ANSWER)
    message.connection.finish()


class Plain(HTTPServerConnectionDelegate):
    """A plain `HTTPServer`, with its connections' streams and the events of its messages."""

    def __init__(
        self, steps: dict[str, Step], front: HTTPServerConnectionDelegate | None = None, **limits: Any
    ) -> None:
        self.steps = {"finish": answer, **steps}
        self.events: list[tuple[object, ...]] = []
        self.streams: list[Recorded] = []
        self.connections: list[Any] = []
        self.peers: list[socket.socket] = []
        self.http = HTTPServer(front or self, **limits)

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        self.connections.append(request_conn)
        return Message(self, request_conn)

    async def connect(self, sent: bytes = b"", instead: dict[bytes, bytes] | None = None) -> Peer:
        """A connection that the server handles, after some bytes were sent."""
        with socket.create_server((HOST, 0)) as listening:
            self.peers.append(socket.create_connection(listening.getsockname()))
            accepted, address = listening.accept()
        self.peers[-1].setblocking(False)
        stream = Recorded(accepted)
        stream.instead = instead or {}
        self.streams.append(stream)
        self.http.handle_stream(stream, address)
        peer = Peer(self.peers[-1])
        await peer.send(sent)
        return peer

    async def close(self) -> None:
        async with asyncio.timeout(5):
            await self.http.close_all_connections()
        for peer in self.peers:
            peer.close()


class Peer:
    """The client's side of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self.close = connection.close

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(5):
            await self._loop.sock_sendall(self._connection, data)

    async def exactly(self, expected: bytes) -> None:
        """Reads so much, and no more, which must be this."""
        received = b""
        async with asyncio.timeout(5):
            while missing := len(expected) - len(received):
                chunk = await self._loop.sock_recv(self._connection, missing)
                assert chunk, f"the connection ends after {received!r}"
                received += chunk
        assert received == expected

    async def rest(self) -> bytes:
        """All that comes until the server closes, which it must do without a reset."""
        received = b""
        async with asyncio.timeout(5):
            while chunk := await self._loop.sock_recv(self._connection, 65536):
                received += chunk
        return received


@asynccontextmanager
async def plain(steps: dict[str, Step] | None = None, **options: Any) -> AsyncIterator[Plain]:
    server = Plain(steps or {}, **options)
    try:
        yield server
    finally:
        await server.close()


async def turn(holds: Callable[[], object], why: str = "it never comes so far") -> None:
    """Lets the loop go on until something holds; ``why`` it should."""
    try:
        async with asyncio.timeout(5):
            while not holds():
                await asyncio.sleep(0.001)
    except TimeoutError:
        pytest.fail(why)


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """None of this is worth a line in a log of warnings."""
    yield
    assert not [record.getMessage() for record in caplog.records]


def refuse_input(message: Message) -> None:
    raise HTTPInputError("not so")


MALFORMED: dict[str, tuple[bytes, dict[str, Step]]] = {
    "start line": (b"garbage\r\n\r\n", {}),
    "version": (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", {}),
    "header": (b"GET / HTTP/1.1\r\nNonsense\r\n\r\n", {}),
    "length": (POST + b"Content-Length: two\r\n\r\n", {}),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", {}),
    "length above the limit": (POST + b"Content-Length: 1001\r\n\r\n", {}),
    "length and chunks": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", {}),
    "transfer encoding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", {}),
    "chunk size": (POST + b"Transfer-Encoding: chunked\r\n\r\nfive\r\n", {}),
    "chunks above the limit": (POST + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n", {}),
    "chunk longer than its size": (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n", {}),
    "what the delegate does not take": (GET, {"headers": refuse_input}),
}


@pytest.mark.parametrize(("sent", "steps"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_malformed_gets_these_bytes(sent: bytes, steps: dict[str, Step]) -> None:
    async def main() -> None:
        async with plain(steps, max_body_size=1000) as server:
            peer = await server.connect(sent, {_BARE_400: b"an answer of ours"})
            received = await peer.rest()
            assert server.streams[0].written == [_BARE_400], (
                "Tornado answers malformed HTTP with other bytes, which Connection.write no longer replaces: "
                "connection.py, _BARE_400"
            )
            assert received == b"an answer of ours"  # it is written with the stream's write, and nothing after it
            assert ("finish",) not in server.events

    asyncio.run(main())


SILENT = {
    "a header above 64 kB": b"GET / HTTP/1.1\r\nHost: " + b"x" * 70_000 + b"\r\n\r\n",
    "a chunk's size line above 64 bytes": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 100 + b"\r\n",
}


@pytest.mark.parametrize("sent", SILENT.values(), ids=SILENT.keys())
def test_what_is_too_long_is_closed_without_a_word(sent: bytes) -> None:
    async def main() -> None:
        async with plain() as server:
            await server.connect(sent)
            await turn(server.streams[0].closed)
            assert server.streams[0].written == [], "README.md says that these cases get no answer"

    asyncio.run(main())


ENDS = {
    "HTTP/1.1": (GET, False),
    "HEAD": (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", False),
    "a body": (POST + b"Content-Length: 2\r\n\r\n{}", False),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", False),
    "close": (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", True),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", True),
    "HTTP/1.0 that is kept": (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
}


@pytest.mark.parametrize(("sent", "ends"), ENDS.values(), ids=ENDS.keys())
def test_a_head_may_be_written_with_the_body(sent: bytes, ends: bool) -> None:
    async def main() -> None:
        async with plain() as server:
            peer = await server.connect(sent)
            await peer.exactly(ANSWER)
            if ends:
                assert await peer.rest() == b"", "the connection must end after finish(): front.py"
            else:
                await peer.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                assert await peer.rest() == ANSWER, "the connection must be kept after finish(): front.py"
            assert set(server.streams[0].written) == {ANSWER}, (
                "HTTPConnection.write changes a head that is written with the body: front.py, _Message._send"
            )

    asyncio.run(main())


def test_expect_gets_its_word_after_the_headers() -> None:
    async def main() -> None:
        async with plain() as server:
            peer = await server.connect(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            await turn(lambda: server.streams[0].written)
            assert server.streams[0].written[0].startswith(b"HTTP/1.1 100 ")
            assert server.events == [("headers", "POST")]
            await peer.send(b"{}")
            await turn(lambda: ("finish",) in server.events)
        async with plain({"headers": answer}) as server:
            peer = await server.connect(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            await peer.exactly(ANSWER)
            assert server.streams[0].written == [ANSWER], (
                "100 is sent although headers_received has answered: front.py, _Message._end"
            )

    asyncio.run(main())


BODIES = {
    "length": (b"Content-Length: 4\r\n\r\n", b"{", b"   "),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n", b"1\r\n}\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize(("head", "first", "rest"), BODIES.values(), ids=BODIES.keys())
def test_one_wait_for_each_requests_headers(head: bytes, first: bytes, rest: bytes) -> None:
    why = "connection.py, waits_since: headers, and nothing else, are read with one read_until_regex a request"

    async def main() -> None:
        async with plain() as server:
            peer = await server.connect()
            stream = server.streams[0]
            await turn(lambda: stream.waits, why)
            await peer.send(POST)
            await turn(lambda: stream._read_buffer_size)
            (wait,) = stream.waits
            assert isinstance(wait, asyncio.Future), why
            assert not wait.done(), why
            server.steps["headers"] = lambda message: server.events.append(("read", wait.done()))
            await peer.send(head + first)
            await turn(lambda: ("data", b"{") in server.events)
            assert ("read", True) in server.events, why
            assert stream.waits == [wait], why
            server.steps["finish"] = lambda message: None
            await peer.send(rest)
            await turn(lambda: ("finish",) in server.events)
            assert stream.waits == [wait], why
            answer(Message(server, server.connections[0]))
            await peer.exactly(ANSWER)
            await turn(lambda: len(stream.waits) == 2, why)

    asyncio.run(main())


@pytest.mark.parametrize("sent", [b"", GET[:-2], GET], ids=["silent", "half a header", "between two requests"])
def test_a_stream_that_waits_can_be_closed(sent: bytes) -> None:
    async def main() -> None:
        async with plain() as server:
            peer = await server.connect(sent)
            if sent == GET:
                await peer.exactly(ANSWER)
            stream = server.streams[0]
            await turn(lambda: len(stream.waits) == (2 if sent == GET else 1) and not stream.waits[-1].done())
            stream.close()
            assert await peer.rest() == b""
            assert stream.ends == 1
            assert ("close",) not in server.events, "no message has begun: connections.py closes what is idle"

    asyncio.run(main())


def test_header_timeout_can_be_switched_off() -> None:
    async def main() -> None:
        async with plain(idle_connection_timeout=0.05) as limited, plain(idle_connection_timeout=0.05) as free:
            assert free.http.conn_params.header_timeout == 0.05, "it has another name: server.py"
            free.http.conn_params.header_timeout = None
            second = await free.connect()
            first = await limited.connect()
            assert await first.rest() == b""  # by then the other's time is up, too
            await asyncio.sleep(0)
            assert not free.streams[0].closed(), "header_timeout = None ends a connection: server.py"
            await second.send(GET)
            await second.exactly(ANSWER)

    asyncio.run(main())


def test_nagle_is_switched_for_each_answer() -> None:
    async def main() -> None:
        async with plain() as server:
            peer = await server.connect(GET + GET)
            await peer.exactly(ANSWER + ANSWER)
            await turn(lambda: len(server.streams[0].waits) == 3)
            assert server.streams[0].nodelays == [True, False] * 2, (
                "Tornado spares the two system calls, Connection.set_nodelay need not: connection.py"
            )

    asyncio.run(main())


def test_a_request_answered_early_is_read_no_further() -> None:
    async def main() -> None:
        async with plain({"headers": answer}) as server:
            peer = await server.connect(POST + b"Content-Length: 4\r\n\r\n")
            await peer.exactly(ANSWER)
            await peer.send(b"{}  ")
            assert await peer.rest() == b""
            assert server.events == [("headers", "POST"), ("close",)], (
                "after HTTPConnection.finish() a delegate gets no more of the body: front.py, _Message"
            )

    asyncio.run(main())


def test_a_body_may_be_read_after_the_answer() -> None:
    """The answer is written, and finish() comes later: what the client is still sending is read until then."""

    def refuse(message: Message) -> None:
        message.connection.write(ANSWER)

    def end(message: Message) -> None:
        message.connection.finish()
        message.connection.close()

    async def main() -> None:
        async with plain({"headers": refuse, "data": end}) as server:
            peer = await server.connect(POST + b"Content-Length: 4\r\n\r\n")
            await peer.exactly(ANSWER)
            await peer.send(b"{")
            assert await peer.rest() == b""
            assert server.events == [("headers", "POST"), ("data", b"{"), ("close",)], "front.py, _Message._end"

    asyncio.run(main())


@pytest.mark.parametrize(("head", "body"), [(b"Content-Length: 5000", b"x" * 5000), (b"Transfer-Encoding: chunked",
    b"1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n")], ids=["length", "chunks"])  # fmt: skip
def test_the_limit_on_a_body_can_be_lifted(head: bytes, body: bytes) -> None:
    async def main() -> None:
        def lift(message: Message) -> None:
            message.connection.set_max_body_size(1 << 62)

        async with plain({"headers": lift}, max_body_size=10) as server:
            peer = await server.connect(POST + head + b"\r\n\r\n" + body)
            await peer.exactly(ANSWER)
            received = b"".join(chunk for _, chunk in server.events[1:-1] if isinstance(chunk, bytes))
            assert received == b"x" * 5000, "front.py keeps the limit itself"

    asyncio.run(main())


def test_the_time_of_a_body_can_be_set() -> None:
    async def main() -> None:
        def hurry(message: Message) -> None:
            message.connection.set_body_timeout(0.01)

        async with plain({"headers": hurry}, body_timeout=60) as server:
            peer = await server.connect(POST + b"Content-Length: 4\r\n\r\n{")
            assert await peer.rest() == b""
            assert server.streams[0].written == []
            assert server.events[-1] == ("close",)

    asyncio.run(main())


GONE = {
    "in the headers": (GET[:-2], []),
    "in the body": (POST + b"Content-Length: 4\r\n\r\n{", [("headers", "POST"), ("data", b"{"), ("close",)]),
    "before the answer": (GET, [("headers", "GET"), ("finish",)]),
}


@pytest.mark.parametrize(("sent", "events"), GONE.values(), ids=GONE.keys())
def test_a_message_has_one_end(sent: bytes, events: list[tuple[object, ...]]) -> None:
    async def main() -> None:
        async with plain({"finish": lambda message: None}) as server:
            peer = await server.connect(sent)
            await turn(lambda: server.events == [event for event in events if event != ("close",)])
            peer.close()
            await turn(server.streams[0].closed)
            await turn(lambda: len(server.events) == len(events))
            assert server.events == events, "front.py, _Message: finish or on_connection_close, never both"
            assert server.streams[0].ends == 1, "connection.py counts connections by close_fd"
            answer(Message(server, server.connections[-1]))  # an answer that comes too late fails nothing

    asyncio.run(main())


def test_what_a_connection_tells() -> None:
    async def main() -> None:
        async with plain() as server:
            peer = await server.connect(GET)
            await peer.exactly(ANSWER)
            connection = server.connections[0]
            assert isinstance(connection, HTTP1Connection)
            assert connection.stream is server.streams[0], "Connection.of looks for it there"
            assert connection.context.remote_ip == HOST, "front.py takes the caller's address from it"

    asyncio.run(main())


class Handler(RequestHandler):
    def get(self) -> None:
        self.finish("ok")


def test_an_application_takes_requests_from_another_delegate() -> None:
    logged: list[tuple[int, str | None]] = []

    def log(handler: RequestHandler) -> None:
        # apizen/observability/observation.py
        logged.append((handler.get_status(), handler._headers.get("Content-Length")))

    application = Application([("/", Handler)], log_function=log)

    class Front(HTTPServerConnectionDelegate):
        def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
            return application.start_request(server_conn, request_conn)

    async def main() -> None:
        async with plain(front=Front()) as server:
            peer = await server.connect(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert (await peer.rest()).endswith(b"\r\n\r\nok")
            peer = await server.connect(GET.replace(b" / ", b" /?" + b"a&" * 1100 + b" "))
            assert await peer.rest() == _BARE_400, "front.py, _hand_over: HTTPInputError for a long query"

    asyncio.run(main())
    assert logged == [(200, "2")]


def parsed(body: bytes) -> tuple[dict[str, list[bytes]], dict[str, list[HTTPFile]]]:
    fields: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    parse_multipart_form_data(b"B", body, fields, files)
    return fields, files


def test_parts_of_a_form() -> None:
    field = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n'
    file = b'--B\r\nContent-Disposition: form-data; name="b"; filename="f"\r\nContent-Type: image/png\r\n\r\n\x00\r\n'
    fields, files = parsed(field + field + file + b"--B--\r\n")
    assert fields == {"a": [b"\xff", b"\xff"]}, "multipart.py"
    [[upload]] = files.values()
    assert (upload.filename, upload.content_type, upload.body) == ("f", "image/png", b"\x00"), "multipart.py"


@pytest.mark.parametrize("body", [b"", b"--B\r\nno end", b"--B\r\n\r\nx\r\n--B--\r\n", b"--B\r\nx\r\n--B--\r\n"])
def test_a_malformed_form_raises(body: bytes) -> None:
    with pytest.raises(HTTPInputError):  # older ones only log it: multipart.py
        parsed(body)
