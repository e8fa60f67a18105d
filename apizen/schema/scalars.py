"""What each plain type takes, from text (query, form) and from JSON. No surprises: a value that means
the type is taken, a value that could be made into it is not.

A JSON string is read as text. ASCII blanks around numbers and bools are ignored.

======= ============================================================== ================================
hint    takes                                                          does not take
======= ============================================================== ================================
int     ``12`` ``" 12 "`` ``"+12"`` ``"-5"`` ``"007"``, up to 4300     ``12.2`` ``12.0`` ``"12.0"``
        digits                                                         ``"1e3"`` ``"1_000"`` ``true``
                                                                       ``""`` ``null``
float   ``1.5`` ``12`` ``"1.5"`` ``"1e3"`` ``".5"``                    ``"nan"`` ``"inf"`` ``1e400``
                                                                       ``true`` ``""`` ``"1_0"``
str     text as it is, never stripped; a JSON number as its JSON text  ``true`` ``null`` ``[]`` ``{}``
bool    ``true/false 1/0 yes/no on/off 是/否`` as text in any case,    ``""`` ``"2"`` ``"t"`` ``1``
        JSON ``true`` and ``false``
list    a JSON array, or its text; a repeated key                      text that is no JSON is 1021,
dict    a JSON object, or its text                                     JSON of another shape is 1022
tuple   a JSON array, or its text; a repeated key
Decimal as float, and exact                                            as float
======= ============================================================== ================================

>>> integer(' 12 '), floating('1e3'), text(12), boolean('是'), array('[1, 2]')
(12, 1000.0, '12', True, [1, 2])
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from apizen.schema.strict_json import InvalidDocument, decode, exact

__all__ = [
    "Mismatch",
    "Missing",
    "NotJson",
    "Texts",
    "array",
    "boolean",
    "decimal",
    "document",
    "floating",
    "integer",
    "mapping",
    "text",
]


class Mismatch(ValueError):
    """A value that does not have its type.

    ``path`` leads from the parameter to the value (``[2].age``); ``name`` is the type that was expected
    there, None where it is the parameter's own.
    """

    def __init__(self, path: str = "", name: str | None = None) -> None:
        super().__init__(path, name)
        self.path = path
        self.name = name

    def within(self, step: str, name: str) -> Mismatch:
        """The same, seen from one level further out. ``name`` is the type expected at ``step``."""
        return type(self)(step + self.path, self.name or name)


class Texts(list[Any]):
    """The values of a key that a query or a form repeats: texts, each of which may be a JSON document."""


class Missing(Mismatch):
    """A record without a field that it must have; ``path`` ends with the field."""


class NotJson(Mismatch):
    """Text that should have been JSON."""


_INTEGER = re.compile(r"[ \t\r\n]*[+-]?[0-9]+[ \t\r\n]*")
_NUMBER = re.compile(r"[ \t\r\n]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t\r\n]*")
_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on", "是"), True),
    **dict.fromkeys(("false", "0", "no", "off", "否"), False),
}


def integer(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        try:
            return int(value)
        except ValueError:  # more digits than Python converts
            raise Mismatch from None
    raise Mismatch


def floating(value: Any) -> float:
    if isinstance(value, str):
        number = float(value) if _NUMBER.fullmatch(value) else math.nan
    elif type(value) is int or type(value) is float:
        try:
            number = float(value)
        except OverflowError:
            raise Mismatch from None
    else:
        raise Mismatch
    if math.isfinite(number):
        return number
    raise Mismatch


def decimal(value: Any) -> Decimal:
    if isinstance(value, str):
        return _decimal_of(value)
    if type(value) is int or isinstance(value, Decimal):
        return Decimal(value)
    if type(value) is float:
        return Decimal(repr(value))
    raise Mismatch


def _decimal_of(value: str) -> Decimal:
    if not _NUMBER.fullmatch(value):
        raise Mismatch
    try:
        return exact(value.strip())
    except ValueError:
        raise Mismatch from None


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int or type(value) is float:
        return repr(value)
    if isinstance(value, Decimal):
        return str(value)
    raise Mismatch


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        found = _BOOLEANS.get(value.strip(" \t\r\n").lower())
        if found is not None:
            return found
    raise Mismatch


def array(value: Any) -> list[Any]:
    parsed = document(value)
    if isinstance(parsed, list):
        return parsed
    raise Mismatch


def mapping(value: Any) -> dict[str, Any]:
    parsed = document(value)
    if isinstance(parsed, dict):
        return parsed
    raise Mismatch


def document(value: Any) -> Any:
    """The value itself, or what it says where it is the text of a JSON document."""
    if isinstance(value, str):
        try:
            return decode(value)
        except InvalidDocument:
            raise NotJson from None
    return value
