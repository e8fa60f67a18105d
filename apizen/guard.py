"""What stands between a call and its function: guards.

An endpoint holds the tuple of the guards that apply to it, so what is off costs nothing. A guard lets a call
pass or raises the `ApiException` that is its answer::

    class OfficeHours:
        reads_body = False

        def check(self, call):
            if not 8 <= time.localtime().tm_hour < 18:
                raise ApiSysExceptions.forbidden_request('8 时至 18 时')

        foresee = check

A guard that must wait for something, as a store on another machine, gives an awaitable; it never blocks. What it has
found out about who calls, it notes in ``call.caller``.

Before a large body is read, the guards are asked what they can tell without it, up to the first that needs it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Protocol

from apizen.call import Call
from apizen.call_plan import CallPlan
from apizen.entry import Entry, Key

__all__ = ["Guard", "GuardMaker", "admit", "foresee"]


class Guard(Protocol):
    """Something that a call must pass."""

    #: Whether it looks at the body, or at parameters that the body may hold.
    reads_body: bool

    def check(self, call: Call) -> Awaitable[None] | None:
        """Raises an `ApiException`, at once or when awaited, for a call that may not pass."""

    def foresee(self, call: Call) -> Awaitable[None] | None:
        """The same before the body is there: raises for a call that no body could save.

        A guard that reads no body is not asked again.
        """


class GuardMaker(Protocol):
    """Makes the guards of one kind, for the endpoints that want them."""

    @property
    def keys(self) -> tuple[Key[Any], ...]:
        """What it reads of an entry."""

    def guard(self, entry: Entry, plan: CallPlan) -> Guard | None:
        """The guard of an endpoint, where its entry or a setting asks for one. Raises ValueError for a wrong entry."""


async def foresee(call: Call, guards: Iterable[Guard]) -> int:
    """Asks the guards before the body is there; how many of them need not be asked again."""
    call.claimed = call.values.public("app_key") or ""
    asked = 0
    for guard in guards:
        pending = guard.foresee(call)
        if pending is not None:
            await pending
        if guard.reads_body:
            break
        asked += 1
    return asked


def admit(call: Call, guards: Sequence[Guard]) -> Awaitable[None] | None:
    """Asks the guards in their order. Where one must wait, the rest are asked by the awaitable that is given back."""
    call.claimed = call.values.public("app_key") or ""
    for number, guard in enumerate(guards, 1):
        pending = guard.check(call)
        if pending is not None:
            return _admit_later(call, pending, guards[number:])
    call.claimed = ""
    return None


async def _admit_later(call: Call, pending: Awaitable[None], left: Sequence[Guard]) -> None:
    await pending
    further = admit(call, left)
    if further is not None:
        await further
