"""What a line of the log looks like: JSON, whatever the texts in it are, and the forms of times in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from apizen.clock import SecondText

__all__ = ["line_of", "milliseconds", "time_text"]

# JSON need not escape these. Yet they end a line for some readers, move a terminal's cursor, or turn the direction of
# the text behind them.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

_encode = msgspec.json.Encoder().encode


def line_of(members: dict[str, Any]) -> bytes:
    """One line of JSON, its end included.

    >>> line_of({'level': 'info', 'event': 'one\\ntwo\\u2028three'})
    b'{"level":"info","event":"one\\\\ntwo\\\\u2028three"}\\n'
    """
    try:
        line = _encode(members) + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair
        line = _encode(_encodable(members)) + b"\n"
    if line.isascii():
        return line
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode()).encode()


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value


_seconds = SecondText(lambda second: datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S"))


def time_text(now: float) -> str:
    """
    >>> time_text(1451620800.25)
    '2016-01-01T04:00:00.250Z'
    """
    return f"{_seconds.of(now)}.{int(now % 1 * 1000):03d}Z"


def milliseconds(seconds: float) -> float:
    """Rounded to a microsecond.

    >>> milliseconds(0.0012344)
    1.234
    """
    return int(seconds * 1e6 + 0.5) / 1e3
