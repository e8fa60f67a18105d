"""What each plain type takes, from text (query, form) and from JSON: `apizen.schema` has the table. No surprises: a
value that means the type is taken, a value that could be made into it is not.

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
    "BOOLEAN",
    "DECIMAL",
    "FLOAT",
    "INTEGER",
    "TEXT",
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
    "number_text",
    "other_forms",
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


_BLANKS = r"[ \t\r\n]*"
_EXPONENT = "(?:[eE][+-]?[0-9]+)?"
_INTEGER = re.compile(rf"{_BLANKS}[+-]?[0-9]+{_BLANKS}")
_NUMBER = re.compile(rf"{_BLANKS}[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+){_EXPONENT}{_BLANKS}")
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


# The forms of each type as JSON Schemas, the canonical one first. The schemas are shared: nobody may change them.


def _any_case(word: str) -> str:
    return "".join(
        f"[{letter.upper()}{letter}]" if letter.isascii() and letter.isalpha() else letter for letter in word
    )


def _boolean_text(*wanted: bool) -> dict[str, Any]:
    words = "|".join(_any_case(word) for word, value in _BOOLEANS.items() if value in wanted)
    return number_text(f"(?:{words})")


def number_text(pattern: str) -> dict[str, Any]:
    """The schema of a text around which blanks are ignored."""
    return {"type": "string", "pattern": f"^{_BLANKS}{pattern}{_BLANKS}$"}


_NUMBER_TEXT = {"type": "string", "pattern": f"^{_NUMBER.pattern}$"}
INTEGER = ({"type": "integer"}, {"type": "string", "pattern": f"^{_INTEGER.pattern}$"})
FLOAT = ({"type": "number"}, _NUMBER_TEXT)
# As text, which is how answers say it: most clients read a JSON number as a binary fraction.
DECIMAL = (
    {"type": "string", "format": "decimal", "pattern": r"^-?[0-9]+(?:\.[0-9]+)?$"},
    {"type": "number"},
    _NUMBER_TEXT,
)
TEXT = ({"type": "string"}, {"type": "number"})
BOOLEAN = ({"type": "boolean"}, _boolean_text(True, False))


def other_forms(choice: Any) -> list[dict[str, Any]]:
    """The forms, beside its own, in which one value of a plain type is taken; none for a value of another type."""
    if isinstance(choice, bool):
        return [_boolean_text(choice)]
    if isinstance(choice, int):
        sign = "-" if choice < 0 else r"\+?" if choice else "[+-]?"
        return [number_text(f"{sign}0*{abs(choice)}")]
    if isinstance(choice, float):
        return [_NUMBER_TEXT]
    if isinstance(choice, str) and _NUMBER.fullmatch(choice):
        number = float(choice)
        return [{"const": value} for value in (_whole(choice), number) if repr(value) == choice]
    return []


def _whole(digits: str) -> int | None:
    return int(digits) if _INTEGER.fullmatch(digits) and len(digits) < 1000 else None
