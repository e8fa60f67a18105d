"""The answer's body: one envelope, as JSON or as XML.

``{"meta": {"code": 1000, "message": "执行成功"}, "response": …}``. What a function returns is first made
plain (`plain`), where the function ran, since a generator still runs code of the function's; then it is
written. A generator may have no end: its items are written one by one, in a `Reading`, which has a limit.

In XML an item of a list repeats the list's element, as dict2xml does it; a list directly inside a list
has ``<item>`` elements. A key that is no XML name has its characters escaped as ``_x0020_`` (ISO 9075-14),
a character that XML 1.0 can't hold becomes U+FFFD, null is an empty element.

>>> Envelope('response').success([{'id': 1}], xml=False).decode()
'{"meta":{"code":1000,"message":"执行成功"},"response":[{"id":1}]}'
>>> Envelope('response').error(1013, '不存在的方法名', xml=True).decode()[38:]
'<root><meta><code>1013</code><message>不存在的方法名</message></meta><response></response></root>'
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import math
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Mapping
from contextlib import aclosing, closing, nullcontext
from decimal import Decimal
from time import perf_counter
from typing import Any

import msgspec
from dict2xml import DataSorter, dict2xml

from apizen.exception import SUCCESS_CODE, SUCCESS_MESSAGE, ApiSysExceptions

__all__ = ["AnswerTooLarge", "Envelope", "Reading", "Unread", "plain"]

logger = logging.getLogger(__name__)

_encode = msgspec.json.Encoder(decimal_format="string").encode


class AnswerTooLarge(ValueError):
    """An answer beyond the limit in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer has more than {limit} bytes, which is the setting max_answer")


class Unread(Exception):
    """A value holds something that has to be read item by item: `Reading.plain` does that."""


def plain(value: Any) -> Any:
    """The value as dicts, lists, texts, numbers, booleans, None and datetimes.

    Raises `Unread` where it holds a generator or the like, before it reads any; TypeError and RecursionError for
    what can't be.
    """
    return msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_simpler)


# bytes become base64 and the like by msgspec; a moment is kept, since it may still have to be made UTC.
_KEPT = (datetime.datetime,)
_KEPT_AND_READ = (*_KEPT, msgspec.Raw)

# So long the items of an async generator may come without a pause before others get their turn.
_TURN_SECONDS = 0.005


class Reading:
    """Makes one answer plain that holds generators, and stops in time if they don't.

    ``name`` is for the log, ``limit`` is in bytes, for all of its generators together, and ``deadline`` a time of
    `time.perf_counter`. What was read is kept as JSON: it takes no more memory than it will in the answer.

    >>> reading = Reading('1.0 squares', 100, perf_counter() + 1)
    >>> bytes(reading.plain(number * number for number in range(4)))
    b'[0,1,4,9]'
    """

    def __init__(self, name: str, limit: int, deadline: float) -> None:
        self._name = name
        self._limit = limit
        self._deadline = deadline
        self._size = 0
        self._hook = self._simpler

    def plain(self, value: Any) -> Any:
        """As the function `plain`, with whatever is read as JSON.

        Raises what that raises, whatever a generator raises, `AnswerTooLarge`, and 1029 after the deadline.
        """
        return msgspec.to_builtins(value, builtin_types=_KEPT_AND_READ, enc_hook=self._hook)

    async def gather(self, items: AsyncIterable[Any]) -> msgspec.Raw:
        """A list of what an async generator yields. Raises what `plain` raises."""
        written = bytearray(b"[")
        turn = perf_counter()
        async with aclosing(items) if isinstance(items, AsyncGenerator) else nullcontext():
            async for item in items:
                self._add(item, written)
                if perf_counter() - turn > _TURN_SECONDS:
                    await asyncio.sleep(0)
                    turn = perf_counter()
        return _list(written)

    def _simpler(self, value: Any) -> Any:
        try:
            return _simpler(value)
        except Unread:
            written = bytearray(b"[")
            items = iter(value)
            # Closed here and now: else it would be wherever the exception is dropped, as in the log's thread.
            with closing(items) if isinstance(items, Generator) else nullcontext():
                for item in items:
                    self._add(item, written)
            return _list(written)

    def _add(self, item: Any, written: bytearray) -> None:
        before = self._size
        text = _json(self.plain(item))
        self._size = before + len(text) + 1  # what was read within the item is in its text
        if self._size > self._limit:
            raise AnswerTooLarge(self._limit)
        if perf_counter() > self._deadline:
            logger.warning("%s is not read any further: its time is up", self._name)
            raise ApiSysExceptions.call_timeout
        written += text
        written += b","


