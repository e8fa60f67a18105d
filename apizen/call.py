"""One call: who calls, with which values, and what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from apizen.caller import Caller
from apizen.values import Values

__all__ = ["Call", "InThread"]

#: Runs something in a thread and gives its result.
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]

_NO_VALUES = Values({}, {}, b"")


class Call:
    """One call of a method, from its request to its answer.

    ``verb`` is what is done, in HTTP's words. ``version`` and ``method`` are what was asked for, empty where that is
    not said, and the endpoint's own names where it is ``registered``. ``claimed`` is the app_key as it was sent, for
    the log, while no guard has proved it. ``ignored`` are some names that the function does not take, in order.
    ``headers`` are what guards add to the answer.

    ``in_thread`` is there where a call is large: what takes long with it runs there, and not on the event loop.
    ``asked`` is how many of its guards have let it pass before its body was read.

    ``code`` is that of the answer. ``waited`` is the time in seconds until the function began, ``ran`` until its
    answer was written, ``admitted`` the time of `time.perf_counter` when it might begin. ``logged_values``
    are the values for the log, None where they were not read.
    """

    __slots__ = (
        "admitted",
        "asked",
        "caller",
        "claimed",
        "code",
        "headers",
        "ignored",
        "in_thread",
        "logged_values",
        "method",
        "ran",
        "registered",
        "values",
        "verb",
        "version",
        "waited",
    )

    def __init__(self, caller: Caller, values: Values = _NO_VALUES, verb: str = "POST") -> None:
        self.caller = caller
        self.values = values
        self.verb = verb
        self.version = ""
        self.method = ""
        self.registered = False
        self.claimed = ""
        self.ignored: Sequence[str] = ()
        self.headers: list[tuple[str, str]] = []
        self.in_thread: InThread | None = None
        self.asked = 0
        self.code = 0
        self.admitted = 0.0
        self.waited = 0.0
        self.ran = 0.0
        self.logged_values: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """What is called, for the log."""
        return f"{self.version} {self.method}" if self.registered else "no method"

    @property
    def writes_long(self) -> bool:
        """Whether `write` takes so long that it has a thread of its own, also for a function that had none."""
        return False

    def write(self, value: Any) -> Any:
        """What the caller gets for what the function gave; it runs where that ran. A face has its own way."""
        return value

    async def gather(self, values: AsyncIterator[Any]) -> Any:
        """What `write` is given for an async generator."""
        return [value async for value in values]
