"""JSON documents as they come from clients: one strict decoder for bodies and for text parameters.

msgspec decodes; what it leaves open is closed here: nesting has a limit (so that nothing later can run
out of stack), so has the memory that the values take (an empty list of two characters takes 64 bytes), and
numbers that Python's int and float can't hold become `Decimal`, so that a value that is valid JSON is a
wrong *value* (1022) and not wrong JSON (1021). Both limits are judged by the text, before anything is made
of it: in time and memory that grow as its length does, and in pieces, between which other threads run.

>>> decode('{"users": [1, 2.5, 1e400]}')
{'users': [1, 2.5, Decimal('1E+400')]}
>>> decode('{"a": NaN}')
Traceback (most recent call last):
...
apizen.schema.strict_json.InvalidDocument: JSON is malformed: invalid character (byte 6)
"""

from __future__ import annotations

import json
import math
from decimal import MAX_EMAX, Decimal, InvalidOperation
from itertools import accumulate
from typing import Any, NoReturn

import msgspec

__all__ = ["MAX_DEPTH", "MAX_WEIGHT", "InvalidDocument", "decode", "exact"]

# Each level costs the writers of JSON and XML a few stack frames; Python's stack has a thousand.
MAX_DEPTH = 100
#: Bytes of memory that the values of a document may take, unless `decode` is told otherwise.
MAX_WEIGHT = 48 * 1024 * 1024

# The bytes that a value takes, beside its characters, by the mark in the text that stands for it; of an array four
# times as many, since the garbage collector looks at each while others are made.
_COSTS = {b"{": 184, b"[": 256, b",": 48, b":": 24}
# No text of fewer characters takes as much as `MAX_WEIGHT`.
_LIGHT = 64 * 1024
_WINDOW = 64 * 1024

_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

_decode = msgspec.json.Decoder().decode


class InvalidDocument(ValueError):
    """Text that is no JSON document, or one that is nested too deep or has too many values. The message says where."""


def decode(text: str | bytes, most: int = MAX_WEIGHT) -> Any:
    """The value of a JSON document (RFC 8259), which may take ``most`` bytes. Raises `InvalidDocument`."""
    if len(text) > _LIGHT or _openings(text) > MAX_DEPTH:
        _judge(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, most)
    try:
        return _decode(text)
    except msgspec.ValidationError:
        return _decode_beyond_float(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidDocument(_reason(error)) from error


def _judge(text: bytes, most: int) -> None:
    """Raises `InvalidDocument` for a document that is nested too deep, or whose values would take too much."""
    # One character beyond the Basic Multilingual Plane makes four bytes of each of its text's.
    left = most - len(text) * (1 if text.isascii() and rb"\u" not in text else 4)
    level = inside = 0
    unescaped = text.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in text else text
    for start in range(0, len(unescaped), _WINDOW):
        pieces = unescaped[start : start + _WINDOW].split(b'"')
        outside = b"".join(pieces[inside::2])  # every second piece is in a string
        inside ^= ~len(pieces) & 1
        left -= sum(outside.count(mark) * cost for mark, cost in _COSTS.items())
        if left < 0:
            raise InvalidDocument(f"its values would take more than {most} bytes")
        steps = memoryview(outside.translate(_STEPS, _NO_BRACKETS)).cast("b")
        levels = list(accumulate(steps, initial=level))
        if max(levels) > MAX_DEPTH:
            raise InvalidDocument(f"nested deeper than {MAX_DEPTH} levels")
        level = levels[-1]


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


def _decode_beyond_float(text: str | bytes) -> Any:
    """Decodes a document that holds numbers which int and float can't."""
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_refuse)
        _check_texts(value)
    except (ValueError, RecursionError) as error:
        raise InvalidDocument(_reason(error)) from error
    return value


def _check_texts(value: Any) -> None:
    """Raises ValueError for half a surrogate pair, which json takes, msgspec does not, and no answer could carry."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            item.encode()
        elif isinstance(item, dict):
            left += [*item, *item.values()]
        elif isinstance(item, list):
            left += item


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
