import dataclasses
import datetime
import enum
import gc
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, TypedDict

import msgspec
import pytest

from apizen.call_plan import CallPlan, SignatureError
from apizen.exception import ApiException
from apizen.schema import converter
from apizen.schema import converters as schema
from apizen.schema.conversion import Converter


@dataclasses.dataclass
class Address:
    city: str
    zip: int = 0


@dataclasses.dataclass
class User:
    name: str
    age: int
    address: Address | None = None
    tags: list[str] = dataclasses.field(default_factory=list)


class UserDict(TypedDict):
    name: str
    age: int
    address: NotRequired[Address]


class Options(TypedDict, total=False):
    limit: int


class UserStruct(msgspec.Struct):
    name: str
    age: int
    address: Address | None = None


class Renamed(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
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


@dataclasses.dataclass
class Interval:
    start: int
    end: int

    def __post_init__(self) -> None:
        if self.start > self.end:
            raise ValueError("start is behind end")


@dataclasses.dataclass
class Tree:
    value: int
    left: "Tree | None" = None
    right: "Tree | None" = None
    children: list["Tree"] = dataclasses.field(default_factory=list)


class Colour(enum.Enum):
    RED = "red"
    TWO = 2
    HALF = 0.5


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Size(enum.StrEnum):
    SMALL = "s"


def bind(hint: Any, value: Any) -> Any:
    def function(value): ...

    function.__annotations__ = {"value": hint}
    return CallPlan.of(function).bind({"value": value}, {})[1]["value"]


def refusal(hint: Any, value: Any) -> tuple[int, int, str]:
    with pytest.raises(ApiException) as caught:
        bind(hint, value)
    return caught.value.err_code, caught.value.status_code, str(caught.value)


# Containers, unions and choices

TAKEN = [
    (list[int], '[1, "2"]', [1, 2]),
    (list[int], ["1", 2], [1, 2]),
    (list[int], [], []),
    (list[int], "5", [5]),
    (list[str], "a", ["a"]),
    (list[str], "", [""]),
    (list[str], "[1]", ["1"]),
    (list[list[int]], "[[1], [2, 3]]", [[1], [2, 3]]),
    (list[Any], "[null, true]", [None, True]),
    (set[int], '[1, "1", 2]', {1, 2}),
    (set[str], "a", {"a"}),
    (frozenset[str], ["a", "a"], frozenset({"a"})),
    (tuple[int, ...], "[1, 2]", (1, 2)),
    (tuple[int, ...], "7", (7,)),
    (tuple[int, str], '["1", 2]', (1, "2")),
    (tuple[()], "[]", ()),
    (dict[str, int], '{"a": "1"}', {"a": 1}),
    (dict[int, str], {"1": 2}, {1: "2"}),
    (dict[str, list[int]], '{"a": [1]}', {"a": [1]}),
    (dict[str, Any], '{"a": null}', {"a": None}),
    (int | None, "5", 5),
    (int | None, None, None),
    (str | None, "null", "null"),
    (list[int | None], "[1, null]", [1, None]),
    (int | str, "12", 12),
    (int | str, "x", "x"),
    (str | int, "12", "12"),
    (str | int, 12, 12),
    (int | float, 1.5, 1.5),
    (float | int, 1, 1),
    (int | bool, True, True),
    (int | bool, "true", True),
    (int | list[int], "[1]", [1]),
    (int | str | None, None, None),
    (bool | dict[str, int], '{"a": 1}', {"a": 1}),
    (Literal["a", 1, None], "a", "a"),
    (Literal["a", 1, None], "1", 1),
    (Literal["a", 1, None], 1, 1),
    (Literal["a", 1, None], None, None),
    (Literal[True], "yes", True),
    (Colour, "red", Colour.RED),
    (Colour, "2", Colour.TWO),
    (Colour, 2, Colour.TWO),
    (Colour, "0.5", Colour.HALF),
    (Level, "2", Level.HIGH),
    (Level, 1, Level.LOW),
    (Size, "s", Size.SMALL),
    (list[Colour], '["red", 2]', [Colour.RED, Colour.TWO]),
]


@pytest.mark.parametrize(("hint", "value", "expected"), TAKEN)
def test_taken(hint, value, expected):
    assert repr(bind(hint, value)) == repr(expected)


MISMATCHES = [
    (list[int], None, "value <list[int]>"),
    (list[int], {"a": 1}, "value <list[int]>"),
    (list[int], 5, "value <list[int]>"),
    (list[int], [1, "x"], "value[1] <int>"),
    (list[int], "x", "value[0] <int>"),
    (list[int], "", "value[0] <int>"),
    (list[int], "[1, 2.5]", "value[1] <int>"),
    (list[int], [None], "value[0] <int>"),
    (list[list[int]], [[1], [2, True]], "value[1][1] <int>"),
    (list[dict], [{}, []], "value[1] <dict>"),
    (set[int], ["x"], "value[0] <int>"),
    (set[list[int]], [[1]], "value <set[list[int]]>"),
    (set[dict], [{}], "value <set[dict]>"),
    (tuple[int, str], [1], "value <tuple[int, str]>"),
    (tuple[int, str], [1, "a", "b"], "value <tuple[int, str]>"),
    (tuple[int, str], ["x", "a"], "value[0] <int>"),
    (tuple[int, str], "{}", "value <tuple[int, str]>"),
    (tuple[int, ...], [1, "x"], "value[1] <int>"),
    (dict[str, int], [], "value <dict[str, int]>"),
    (dict[str, int], {"a": 1, "b": "x"}, "value['b'] <int>"),
    (dict[int, str], {"a": "x"}, "value['a'] <int>"),
    (dict[str, list[int]], {"a": [1, None]}, "value['a'][1] <int>"),
    (int | None, "null", "value <int>"),
    (int | None, "", "value <int>"),
    (list[int] | None, [None], "value[0] <int>"),
    (int | float, "x", "value <int | float>"),
    (int | float, None, "value <int | float>"),
    (int | bool, "x", "value <int | bool>"),
    (Literal["a", 1], "b", "value <'a' | 1>"),
    (Literal["a", 1], True, "value <'a' | 1>"),
    (Literal["a", 1], 1.0, "value <'a' | 1>"),
    (Literal["a", 1], None, "value <'a' | 1>"),
    (Literal["a", 1], [], "value <'a' | 1>"),
    (Colour, "green", "value <Colour: 'red' | 2 | 0.5>"),
    (Colour, "RED", "value <Colour: 'red' | 2 | 0.5>"),
    (Colour, None, "value <Colour: 'red' | 2 | 0.5>"),
    (Level, True, "value <Level: 1 | 2>"),
    (Level, "3", "value <Level: 1 | 2>"),
    (list[Level], [1, 3], "value[1] <Level: 1 | 2>"),
]


@pytest.mark.parametrize(("hint", "value", "where"), MISMATCHES)
def test_mismatch(hint, value, where):
    assert refusal(hint, value) == (1022, 400, f"参数类型错误：{where}")


NOT_JSON = [
    *[
        (hint, "{a", "value")
        for hint in (dict[str, int], tuple[int, str], User, UserDict, UserStruct, Cat, Pair, Point)
    ],
    *[(hint, "[1,", "value") for hint in (list[int], set[int], tuple[int, ...], list[int] | None, list[int] | dict)],
    (dict[str, int], "", "value"),
    (list[float], "[NaN]", "value"),
]

# Inside a document a text is a text, and no further document.
INSIDE = [
    (list[list[int]], ["[1]"], "value[0] <list[int]>"),
    (dict[str, dict], {"a": "{}"}, "value['a'] <dict>"),
    (list[User], ['{"name": "a", "age": 1}'], "value[0] <User>"),
    (User, {"name": "a", "age": 1, "address": "{}"}, "value.address <Address>"),
]


@pytest.mark.parametrize(("hint", "value", "where"), INSIDE)
def test_json_text_inside_json(hint, value, where):
    assert refusal(hint, value) == (1022, 400, f"参数类型错误：{where}")


@pytest.mark.parametrize(("hint", "value", "where"), NOT_JSON)
def test_text_that_is_no_json(hint, value, where):
    assert refusal(hint, value) == (1021, 400, f"无效的json格式，{where}")


@pytest.mark.parametrize("hint", [list[int] | int, int | dict[str, int], User | int])
def test_union_with_a_plain_type_is_a_mismatch(hint):
    assert refusal(hint, "[") == (1022, 400, f"参数类型错误：value <{converter(hint).name}>")


class Counted:
    """A type that takes nothing and counts how often it is asked."""

    asked = 0

    @classmethod
    def parse(cls, value: Any) -> Any:
        cls.asked += 1
        raise ValueError(value)


@pytest.fixture
def counted() -> Iterator[None]:
    Counted.asked = 0
    schema.register(Counted, Counted.parse)
    yield
    del schema._CONVERTERS[Counted]


DEEP = {
    "list": (lambda hint: list[hint], lambda value: [value], "[0]"),
    "tuple": (lambda hint: tuple[hint, ...], lambda value: [value], "[0]"),
    "pair": (lambda hint: tuple[int, hint], lambda value: [1, value], "[1]"),
    "dict": (lambda hint: dict[str, hint], lambda value: {"a": value}, "['a']"),
    "optional": (lambda hint: list[hint | None], lambda value: [value], "[0]"),
}


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(("wrap_hint", "wrap_value", "step"), DEEP.values(), ids=DEEP)
def test_mismatch_deep_inside_costs_no_more_than_one_look_per_level(wrap_hint, wrap_value, step):
    hint, value = Counted, "x"
    for _ in range(12):
        hint, value = wrap_hint(hint), wrap_value(value)
    assert refusal(hint, value)[2] == f"参数类型错误：value{step * 12} <Counted>"
    assert Counted.asked <= 13


@dataclasses.dataclass
class Left:
    leaf: Counted | None = None
    child: "Left | Right | None" = None


@dataclasses.dataclass
class Right(Left):
    pass


@pytest.mark.usefixtures("counted")
def test_union_of_records_is_no_way_to_keep_the_server_busy():
    value: dict[str, Any] = {"leaf": "x"}
    for _ in range(12):
        value = {"child": value}
    with pytest.raises((ApiException, SignatureError)):
        bind(Left, value)
    assert Counted.asked < 100


# Records

RECORDS = [
    (User, User("jack", 19)),
    (UserDict, {"name": "jack", "age": 19}),
    (UserStruct, UserStruct("jack", 19)),
]


@pytest.mark.parametrize(("hint", "expected"), RECORDS)
@pytest.mark.parametrize("value", [{"name": "jack", "age": "19", "more": [1]}, '{"name": "jack", "age": 19}'])
def test_record(hint, expected, value):
    assert bind(hint, value) == expected


@pytest.mark.parametrize("hint", [User, UserDict, UserStruct])
@pytest.mark.parametrize("value", [[], "[]", "null", "5", 5, True, None])
def test_record_of_another_shape(hint, value):
    assert refusal(hint, value) == (1022, 400, f"参数类型错误：value <{hint.__name__}>")


USERS = {"name": "a", "age": 1, "address": {"city": "b"}}


@pytest.mark.parametrize("hint", [User, UserDict, UserStruct])
@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"age": "x"}, "users[2].age <int>"),
        ({"age": None}, "users[2].age <int>"),
        ({"name": True}, "users[2].name <str>"),
        ({"address": 5}, "users[2].address <Address>"),
        ({"address": {"city": []}}, "users[2].address.city <str>"),
        ({"address": {"city": "b", "zip": "1.5"}}, "users[2].address.zip <int>"),
    ],
)
def test_record_nested_mismatch(hint, change, where):
    def function(users): ...

    function.__annotations__ = {"users": list[hint]}
    with pytest.raises(ApiException) as caught:
        CallPlan.of(function).bind({"users": [USERS, USERS, {**USERS, **change}]}, {})
    assert (caught.value.err_code, str(caught.value)) == (1022, f"参数类型错误：{where}")


