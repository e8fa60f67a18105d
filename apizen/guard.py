"""What stands between a call and its function: guards, and what they are told of the call.

An endpoint holds the tuple of the guards that apply to it, so what is off costs nothing. A guard lets a call
pass or raises the `ApiException` that is its answer::

    class OfficeHours:
        reads_body = False

        def check(self, admission):
            if not 8 <= time.localtime().tm_hour < 18:
                raise ApiSysExceptions.forbidden_request('8 时至 18 时')

        foresee = check

A guard that must wait for something, as a store on another machine, gives an awaitable; it never blocks.

Before a large body is read, the guards are asked what they can tell without it, up to the first that needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Protocol

from apizen.parameters import Parameters
from apizen.request import Request

__all__ = ["Admission", "Beside", "Guard", "GuardFactory", "admit", "foresee"]

#: Runs something in a thread and gives its result.
Beside = Callable[[Callable[[], Any]], Awaitable[Any]]


class Admission:
    """One call that asks to be let in.

    ``address`` is the caller's, behind trusted proxies too. ``version`` and ``method`` name the endpoint.
    ``accepted`` are the names that its parameters may have where a guard minds, None for any.
    ``app_key`` is empty until a guard has proved who calls, ``app_rate`` is the rate of that app where it has
    one of its own. ``headers`` are added to the answer, whatever it is. ``beside`` runs in a thread what takes
    long with a large body.
    """

    __slots__ = (
        "accepted",
        "address",
        "app_key",
        "app_rate",
        "beside",
        "headers",
        "method",
        "parameters",
        "request",
        "version",
    )

    def __init__(
        self,
        request: Request,
        parameters: Parameters,
        address: str,
        version: str,
        method: str,
        accepted: frozenset[str] | None = None,
    ) -> None:
        self.request = request
        self.parameters = parameters
        self.address = address
        self.version = version
        self.method = method
        self.accepted = accepted
        self.app_key = ""
        self.app_rate = ""
        self.headers: list[tuple[str, str]] = []
        self.beside: Beside = asyncio.to_thread


class Guard(Protocol):
    """Something that a call must pass."""

    #: Whether it looks at the body, or at parameters that the body may hold.
    reads_body: bool

    def check(self, admission: Admission) -> Awaitable[None] | None:
        """Raises an `ApiException`, at once or when awaited, for a call that may not pass."""

    def foresee(self, admission: Admission) -> Awaitable[None] | None:
        """The same for a call that may not pass whatever its body is. One that reads no body has judged it then."""


#: Makes an endpoint's guards from the keys ``auth`` and ``rate`` of its entry; a key that it does not have is
#: missing. Raises ValueError for what they can't be.
GuardFactory = Callable[[dict[str, object]], tuple[Guard, ...]]


async def foresee(admission: Admission, guards: Iterable[Guard]) -> int:
    """Asks the guards before the body is there; how many of them need not be asked again."""
    asked = 0
    for guard in guards:
        pending = guard.foresee(admission)
        if pending is not None:
            await pending
        if guard.reads_body:
            break
        asked += 1
    return asked


def admit(admission: Admission, guards: Iterable[Guard]) -> Awaitable[None] | None:
    """Asks the guards in their order. Where one must wait, what is to be awaited asks the rest."""
    left = iter(guards)
    for guard in left:
        pending = guard.check(admission)
        if pending is not None:
            return _admit_later(admission, pending, left)
    return None


async def _admit_later(admission: Admission, pending: Awaitable[None], left: Iterator[Guard]) -> None:
    await pending
    for guard in left:
        further = guard.check(admission)
        if further is not None:
            await further
