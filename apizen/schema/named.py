"""Type hints to converters: `converter(hint)` gives what turns a client's value into that type.

Plain types follow the table in `apizen.schema.scalars`, at every depth: ``list[int]`` takes ``["1", 2]``.
Containers, unions, enums and records (dataclass, TypedDict, msgspec.Struct) are put together from them;
a constraint (``Annotated[int, msgspec.Meta(ge=0)]``) is checked by msgspec after the conversion, and
everything else that msgspec knows (date, datetime, UUID, …) is msgspec's, strictly. A hint that nothing
converts gives `AS_IT_CAME`, and so does no hint.

- ``list[int]``, ``set[str]``, ``tuple[int, ...]``: a repeated key, a JSON array, or one single value.
- A union takes what already is one of its members, else the first member, in the order written, that
  converts.
- A record ignores members that it does not declare, unless a Struct forbids them; a missing one is 1018.

The named types do the same under their own name in error messages:

======== =============== ==========================================================================
Integer  ``int``         as int
String   ``str``         as str
Float    ``float``       as float
Bool     ``bool``        as bool
List     ``list``        as list
Dict     ``dict``        as dict
Date     ``date``        ``2017-05-20``; ``Date('%d.%m.%Y')`` has a format of its own (strptime)
DateTime ``datetime``    ``2017-05-20 12:00:00``; ``DateTime('%Y/%m/%d %H:%M')`` likewise
Email    ``str``         ``name@example.com``
Money    ``Decimal``     not negative, at most two places: ``12`` ``"12.5"`` ``"12.50"``
======== =============== ==========================================================================

>>> converter(list[int]).convert('[1, "2"]')
[1, 2]
>>> converter(Money).convert('12.5')
Decimal('12.50')
>>> converter(Date('%d.%m.%Y')).convert('20.05.2017')
datetime.date(2017, 5, 20)

A type of one's own is registered once, before the functions that use it are::

    register(Colour, Colour.parse)      # parse raises ValueError for what it does not take
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from apizen.schema import scalars
from apizen.schema.containers import AS_IT_CAME, Converter, compose, unchanged
from apizen.schema.records import Record
from apizen.schema.scalars import Mismatch

__all__ = [
    "AS_IT_CAME", "Bool", "Converter", "Date", "DateTime", "Dict", "Email", "Float", "Integer", "List",
    "Money", "String", "UploadFile", "converter", "register",
]  # fmt: skip


class UploadFile(NamedTuple):
    """A file of a multipart form: its name and content type as the client gave them, and its bytes."""

    name: str
    content_type: str
    body: bytes


class NamedType:
    """A hint that stands under its own name in error messages; calling it converts a value."""

    def __init__(self, name: str, produces: type, convert: Callable[[Any], Any], structured: bool = False) -> None:
        self.produces = produces
        self.converter = Converter(name, convert, repeatable=produces is list, structured=structured)

    def __call__(self, value: Any) -> Any:
        return self.converter.convert(value)

    # As types do, so that `Money | None` can be written.
    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007 (the operator is being defined)

    def __ror__(self, other: Any) -> Any:
        return Union[other, self]  # noqa: UP007 (as above)

    def __repr__(self) -> str:
        return self.converter.name


class TimeType(NamedType):
    """A named type for a moment; calling it gives the same with another strptime format."""

    def __init__(self, name: str, produces: type, form: str, part: Callable[[datetime.datetime], Any]) -> None:
        super().__init__(name, produces, self._parse)
        self._form = form
        self._part = part

    def __call__(self, form: str) -> TimeType:
        return TimeType(self.converter.name, self.produces, form, self._part)

    def _parse(self, value: Any) -> Any:
        if not isinstance(value, str) or not value.isascii():
            raise Mismatch
        try:
            return self._part(datetime.datetime.strptime(value, self._form))  # noqa: DTZ007 (as the format says)
        except ValueError:
            raise Mismatch from None


_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@(?=.{3,255}$)[^@\s.]+(?:\.[^@\s.]+)+")
_CENT = Decimal("0.01")
_CENTS = Context(prec=40)  # of our own: the thread's belongs to the functions


def _email(value: Any) -> str:
    if isinstance(value, str) and _EMAIL.fullmatch(value):
        return value
    raise Mismatch


def _money(value: Any) -> Decimal:
    amount = scalars.decimal(value)
    # The exponent is looked at first: 1E+1000000 would take a million digits to write in cents.
    if amount.is_signed() or amount.adjusted() > 24:
        raise Mismatch
    rounded = amount.quantize(_CENT, context=_CENTS)
    if amount != rounded:
        raise Mismatch
    return rounded


def _upload(value: Any) -> UploadFile:
    if isinstance(value, UploadFile):
        return value
    raise Mismatch


if TYPE_CHECKING:
    Integer, String, Float, Bool, List, Dict = int, str, float, bool, list, dict
    Date, DateTime, Email, Money = datetime.date, datetime.datetime, str, Decimal
else:
    Integer = NamedType("Integer", int, scalars.integer)
    String = NamedType("String", str, scalars.text)
    Float = NamedType("Float", float, scalars.floating)
    Bool = NamedType("Bool", bool, scalars.boolean)
    List = NamedType("List", list, scalars.array, structured=True)
    Dict = NamedType("Dict", dict, scalars.mapping, structured=True)
    Date = TimeType("Date", datetime.date, "%Y-%m-%d", datetime.datetime.date)
    DateTime = TimeType("DateTime", datetime.datetime, "%Y-%m-%d %H:%M:%S", unchanged)
    Email = NamedType("Email", str, _email)
    Money = NamedType("Money", Decimal, _money)

_CONVERTERS: dict[Any, Converter] = {
    int: Converter("int", scalars.integer),
    float: Converter("float", scalars.floating),
    str: Converter("str", scalars.text),
    bool: Converter("bool", scalars.boolean),
    list: Converter("list", scalars.array, repeatable=True, structured=True),
    tuple: Converter("tuple", lambda value: tuple(scalars.array(value)), repeatable=True, structured=True),
    dict: Converter("dict", scalars.mapping, structured=True),
    Decimal: Converter("Decimal", scalars.decimal),
    UploadFile: Converter("UploadFile", _upload),
    Any: AS_IT_CAME,
    object: AS_IT_CAME,
}


# The record types that functions take, by type; they may refer to themselves and to each other.
_RECORDS: dict[Any, Converter] = {}


def register(hint: Any, convert: Callable[[Any], Any], name: str | None = None) -> None:
    """Registers a converter for a hint. ``convert`` raises ValueError for what it does not take."""

    def checked(value: Any) -> Any:
        try:
            return convert(value)
        except Mismatch:
            raise
        except ValueError:
            raise Mismatch from None

    if hint in _CONVERTERS:
        raise ValueError(f"{hint!r} has a converter already")
    _CONVERTERS[hint] = Converter(name or str(getattr(hint, "__name__", hint)), checked)


def converter(hint: Any) -> Converter:
    """The converter of a hint. Raises TypeError for a hint that is no type at all."""
    if isinstance(hint, NamedType):
        return hint.converter
    try:
        found = _CONVERTERS.get(hint) or _RECORDS.get(hint)
    except TypeError:  # not hashable, as Annotated with a list in it
        found = None
    return found or _record(hint) or compose(hint, converter)


def _record(hint: Any) -> Converter | None:
    record = Record.of(hint)
    if record is None:
        return None
    before = dict(_RECORDS)
    _RECORDS[hint] = record.converter
    try:
        record.compile(converter)
    except BaseException:
        # Records that were compiled on the way may refer to this one, which is not whole.
        _RECORDS.clear()
        _RECORDS.update(before)
        raise
    return record.converter
