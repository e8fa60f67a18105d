"""For which app a client calls and where: how parameters become texts, and how those are signed."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from apizen.governance.signature import SIGN_METHODS, request_to_sign, signature
from apizen.request import GATEWAY_PATH

__all__ = ["IN_QUERY", "Account"]

#: The verbs whose parameters are sent in the query string; those of the others are a form.
IN_QUERY = frozenset({"GET", "DELETE"})
# The parameters that the client sends by itself; with a signature these, too.
_OWN = frozenset({"method", "format"})
_OWN_SIGNED = frozenset({"app_key", "timestamp", "nonce", "sign_method", "sign"})

# Seconds by which a clock may be corrected. A wrong time zone is less. By more, somebody who
# answers in the server's place could get signatures that are good at a time of their choice.
_LONGEST_CORRECTION = 86_400.0


class Account:
    """A gateway's URL, and the app that calls it: its key, its secret, and the server's clock."""

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
        """The names and values of a call as they are sent, without a signature. Raises TypeError and ValueError."""
        own = _OWN | _OWN_SIGNED if self._app_key else _OWN
        for name in parameters.keys() & own:
            raise TypeError(f"{name!r} is the client's own parameter")
        found = ((name, _text(name, value)) for name, value in parameters.items())
        return [("method", method), *((name, value) for name, value in found if value is not None)]

    def signed(self, verb: str, texts: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The same with a signature of now, where the account has a key."""
        if not self._app_key:
            return texts
        stamped = [
            *texts,
            ("app_key", self._app_key),
            ("timestamp", str(int((time.time() - self._clock_is_off) * 1000))),
            ("nonce", secrets.token_hex(16)),
            ("sign_method", self._sign_method),
        ]
        place = "query" if verb in IN_QUERY else "form"
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


def _gateway(url: str) -> str:
    """The URL that calls go to. Raises ValueError for one that can't be it.

    >>> _gateway('http://127.0.0.1:8010')
    'http://127.0.0.1:8010/api/router/rest'
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is no URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or "?" in url or "#" in url:
        raise ValueError(f"{url!r} must be the gateway's URL, as http://127.0.0.1:8010{GATEWAY_PATH}")
    return str(parsed.copy_with(path=GATEWAY_PATH) if parsed.path == "/" else parsed)


def _text(name: str, value: Any) -> str | None:
    """A value as it is sent, None where it is not sent.

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
