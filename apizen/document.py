"""JSON documents as they come from clients: one strict decoder for bodies and for text parameters.

msgspec decodes; what it leaves open is closed here: nesting has a limit (so that nothing later can run
out of stack), and numbers that Python's int and float can't hold become `Decimal`, so that a value that
is valid JSON is a wrong *value* (1022) and not wrong JSON (1021).

>>> decode('{"users": [1, 2.5, 1e400]}')
{'users': [1, 2.5, Decimal('1E+400')]}
>>> decode('{"a": NaN}')
Traceback (most recent call last):
...
apizen.document.InvalidDocument: JSON is malformed: invalid character (byte 6)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from decimal import MAX_EMAX, Decimal, InvalidOperation
from typing import Any, NoReturn

import msgspec

__all__ = ["MAX_DEPTH", "InvalidDocument", "decode", "exact"]

# Each level costs the writers of JSON and XML a few stack frames; Python's stack has a thousand.
MAX_DEPTH = 100

_decode = msgspec.json.Decoder().decode


class InvalidDocument(ValueError):
    """Text that is no JSON document, or one that is nested too deep. The message says where."""


def decode(text: str | bytes) -> Any:
    """The value of a JSON document (RFC 8259). Raises `InvalidDocument`."""
    try:
        value = _decode(text)
    except msgspec.ValidationError:
        value = _decode_beyond_float(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidDocument(_reason(error)) from error
    if isinstance(value, (dict, list)) and _openings(text) > MAX_DEPTH and _too_deep(value):
        raise InvalidDocument(f"nested deeper than {MAX_DEPTH} levels")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH} levels"
    return str(error)


def _openings(text: str | bytes) -> int:
    """No document can be deeper than this; counting is a hundred times cheaper than looking."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _too_deep(value: Any) -> bool:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [item for container in level for item in _items(container) if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _items(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _decode_beyond_float(text: str | bytes) -> Any:
    """Decodes a document that holds numbers which int and float can't."""
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_refuse)
        # Unlike msgspec, json takes half a surrogate pair, which no answer could ever carry.
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidDocument(_reason(error)) from error
    return value


def _integer(text: str) -> int | Decimal:
    try:
        return int(text)
    except ValueError:
        return exact(text)


def _number(text: str) -> float | Decimal:
    number = float(text)
    return number if math.isfinite(number) else exact(text)


def exact(text: str) -> Decimal:
    """The number that a text of digits says. Raises ValueError where even Decimal can't hold it."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"a number of more than {MAX_EMAX} digits") from None


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
