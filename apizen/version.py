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

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeVar

from apizen.catalogue import Catalogue, Problem, is_version
from apizen.endpoint import Endpoint
from apizen.guard import GuardMaker
from apizen.place import place_of
from apizen.settings import Settings

__all__ = [
    "ApiMethodBase",
    "ApiMethodsBase",
    "RegistrationError",
    "Registry",
    "default_registry",
    "version",
]

# Two spellings of one name. Where a class has a method under both, the second counts.
_TABLES = ("support_methods", "api_methods")

Class = TypeVar("Class", bound=type)

_DEFAULTS = Settings()


class RegistrationError(ValueError):
    """A version that can't be registered; the message names the places."""


class Declared(NamedTuple):
    """One entry of a version class as it was written, and the class."""

    value: Any
    owner: type


class ApiMethodMeta(type):
    """Merges the entries of a class with those that it inherits, by Python's method resolution order."""

    entries: Mapping[str, Declared]

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        merged: dict[str, Declared] = {}
        for base in reversed(cls.__mro__):
            merged.update(_own_entries(base))
        cls.entries = MappingProxyType({key: entry for key, entry in merged.items() if entry.value is not None})


def _own_entries(cls: type) -> dict[str, Declared]:
    own: dict[str, Declared] = {}
    for table in _TABLES:
        entries = vars(cls).get(table, {})
        if not isinstance(entries, dict):
            raise RegistrationError(f"{place_of(cls)}: {table} must be a dict of entries, not {type(entries).__name__}")
        own.update((key, Declared(value, cls)) for key, value in entries.items())
    return own


class ApiMethodBase(metaclass=ApiMethodMeta):
    """Base of every version."""

    api_methods: ClassVar[dict[Any, dict[str, Any] | None]] = {}


ApiMethodsBase = ApiMethodBase


class Registry:
    """The versions that an application registers, until the catalogue is made of them."""

    def __init__(self) -> None:
        self._versions: dict[str, tuple[ApiMethodMeta, bool]] = {}
        self._closed = False

    def add(self, name: str, methods: ApiMethodMeta, enable: bool) -> None:
        """Registers a version. Raises `RegistrationError` for one that is there, or after start-up."""
        if self._closed:
            raise RegistrationError(f"version {name} of {place_of(methods)} comes too late: the server has started")
        if not is_version(name) or not name:
            raise RegistrationError(
                f"{place_of(methods)}: {name!r} can't be a version, it must be a text without blanks"
            )
        if name in self._versions:
            raise RegistrationError(
                f"version {name} is registered twice: {place_of(self._versions[name][0])} and {place_of(methods)}"
            )
        self._versions[name] = (methods, enable)

    def catalogue(self, settings: Settings = _DEFAULTS, makers: Sequence[GuardMaker] = ()) -> Catalogue:
        """Compiles what is registered and closes the registry.

        ``settings`` say what counts where an entry says nothing, ``makers`` make the guards.
        """
        self._closed = True
        compiled: dict[str, Mapping[str, Endpoint | None]] = {}
        problems: list[Problem] = []
        for name, (methods, enable) in self._versions.items():
            endpoints = _compile(name, methods, settings, makers, problems)
            if enable:
                compiled[name] = MappingProxyType(endpoints)
        versions = {name: enable for name, (_, enable) in self._versions.items()}
        return Catalogue(MappingProxyType(versions), MappingProxyType(compiled), tuple(problems))


def _compile(
    version: str, methods: ApiMethodMeta, settings: Settings, makers: Sequence[GuardMaker], problems: list[Problem]
) -> dict[str, Endpoint | None]:
    endpoints: dict[str, Endpoint | None] = {}
    for name, declared in methods.entries.items():
        try:
            endpoints[name] = Endpoint.of(version, name, declared.value, settings, makers)
        except ValueError as error:
            endpoints[name] = None
            problems.append(Problem(version, str(name), f"{error}; registered in {place_of(declared.owner)}"))
    return endpoints


default_registry = Registry()


def version(name: str | float, enable: bool = True, registry: Registry = default_registry) -> Callable[[Class], Class]:
    """Registers the decorated class as a version of the API. ``1.0``, a number, means ``'1.0'``.

    >>> registry = Registry()
    >>> @version(1.0, registry=registry)
    ... class V10(ApiMethodBase):
    ...     api_methods = {'math.add': {'func': lambda a, b: a, 'run': 'inline'}}
    >>> registry.catalogue().find('1.0', 'math.add').allow
    'GET, POST, HEAD, OPTIONS'
    """

    if not isinstance(name, (str, int, float)):
        raise RegistrationError(f"{place_of(name)}: write @version('1.0'), with the version's name")

    def register(methods: Class) -> Class:
        if not isinstance(methods, ApiMethodMeta):
            raise RegistrationError(f"{place_of(methods)} must inherit from ApiMethodBase to be version {name}")
        registry.add(str(name), methods, enable)
        return methods

    return register
