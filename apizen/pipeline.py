"""The pipeline: guards → arguments → function → value.

Every way to call a method goes through here. A face finds the endpoint that is asked for, hands it over with a
`Call`, which knows who calls and with which values, and makes an answer of the value, or of what is raised. Here
nobody knows of bytes, of query strings, or of what an answer looks like.

>>> import asyncio
>>> from apizen import ApiMethodBase, version
>>> from apizen.caller import Caller
>>> from apizen.values import Values
>>> from apizen.version import Registry
>>> registry = Registry()
>>> @version('1.0', registry=registry)
... class V10(ApiMethodBase):
...     api_methods = {'math.add': {'func': lambda a, b: int(a) + int(b), 'run': 'inline'}}
>>> endpoint = registry.catalogue().find('1.0', 'math.add')
>>> Pipeline(Runner(4, 100, 4)).call(endpoint, Call(Caller('192.0.2.7'), Values({'a': '1', 'b': 2}, {}, b'')))
3
"""

from __future__ import annotations

import contextlib
import contextvars
import decimal
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from heapq import nsmallest
from time import perf_counter
from typing import Any, NamedTuple

from apizen.breaker import Breaker
from apizen.call import Call, InThread
from apizen.caller import Caller
from apizen.endpoint import Endpoint
from apizen.exception import ApiException, ApiSysExceptions
from apizen.guard import admit, foresee
from apizen.runner import Runner, as_exception

__all__ = ["Door", "Pipeline"]

logger = logging.getLogger(__name__)

#: What every call must pass, told the caller's address. Raises an `ApiException`.
Door = Callable[[str], None]

Function = Callable[[], Any]

# So many names that a function does not take are told.
_IGNORED = 20
# What most functions give; of anything else it must be asked whether it is to be awaited.
_AT_ONCE = frozenset({dict, list, tuple, str, bytes, int, float, bool, type(None)})


class _Waiting(NamedTuple):
    """What a plain function gave that is to be awaited."""

    value: Any


class Pipeline:
    """Lets calls pass, and runs them.

    ``doors`` are what each call must pass before anybody looks what it is for. ``breaker`` is the runner's. With
    ``debug`` a failure tells what was raised.
    """

    def __init__(
        self, runner: Runner, *, doors: Sequence[Door] = (), breaker: Breaker | None = None, debug: bool = False
    ) -> None:
        #: While true every call is refused with 1001.
        self.draining = False
        self.runner = runner
        #: How many calls are being answered, not counting those that run inline.
        self.in_flight = 0
        self._doors = tuple(doors)
        self._breaker = breaker
        self._debug = debug

    def open_doors(self, caller: Caller) -> None:
        """To be asked first of all. Raises 1001, 1003 and 1030."""
        if self.draining:
            raise ApiSysExceptions.missing_system_error
        for door in self._doors:
            door(caller.address)

    async def foresee(self, endpoint: Endpoint, call: Call) -> None:
        """Asks the guards what they can tell before a large body is there."""
        call.version, call.method, call.registered = endpoint.version, endpoint.name, True
        if endpoint.guards:
            call.asked = await foresee(call, endpoint.guards)

    def call(self, endpoint: Endpoint, call: Call) -> Any:
        """What `Call.write` makes of the function's value, or an awaitable of that.

        Raises, at once or when awaited, whatever guards and the function raise, 1018, 1021 and 1022 for values that
        the function does not take, 1029 and 1030. `explain` makes one kind of error of all these.
        """
        call.version, call.method, call.registered = endpoint.version, endpoint.name, True
        if call.in_thread is not None:
            return self._call_large(endpoint, call, call.in_thread)
        guards = endpoint.guards[call.asked :] if call.asked else endpoint.guards
        if guards and (pending := admit(call, guards)) is not None:
            return self._call_admitted(endpoint, call, pending)
        return self._run(endpoint, call, _bound(endpoint, call))

    async def _call_admitted(self, endpoint: Endpoint, call: Call, pending: Awaitable[None]) -> Any:
        """Goes on when a guard that had to wait has let the call pass."""
        await pending
        return await _settled(self._run(endpoint, call, _bound(endpoint, call)))

    async def _call_large(self, endpoint: Endpoint, call: Call, in_thread: InThread) -> Any:
        """The same for a call whose values are large: what takes long with them is done in a thread."""
        if (pending := admit(call, endpoint.guards[call.asked :])) is not None:
            await pending
        function = await in_thread(partial(_bound, endpoint, call))
        return await _settled(self._run(endpoint, call, function))

    def explain(self, call: Call, error: BaseException) -> ApiException:
        """What a caller is told: an `ApiException` as it is declared; anything else is 1017, and goes to the log."""
        if not isinstance(error, ApiException):
            log_failure(call, "failed", error)
            error = ApiSysExceptions.system_error(_text_of(error) if self._debug else None)
        call.code = error.err_code
        return error

    def _run(self, endpoint: Endpoint, call: Call, function: Function) -> Any:
        call.admitted = perf_counter()
        if endpoint.mode != "inline":
            return self._run_later(endpoint, call, function)
        # In a context of its own: what a function sets is not for the next request of the connection.
        run = contextvars.copy_context().run
        try:
            if self._breaker is None:
                answer = run(_written, call, function)
            else:
                self._breaker.check(endpoint)
                answer = self._breaker.run(endpoint, run, _written, call, function)
        except Exception:
            raise
        except BaseException as error:  # a function may raise anything, SystemExit too
            raise as_exception(error) from error
        return self._run_later(endpoint, call, function, answer) if type(answer) is _Waiting else answer

    async def _run_later(
        self, endpoint: Endpoint, call: Call, function: Function, waiting: _Waiting | None = None
    ) -> Any:
        """Runs what does not run inline. ``waiting`` is what an inline function has left to await."""
        self.in_flight += 1
        try:
            if endpoint.mode == "thread":
                answer = await self.runner.in_thread(endpoint, partial(_written, call, function))
                if type(answer) is not _Waiting:
                    return answer
                waiting = answer
            elif waiting is None and self._breaker is not None:
                self._breaker.check(endpoint)
            value = await self.runner.on_loop(endpoint, partial(_awaitable, call, function, waiting))
            call.ran = perf_counter() - call.admitted - call.waited
            return await self._write_later(endpoint, call, value)
        finally:
            self.in_flight -= 1

    async def _write_later(self, endpoint: Endpoint, call: Call, value: Any) -> Any:
        """Writes what was awaited on the event loop."""
        if call.writes_long:
            # No thread is free: a call that has had its effect must not end as one to try again.
            with contextlib.suppress(ApiSysExceptions.service_busy):
                return await self.runner.in_thread(endpoint, partial(call.write, value))
        try:
            if self._breaker is not None:
                return self._breaker.run(endpoint, call.write, value)
            return call.write(value)
        except Exception:
            raise
        except BaseException as error:  # of a generator, or of what a value is made of: code of the function's
            raise as_exception(error) from error


