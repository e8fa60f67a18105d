"""The pipeline: public parameters → version and method → arguments → function → envelope.

`Gateway.handle` takes a `Request` and gives a `Response`, or an awaitable of one where the function does
not run inline. It does no IO and knows no server: what it needs of the world is handed to it.

The order in which a request is judged: the doors, which know the caller's address only (1001, 1003, 1030);
the query string, format (1011), method and v missing (1012, 1004), the body, the version (1005, 1006), the
method (1013, 1020, 1016), the form of the answer (1034), the verb (1019), the guards of the endpoint, then
the arguments in the order of the signature (1018, 1021, 1022). Of a request with a large body all that the
query and the headers tell is judged by `Gateway.foresee` before the body is read; it is read beside the loop.

>>> from apizen import ApiMethodBase, version
>>> from apizen.version import Registry
>>> registry = Registry()
>>> @version('1.0', registry=registry)
... class V10(ApiMethodBase):
...     api_methods = {'math.add': {'func': lambda a, b: int(a) + int(b), 'run': 'inline'}}
>>> gateway = Gateway(registry.catalogue(timeout=30), Runner(4, 100, 4))
>>> gateway.handle(Request('GET', 'v=1.0&method=math.add&a=1&b=2', {})).body.decode()
'{"meta":{"code":1000,"message":"执行成功"},"response":3}'
"""

from __future__ import annotations

import contextlib
import contextvars
import decimal
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from heapq import nsmallest
from operator import attrgetter
from time import perf_counter
from typing import Any
from urllib.parse import quote

from apizen.body_size import LARGE_BODY, check_size
from apizen.breaker import Breaker
from apizen.exception import ApiException, ApiSysExceptions
from apizen.faces.answers import Answers
from apizen.faces.exchange import Exchange
from apizen.faces.readers import Readers
from apizen.guard import Admission, Beside, Guard, admit, foresee
from apizen.media_type import media_type
from apizen.parameters import FORM, FORMS, MAX_FORM, MultipartParser, Parameters, body_type, no_multipart
from apizen.request import Request, Response, header
from apizen.runner import Runner
from apizen.version import DEFAULT_MAX_BODY, Catalogue, Endpoint

__all__ = ["Door", "Gateway"]

_IGNORED_SHOWN = 20

# A large body is read within the call's timeout; within this where only the body says which method it is for.
_READING_SECONDS = 30.0

Function = Callable[[], Any]

#: What every request must pass, told the caller's address. Raises an `ApiException`.
Door = Callable[[str], None]