@pytest.mark.parametrize("hint", [User, UserDict, UserStruct])
@pytest.mark.parametrize(
    ("value", "where"),
    [
        ([{}], "value[0].name"),
        ([USERS, {"name": "a"}], "value[1].age"),
        ('[{"name": "a", "age": 1, "address": {}}]', "value[0].address.city"),
    ],
)
def test_record_nested_missing(hint, value, where):
    assert refusal(list[hint], value) == (1018, 400, f"缺少方法所需参数:{where}")


def test_record_reports_the_first_field_in_its_order():
    assert refusal(User, {"age": "x"}) == (1018, 400, "缺少方法所需参数:value.name")
    assert refusal(User, {"name": None}) == (1022, 400, "参数类型错误：value.name <str>")


def test_record_inside_a_dict():
    assert refusal(dict[str, User], {"a": {"name": "b"}}) == (1018, 400, "缺少方法所需参数:value['a'].age")


def test_record_defaults_are_fresh():
    first, second = bind(list[User], [{"name": "a", "age": 1}] * 2)
    assert (first.tags, first.address) == ([], None)
    assert first.tags is not second.tags


def test_record_optional():
    assert bind(User | None, None) is None
    assert refusal(User | None, {"name": "a"}) == (1018, 400, "缺少方法所需参数:value.age")


