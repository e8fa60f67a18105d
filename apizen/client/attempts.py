"""One call of a client: which requests are sent for it, and what their answers mean."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx

from apizen.client.account import IN_QUERY, Account
from apizen.client.error import ApiError
from apizen.endpoint import VERBS
from apizen.exception import SUCCESS_CODE, ApiBaseExceptions, ApiSysExceptions

__all__ = ["Attempts"]

# Seconds before the second and the third attempt where the answer has no Retry-After, and the longest Retry-After that
# is waited for.
_PAUSES = (0.2, 1.0)
_LONGEST_PAUSE = 10.0


class Attempts:
    """The requests that are sent for one call, one after the other while it is ``open``, and the call's result."""

    def __init__(self, account: Account, method: str, verb: str, parameters: Mapping[str, Any]) -> None:
        if verb not in VERBS:
            raise ValueError(f"the verb must be one of {', '.join(VERBS)}, not {verb!r}")
        self._account = account
        self._verb = verb
        self._texts = account.texts(method, parameters)
        self._pauses = iter(_PAUSES)
        self._corrected = False
        self.open = True
        #: Seconds to wait before the next request.
        self.pause = 0.0
        self.result: Any = None

    def request(self) -> dict[str, Any]:
        """The next request, as the arguments of httpx's `request`."""
        sent = urlencode(self._account.signed(self._verb, self._texts))
        url = self._account.url
        if self._verb in IN_QUERY:
            return {"method": self._verb, "url": f"{url}?{sent}"}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return {"method": self._verb, "url": url, "content": sent.encode(), "headers": form}

    def take(self, answer: httpx.Response) -> None:
        """Takes an answer. Raises `ApiError` for an error after which there is no other attempt."""
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
            return self._account.correct_clock(answer)
        declared = ApiBaseExceptions.declared.get(code)
        pause = next(self._pauses, None)
        if declared is None or not declared.retryable or pause is None:
            return False
        self.pause = _seconds(answer, pause)
        return self.pause <= _LONGEST_PAUSE


def _result(answer: httpx.Response) -> Any:
    """The envelope's result. Raises `ApiError` for an error's envelope, and for what is none."""
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
    """What Retry-After says, else about ``otherwise``: at random, so that clients don't come all at once."""
    said = answer.headers.get("Retry-After", "")
    if said.isascii() and said.isdecimal():
        return float(said)
    return otherwise * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
