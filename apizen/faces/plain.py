"""What a function gives, made plain: of the few types that the writers of JSON and XML know.

>>> plain({'day': datetime.date(2017, 5, 20), 'digest': b'abc'})
{'day': '2017-05-20', 'digest': 'YWJj'}
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

__all__ = ["KEPT", "Unread", "plain", "simpler"]

#: The types that msgspec leaves as they are. It would write a moment as text, and that may have to be made UTC first.
KEPT = (datetime.datetime,)


class Unread(Exception):
    """A value holds something that has to be read item by item; `apizen.faces.reading` does that."""


def plain(value: Any) -> Any:
    """The value as dicts, lists, texts, numbers, booleans, None and datetimes.

    Raises `Unread` where it holds a generator or the like, without reading any, and TypeError or RecursionError where
    it can't be made plain.
    """
    return msgspec.to_builtins(value, builtin_types=KEPT, enc_hook=simpler)


def simpler(value: Any) -> Any:
    """A value that msgspec does not know, as one that it may know. Raises `Unread` and TypeError."""
    for base, exact in _BASES.items():
        if isinstance(value, base):
            return exact(value)
    dump = getattr(value, "model_dump", None)  # pydantic's models, without importing pydantic
    if callable(dump):
        return dump(mode="python")
    if type(value).__module__ == "numpy":  # its arrays and scalars, without importing numpy
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Iterable, msgspec.Raw)):
        raise Unread(f"{type(value).__name__} has to be read")
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} has no form in JSON")


# How an instance of a subclass becomes one of the plain type itself, without running a method of the subclass.
_BASES: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__pos__,
    float: float.__pos__,
    bytes: bytes.__bytes__,
    datetime.datetime: lambda value: datetime.datetime.fromisoformat(datetime.datetime.isoformat(value)),
    datetime.date: lambda value: datetime.date.fromisoformat(datetime.date.isoformat(value)),
    Decimal: Decimal,
}