def test_record_with_null_where_the_field_is_optional():
    assert bind(User, {"name": "a", "age": 1, "address": None}) == User("a", 1, None)
    assert refusal(UserDict, {"name": "a", "age": 1, "address": None})[2] == "参数类型错误：value.address <Address>"


@pytest.mark.parametrize(("value", "expected"), [({}, {}), ({"limit": "5"}, {"limit": 5}), ("{}", {})])
def test_typed_dict_that_is_not_total(value, expected):
    assert bind(Options, value) == expected


def test_struct_renamed():
    assert bind(Renamed, {"userId": "1", "userName": "tom"}) == Renamed(1, "tom")
    assert refusal(Renamed, {"user_id": 1}) == (1018, 400, "缺少方法所需参数:value.userId")
    assert refusal(Renamed, {"userId": "x"}) == (1022, 400, "参数类型错误：value.userId <int>")


def test_struct_that_forbids_unknown_fields():
    assert refusal(Renamed, {"userId": 1, "more": 2}) == (1022, 400, "参数类型错误：value.more <not a field>")


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (Cat, {"type": "cat", "lives": 9}, Cat(9)),
        (Cat | Dog, '{"type": "dog", "name": "rex"}', Dog("rex")),
        (Pair, '[1, "a"]', Pair(1, "a")),
        (Point, "[1, 2]", Point(1, 2)),
        (list[Cat | Dog], [{"type": "cat", "lives": 9}], [Cat(9)]),
    ],
)
def test_record_by_msgspec(hint, value, expected):
    assert bind(hint, value) == expected


