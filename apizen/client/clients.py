"""The two clients, on httpx: one that blocks, and one for ``await``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from apizen.client.account import Account
from apizen.client.attempts import Attempts
from apizen.client.error import ApiError
from apizen.governance.canonical import VERSION

__all__ = ["AsyncClient", "Client"]

_HEADERS = {"Accept": "application/json"}


class Client:
    """Calls methods. ``url`` is the gateway's, its path is ``/api/router/rest`` where it has none.

    ``timeout`` is in seconds, for the connection and for each wait for the server. Use it in ``with``, or `close` it.
    Raises ValueError for an address or a ``sign_method`` that can't be.
    """

    def __init__(
        self, url: str, app_key: str = "", secret: str = "", *, sign_method: str = VERSION, timeout: float = 60
    ) -> None:
        self._account = Account(url, app_key, secret, sign_method)
        self._http = httpx.Client(timeout=timeout, headers=_HEADERS)

    def call(self, method: str, verb: str = "POST", /, **parameters: Any) -> Any:
        """The response of a method. Raises `ApiError`; TypeError and ValueError for what can't be sent."""
        attempts = Attempts(self._account, method, verb, parameters)
        while attempts.open:
            time.sleep(attempts.pause)
            with _transport():
                answer = self._http.request(**attempts.request())
            attempts.take(answer)
        return attempts.result

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
        self._account = Account(url, app_key, secret, sign_method)
        self._http = httpx.AsyncClient(timeout=timeout, headers=_HEADERS)

    async def call(self, method: str, verb: str = "POST", /, **parameters: Any) -> Any:
        """The response of a method. Raises `ApiError`; TypeError and ValueError for what can't be sent."""
        attempts = Attempts(self._account, method, verb, parameters)
        while attempts.open:
            await asyncio.sleep(attempts.pause)
            with _transport():
                answer = await self._http.request(**attempts.request())
            attempts.take(answer)
        return attempts.result

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


@contextmanager
def _transport() -> Iterator[None]:
    """Tells what httpx raises as an `ApiError`."""
    try:
        yield
    except httpx.RequestError as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ApiError(0, f"no answer: {reason}") from error