def log_failure(call: Call, what: str, error: BaseException) -> None:
    """Logs an exception with its traceback, and the request that it belongs to."""
    request_id = call.caller.request_id
    known = {"request_id": request_id}
    logger.error("%s %s, request %s", call.name, what, request_id, exc_info=error, extra=known)


def _text_of(error: BaseException) -> str | None:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a function's exception may raise while it tells itself
        return None


async def _settled(answer: Any) -> Any:
    return await answer if inspect.iscoroutine(answer) else answer


def _bound(endpoint: Endpoint, call: Call) -> Function:
    """The call of the endpoint's function. Raises 1018, 1021 and 1022."""
    plan, values = endpoint.plan, call.values
    public: Mapping[str, Any] = {}
    if plan.takes_any:
        public = values.public_values()
    elif not plan.accepted.issuperset(values.named):
        call.ignored = nsmallest(_IGNORED, values.named.keys() - plan.accepted)
    positional, named = plan.bind(values.named, values.repeated, public)
    return partial(_called, plan.function, positional, named)


def _called(function: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
    # Of the decimal module's context a context of its own has the same object: the precision that a function
    # sets would be everybody's.
    decimal.setcontext(decimal.getcontext().copy())
    return function(*positional, **named)


def _written(call: Call, function: Function) -> Any:
    """Calls the function and writes its answer, both in the thread where this runs."""
    started = perf_counter()
    call.waited = started - call.admitted
    try:
        value = function()
        # A plain function may give a coroutine, as some decorators make it, or a future.
        if type(value) not in _AT_ONCE and (inspect.isawaitable(value) or isinstance(value, AsyncIterator)):
            return _Waiting(value)
        return call.write(value)
    finally:
        call.ran = perf_counter() - started


def _awaitable(call: Call, function: Function, waiting: _Waiting | None) -> Any:
    """What an async function leaves to await: of an async generator, what gathers it."""
    value = function() if waiting is None else waiting.value
    return call.gather(value) if isinstance(value, AsyncIterator) else value