@pytest.mark.parametrize(
    ("hint", "value", "name"),
    [
        (Cat, {"type": "dog", "lives": 9}, "Cat"),
        (Cat | Dog, {"type": "cow"}, "Cat | Dog"),
        (Pair, {"left": 1}, "Pair"),
        (Pair, [1], "Pair"),
        (Point, "{}", "Point"),
    ],
)
def test_record_by_msgspec_mismatch(hint, value, name):
    assert refusal(hint, value) == (1022, 400, f"参数类型错误：value <{name}>")


def test_dataclass_that_checks_itself():
    assert bind(Interval, {"start": 1, "end": 2}) == Interval(1, 2)
    assert refusal(Interval, {"start": 2, "end": 1}) == (1022, 400, "参数类型错误：value <Interval>")
    assert refusal(list[Interval], [{"start": 2, "end": 1}]) == (1022, 400, "参数类型错误：value[0] <Interval>")


# Recursive records


def nested(depth: int, innermost: Any = 0) -> dict[str, Any]:
    tree: dict[str, Any] = {"value": innermost}
    for _ in range(depth):
        tree = {"value": 0, "left": tree}
    return tree


@pytest.mark.parametrize("as_text", [False, True])
def test_recursive_record(as_text):
    value = {"value": 1, "left": {"value": "2", "right": {"value": 3}}, "children": [{"value": 4}]}
    expected = Tree(1, Tree(2, None, Tree(3)), None, [Tree(4)])
    assert bind(Tree, json.dumps(value) if as_text else value) == expected


