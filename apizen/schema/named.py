"""Types that stand under their own name in error messages: Email, Money, Date, …, and the uploaded file.

>>> Money('12.5'), Date('%d.%m.%Y').converter.convert('20.05.2017')
(Decimal('12.50'), datetime.date(2017, 5, 20))
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from apizen.schema import scalars
from apizen.schema.containers import ARRAY, OBJECT
from apizen.schema.conversion import Converter, Forms, Schema, fixed, unchanged
from apizen.schema.scalars import Mismatch

__all__ = [
    "Bool", "Date", "DateTime", "Dict", "Email", "Float", "Integer", "List", "Money", "NamedType", "String",
    "UploadFile", "upload",
]  # fmt: skip


class UploadFile(NamedTuple):
    """A file of a multipart form: its name and content type as the client gave them, and its bytes."""

    name: str
    content_type: str
    body: bytes


class NamedType:
    """A hint that stands under its own name in error messages; calling it converts a value."""

    def __init__(
        self, name: str, produces: type, convert: Callable[[Any], Any], forms: Forms, structured: bool = False
    ) -> None:
        self.produces = produces
        self.converter = Converter(
            name, convert, repeatable=produces is list, structured=structured, forms=fixed(*forms)
        )

    def __call__(self, value: Any) -> Any:
        return self.converter.convert(value)

    # As types do, so that `Money | None` can be written.
    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007 (the operator is being defined)

    def __ror__(self, other: Any) -> Any:
        return Union[other, self]  # noqa: UP007 (as above)

    def __repr__(self) -> str:
        return self.converter.name


# What strptime reads for each part of a format: as it is written, and in full.
_PARTS = {
    "Y": ("[0-9]{4}", "[0-9]{4}"),
    "m": ("(?:0[1-9]|1[0-2])", "(?:1[0-2]|0[1-9]|[1-9])"),
    "d": ("(?:0[1-9]|[12][0-9]|3[01])", "(?:3[01]|[12][0-9]|0[1-9]| ?[1-9])"),
    "H": ("(?:[01][0-9]|2[0-3])", "(?:2[0-3]|[01][0-9]|[0-9])"),
    "M": ("[0-5][0-9]", "(?:[0-5][0-9]|[0-9])"),
    "S": ("[0-5][0-9]", "(?:[0-5][0-9]|[0-9])"),
    "%": ("%", "%"),
}
_DIRECTIVE = re.compile("%(.)", re.DOTALL)


def _moment_forms(produces: type, form: str) -> Forms:
    """The canonical form has each part in full; a format with parts of another kind is any text."""
    if any(part not in _PARTS for part in _DIRECTIVE.findall(form)):
        return ({"type": "string"},)
    written, taken = (_moment_pattern(form, which) for which in (0, 1))
    iso = produces is datetime.date and form == "%Y-%m-%d"
    canonical: Schema = {"type": "string", **({"format": "date"} if iso else {"pattern": written})}
    return canonical, {"type": "string", "pattern": taken}


def _moment_pattern(form: str, which: int) -> str:
    pieces = _DIRECTIVE.split(form)  # text, part, text, part, …
    blank = (" ", r"\s+")[which]
    texts = [blank.join(map(_literally, re.split(r"\s+", piece))) for piece in pieces[::2]]
    parts = [*(_PARTS[part][which] for part in pieces[1::2]), ""]
    return "^" + "".join(text + part for text, part in zip(texts, parts, strict=True)) + "$"


def _literally(text: str) -> str:
    """As re.escape, without escapes that the regular expressions of JSON Schema refuse."""
    return re.sub(r"[\\^$.*+?()\[\]{}|]", r"\\\g<0>", text)


class TimeType(NamedType):
    """A named type for a moment; calling it gives the same with another strptime format."""

    def __init__(self, name: str, produces: type, form: str, part: Callable[[datetime.datetime], Any]) -> None:
        super().__init__(name, produces, self._parse, _moment_forms(produces, form))
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


_EMAIL_FORMS = ({"type": "string", "format": "email", "pattern": f"^{_EMAIL.pattern}$"},)
# As text first, as Decimal. A text with an exponent may mean less than a cent, which no pattern sees.
_MONEY_FORMS = (
    {"type": "string", "format": "decimal", "pattern": r"^[0-9]{1,25}(?:\.[0-9]{1,2})?$"},
    {"type": "number", "minimum": 0, "exclusiveMaximum": 10**25, "multipleOf": 0.01},
    scalars.number_text(r"\+?0*(?:[0-9]{1,25}(?:\.[0-9]{0,2}0*)?|\.[0-9]{1,2}0*)"),
    scalars.number_text(r"\+?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][+-]?[0-9]+"),
)


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


# For a form's documentation; no JSON value is a file.
_FILE: Schema = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
upload = Converter("UploadFile", _upload, forms=lambda writer: ({"not": {}},) if writer.every_form else (_FILE,))


if TYPE_CHECKING:
    Integer, String, Float, Bool, List, Dict = int, str, float, bool, list, dict
    Date, DateTime, Email, Money = datetime.date, datetime.datetime, str, Decimal
else:
    Integer = NamedType("Integer", int, scalars.integer, scalars.INTEGER)
    String = NamedType("String", str, scalars.text, scalars.TEXT)
    Float = NamedType("Float", float, scalars.floating, scalars.FLOAT)
    Bool = NamedType("Bool", bool, scalars.boolean, scalars.BOOLEAN)
    List = NamedType("List", list, scalars.array, ARRAY, structured=True)
    Dict = NamedType("Dict", dict, scalars.mapping, OBJECT, structured=True)
    Date = TimeType("Date", datetime.date, "%Y-%m-%d", datetime.datetime.date)
    DateTime = TimeType("DateTime", datetime.datetime, "%Y-%m-%d %H:%M:%S", unchanged)
    Email = NamedType("Email", str, _email, _EMAIL_FORMS)
    Money = NamedType("Money", Decimal, _money, _MONEY_FORMS)