class Gateway:
    """Answers requests from one catalogue.

    ``response_key``, ``cors_origin``, ``debug`` and ``max_answer`` are those of `Answers`. ``address_of`` finds a
    request's caller, ``doors`` are what each of them must pass. ``max_body`` is the number of bytes that a body may
    have whose method is not known before it is read. ``breaker`` is the runner's.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        runner: Runner,
        *,
        multipart: MultipartParser = no_multipart,
        response_key: str = "response",
        cors_origin: str = "*",
        debug: bool = False,
        max_answer: int = 64 * 1024 * 1024,
        address_of: Callable[[Request], str] = attrgetter("peer"),
        doors: Sequence[Door] = (),
        max_body: int = DEFAULT_MAX_BODY,
        breaker: Breaker | None = None,
    ) -> None:
        self.catalogue = catalogue
        #: While true every request is answered with 1001.
        self.draining = False
        #: How many calls are being answered, those apart that run inline.
        self.in_flight = 0
        self._runner = runner
        self._multipart = multipart
        self._answers = Answers(response_key, cors_origin, debug, max_answer)
        self._address_of = address_of
        self._doors = tuple(doors)
        self._max_body = max_body
        self._readers = Readers()
        self._breaker = breaker

    def handle(self, request: Request, exchange: Exchange | None = None) -> Response | Awaitable[Response]:
        """Answers a request, of which ``exchange`` is what `foresee` gave.

        Never raises, whatever a client sends and a function does.
        """
        if exchange is None:
            exchange = Exchange(request, self._address_of(request), self._max_body)
        else:
            exchange.request = request
        try:
            if request.verb == "OPTIONS":
                return self._answers.preflight(exchange)
            self._open_doors(exchange)
            if len(request.body) > LARGE_BODY:
                return self._handle_large(exchange)
            endpoint, parameters = self._judge(exchange)
            guards = endpoint.guards
            if guards and (pending := _admit(exchange, endpoint, parameters, guards)) is not None:
                return self._handle_admitted(exchange, endpoint, parameters, pending)
            call = self._bind(exchange, endpoint, parameters)
        except Exception as error:
            return self._answers.failure(exchange, error)
        return self._start(exchange, endpoint, call)

    async def foresee(self, request: Request, length: int) -> Exchange | Response:
        """Judges a request with a large body before that is read: by its query, its headers and ``length``.

        What it gives is for `handle`, its ``most`` is the number of bytes that the body may have; or it is the
        answer already. ``length`` is what the body has by the client's word, or what has come of it.
        """
        exchange = self._exchange(request)
        try:
            if request.verb != "OPTIONS":
                self._open_doors(exchange)
                await self._foresee(exchange, length)
        except Exception as error:
            return self._answers.failure(exchange, error)
        return exchange

    async def _foresee(self, exchange: Exchange, length: int) -> None:
        exchange.foreseen = True
        request = exchange.request
        parameters = Parameters(request._replace(body=b""), no_multipart)
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
        endpoint = exchange.endpoint
        if endpoint is not None and endpoint.guards:
            admission = _admission(exchange, endpoint, parameters)
            exchange.asked = await foresee(admission, endpoint.guards)

    async def _handle_large(self, exchange: Exchange) -> Response:
        """Reads a large body in a thread: megabytes of JSON would hold up everybody's calls."""
        try:
            if not exchange.foreseen:
                await self._foresee(exchange, len(exchange.request.body))
            known = exchange.endpoint
            deadline = perf_counter() + (_READING_SECONDS if known is None else known.timeout)
            beside = partial(self._beside, deadline)
            endpoint, parameters = await beside(partial(self._judge, exchange))
            guards = endpoint.guards[exchange.asked :]
            if guards and (pending := _admit(exchange, endpoint, parameters, guards, beside)) is not None:
                await pending
            call = await beside(partial(self._bind, exchange, endpoint, parameters))
        except Exception as error:
            return self._answers.failure(exchange, error)
        answer = self._start(exchange, endpoint, call)
        return answer if isinstance(answer, Response) else await answer

    def _beside(self, deadline: float, work: Callable[[], Any]) -> Awaitable[Any]:
        return self._readers.run(work, max(0.0, deadline - perf_counter()))

    def _exchange(self, request: Request) -> Exchange:
        return Exchange(request, self._address_of(request), self._max_body)

    async def _handle_admitted(
        self, exchange: Exchange, endpoint: Endpoint, parameters: Parameters, pending: Awaitable[None]
    ) -> Response:
        """Goes on when a guard that had to wait has let the call pass."""
        try:
            await pending
            call = self._bind(exchange, endpoint, parameters)
        except Exception as error:
            return self._answers.failure(exchange, error)
        answer = self._start(exchange, endpoint, call)
        return answer if isinstance(answer, Response) else await answer

    def _start(self, exchange: Exchange, endpoint: Endpoint, call: Function) -> Response | Awaitable[Response]:
        exchange.admitted = perf_counter()
        answer = self._inline(exchange, endpoint, call) if endpoint.mode == "inline" else None
        return answer if isinstance(answer, Response) else self._finish(exchange, endpoint, call, answer)

    def refuse(self, request: Request, error: ApiException) -> Response:
        """The answer to a request that the server could not hand over, in the form that it asks for."""
        exchange = self._exchange(request)
        exchange.guess_format()
        return self._answers.failure(exchange, error)

    def _open_doors(self, exchange: Exchange) -> None:
        try:
            if self.draining:
                raise ApiSysExceptions.missing_system_error
            for door in self._doors:
                door(exchange.address)
        except ApiException:
            exchange.guess_format()
            raise

    async def _finish(
        self,
        exchange: Exchange,
        endpoint: Endpoint,
        call: Function,
        pending: Awaitable[Any] | AsyncIterator[Any] | None,
    ) -> Response:
        """Runs what does not run inline. ``pending`` is what an inline function has left to await."""
        self.in_flight += 1
        try:
            if endpoint.mode == "thread":
                answer = await self._runner.in_thread(endpoint, partial(self._run, exchange, endpoint, call))
                if isinstance(answer, Response):
                    return answer
                pending = answer
            elif pending is None and self._breaker is not None:
                self._breaker.check(endpoint)
            wanted = call if pending is None else lambda: pending
            result = await self._runner.on_loop(endpoint, partial(self._awaitable, exchange, endpoint, wanted))
            exchange.ran = perf_counter() - exchange.admitted - exchange.waited
            if exchange.xml and endpoint.raw is None:  # XML takes long to write
                # No thread is free: a call that has had its effect must not end as one to try again.
                with contextlib.suppress(ApiSysExceptions.service_busy):
                    written: Response = await self._runner.in_thread(
                        endpoint, partial(self._answers.success, exchange, endpoint, result)
                    )
                    return written
            if self._breaker is not None:
                return self._breaker.run(endpoint, self._answers.success, exchange, endpoint, result)
            return self._answers.success(exchange, endpoint, result)
        except Exception as error:
            return self._answers.failure(exchange, error)
        finally:
            self.in_flight -= 1

    def _awaitable(self, exchange: Exchange, endpoint: Endpoint, call: Function) -> Any:
        """What an async function leaves to await: of an async generator, the list of what it yields."""
        result = call()
        return self._answers.reading(exchange, endpoint).gather(result) if isinstance(result, AsyncIterator) else result

    def _inline(self, exchange: Exchange, endpoint: Endpoint, call: Function) -> Any:
        """The answer of a function that runs here, or what it has left to await."""
        try:
            # In a context of its own: what a function sets is not for the next request of the connection.
            run = contextvars.copy_context().run
            if self._breaker is not None:
                self._breaker.check(endpoint)
                return self._breaker.run(endpoint, run, self._run, exchange, endpoint, call)
            return run(self._run, exchange, endpoint, call)
        except BaseException as error:  # a function may raise anything, SystemExit too
            return self._answers.failure(exchange, error)

    def _run(self, exchange: Exchange, endpoint: Endpoint, call: Function) -> Any:
        """Calls the function and writes its answer, both in the thread where this runs."""
        started = perf_counter()
        exchange.waited = started - exchange.admitted
        result = None
        try:
            result = call()
            return self._answers.success(exchange, endpoint, result)
        except TypeError:
            if inspect.isawaitable(result) or isinstance(result, AsyncIterator):
                return result  # a plain function that gives a coroutine, as some decorators make it
            raise
        finally:
            exchange.ran = perf_counter() - started

    def _judge(self, exchange: Exchange) -> tuple[Endpoint, Parameters]:
        """The endpoint that is asked for, and the parameters."""
        parameters = Parameters(exchange.request, self._multipart, exchange.most)
        exchange.choose_format(parameters)
        method, version = parameters.public("method"), parameters.public("v")
        if method is None or version is None:
            exchange.method, exchange.version = method or "", version or ""
            parameters.check_form()  # which may be where it stands
        named = _named(exchange, method, version)
        parameters.read_body()
        exchange.parameters = parameters.values
        endpoint = self._find(exchange, named)
        if exchange.request.body:
            exchange.most = endpoint.max_body
            check_size(len(exchange.request.body), exchange.most)
        return endpoint, parameters

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

    def _bind(self, exchange: Exchange, endpoint: Endpoint, parameters: Parameters) -> Function:
        """The call of the endpoint's function."""
        plan = endpoint.plan
        if not plan.takes_any:
            exchange.ignored = _listed(parameters.values.keys() - plan.accepted)
        public = parameters.public_values() if plan.takes_any else {}
        positional, named = plan.bind(parameters.values, parameters.repeated, public)
        return partial(_call, plan.function, positional, named)