def test_recursive_record_as_deep_as_json_may_be():
    tree = bind(Tree, json.dumps(nested(99, "7")))
    for _ in range(99):
        tree = tree.left
    assert tree == Tree(7)
    assert refusal(Tree, nested(99, "x"))[2] == f"参数类型错误：value{'.left' * 99}.value <int>"
    assert refusal(Tree, json.dumps(nested(100)))[:2] == (1021, 400)


def converters() -> int:
    return sum(type(found) is Converter for found in gc.get_objects())


def test_recursive_record_is_compiled_once():
    convert = converter(Tree).convert
    convert({"value": 0, "left": {"value": 0}, "right": {"value": 0}, "children": [{"value": 0}]})
    once = converters()
    convert(nested(50))
    convert({"value": 0, "children": [{"value": 0, "children": [{"value": 0, "right": {"value": 0}}]}]})
    assert converters() == once


@pytest.mark.parametrize("hint", ["NoSuchType", Annotated[str, msgspec.Meta(ge=0)]])
def test_record_with_a_field_that_cannot_be_read_is_refused_at_once(hint):
    record = dataclasses.make_dataclass("Record", [("field", hint)])

    def function(value): ...

    function.__annotations__ = {"value": list[record]}
    with pytest.raises(SignatureError, match=r"^parameter value: its type hint list\[.*Record\] can't be read: "):
        CallPlan.of(function)


@dataclasses.dataclass
class Parent:
    child: "Child | None" = None
    broken: Annotated[str, msgspec.Meta(ge=0)] = ""


@dataclasses.dataclass
class Child:
    parent: Parent | None = None


def test_record_that_refers_to_one_that_cannot_be_read():
    def function(value): ...

    for hint in (Parent, Child, Parent):
        function.__annotations__ = {"value": hint}
        with pytest.raises(SignatureError, match=r"^parameter value: .* can't be read: "):
            CallPlan.of(function)


# Constraints

CONSTRAINTS = [
    (Annotated[int, msgspec.Meta(ge=0)], "0", 0, "-1", "int ge=0"),
    (Annotated[int, msgspec.Meta(gt=0, lt=10)], "9", 9, "10", "int gt=0 lt=10"),
    (Annotated[int, msgspec.Meta(le=5)], 5, 5, 6, "int le=5"),
    (Annotated[int, msgspec.Meta(multiple_of=5)], "10", 10, "11", "int multiple_of=5"),
    (Annotated[int, msgspec.Meta(ge=0)], 10**30, 10**30, "x", "int ge=0"),
    (Annotated[int, msgspec.Meta(ge=0)], "9" * 4300, int("9" * 4300), "9" * 4301, "int ge=0"),
    (Annotated[float, msgspec.Meta(ge=0)], "0.5", 0.5, "-0.5", "float ge=0"),
    (Annotated[str, msgspec.Meta(max_length=2)], "ab", "ab", "abc", "str max_length=2"),
    (Annotated[str, msgspec.Meta(min_length=1)], " ", " ", "", "str min_length=1"),
    (Annotated[str, msgspec.Meta(pattern="^a+$")], "aa", "aa", "b", "str pattern=^a+$"),
    (Annotated[list[int], msgspec.Meta(max_length=1)], "[1]", [1], "[1, 2]", "list[int] max_length=1"),
    (Annotated[dict[str, int], msgspec.Meta(min_length=1)], '{"a": 1}', {"a": 1}, "{}", "dict[str, int] min_length=1"),
    (Annotated[int, "a note", msgspec.Meta(title="Age"), msgspec.Meta(ge=0)], "1", 1, "-1", "int ge=0"),
    (Annotated[int, msgspec.Meta(ge=0)] | None, None, None, "-1", "int ge=0"),
    (Annotated[int | None, msgspec.Meta(ge=0)], None, None, "-1", "int ge=0"),
    (
        Annotated[int | str, msgspec.Meta(ge=0), msgspec.Meta(max_length=2)],
        "ab",
        "ab",
        "abc",
        "int | str ge=0 max_length=2",
    ),
    (Annotated[Decimal, msgspec.Meta(ge=0)], "1e40", Decimal("1E+40"), "-0.1", "Decimal ge=0"),
    (Annotated[Decimal, msgspec.Meta(multiple_of=5)], "10.0", Decimal("10.0"), "11", "Decimal multiple_of=5"),
    (Annotated[NewType("Age", int), msgspec.Meta(ge=0)], "1", 1, "-1", "int ge=0"),
    (Annotated[bytes, msgspec.Meta(max_length=2)], "aGk=", b"hi", "aGk5", "bytes max_length=2"),
]


