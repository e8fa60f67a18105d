"""The gateway: every method at one URL, in one envelope.

`Gateway.handle` takes a `Request` and gives a `Response`, or an awaitable of one where the function does
not run inline. It does no IO and knows no server: what it needs of the world is handed to it.

The order in which a request is judged: the doors, which know the caller's address only (1001, 1003, 1030);
the query string, format (1011), method and v missing (1012, 1004), the body, the version (1005, 1006), the
method (1013, 1020, 1016), the form of the answer (1034), the verb (1019); then, in the pipeline, the guards of the
endpoint and the arguments in the order of the signature (1018, 1021, 1022). Of a request with a large body all that
the query and the headers tell is judged by `Gateway.foresee` before the body is read; it is read beside the loop.

>>> from apizen import ApiMethodBase, version
>>> from apizen.runner import Runner
>>> from apizen.version import Registry
>>> registry = Registry()
>>> @version('1.0', registry=registry)
... class V10(ApiMethodBase):
...     api_methods = {'math.add': {'func': lambda a, b: int(a) + int(b), 'run': 'inline'}}
>>> gateway = Gateway(registry.catalogue(), Pipeline(Runner(4, 100, 4)))
>>> gateway.handle(Request('GET', 'v=1.0&method=math.add&a=1&b=2', {})).body.decode()
'{"meta":{"code":1000,"message":"执行成功"},"response":3}'
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from operator import attrgetter
from time import perf_counter
from typing import Any

from apizen.body_size import DEFAULT_MAX_BODY, LARGE_BODY, check_size
from apizen.catalogue import Catalogue
from apizen.endpoint import Endpoint
from apizen.exception import ApiException, ApiSysExceptions
from apizen.faces.answers import Answers
from apizen.faces.exchange import Exchange
from apizen.faces.readers import Readers
from apizen.media_type import media_type
from apizen.parameters import FORM, FORMS, MAX_FORM, MultipartParser, Parameters, body_type, no_multipart
from apizen.pipeline import Pipeline, log_failure
from apizen.request import GATEWAY_PATH, Request, Response, header

__all__ = ["Gateway"]

# A large body is read within the call's timeout; within this where only the body says which method it is for.
_READING_SECONDS = 30.0


class Gateway:
    """Answers requests from one catalogue.

    ``response_key``, ``cors_origin`` and ``max_answer`` are those of `Answers`. ``address_of`` finds a request's
    caller. ``max_body`` is the number of bytes that a body may have whose method is not known before it is read.
    """

    reads_bodies = True

    def __init__(
        self,
        catalogue: Catalogue,
        pipeline: Pipeline,
        *,
        multipart: MultipartParser = no_multipart,
        response_key: str = "response",
        cors_origin: str = "*",
        max_answer: int = 64 * 1024 * 1024,
        address_of: Callable[[Request], str] = attrgetter("peer"),
        max_body: int = DEFAULT_MAX_BODY,
    ) -> None:
        self.catalogue = catalogue
        self.pipeline = pipeline
        self._multipart = multipart
        self._answers = Answers(response_key, cors_origin, max_answer)
        self._address_of = address_of
        self._max_body = max_body
        self._readers = Readers()

    @property
    def draining(self) -> bool:
        return self.pipeline.draining

    def owns(self, path: str) -> bool:
        return path == GATEWAY_PATH

    def handle(self, request: Request, foreseen: Exchange | None = None) -> Response | Awaitable[Response]:
        """Answers a request, of which ``foreseen`` is what `foresee` gave.

        Never raises, whatever a client sends and a function does.
        """
        if foreseen is None:
            exchange = self._exchange(request)
        else:
            exchange = foreseen
            exchange.request = request
        try:
            if request.verb == "OPTIONS":
                return self._answers.preflight(exchange)
            self._open_doors(exchange)
            if len(request.body) > LARGE_BODY:
                return self._handle_large(exchange)
            answer = self.pipeline.call(self._judge(exchange), exchange)
        except Exception as error:
            return self._failure(exchange, error)
        return answer if type(answer) is Response else self._handle_later(exchange, answer)

    async def _handle_later(self, exchange: Exchange, answer: Awaitable[Response]) -> Response:
        try:
            return await answer
        except Exception as error:
            return self._failure(exchange, error)

    async def foresee(self, request: Request, length: int) -> Exchange | Response:
        """Judges a request with a large body before that is read: by its query, its headers and ``length``.

        Gives the answer where there is one already. Else it gives what `handle` needs, with ``most``, the number of
        bytes that the body may have. ``length`` is what the body has by the client's word, or what has come of it.
        """
        exchange = self._exchange(request)
        try:
            if request.verb != "OPTIONS":
                self._open_doors(exchange)
                await self._foresee(exchange, length)
        except Exception as error:
            return self._failure(exchange, error)
        return exchange

    async def _foresee(self, exchange: Exchange, length: int) -> None:
        exchange.foreseen = True
        request = exchange.request
        parameters = exchange.values = Parameters(request._replace(body=b""), no_multipart)
        exchange.choose_format(parameters)
        method, version = parameters.public("method"), parameters.public("v")
        media = media_type(header(request.headers, "Content-Type") or "")
        named = method is not None and version is not None
        if named or media.name not in FORMS:  # else the form may say it
            exchange.most = self._find(exchange, _named(exchange, method, version)).max_body
        if media.name == FORM:
            exchange.most = min(exchange.most, MAX_FORM)
        check_size(length, exchange.most)
        body_type(request.headers)
        if exchange.endpoint is not None:
            await self.pipeline.foresee(exchange.endpoint, exchange)

    async def _handle_large(self, exchange: Exchange) -> Response:
        """Reads a large body in a thread: megabytes of JSON would hold up everybody's calls."""
        try:
            if not exchange.foreseen:
                await self._foresee(exchange, len(exchange.request.body))
            known = exchange.endpoint
            deadline = perf_counter() + (_READING_SECONDS if known is None else known.timeout)
            exchange.in_thread = partial(self._read, deadline)
            endpoint = await exchange.in_thread(partial(self._judge, exchange))
            answer: Response = await self.pipeline.call(endpoint, exchange)
            return answer
        except Exception as error:
            return self._failure(exchange, error)

    def _read(self, deadline: float, work: Callable[[], Any]) -> Awaitable[Any]:
        return self._readers.run(work, max(0.0, deadline - perf_counter()))

    def _exchange(self, request: Request) -> Exchange:
        return Exchange(request, self._address_of(request), self._max_body, self._answers)

    def refuse(self, request: Request, error: ApiException) -> Response:
        """The answer to a request that the server could not hand over, in the form that it asks for."""
        exchange = self._exchange(request)
        exchange.guess_format()
        return self._failure(exchange, error)

    def _open_doors(self, exchange: Exchange) -> None:
        try:
            self.pipeline.open_doors(exchange.caller)
        except ApiException:
            exchange.guess_format()
            raise

    def _failure(self, exchange: Exchange, error: Exception) -> Response:
        try:
            return self._answers.failure(exchange, self.pipeline.explain(exchange, error))
        except Exception as broken:  # an error of the application's whose message or headers can't be had
            log_failure(exchange, "raised what can't be answered", broken)
            return self._answers.failure(exchange, ApiSysExceptions.system_error())

    def _judge(self, exchange: Exchange) -> Endpoint:
        """The endpoint that is asked for; reads the parameters."""
        parameters = exchange.values = Parameters(exchange.request, self._multipart, exchange.most)
        exchange.choose_format(parameters)
        method, version = parameters.public("method"), parameters.public("v")
        if method is None or version is None:
            exchange.method, exchange.version = method or "", version or ""
            parameters.check_form()  # which may be where it stands
        named = _named(exchange, method, version)
        parameters.read_body()
        exchange.logged_values = parameters.named
        endpoint = self._find(exchange, named)
        if exchange.request.body:
            exchange.most = endpoint.max_body
            check_size(len(exchange.request.body), exchange.most)
        return endpoint

    def _find(self, exchange: Exchange, named: tuple[str, str]) -> Endpoint:
        """The endpoint of a method and a version, if it may be asked for in this way."""
        request = exchange.request
        method, version = named
        endpoint = exchange.endpoint = self.catalogue.find(version.strip(), method.strip())
        exchange.method, exchange.version, exchange.registered = endpoint.name, endpoint.version, True
        if not exchange.acceptable and endpoint.raw is None:
            raise ApiSysExceptions.unacceptable_format("应为 application/json 或 application/xml")
        verb = "GET" if request.verb == "HEAD" else request.verb
        if verb not in endpoint.verbs:
            raise ApiSysExceptions.not_allowed_request(headers={"Allow": endpoint.allow})
        return endpoint


def _named(exchange: Exchange, method: str | None, version: str | None) -> tuple[str, str]:
    """The method and the version that are asked for. Raises 1012 and 1004."""
    exchange.method, exchange.version = method or "", version or ""
    if method is None:
        raise ApiSysExceptions.missing_method("method")
    if version is None:
        raise ApiSysExceptions.missing_version("v")
    return method, version
