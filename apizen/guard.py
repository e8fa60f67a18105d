"""What stands between a call and its function: guards, and what they are told of the call.

An endpoint holds the tuple of the guards that apply to it, so what is off costs nothing. A guard lets a call
pass or raises the `ApiException` that is its answer::

    class OfficeHours:
        def check(self, admission):
            if not 8 <= time.localtime().tm_hour < 18:
                raise ApiSysExceptions.forbidden_request('8 时至 18 时')

A guard that must wait for something, as a store on another machine, gives an awaitable; it never blocks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from apizen.message import Request
from apizen.parameters import Parameters

__all__ = ["Admission", "Guard", "GuardFactory"]


class Admission:
    """One call that asks to be let in.

    ``address`` is the caller's, behind trusted proxies too. ``version`` and ``method`` name the endpoint.
    ``app_key`` is empty until a guard has proved who calls, ``app_rate`` is the rate of that app where it has
    one of its own. ``headers`` are added to the answer, whatever it is.
    """

    __slots__ = ("address", "app_key", "app_rate", "headers", "method", "parameters", "request", "version")

    def __init__(self, request: Request, parameters: Parameters, address: str, version: str, method: str) -> None:
        self.request = request
        self.parameters = parameters
        self.address = address
        self.version = version
        self.method = method
        self.app_key = ""
        self.app_rate = ""
        self.headers: list[tuple[str, str]] = []


class Guard(Protocol):
    """Something that a call must pass."""

    def check(self, admission: Admission) -> Awaitable[None] | None:
        """Raises an `ApiException`, at once or when awaited, for a call that may not pass."""


#: Makes an endpoint's guards from the keys ``auth`` and ``rate`` of its entry; a key that it does not have is
#: missing. Raises ValueError for what they can't be.
GuardFactory = Callable[[dict[str, object]], tuple[Guard, ...]]