def _list(written: bytearray) -> msgspec.Raw:
    """The JSON of a list from its beginning, in which a comma follows each item."""
    written[max(1, len(written) - 1) :] = b"]"
    return msgspec.Raw(written)


def _simpler(value: Any) -> Any:
    """What msgspec does not know by itself."""
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


# What makes a value of the plain type of an instance of a subclass, running no method of the subclass.
_BASES: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__pos__,
    float: float.__pos__,
    bytes: bytes.__bytes__,
    datetime.datetime: lambda value: datetime.datetime.fromisoformat(datetime.datetime.isoformat(value)),
    datetime.date: lambda value: datetime.date.fromisoformat(datetime.date.isoformat(value)),
    Decimal: Decimal,
}

# Where a text in the JSON looks like a moment with an offset, the moments are looked at one by one.
_OFFSET = re.compile(rb'T\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d:\d\d"')


def _json(value: Any) -> bytes:
    try:
        encoded = _encode(value)
    except (TypeError, ValueError):
        return _encode(_settled(value))
    return _encode(_settled(value)) if _OFFSET.search(encoded) else encoded


def _settled(value: Any) -> Any:
    """A plain value with everything decided that msgspec would do in another way or not at all."""
    if isinstance(value, dict):
        return {_key(key): _settled(item) for key, item in value.items()}
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


# The time to write an integer grows with the square of its digits, so that Python writes no more than these
# (CVE-2020-10735), nor would clients in Python read more.
_DIGITS = 4300
_BEYOND = 10**_DIGITS


def _check(number: int) -> None:
    """Raises ValueError for an integer that is too long to be written."""
    if not -_BEYOND < number < _BEYOND:
        raise ValueError(f"an integer of more than {_DIGITS} digits can't be written")


def _key(key: Any) -> str:
    """A dict's key as json.dumps writes it."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, int, float)):
        return _text(key) or "null"
    return _encode(_settled(key)).decode().strip('"')


def _text(value: Any) -> str:
    """A plain value as the text of an XML element; as JSON writes it, without quotes."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        _check(value)
        return str(value)
    return _encode(_settled(value)).decode().strip('"')


class _InOrder(DataSorter):
    """Members keep their order."""

    def keys_from(self, data: Mapping[str, object]) -> Mapping[str, object]:
        return data


_IN_ORDER = _InOrder()


def _xml(tree: dict[str, Any]) -> bytes:
    document = dict2xml(_element(tree), wrap="root", newlines=False, data_sorter=_IN_ORDER)
    # XML 1.0, 2.11: a parser reads a bare carriage return as a line feed.
    written = document.replace("\r", "&#13;")
    return f'<?xml version="1.0" encoding="UTF-8"?>{written}'.encode()


def _element(value: Any) -> Any:
    if isinstance(value, dict):
        return {_name(_key(key)): _element(item) for key, item in value.items()}
    if isinstance(value, msgspec.Raw):
        return _element(msgspec.json.decode(value))
    if isinstance(value, (list, tuple)):
        return [_element({"item": item}) if isinstance(item, (list, tuple)) else _element(item) for item in value]
    return _NOT_XML.sub("\ufffd", _text(value))


_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NOT_NAME = re.compile(
    r"_(?=x[0-9A-Fa-f]{0,6}(?:_|[^A-Za-z0-9_.\-\u4e00-\u9fa5]))|[^A-Za-z0-9_.\-\u4e00-\u9fa5]|^[^A-Za-z_\u4e00-\u9fa5]|^[xX](?=[mM][lL])"
)


def _name(key: str) -> str:
    return _NOT_NAME.sub(lambda match: f"_x{ord(match[0]):04X}_", key) or "_x_"


class Envelope:
    """Writes the bodies. ``response_key`` is the name of the member with the result."""

    def __init__(self, response_key: str) -> None:
        self._key = response_key
        meta = _encode({"code": SUCCESS_CODE, "message": SUCCESS_MESSAGE})
        self._success = b'{"meta":' + meta + b"," + _encode(response_key) + b":"

    def success(self, result: Any, *, xml: bool) -> bytes:
        """The envelope of a plain result. Raises TypeError and ValueError for what can't be written."""
        if not xml:
            return self._success + _json(result) + b"}"
        return _xml({"meta": {"code": SUCCESS_CODE, "message": SUCCESS_MESSAGE}, self._key: result})

    def error(self, code: int, message: str, *, xml: bool) -> bytes:
        """The envelope of an error; its result is null."""
        written = message.encode("utf-8", "replace").decode()  # half a surrogate pair has no UTF-8
        tree = {"meta": {"code": code, "message": written}, self._key: None}
        return _xml(tree) if xml else _encode(tree)
