"""The registry: which function is public under which version and method name.

A version is a class with a dict of entries, and inheritance of classes is inheritance of versions::

    @version('1.0')
    class ApiMethodV10(ApiMethodBase):
        api_methods = {
            'matrix.api.set-user': {'func': api_demo.set_user},
            'matrix.api.only-post': {'func': api_demo.raise_error, 'method': ['post']},
        }

    @version('1.1')
    class ApiMethodV11(ApiMethodV10):
        api_methods = {'matrix.api.only-post': None}        # gone from 1.1 on

An entry has these keys:

=========== ======================================================= ====================
func        the function: anything callable that has a signature    must be there
method      HTTP verbs, in any case                                 ``['get', 'post']``
enable      False answers 1016                                      True
run         ``'thread'``, or ``'inline'`` for a function that only  ``'thread'``
            computes; an ``async def`` runs on the event loop
timeout     seconds until 1029                                      the setting
raw         True sends bytes or text without an envelope; a text    False
            is the Content-Type to send them with
max_body    bytes of the largest body (1028)                        the setting
auth        ``'sign'`` takes signed calls only                      the setting
rate        calls of one caller, as ``'100/minute'``; None for any  the setting
extra       True lets a signed call have parameters that the        False
            function does not take; without it they are 1010
=========== ======================================================= ====================

`Registry.catalogue` compiles all of it once. What is wrong with an entry stands in `Catalogue.problems`
with the version, the method and the place in the code; such a method answers 1020, the others work.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from apizen.call_plan import CallPlan, SignatureError
from apizen.exception import ApiSysExceptions, hint_at
from apizen.guard import Guard, GuardFactory

__all__ = [
    "DEFAULT_MAX_BODY",
    "ApiMethodBase",
    "ApiMethodsBase",
    "Catalogue",
    "Endpoint",
    "RegistrationError",
    "Registry",
    "default_registry",
    "version",
]

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DEFAULT_VERBS = ("GET", "POST")
#: Bytes of the largest body.
DEFAULT_MAX_BODY = 2 * 1024 * 1024
RunMode = Literal["thread", "inline", "loop"]

# The seed's document writes some of these names in two ways.
_TABLES = ("support_methods", "api_methods")
_KEYS = ("func", "method", "methods", "enable", "run", "timeout", "raw", "max_body", "auth", "rate", "extra")
_GUARDED = ("auth", "rate")

Class = TypeVar("Class", bound=type)


class RegistrationError(ValueError):
    """A version that can't be registered; the message names the places."""


class Entry(NamedTuple):
    """One entry of a version class as it was written, and the class."""

    value: Any
    owner: type


class ApiMethodMeta(type):
    """Merges the entries of a class with those that it inherits, by Python's method resolution order."""

    entries: Mapping[str, Entry]

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        merged: dict[str, Entry] = {}
        for base in reversed(cls.__mro__):
            merged.update(_own_entries(base))
        cls.entries = MappingProxyType({key: entry for key, entry in merged.items() if entry.value is not None})


def _own_entries(cls: type) -> dict[str, Entry]:
    own: dict[str, Entry] = {}
    for table in _TABLES:
        entries = vars(cls).get(table, {})
        if not isinstance(entries, dict):
            raise RegistrationError(f"{_place(cls)}: {table} must be a dict of entries, not {type(entries).__name__}")
        own.update((key, Entry(value, cls)) for key, value in entries.items())
    return own


class ApiMethodBase(metaclass=ApiMethodMeta):
    """Base of every version."""

    api_methods: ClassVar[dict[Any, dict[str, Any] | None]] = {}


ApiMethodsBase = ApiMethodBase


