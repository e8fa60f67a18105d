"""The limits that a hint may set: ``Annotated[int, msgspec.Meta(ge=0, le=9)]``.

A limit is checked on the converted value, so that it means the same for text and for JSON, and works for
types that msgspec sets no limits on, such as Decimal. A limit that can't apply to its type is a mistake
of the developer's, found when the function is registered.

>>> found = constraint(int, [msgspec.Meta(ge=0, le=9)])
>>> found.name, found.allows(9), found.allows(10)
('ge=0 le=9', True, False)
"""

from __future__ import annotations

import datetime
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, Union

import msgspec

__all__ = ["Constraint", "constraint", "keywords"]


class _Limit(NamedTuple):
    """What one argument of Meta means, the types that it applies to, and its keyword in a JSON Schema."""

    applies_to: tuple[type, ...]
    holds: Callable[[Any, Any], bool]
    keyword: str = ""


_NUMBERS = (int, float, Decimal)
_SIZED = (str, bytes, list, tuple, set, frozenset, dict)
_LIMITS = {
    "gt": _Limit(_NUMBERS, lambda value, limit: value > limit, "exclusiveMinimum"),
    "ge": _Limit(_NUMBERS, lambda value, limit: value >= limit, "minimum"),
    "lt": _Limit(_NUMBERS, lambda value, limit: value < limit, "exclusiveMaximum"),
    "le": _Limit(_NUMBERS, lambda value, limit: value <= limit, "maximum"),
    "multiple_of": _Limit(_NUMBERS, lambda value, limit: _is_multiple(value, limit), "multipleOf"),
    "pattern": _Limit((str,), lambda value, limit: re.search(limit, value) is not None, "pattern"),
    "min_length": _Limit(_SIZED, lambda value, limit: len(value) >= limit),
    "max_length": _Limit(_SIZED, lambda value, limit: len(value) <= limit),
    "tz": _Limit((datetime.datetime, datetime.time), lambda value, limit: (value.tzinfo is not None) is limit),
}


def _is_multiple(value: Any, limit: Any) -> bool:
    """Exactly: 0.3 is a multiple of 0.1, as it is written."""
    if isinstance(value, Decimal) and abs(value.adjusted()) > _MOST_DIGITS:
        return False
    exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    return exact % Fraction(repr(limit)) == 0


# Of a Decimal that is made into a fraction: 1E+999999 would be a number of a million digits.
_MOST_DIGITS = 5000


class Constraint(NamedTuple):
    """``name`` is what an error message says; ``allows`` looks at a converted value."""

    name: str
    allows: Callable[[Any], bool]


def constraint(hint: Any, metadata: Iterable[Any]) -> Constraint | None:
    """The limits in an Annotated hint's metadata, None where there are none.

    Raises TypeError for a limit that can't apply to the hint.
    """
    limits = [
        (name, limit)
        for meta in metadata
        if isinstance(meta, msgspec.Meta)
        for name in _LIMITS
        if (limit := getattr(meta, name)) is not None
    ]
    for name, _ in limits:
        if not any(_applies(name, kind) for kind in _types_of(hint)):
            raise TypeError(f"{name} can't apply to {hint}")
    if not limits:
        return None

    def allows(value: Any) -> bool:
        return all(_LIMITS[name].holds(value, limit) for name, limit in limits if _applies(name, type(value)))

    return Constraint(" ".join(f"{name}={limit}" for name, limit in limits), allows)


_LENGTHS: dict[tuple[type, ...], str] = {
    (str,): "Length",
    (list, tuple, set, frozenset): "Items",
    (dict,): "Properties",
}


def keywords(hint: Any, metadata: Iterable[Any]) -> dict[str, Any]:
    """What an Annotated hint's metadata adds to a JSON Schema: its limits, and what it says for readers."""
    found: dict[str, Any] = {}
    for meta in metadata:
        if isinstance(meta, msgspec.Meta):
            found.update((name, said) for name in _SAID if (said := getattr(meta, name)) is not None)
            for name, limit in _LIMITS.items():
                if (value := getattr(meta, name)) is not None:
                    found.update(_keywords(name, limit, value, _types_of(hint)))
            found.update(meta.extra_json_schema or {})
    return found


_SAID = ("title", "description", "examples")


def _keywords(name: str, limit: _Limit, value: Any, kinds: list[Any]) -> dict[str, Any]:
    if limit.keyword:
        return {limit.keyword: value}
    if name == "tz":
        # A format with a zone is the plain one; without, OpenAPI's registry of formats has these.
        part = "date-time" if datetime.datetime in kinds else "time"
        return {} if value else {"format": f"{part}-local", "pattern": "[0-9]$"}
    bound = name.partition("_")[0]  # min or max
    return {
        bound + part: value
        for plain, part in _LENGTHS.items()
        if any(isinstance(kind, type) and (issubclass(kind, plain) or _stands_for(kind, plain)) for kind in kinds)
    }


def _stands_for(kind: type, plain: tuple[type, ...]) -> bool:
    """Whether it is Sequence, Mapping or their like: abstract, and a list is one."""
    return inspect.isabstract(kind) and any(issubclass(one, kind) for one in plain)


def _applies(name: str, kind: Any) -> bool:
    if not isinstance(kind, type) or kind is bool:
        return False
    plain = _LIMITS[name].applies_to
    return issubclass(kind, plain) or _stands_for(kind, plain)


def _types_of(hint: Any) -> list[Any]:
    origin = typing.get_origin(hint)
    if origin is Union or origin is types.UnionType:
        return [kind for member in typing.get_args(hint) for kind in _types_of(member)]
    if hasattr(hint, "__supertype__"):  # typing.NewType
        return _types_of(hint.__supertype__)
    return [getattr(hint, "produces", origin or hint)]  # a named type says what it produces