def _call(function: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
    # Of the decimal module's context a context of its own has the same object: the precision that a function
    # sets would be everybody's.
    decimal.setcontext(decimal.getcontext().copy())
    return function(*positional, **named)


def _named(exchange: Exchange, method: str | None, version: str | None) -> tuple[str, str]:
    """The method and the version that are asked for. Raises 1012 and 1004."""
    exchange.method, exchange.version = method or "", version or ""
    if method is None:
        raise ApiSysExceptions.missing_method("method")
    if version is None:
        raise ApiSysExceptions.missing_version("v")
    return method, version


def _admit(
    exchange: Exchange,
    endpoint: Endpoint,
    parameters: Parameters,
    guards: Iterable[Guard],
    beside: Beside | None = None,
) -> Awaitable[None] | None:
    """Asks some guards of the endpoint; what is left to await, if one must wait."""
    admission = _admission(exchange, endpoint, parameters)
    if beside is not None:
        admission.beside = beside
    pending = admit(admission, guards)
    if pending is not None:
        return _admit_later(exchange, admission, pending)
    exchange.app_key = admission.app_key
    return None


def _admission(exchange: Exchange, endpoint: Endpoint, parameters: Parameters) -> Admission:
    """What the guards are told: a new one, or that of the call before its body was read."""
    exchange.app_key = parameters.public("app_key") or ""
    admission = exchange.admission
    if admission is None:
        admission = exchange.admission = Admission(
            exchange.request, parameters, exchange.address, endpoint.version, endpoint.name, endpoint.accepted
        )
        exchange.headers = admission.headers
    else:
        admission.request, admission.parameters = exchange.request, parameters
    return admission


async def _admit_later(exchange: Exchange, admission: Admission, pending: Awaitable[None]) -> None:
    await pending
    exchange.app_key = admission.app_key


def _listed(names: set[str]) -> str:
    """Parameter names as a header's value: percent-encoded, since a header is ASCII and has an end."""
    if not names:
        return ""
    return ", ".join(quote(name[:64], safe="[]") for name in nsmallest(_IGNORED_SHOWN, names))
