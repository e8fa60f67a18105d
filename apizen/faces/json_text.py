"""Writes plain values as JSON, and single ones as the texts that JSON has for them."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any

import msgspec

__all__ = ["json_of", "key_of", "text_of"]

_encode = msgspec.json.Encoder(decimal_format="string").encode

# The end of a moment that is not in UTC, or of a text like one. Where the JSON has any, the values are gone through.
_OFFSET = re.compile(rb'T\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d:\d\d"')


def json_of(value: Any) -> bytes:
    """The JSON of a plain value. Raises TypeError and ValueError for what has none.

    >>> json_of({1: datetime.datetime.fromisoformat('2017-05-20T12:00:00+08:00')})
    b'{"1":"2017-05-20T04:00:00Z"}'
    """
    try:
        encoded = _encode(value)
    except (TypeError, ValueError):
        return _encode(_settled(value))
    return _encode(_settled(value)) if _OFFSET.search(encoded) else encoded


def _settled(value: Any) -> Any:
    """A plain value without what msgspec would write in another way, or not at all."""
    if isinstance(value, dict):
        return {key_of(key): _settled(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_settled(item) for item in value]
    if isinstance(value, datetime.datetime):
        return _in_utc(value)
    if isinstance(value, int):
        _check(value)
    return value


def _in_utc(moment: datetime.datetime) -> datetime.datetime:
    try:
        return moment.astimezone(datetime.UTC) if moment.utcoffset() is not None else moment
    except OverflowError:  # in UTC it lies before the year 1 or after 9999
        return moment


# The time to write an integer grows with the square of its digits. So Python writes no more digits than these
# (CVE-2020-10735), and clients in Python would not read more.
_DIGITS = 4300
_BEYOND = 10**_DIGITS


def _check(number: int) -> None:
    """Raises ValueError for an integer that is too long to be written."""
    if not -_BEYOND < number < _BEYOND:
        raise ValueError(f"an integer of more than {_DIGITS} digits can't be written")


def key_of(key: Any) -> str:
    """A dict's key as json.dumps writes it."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, int, float)):
        return text_of(key) or "null"
    return _encode(_settled(key)).decode().strip('"')


def text_of(value: Any) -> str:
    """A plain value that is no container, as JSON writes it, without quotes; null is empty."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        _check(value)
        return str(value)
    return _encode(_settled(value)).decode().strip('"')
