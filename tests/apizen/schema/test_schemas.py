"""The schemas of types beside their converters, over values that clients send and values that they should not.

What the canonical schema accepts is taken, what is taken the schema of every form accepts; where they differ, the
difference stands here, and in words in the docstring of `apizen.schema`.
"""

import base64
import binascii
import dataclasses
import datetime
import enum
import re
import typing
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

from apizen.schema import (
    Bool,
    Converter,
    Date,
    DateTime,
    Dict,
    Email,
    Float,
    Integer,
    List,
    Money,
    SchemaWriter,
    String,
    UploadFile,
    converter,
    converters,
    register,
)
from apizen.schema.scalars import Mismatch
from apizen.schema.strict_json import InvalidDocument, decode

# A validator that judges by everything that a schema says: formats, encodings and documents in texts as well, patterns
# as ECMA-262 reads them ($ is the very end), and multiples exactly.

FORMATS = FormatChecker(formats=("date", "uuid"))
ZONE = r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?"
DURATION = r"P(?=[\dT])(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?"


def has_format(name: str, pattern: str) -> None:
    FORMATS.checks(name)(lambda value: not isinstance(value, str) or bool(re.fullmatch(pattern, value, re.ASCII)))


has_format("time", TIME + ZONE)
has_format("time-local", TIME)
has_format("duration", DURATION)


def is_moment(value: Any, zone: str) -> bool:
    if not isinstance(value, str):
        return True
    if not re.fullmatch(rf"\d{{4}}-\d\d-\d\d[Tt]{TIME}{zone}", value, re.ASCII):
        return False
    try:
        datetime.date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


FORMATS.checks("date-time")(lambda value: is_moment(value, ZONE))
FORMATS.checks("date-time-local")(lambda value: is_moment(value, ""))


def judge_pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
        yield ValidationError(f"{value!r} does not match {pattern}")


def judge_multiple(validator: Any, step: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "number"):
        exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
        if exact % Fraction(str(step)):
            yield ValidationError(f"{value!r} is no multiple of {step}")