@pytest.mark.parametrize(("hint", "good", "expected", "bad", "name"), CONSTRAINTS)
def test_constraint(hint, good, expected, bad, name):
    assert bind(hint, good) == expected
    assert refusal(hint, bad) == (1022, 400, f"参数类型错误：value <{name}>")


def test_constraint_inside():
    hint = dict[str, list[Annotated[int, msgspec.Meta(ge=0)]]]
    assert refusal(hint, {"a": [1, -1]}) == (1022, 400, "参数类型错误：value['a'][1] <int ge=0>")


@pytest.mark.parametrize("hint", [Annotated[int, "a note"], Annotated[int, msgspec.Meta(description="years")]])
def test_annotation_that_is_no_constraint(hint):
    assert bind(hint, "5") == 5
    assert refusal(hint, "x") == (1022, 400, "参数类型错误：value <int>")


@pytest.mark.parametrize("zone", ["", "+08:00"])
def test_constraint_on_the_zone_of_a_datetime(zone):
    hint = Annotated[datetime.datetime, msgspec.Meta(tz=bool(zone))]
    good, bad = f"2017-05-20T12:00:00{zone}", f"2017-05-20T12:00:00{'' if zone else 'Z'}"
    assert bind(hint, good).isoformat() == good
    assert refusal(hint, bad)[0] == 1022


# What msgspec converts

UTC = datetime.UTC

BY_MSGSPEC = [
    (datetime.date, "2017-05-20", datetime.date(2017, 5, 20)),
    (datetime.datetime, "2017-05-20T12:00:00Z", datetime.datetime(2017, 5, 20, 12, tzinfo=UTC)),
    (datetime.datetime, "2017-05-20T12:00:00", datetime.datetime(2017, 5, 20, 12)),  # noqa: DTZ001
    (datetime.time, "12:30:00", datetime.time(12, 30)),
    (datetime.timedelta, "P1DT2S", datetime.timedelta(days=1, seconds=2)),
    (uuid.UUID, "00000000-0000-0000-0000-000000000005", uuid.UUID(int=5)),
    (bytes, "aGk=", b"hi"),
    (list[datetime.date], '["2017-05-20"]', [datetime.date(2017, 5, 20)]),
    (Decimal, "1.50", Decimal("1.50")),
    (None, None, None),
]


@pytest.mark.parametrize(("hint", "value", "expected"), BY_MSGSPEC)
def test_by_msgspec(hint, value, expected):
    assert repr(bind(hint, value)) == repr(expected)


@pytest.mark.parametrize(
    ("hint", "name", "values"),
    [
        (datetime.date, "date", ["", "2017-13-01", "0000-01-01", "20170520", 5, None, [], {}]),
        (
            datetime.datetime,
            "datetime",
            ["", "2017-05-20", "2017-05-20T25:00:00Z", "2017-05-20T12:00:00+99:00", 5, None],
        ),
        (datetime.time, "time", ["", "25:00:00", 5, None]),
        (datetime.timedelta, "timedelta", ["", "1 day", "P99999999999D", 5, 1.5, None]),
        (uuid.UUID, "UUID", ["", "x", "0" * 31, 5, None]),
        (bytes, "bytes", ["@", "abc", 5, None, []]),
        (None, "NoneType", ["", "null", 0, False]),
    ],
)
def test_by_msgspec_mismatch(hint, name, values):
    for value in values:
        assert refusal(hint, value) == (1022, 400, f"参数类型错误：value <{name}>")
