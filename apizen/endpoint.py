"""An endpoint: one public method of one version, compiled from its entry.

Which keys an entry has stands in `apizen.version`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from apizen.call_plan import CallPlan, SignatureError
from apizen.entry import Entry, Key, flag
from apizen.guard import Guard, GuardMaker
from apizen.place import place_of
from apizen.settings import Settings

__all__ = ["Endpoint"]

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DEFAULT_VERBS = ("GET", "POST")
RunMode = Literal["thread", "inline", "loop"]


def _function(func: Any) -> Callable[..., Any]:
    if not callable(func):
        raise ValueError(f"func must be a function, not {func!r}")
    found: Callable[..., Any] = func
    return found


def _verbs(method: Any) -> frozenset[str]:
    verbs = [method] if isinstance(method, str) else list(method) if isinstance(method, Iterable) else []
    found = frozenset(str(verb).upper() for verb in verbs)
    if not found or not found <= frozenset(VERBS):
        raise ValueError(f"method must name some of {', '.join(VERBS)}, not {method!r}")
    return found


def _run(run: Any) -> str | None:
    if run not in (None, "thread", "inline"):
        raise ValueError(f"run must be 'thread' or 'inline', not {run!r}")
    found: str | None = run
    return found


def _seconds(timeout: Any) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < float("inf"):
        raise ValueError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    return float(timeout)


def _bytes(max_body: Any) -> int:
    if isinstance(max_body, bool) or not isinstance(max_body, int) or max_body < 0:
        raise ValueError(f"max_body must be a number of bytes, not {max_body!r}")
    return max_body


def _content_type(raw: Any) -> str | None:
    if raw is False:
        return None
    if raw is True:
        return ""
    if isinstance(raw, str) and raw.isascii() and raw.isprintable() and "/" in raw:
        return raw
    raise ValueError(f"raw must be True, False or a Content-Type, not {raw!r}")


FUNC = Key("func", _function)
METHOD = Key("method", _verbs, default=DEFAULT_VERBS, also="methods")
ENABLE = Key("enable", flag("enable"), default=True)
RUN = Key("run", _run)
TIMEOUT = Key("timeout", _seconds, setting="timeout")
RAW = Key("raw", _content_type, default=False)
MAX_BODY = Key("max_body", _bytes, setting="max_body")

_KEYS: tuple[Key[Any], ...] = (FUNC, METHOD, ENABLE, RUN, TIMEOUT, RAW, MAX_BODY)


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One public method of one version."""

    version: str
    name: str
    plan: CallPlan
    verbs: frozenset[str]
    enable: bool
    mode: RunMode
    timeout: float
    #: The Content-Type of a raw answer; None where the answer is an envelope.
    raw: str | None
    #: Bytes of the largest body.
    max_body: int
    #: What a call must pass, in this order.
    guards: tuple[Guard, ...] = ()

    @property
    def allow(self) -> str:
        """The value of the Allow header (RFC 9110, 10.2.1); empty while the method is disabled."""
        if not self.enable:
            return ""
        verbs = [verb for verb in VERBS if verb in self.verbs]
        return ", ".join([*verbs, *(["HEAD"] if "GET" in self.verbs else []), "OPTIONS"])

    @classmethod
    def of(cls, version: str, name: Any, written: Any, settings: Settings, makers: Sequence[GuardMaker]) -> Endpoint:
        """Compiles an entry. ``makers`` make its guards, in this order. Raises ValueError for what can't be."""
        if not isinstance(name, str) or not name or name != name.strip():
            raise ValueError(f"a method name must be a text without blanks around it, not {name!r}")
        if not isinstance(written, dict):
            raise ValueError(f"its entry must be a dict, not {written!r}")
        entry = Entry(written, [*_KEYS, *(key for maker in makers for key in maker.keys)], settings)
        plan = _plan(entry[FUNC])
        return cls(
            version=version,
            name=name,
            plan=plan,
            enable=entry[ENABLE],
            verbs=entry[METHOD],
            mode=_mode(entry),
            timeout=entry[TIMEOUT],
            raw=entry[RAW],
            max_body=entry[MAX_BODY],
            guards=tuple(guard for maker in makers if (guard := maker.guard(entry, plan)) is not None),
        )


def _plan(function: Callable[..., Any]) -> CallPlan:
    try:
        return CallPlan.of(function)
    except SignatureError as error:
        raise ValueError(f"{place_of(function)}: {error}") from error


def _mode(entry: Entry) -> RunMode:
    run = entry[RUN]
    if _is_async(entry[FUNC]):
        if run is not None:
            raise ValueError(f"run {run!r} is for plain functions: an async function runs on the event loop")
        return "loop"
    if run == "inline" and entry.has(TIMEOUT):
        raise ValueError("timeout can't apply to run 'inline': nothing can interrupt the event loop")
    return "inline" if run == "inline" else "thread"


def _is_async(function: Any) -> bool:
    """Whether calling it gives a coroutine or an async generator, as far as can be seen from outside."""
    while isinstance(function, functools.partial):
        function = function.func
    return any(
        check(candidate)
        for check in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for candidate in (function, type(function).__call__)
    )