def judge_encoding(validator: Any, encoding: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    assert encoding == "base64"
    try:
        if isinstance(value, str):
            base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        yield ValidationError(f"{value!r} is no base64")


def judge_content(validator: Any, content: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str):
        try:
            document = decode(value)
        except InvalidDocument as error:
            yield ValidationError(str(error))
        else:
            yield from validator.descend(document, content)


Judge = validators.extend(
    Draft202012Validator,
    {
        "pattern": judge_pattern,
        "multipleOf": judge_multiple,
        "contentEncoding": judge_encoding,
        "contentSchema": judge_content,
    },
)


def judge(schema: dict[str, Any]) -> Callable[[Any], bool]:
    """Whether a schema accepts a value."""
    accepts: Callable[[Any], bool] = Judge(schema, format_checker=FORMATS).is_valid
    return accepts


def takes(found: Converter, value: Any) -> bool:
    try:
        found.convert(value)
    except Mismatch:
        return False
    return True


# Types


@dataclasses.dataclass
class Address:
    """Where somebody lives.

    Attributes:
        city: its name,
            as the post knows it
    """

    city: str
    zip: int = 0


@dataclasses.dataclass
class Tree:
    value: int
    left: "Tree | None" = None
    children: list["Tree"] = dataclasses.field(default_factory=list)


class UserDict(TypedDict):
    name: str
    age: int
    address: NotRequired[Address]


class Closed(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    user_id: int
    user_name: str = "jack"


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    name: str


class Pair(msgspec.Struct, array_like=True):
    left: int
    right: str


class Point(NamedTuple):
    x: int
    y: int = 0


class Colour(enum.Enum):
    RED = "red"
    TWO = 2
    HALF = 0.5


class Level(enum.IntEnum):
    """How loud."""

    LOW = 1
    HIGH = 2


class Shape(enum.Enum):
    LINE = (1, 2)
    DAY = datetime.date(2017, 5, 20)


# fmt: off
POOL: list[Any] = [
    None, True, False,
    0, 1, 2, -1, 5, 12, 100, 101, 10**25, 10**400, Decimal("9" * 4301),
    0.0, -0.0, 1.0, 12.0, 0.5, -0.5, 12.5, 0.1, 0.30, 12.345, 1e300, 1e-300, Decimal("1E+400"),
    "", " ", "a", "ab", "abc", "red", "null", "true", " TRUE ", "是", "no", "on", "2", "t",
    "12", " 12\n", "+12", "-5", "007", "12.0", "12.5", "1.50e1", "1e3", ".5", "5.", "1_000", "１２",
    "9" * 4301, "1e400",
    "nan", "-0", "0.005", "1e30", "12.505", "100", "101", "1" + "0" * 25, "0.5",
    "2017-05-20", "2017-5-2", "2017-02-30", "20170520", "20.05.2017", "2017-05-20 12:00:00", "2017-05-20  1:2:3",
    "2017-05-20T12:00:00", "2017-05-20T12:00:00Z", "2017-05-20T12:00:00.5+01:00", "2017-05-20t12:00:00+0100",
    "2017-05-20T25:00:00Z", "12:30:00", "12:30:00Z", "12:30", "25:00:00", "P1D", "PT1.5S", "P1DT2H3M4S", "-P1D", "p1d",
    "P1Y", "P1W", "P", "PT", "P99999999999D",
    "00000000-0000-0000-0000-00000000000a", "0" * 32, "0" * 31, "aGk=", "aGk5", "aGk", "@",
    "a@b.de", "a@b", "a b@c.de", "a@b.de\n", "a@b..de", "#010203",
    "[]", "[1]", '[1, "2"]', '["a"]', " [1] ", "[1,", "[[1]]", "[null]", "{}", '{"a": 1}', '{"a": "x"}',
    "{a", '"[]"', "[NaN]",
    '{"city": "b"}', '[{"city": "b"}]',
    [], [1], ["1"], ["a"], [1, 2], [1, 1], [1, "1"], [1, "a"], [1, "a", 2], [1.5], [None], [True], [[]], [[1]], [{}],
    ["[1]"],
    ["2017-05-20"], [{"city": "b"}], [{"city": []}], ["red", "2"], [5], [-1],
    {}, {"a": 1}, {"a": "1"}, {"a": "x"}, {"a": None}, {"1": 2}, {"red": ["a"]}, {"a": [1]}, {"a": "[1]"}, {"a": {}},
    {"city": "b"}, {"city": "b", "zip": "1", "more": 1}, {"city": None}, {"zip": 1}, {"a": {"city": "b"}},
    {"name": "a", "age": "1"}, {"name": "a", "age": 1, "address": {"city": 1}},
    {"name": "a", "age": 1, "address": None},
    {"name": "a", "age": 1, "address": "{}"}, {"userId": "1"}, {"user_id": 1}, {"userId": 1, "more": 2},
    {"value": 1}, {"value": 1, "left": {"value": "2"}, "children": [{"value": 3}]}, {"value": 1, "left": None},
    {"value": 1, "left": {"value": "x"}}, {"value": 1, "children": [1]}, {"value": 1, "children": "[]"},
    {"type": "cat", "lives": 9}, {"lives": 9}, {"type": "cat", "lives": "9"},
    {"type": "dog", "name": "rex"}, {"type": "cow"},
]

# The rows of the table, and what is put together from them.
ROWS: dict[str, Any] = {
    "int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict,
    "tuple": tuple, "Decimal": Decimal,
    "Integer": Integer, "String": String, "Float": Float, "Bool": Bool, "List": List, "Dict": Dict, "Date": Date,
    "Date %d.%m.%Y": Date("%d.%m.%Y"), "DateTime": DateTime, "DateTime %H:%M": DateTime("%H:%M"),
    "DateTime %j": DateTime("%Y %j"), "Email": Email, "Money": Money, "UploadFile": UploadFile,
    "Any": Any, "object": object, "None": None, "complex": complex, "NewType": typing.NewType("Id", int),
    "set": set, "frozenset": frozenset,
}
SHORT = Annotated[int | str, msgspec.Meta(ge=0), msgspec.Meta(max_length=2)]
INTEGER_LIMIT = "whole", "whole, limit of a text"


def row_names(*hints: Any) -> list[str]:
    return [re.sub(r"[\w.]*test_schemas\.|typing\.|msgspec\.", "", str(hint)) for hint in hints]


ROWS |= {row_names(hint)[0]: hint for hint in [
    *[list[int], list[str], list[Any], list[list[int]], list[dict], set[int], set[list[int]], frozenset[str]],
    *[tuple[int, ...], tuple[int, str], tuple[()], dict[str, int], dict[int, int], dict[str, Any]],
    *[dict[Colour, list[str]], dict[list[int], int], dict[str, list[int]], list[datetime.date], list[UploadFile]],
    *[int | None, str | None, list[int | None], int | str, int | list[int], list[int | list[int]]],
    *[list[int] | dict[str, int]],
    *[bool | float | None, Money | None, int | Any, list[Money], Decimal | str, list[Address] | None],
    *[Literal["a", 1, None], Literal[True, 0, -5], Literal["12", "0.5", "12.0"], Colour, Level, Shape, list[Colour]],
    *[Address, UserDict, Closed, Tree, list[Address], dict[str, Address], Address | None, Address | int],
    *[Cat, Cat | Dog, Pair, Point, list[Cat], typing.Mapping[str, int], typing.Sequence[int]],
    *[typing.AbstractSet[int], typing.Sequence[datetime.datetime]],
    *[datetime.date, datetime.datetime, datetime.time, datetime.timedelta, uuid.UUID, bytes],
    *[Annotated[int, msgspec.Meta(ge=0, lt=100)], Annotated[int, msgspec.Meta(gt=0, le=100)]],
    *[Annotated[int, msgspec.Meta(multiple_of=5)], Annotated[float, msgspec.Meta(multiple_of=0.1)]],
    *[Annotated[str, msgspec.Meta(min_length=1, max_length=2)], Annotated[str, msgspec.Meta(pattern="^a")]],
    *[Annotated[list[int], msgspec.Meta(max_length=1)], Annotated[set[int], msgspec.Meta(min_length=2)]],
    *[Annotated[dict[str, int], msgspec.Meta(min_length=1)], Annotated[int | None, msgspec.Meta(ge=0)]],
    *[Annotated[int, msgspec.Meta(ge=0)] | None, list[Annotated[int, msgspec.Meta(ge=0)]]],
    *[Annotated[Money, msgspec.Meta(le=100)], Annotated[Email, msgspec.Meta(pattern="^a", max_length=9)]],
    *[Annotated[datetime.datetime, msgspec.Meta(tz=True)], Annotated[datetime.datetime, msgspec.Meta(tz=False)]],
    *[Annotated[datetime.time, msgspec.Meta(tz=False)], Annotated[bytes, msgspec.Meta(max_length=2)]],
    *[SHORT, Annotated[int, "a note"]],
    *[Annotated[int | str, msgspec.Meta(ge=0)], Annotated[datetime.date | str, msgspec.Meta(max_length=2)]],
    *[Annotated[set[int], msgspec.Meta(max_length=1)], Annotated[Decimal, msgspec.Meta(gt=0, multiple_of=0.5)]],
]}
# fmt: on


# Why a schema accepts what is not taken: the exceptions of the docstring, each with the values that it excuses.


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def is_text(value: Any) -> bool:
    return isinstance(value, str)


EXCUSES: dict[str, Callable[[Any], bool]] = {
    "whole": lambda value: isinstance(value, float) and value.is_integer(),
    "digits": lambda value: is_text(value) and len(value) > 4300,
    "huge": lambda value: value in ("1e400", "9" * 4301) or (is_number(value) and abs(value) > 10**308),
    "exponent": lambda value: is_text(value) and "e" in value,
    "minus zero": lambda value: repr(value) == "-0.0",
    "limit of a text": is_text,
    "limit of a number": is_number,
    "limit of a set": lambda value: isinstance(value, list),
    "calendar": lambda value: value in ("2017-02-30", "2017-05-20T25:00:00Z", "25:00:00", "P99999999999D"),
    "format": is_text,
    "not hashable": lambda value: isinstance(value, list) or is_text(value),
    "number of an Enum": lambda value: is_text(value) or value == ["1"],
    "type of an Enum": lambda value: isinstance(value, list) or is_text(value),
    "inside": lambda value: isinstance(value, list) or is_text(value),
    "file": lambda value: is_text(value) or isinstance(value, list),
}

INTEGERS = [
    "int",
    "Integer",
    "NewType",
    *row_names(int | None, int | list[int], Address | int, Annotated[int, "a note"]),
]
# By row: what excuses the canonical schema, and what the schema of every form.
DIFFERENCES: dict[str, tuple[list[str], list[str]]] = {
    **dict.fromkeys(INTEGERS, (["whole"], ["whole", "digits"])),
    **dict.fromkeys(["float", "Float", *row_names(bool | float | None)], (["huge"], ["huge"])),
    **dict.fromkeys(["Money", *row_names(Money | None)], ([], ["exponent", "minus zero"])),
    **dict.fromkeys(row_names(list[Money]), ([], ["exponent"])),
    "Date": ([], ["calendar"]),
    "DateTime %j": (["format"], ["format"]),
    "UploadFile": (["file"], []),
}
for hints, canonical, every_form in [
    ([list[int], set[int], tuple[int, ...], list[list[int]], list[int | None]], "", "digits"),
    ([list[int | list[int]], list[int] | dict[str, int]], "", "digits"),
    ([set[list[int]]], "not hashable", "not hashable"),
    ([list[UploadFile]], "file", ""),
    ([typing.Sequence[datetime.datetime]], "inside", "inside"),
    ([Literal["a", 1, None], Literal[True, 0, -5], Level], "whole", "whole"),
    ([Colour, list[Colour]], "", "number of an Enum"),
    ([Shape], "", "type of an Enum"),
    ([datetime.datetime, datetime.time], "", "calendar"),
    ([datetime.timedelta], "calendar", "calendar"),
    ([Annotated[int, msgspec.Meta(ge=0, lt=100)], Annotated[int, msgspec.Meta(gt=0, le=100)]], *INTEGER_LIMIT),
    ([Annotated[int, msgspec.Meta(multiple_of=5)], Annotated[int | None, msgspec.Meta(ge=0)]], *INTEGER_LIMIT),
    ([Annotated[int, msgspec.Meta(ge=0)] | None], *INTEGER_LIMIT),
    ([list[Annotated[int, msgspec.Meta(ge=0)]]], "", "limit of a text"),
    ([Annotated[float, msgspec.Meta(multiple_of=0.1)]], "huge", "huge, limit of a text"),
    ([Annotated[str, msgspec.Meta(min_length=1, max_length=2)]], "", "limit of a number"),
    ([Annotated[str, msgspec.Meta(pattern="^a")]], "", "limit of a number"),
    ([Annotated[list[int], msgspec.Meta(max_length=1)]], "", "limit of a text"),
    ([Annotated[dict[str, int], msgspec.Meta(min_length=1)]], "", "limit of a text"),
    ([Annotated[set[int], msgspec.Meta(min_length=2)]], "", "limit of a text, limit of a set"),
    ([Annotated[set[int], msgspec.Meta(max_length=1)]], "", "limit of a text, limit of a set"),
    ([Annotated[Money, msgspec.Meta(le=100)]], "limit of a text", "limit of a text, minus zero"),
    ([Annotated[Decimal, msgspec.Meta(gt=0, multiple_of=0.5)]], "limit of a text", "limit of a text"),
    ([Annotated[datetime.datetime, msgspec.Meta(tz=True)]], "", "limit of a text"),
    ([Annotated[datetime.datetime, msgspec.Meta(tz=False)]], "", "limit of a text"),
    ([Annotated[datetime.time, msgspec.Meta(tz=False)]], "", "limit of a text"),
    ([Annotated[bytes, msgspec.Meta(max_length=2)]], "limit of a text", "limit of a text"),
    ([Annotated[int | str, msgspec.Meta(ge=0)]], "limit of a text", "limit of a text, limit of a number"),
    ([SHORT], "limit of a text, whole", "limit of a text, limit of a number"),
    ([Annotated[datetime.date | str, msgspec.Meta(max_length=2)]], "", "limit of a text, limit of a number"),
]:  # fmt: skip
    excuses = [[one for one in text.split(", ") if one] for text in (canonical, every_form)]
    DIFFERENCES.update((name, (excuses[0], excuses[1])) for name in row_names(*hints))


def check(differences: list[Any], excuses: list[str]) -> None:
    """Each difference has an excuse, and each excuse a difference."""
    unexcused = [written(value) for value in differences if not any(EXCUSES[one](value) for one in excuses)]
    idle = [one for one in excuses if not any(map(EXCUSES[one], differences))]
    assert (unexcused, idle) == ([], [])


def written(value: Any) -> str:
    return repr(value)[:60]


@pytest.mark.parametrize("row", ROWS)
def test_what_the_canonical_schema_accepts_is_taken(row):
    found = converter(ROWS[row])
    accepts = judge(found.schema())
    refused = [value for value in POOL if accepts(value) and not takes(found, value)]
    check(refused, DIFFERENCES.get(row, ([], []))[0])


@pytest.mark.parametrize("row", ROWS)
def test_what_is_taken_the_schema_of_every_form_accepts(row):
    found = converter(ROWS[row])
    accepts = judge(found.schema(every_form=True))
    assert [written(value) for value in POOL if takes(found, value) and not accepts(value)] == []
    beyond = [value for value in POOL if accepts(value) and not takes(found, value)]
    check(beyond, DIFFERENCES.get(row, ([], []))[1])


def test_differences_are_of_rows():
    assert DIFFERENCES.keys() <= ROWS.keys()


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("every_form", [False, True])
def test_schema_is_one(row, every_form):
    Draft202012Validator.check_schema(converter(ROWS[row]).schema(every_form))


# What the schemas look like


SCHEMAS = [
    (int, {"type": "integer"}),
    (Decimal, {"type": "string", "format": "decimal", "pattern": r"^-?[0-9]+(?:\.[0-9]+)?$"}),
    (Any, {}),
    (complex, {}),
    (datetime.date, {"type": "string", "format": "date"}),
    (bytes, {"type": "string", "contentEncoding": "base64"}),
    (DateTime, {"type": "string", "pattern": "^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]) "
                "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"}),
    (UploadFile, {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}),
    (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (int | str | None, {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}),
    (int | Any, {}),
    (list[int], {"type": "array", "items": {"type": "integer"}}),
    (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
    (tuple[int, str], {"type": "array", "minItems": 2, "maxItems": 2,
                       "prefixItems": [{"type": "integer"}, {"type": "string"}]}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Literal["a", 1], {"enum": ["a", 1]}),
    (Level, {"type": "integer", "enum": [1, 2], "description": "How loud."}),
    (Annotated[int, msgspec.Meta(ge=0, title="Age", description="in years", examples=[7])],
     {"type": "integer", "title": "Age", "description": "in years", "examples": [7], "minimum": 0}),
    (Annotated[list[int], msgspec.Meta(min_length=1)], {"type": "array", "items": {"type": "integer"}, "minItems": 1}),
    (Annotated[datetime.time, msgspec.Meta(tz=False)], {"type": "string", "format": "time-local", "pattern": "[0-9]$"}),
    (Closed, {"$ref": "#/$defs/Closed", "$defs": {"Closed": {
        "type": "object", "required": ["userId"], "additionalProperties": False,
        "properties": {"userId": {"type": "integer"}, "userName": {"type": "string", "default": "jack"}}}}}),
    (Address, {"$ref": "#/$defs/Address", "$defs": {"Address": {
        "description": "Where somebody lives.", "type": "object", "required": ["city"],
        "properties": {"city": {"type": "string", "description": "its name, as the post knows it"},
                       "zip": {"type": "integer", "default": 0}}}}}),
    (Tree, {"$ref": "#/$defs/Tree", "$defs": {"Tree": {
        "type": "object", "required": ["value"],
        "properties": {"value": {"type": "integer"},
                       "left": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}], "default": None},
                       "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}}}),
]  # fmt: skip


@pytest.mark.parametrize(("hint", "schema"), SCHEMAS)
def test_canonical_schema(hint, schema):
    assert converter(hint).schema() == schema


def test_schema_is_the_callers_to_change():
    schema = converter(bool | None).schema(every_form=True)
    schema["anyOf"][0]["type"] = "string"
    schema["anyOf"].clear()
    assert converter(bool | None).schema() == {"anyOf": [{"type": "boolean"}, {"type": "null"}]}


def other(name: str, **fields: Any) -> Any:
    """A record of a name, which another has as well."""
    return dataclasses.make_dataclass(name, fields.items())


def test_writer_shares_definitions_and_keeps_equal_names_apart():
    writer = SchemaWriter(place="#/components/schemas/")
    second, third = other("Address", street=str), other("Straße!", cat=Cat)
    references = [writer.schema(converter(hint)) for hint in (Address, second, third, Address, Cat, Cat | None)]
    names = ["Address", "Address_2", "Stra_e_", "Address", "Cat"]
    found = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    assert references == [*found, {"anyOf": [found[-1], {"type": "null"}]}]
    assert writer.definitions.keys() == set(names)
    assert writer.definitions["Stra_e_"]["properties"]["cat"] == {"$ref": "#/components/schemas/Cat"}
    assert writer.definitions["Address_2"]["required"] == ["street"]


@pytest.mark.parametrize(("given", "schema"), [({"type": "string"}, {"type": "string"}), (None, {})])
def test_registered_type(given, schema):
    class Name:
        pass

    register(Name, str, schema=given)
    try:
        assert converter(Name).schema() == converter(Name).schema(every_form=True) == schema
        assert converter(list[Name]).schema() == {"type": "array", "items": schema}
    finally:
        del converters._CONVERTERS[Name]
