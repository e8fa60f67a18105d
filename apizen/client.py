"""A client of the gateway, on httpx: `Client`, and `AsyncClient` for ``await``.

::

    with Client('http://127.0.0.1:8010/api/router/rest', app_key, secret) as client:
        user = client.call('matrix.api.set-user', v='1.0', user_id=1)
        found = client.call('users.find', 'GET', v='1.0', tags=['a', 'b'], since=date(2026, 1, 1))

`call` gives the envelope's result or raises `ApiError`. With an ``app_key`` every call is signed, by `hmac-sha256-v2`;
``sign_method`` chooses one of the platform's forms, for a server that takes no other.

A parameter that is text goes as it is, None is left out so that the function's default counts, and everything else
goes as its JSON text: ``12``, ``true``, ``["a","b"]``; dates, times, Decimals, UUIDs and enums as in JSON, without the
quotes. They go as a form, for GET and DELETE in the query string.

What is tried again: once, after 1008, with the server's time in place of a clock that is off by up to a day; and, a
few times, the codes of which the catalogue of errors says that the call had no effect and may succeed later, after the
time that Retry-After says. Each attempt is signed anew. A connection that breaks is not tried again: the call may have
run.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx
import msgspec

from apizen.endpoint import VERBS
from apizen.exception import SUCCESS_CODE, ApiBaseExceptions, ApiSysExceptions
from apizen.governance.canonical import VERSION
from apizen.governance.signature import SIGN_METHODS, request_to_sign, signature
from apizen.request import GATEWAY_PATH

__all__ = ["ApiError", "AsyncClient", "Client"]

_IN_QUERY = frozenset({"GET", "DELETE"})
# What the client itself says.
_OWN = frozenset({"method", "format"})
_OWN_SIGNED = frozenset({"app_key", "timestamp", "nonce", "sign_method", "sign"})

# Seconds before the second and the third attempt, where the answer says nothing else, and the most that it may say.
_PAUSES = (0.2, 1.0)
_LONGEST_PAUSE = 10.0

# Seconds by which a clock may be corrected. A wrong time zone is less, and whoever could say more would get
# signatures that are good at a time of their choice.
_LONGEST_CORRECTION = 86_400.0


class ApiError(Exception):
    """A call that did not succeed.

    ``code`` and ``message`` are the envelope's. Where there was no envelope ``code`` is 0: the connection failed
    (``http_status`` is 0 too, ``__cause__`` has httpx's exception), or something else answered, as a proxy.

    >>> print(ApiError(1013, '不存在的方法名', 404, 'order-17'))
    1013 不存在的方法名 (HTTP 404, request order-17)
    """

    def __init__(self, code: int, message: str, http_status: int = 0, request_id: str = "") -> None:
        super().__init__(code, message, http_status, request_id)
        self.code = code
        self.message = message
        self.http_status = http_status
        self.request_id = request_id

    def __str__(self) -> str:
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{self.code} {self.message} (HTTP {self.http_status}{request})"


class _Caller:
    """Whom a client calls, as whom, and by what clock."""

    def __init__(self, url: str, app_key: str, secret: str, sign_method: str) -> None:
        if bool(app_key) != bool(secret):
            raise ValueError("app_key and secret belong together: give both or neither")
        if sign_method not in SIGN_METHODS:
            raise ValueError(f"sign_method must be one of {', '.join(SIGN_METHODS)}, not {sign_method!r}")
        self.url = _gateway(url)
        self._app_key = app_key
        self._secret = secret
        self._sign_method = sign_method
        self._clock_is_off = 0.0

    def texts(self, method: str, parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Names and values of a call as they are sent, without what signs it. Raises TypeError and ValueError."""
        own = _OWN | _OWN_SIGNED if self._app_key else _OWN
        for name in parameters.keys() & own:
            raise TypeError(f"{name!r} is the client's own parameter")
        found = ((name, _text(name, value)) for name, value in parameters.items())
        return [("method", method), *((name, value) for name, value in found if value is not None)]

    def signed(self, verb: str, texts: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """What is sent by a verb, with a timestamp of now."""
        if not self._app_key:
            return texts
        stamped = [
            *texts,
            ("app_key", self._app_key),
            ("timestamp", str(int((time.time() - self._clock_is_off) * 1000))),
            ("nonce", secrets.token_hex(16)),
            ("sign_method", self._sign_method),
        ]
        place = "query" if verb in _IN_QUERY else "form"
        string = request_to_sign(self._sign_method, verb, [(place, name, value) for name, value in stamped])
        return [*stamped, ("sign", signature(self._sign_method, self._secret, string))]

    def correct_clock(self, answer: httpx.Response) -> bool:
        """Goes by the server's clock from now on, where the answer has its time (RFC 9110, 6.6.1).

        False where it has none, where it is more than a day off, and where no call has a timestamp.
        """
        if not self._app_key:
            return False
        try:
            date = parsedate_to_datetime(answer.headers.get("Date", ""))
            server_time = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return False
        off = time.time() - server_time
        if abs(off) > _LONGEST_CORRECTION:
            return False
        self._clock_is_off = off
        return True


class _Call:
    """One call: the requests to send until it is no longer open, and its result."""

    def __init__(self, caller: _Caller, method: str, verb: str, parameters: Mapping[str, Any]) -> None:
        if verb not in VERBS:
            raise ValueError(f"the verb must be one of {', '.join(VERBS)}, not {verb!r}")
        self._caller = caller
        self._verb = verb
        self._texts = caller.texts(method, parameters)
        self._pauses = iter(_PAUSES)
        self._corrected = False
        self.open = True
        #: Seconds to wait before the next request.
        self.pause = 0.0
        self.result: Any = None

    def request(self) -> dict[str, Any]:
        """The next request, as the arguments of httpx's `request`."""
        sent = urlencode(self._caller.signed(self._verb, self._texts))
        url = self._caller.url
        if self._verb in _IN_QUERY:
            return {"method": self._verb, "url": f"{url}?{sent}"}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return {"method": self._verb, "url": url, "content": sent.encode(), "headers": form}

    def take(self, answer: httpx.Response) -> None:
        """Takes an answer. Raises `ApiError` where it is an error, and the last word."""
        try:
            self.result = _result(answer)
            self.open = False
        except ApiError as error:
            if not self._try_again(error.code, answer):
                raise

    def _try_again(self, code: int, answer: httpx.Response) -> bool:
        if code == ApiSysExceptions.invalid_timestamp.err_code and not self._corrected:
            self._corrected = True
            self.pause = 0.0
            return self._caller.correct_clock(answer)
        declared = ApiBaseExceptions.declared.get(code)
        pause = next(self._pauses, None)
        if declared is None or not declared.retryable or pause is None:
            return False
        self.pause = _seconds(answer, pause)
        return self.pause <= _LONGEST_PAUSE


class Client:
    """Calls methods. ``url`` is the gateway's, its path is ``/api/router/rest`` where it has none.

    ``timeout`` is in seconds, for the connection and for each wait for the server. Use it in ``with``, or `close` it.
    Raises ValueError for an address or a ``sign_method`` that can't be.
    """

    def __init__(
        self, url: str, app_key: str = "", secret: str = "", *, sign_method: str = VERSION, timeout: float = 60
    ) -> None:
        self._caller = _Caller(url, app_key, secret, sign_method)
        self._http = httpx.Client(timeout=timeout, headers=_HEADERS)

    def call(self, method: str, verb: str = "POST", /, **parameters: Any) -> Any:
        """The response of a method. Raises `ApiError`; TypeError and ValueError for what can't be sent."""
        call = _Call(self._caller, method, verb, parameters)
        while call.open:
            time.sleep(call.pause)
            with _transport():
                answer = self._http.request(**call.request())
            call.take(answer)
        return call.result

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """`Client` for ``await`` and ``async with``."""

    def __init__(
        self, url: str, app_key: str = "", secret: str = "", *, sign_method: str = VERSION, timeout: float = 60
    ) -> None:
        self._caller = _Caller(url, app_key, secret, sign_method)
        self._http = httpx.AsyncClient(timeout=timeout, headers=_HEADERS)

    async def call(self, method: str, verb: str = "POST", /, **parameters: Any) -> Any:
        """The response of a method. Raises `ApiError`; TypeError and ValueError for what can't be sent."""
        call = _Call(self._caller, method, verb, parameters)
        while call.open:
            await asyncio.sleep(call.pause)
            with _transport():
                answer = await self._http.request(**call.request())
            call.take(answer)
        return call.result

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


_HEADERS = {"Accept": "application/json"}


@contextmanager
def _transport() -> Iterator[None]:
    """Tells what httpx raises as an `ApiError`."""
    try:
        yield
    except httpx.RequestError as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ApiError(0, f"no answer: {reason}") from error


def _gateway(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is no URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or "?" in url or "#" in url:
        raise ValueError(f"{url!r} must be the gateway's URL, as http://127.0.0.1:8010{GATEWAY_PATH}")
    return str(parsed.copy_with(path=GATEWAY_PATH) if parsed.path == "/" else parsed)


def _text(name: str, value: Any) -> str | None:
    """A value as it is sent; None for one that is not.

    >>> [_text('a', value) for value in ('x', None, True, 1, 1.5, [1, None], {'a': '中'})]
    ['x', None, 'true', '1', '1.5', '[1,null]', '{"a":"中"}']
    """
    try:
        plain = msgspec.to_builtins(value)
        if plain is None or isinstance(plain, str):
            return plain
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def _result(answer: httpx.Response) -> Any:
    """The envelope's result. Raises `ApiError` where it is an error's, or no envelope."""
    request_id = answer.headers.get("X-Request-Id", "")
    try:
        envelope = json.loads(answer.content)
        code, message = int(envelope["meta"]["code"]), str(envelope["meta"]["message"])
        # A setting of the server's gives the result another name.
        (response,) = (value for name, value in envelope.items() if name != "meta")
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        content_type = answer.headers.get("Content-Type", "nothing")
        raise ApiError(0, f"no envelope but {content_type}", answer.status_code, request_id) from None
    if code != SUCCESS_CODE:
        raise ApiError(code, message, answer.status_code, request_id)
    return response


def _seconds(answer: httpx.Response, otherwise: float) -> float:
    """What Retry-After says, else ``otherwise``, more or less, so that clients don't come all at once."""
    said = answer.headers.get("Retry-After", "")
    if said.isascii() and said.isdecimal():
        return float(said)
    return otherwise * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