def _place(thing: Any) -> str:
    """Where a class or a function was written: its name, its file and line."""
    inner: Any = thing
    while isinstance(inner, functools.partial):
        inner = inner.func
    inner = inspect.unwrap(getattr(inner, "__func__", inner)) if callable(inner) else inner
    name = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
    try:
        return f"{name} ({inspect.getsourcefile(inner)}:{inspect.getsourcelines(inner)[1]})"
    except (OSError, TypeError):
        return name


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One public method of one version, compiled."""

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
    #: The names that the parameters of a signed call may have; None for any.
    accepted: frozenset[str] | None = None

    @property
    def allow(self) -> str:
        """The value of the Allow header (RFC 9110, 10.2.1); empty while the method is disabled."""
        if not self.enable:
            return ""
        verbs = [verb for verb in VERBS if verb in self.verbs]
        return ", ".join([*verbs, *(["HEAD"] if "GET" in self.verbs else []), "OPTIONS"])


class Problem(NamedTuple):
    """An entry that can't work, and why."""

    version: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"version {self.version}, method {self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All versions after start-up. Nothing changes it.

    ``methods`` has, for each enabled version, its endpoints by method name, and None for an entry that
    can't work.
    """

    versions: Mapping[str, bool]
    methods: Mapping[str, Mapping[str, Endpoint | None]]
    problems: tuple[Problem, ...]

    def find(self, version: str, name: str) -> Endpoint:
        """The endpoint. Raises 1005, 1006, 1016, 1013 and 1020."""
        methods = self.methods.get(version)
        if methods is None:
            raise _no_version(version, self.versions)
        endpoint = methods.get(name)
        if endpoint is None:
            raise ApiSysExceptions.error_api_config if name in methods else ApiSysExceptions.invalid_method
        if not endpoint.enable:
            raise ApiSysExceptions.api_stop(headers={"Allow": endpoint.allow})
        return endpoint


def _no_version(version: str, versions: Mapping[str, bool]) -> Exception:
    if version in versions:
        return ApiSysExceptions.invalid_version(message="接口版本已停用")
    if version and not _is_version(version):
        return ApiSysExceptions.invalid_version()
    return ApiSysExceptions.unsupported_version()


def _is_version(name: str) -> bool:
    return len(name) <= 64 and name.isprintable() and not any(map(str.isspace, name))


def unguarded(entry: dict[str, object]) -> tuple[Guard, ...]:
    """The guards of a catalogue that has none: an entry that asks for one must not be open to everybody."""
    for key, value in entry.items():
        if value is not None:
            raise ValueError(f"{key} {value!r} asks for a guard, and nothing here makes guards")
    return ()


class Registry:
    """The versions that an application registers, until the catalogue is made of them."""

    def __init__(self) -> None:
        self._versions: dict[str, tuple[ApiMethodMeta, bool]] = {}
        self._closed = False

    def add(self, name: str, methods: ApiMethodMeta, enable: bool) -> None:
        """Registers a version. Raises `RegistrationError` for one that is there, or after start-up."""
        if self._closed:
            raise RegistrationError(f"version {name} of {_place(methods)} comes too late: the server has started")
        if not _is_version(name) or not name:
            raise RegistrationError(f"{_place(methods)}: {name!r} can't be a version, it must be a text without blanks")
        if name in self._versions:
            raise RegistrationError(
                f"version {name} is registered twice: {_place(self._versions[name][0])} and {_place(methods)}"
            )
        self._versions[name] = (methods, enable)

    def catalogue(
        self, timeout: float, guards: GuardFactory = unguarded, max_body: int = DEFAULT_MAX_BODY
    ) -> Catalogue:
        """Compiles what is registered and closes the registry.

        ``timeout`` in seconds and ``max_body`` in bytes are what counts where an entry says nothing, ``guards``
        makes what an entry's ``auth`` and ``rate`` ask for.
        """
        defaults = _Defaults(timeout, max_body, guards)
        self._closed = True
        compiled: dict[str, Mapping[str, Endpoint | None]] = {}
        problems: list[Problem] = []
        for name, (methods, enable) in self._versions.items():
            endpoints = _compile(name, methods, defaults, problems)
            if enable:
                compiled[name] = MappingProxyType(endpoints)
        versions = {name: enable for name, (_, enable) in self._versions.items()}
        return Catalogue(MappingProxyType(versions), MappingProxyType(compiled), tuple(problems))


class _Defaults(NamedTuple):
    """What counts where an entry says nothing, and what makes its guards."""

    timeout: float
    max_body: int
    guards: GuardFactory


def _compile(
    version: str, methods: ApiMethodMeta, defaults: _Defaults, problems: list[Problem]
) -> dict[str, Endpoint | None]:
    endpoints: dict[str, Endpoint | None] = {}
    for name, entry in methods.entries.items():
        try:
            endpoints[name] = _endpoint(version, name, entry.value, defaults)
        except ValueError as error:
            endpoints[name] = None
            problems.append(Problem(version, str(name), f"{error}; registered in {_place(entry.owner)}"))
    return endpoints


def _endpoint(version: str, name: Any, entry: Any, defaults: _Defaults) -> Endpoint:
    if not isinstance(name, str) or not name or name != name.strip():
        raise ValueError(f"a method name must be a text without blanks around it, not {name!r}")
    if not isinstance(entry, dict):
        raise ValueError(f"its entry must be a dict, not {entry!r}")
    for key in entry:
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r} in its entry, {hint_at(str(key), list(_KEYS))}")
    function = entry.get("func")
    if not callable(function):
        raise ValueError(f"func must be a function, not {function!r}")
    try:
        plan = CallPlan.of(function)
    except SignatureError as error:
        raise ValueError(f"{_place(function)}: {error}") from error
    enable = entry.get("enable", True)
    if not isinstance(enable, bool):
        raise ValueError(f"enable must be True or False, not {enable!r}")
    return Endpoint(
        version=version,
        name=name,
        plan=plan,
        verbs=_verbs(entry),
        enable=enable,
        mode=_mode(function, entry),
        timeout=_seconds(entry.get("timeout", defaults.timeout)),
        raw=_content_type(entry.get("raw", False)),
        max_body=_bytes(entry.get("max_body", defaults.max_body)),
        guards=defaults.guards({key: entry[key] for key in _GUARDED if key in entry}),
        accepted=_accepted(plan, entry),
    )


def _verbs(entry: dict[str, Any]) -> frozenset[str]:
    if "method" in entry and "methods" in entry:
        raise ValueError("method is given under both of its spellings")
    given = entry.get("method", entry.get("methods", DEFAULT_VERBS))
    verbs = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else []
    found = frozenset(str(verb).upper() for verb in verbs)
    if not found or not found <= frozenset(VERBS):
        raise ValueError(f"method must name some of {', '.join(VERBS)}, not {given!r}")
    return found


def _mode(function: Callable[..., Any], entry: dict[str, Any]) -> RunMode:
    run = entry.get("run")
    if run not in (None, "thread", "inline"):
        raise ValueError(f"run must be 'thread' or 'inline', not {run!r}")
    if _is_async(function):
        if run is not None:
            raise ValueError(f"run {run!r} is for plain functions: an async function runs on the event loop")
        return "loop"
    if run == "inline" and "timeout" in entry:
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


def _accepted(plan: CallPlan, entry: dict[str, Any]) -> frozenset[str] | None:
    extra = entry.get("extra", False)
    if not isinstance(extra, bool):
        raise ValueError(f"extra must be True or False, not {extra!r}")
    return None if extra or plan.takes_any else plan.accepted


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


default_registry = Registry()


def version(name: str | float, enable: bool = True, registry: Registry = default_registry) -> Callable[[Class], Class]:
    """Registers the decorated class as a version of the API. ``1.0``, a number, means ``'1.0'``.

    >>> registry = Registry()
    >>> @version(1.0, registry=registry)
    ... class V10(ApiMethodBase):
    ...     api_methods = {'math.add': {'func': lambda a, b: a, 'run': 'inline'}}
    >>> registry.catalogue(timeout=30).find('1.0', 'math.add').allow
    'GET, POST, HEAD, OPTIONS'
    """

    if not isinstance(name, (str, int, float)):
        raise RegistrationError(f"{_place(name)}: write @version('1.0'), with the version's name")

    def register(methods: Class) -> Class:
        if not isinstance(methods, ApiMethodMeta):
            raise RegistrationError(f"{_place(methods)} must inherit from ApiMethodBase to be version {name}")
        registry.add(str(name), methods, enable)
        return methods

    return register
