import datetime
import json
import typing
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Optional, Union

import msgspec
import pytest

import apizen
from apizen.call_plan import CallPlan, SignatureError
from apizen.exception import ApiException
from apizen.schema import (
    AS_IT_CAME,
    Bool,
    Date,
    DateTime,
    Dict,
    Email,
    Float,
    Integer,
    List,
    Money,
    String,
    UploadFile,
    converter,
    register,
)
from apizen.schema import converters as schema

AVATAR = UploadFile("a.png", "image/png", b"\x89PNG")


def plan_of(hint: Any, **default: Any) -> CallPlan:
    def function(value): ...

    function.__annotations__ = {"value": hint}
    function.__defaults__ = tuple(default.values()) or None
    return CallPlan.of(function)


def bind(hint: Any, value: Any) -> Any:
    return plan_of(hint).bind({"value": value}, {})[1]["value"]


def refusal(hint: Any, value: Any) -> tuple[int, int, str]:
    with pytest.raises(ApiException) as caught:
        bind(hint, value)
    return caught.value.err_code, caught.value.status_code, str(caught.value)


# Named types

NAMED = [
    ("Integer", Integer, " 12 ", 12),
    ("Integer", Integer, 12, 12),
    ("String", String, " a ", " a "),
    ("String", String, 12, "12"),
    ("Float", Float, "1e3", 1000.0),
    ("Float", Float, 1.5, 1.5),
    ("Bool", Bool, "是", True),
    ("Bool", Bool, False, False),
    ("List", List, '[1, "a"]', [1, "a"]),
    ("List", List, [1], [1]),
    ("Dict", Dict, '{"a": 1}', {"a": 1}),
    ("Dict", Dict, {"a": 1}, {"a": 1}),
    ("Date", Date, "2017-05-20", datetime.date(2017, 5, 20)),
    ("Date", Date("%d.%m.%Y"), "20.05.2017", datetime.date(2017, 5, 20)),
    ("DateTime", DateTime, "2017-05-20 12:00:01", datetime.datetime(2017, 5, 20, 12, 0, 1)),  # noqa: DTZ001
    ("DateTime", DateTime("%Y/%m/%d %H:%M"), "2017/05/20 12:30", datetime.datetime(2017, 5, 20, 12, 30)),  # noqa: DTZ001
    ("Email", Email, "name@example.com", "name@example.com"),
    ("Email", Email, "a.b+c@mail.example.co.uk", "a.b+c@mail.example.co.uk"),
    ("Money", Money, "12", Decimal("12.00")),
    ("Money", Money, "12.5", Decimal("12.50")),
    ("Money", Money, "12.50", Decimal("12.50")),
    ("Money", Money, 12, Decimal("12.00")),
    ("Money", Money, 12.5, Decimal("12.50")),
    ("Money", Money, "0", Decimal("0.00")),
    ("Money", Money, "9" * 24 + ".99", Decimal("9" * 24 + ".99")),
]


@pytest.mark.parametrize(("name", "hint", "value", "expected"), NAMED)
def test_named_type(name, hint, value, expected):
    assert repr(bind(hint, value)) == repr(expected)
    assert (repr(hint), converter(hint).name) == (name, name)


NAMED_REFUSED = [
    *[(Integer, "Integer", value) for value in ("12.2", "", True, 12.0, None)],
    *[(String, "String", value) for value in (True, None, [], {})],
    *[(Float, "Float", value) for value in ("nan", "inf", "1e400", "", True, None)],
    *[(Bool, "Bool", value) for value in ("", "2", 1, None)],
    *[(List, "List", value) for value in ("{}", {}, None, 5)],
    *[(Dict, "Dict", value) for value in ("[]", [], None, 5)],
    *[
        (Date, "Date", value)
        for value in ("", "2017-13-01", "2017-02-29", "20.05.2017", "2017-05-20 12:00:00", 5, None)
    ],
    *[(Date("%d.%m.%Y"), "Date", value) for value in ("2017-05-20", "")],
    *[(DateTime, "DateTime", value) for value in ("2017-05-20", "2017-05-20 25:00:00", "2017-05-20T12:00:00", 5, None)],
    *[(DateTime("%H:%M"), "DateTime", value) for value in ("12", "12:60")],
    *[(Email, "Email", value) for value in ("", "a", "a@", "@b.c", "a@b", "a b@c.de", "a@b@c.de", "a@b.c\n", 5, None)],
    *[(Email, "Email", value) for value in ("a" * 65 + "@b.de", "a@" + "b" * 254 + ".de", "a@b..de", "a\x00@b.de")],
    *[(Money, "Money", value) for value in ("-1", "12.505", "1e30", "1e400", "1e-400", "nan", "", 0.001, True, None)],
    (Money, "Money", Decimal("1E+1000000")),
]


@pytest.mark.parametrize(("hint", "name", "value"), NAMED_REFUSED)
def test_named_type_refused(hint, name, value):
    assert refusal(hint, value) == (1022, 400, f"参数类型错误：value <{name}>")


@pytest.mark.parametrize("hint", [List, Dict])
def test_named_type_text_that_is_no_json(hint):
    assert refusal(hint, "[1,") == (1021, 400, "无效的json格式，value")


@pytest.mark.parametrize("hint", [List, List | None, list, list[int], tuple, tuple[int, ...], set[int]])
def test_repeated_key_is_a_list_for_a_list_hint(hint):
    _, named = plan_of(hint).bind({"value": "2"}, {"value": ["1", "2"]})
    assert sorted(map(int, named["value"])) == [1, 2]


LAST_COUNTS = [
    (Integer, 2),
    (int, 2),
    (str, "2"),
    (Money, Decimal("2.00")),
    (int | None, 2),
    (int | str, 2),
    (Any, "2"),
]


@pytest.mark.parametrize(("hint", "last"), LAST_COUNTS)
def test_repeated_key_is_the_last_for_other_hints(hint, last):
    assert plan_of(hint).bind({"value": "2"}, {"value": ["1", "2"]}) == ([], {"value": last})


OPTIONAL = [Money | None, None | Money, Optional[Money], Union[None, Money]]  # noqa: UP007, UP045


@pytest.mark.parametrize("hint", OPTIONAL)
def test_optional_named_type(hint):
    assert bind(hint, None) is None
    assert bind(hint, "1.5") == Decimal("1.50")
    assert refusal(hint, "-1") == (1022, 400, "参数类型错误：value <Money>")
    assert refusal(hint, "null") == (1022, 400, "参数类型错误：value <Money>")


def test_named_type_with_default_none_takes_null():
    assert plan_of(Date, default=None).bind({"value": None}, {}) == ([], {"value": None})


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (list[Money], '[1.2, "3"]', [Decimal("1.20"), Decimal("3.00")]),
        (dict[str, Integer], {"a": "1"}, {"a": 1}),
        (Money | str, "free", "free"),
        (str | Money, "1.5", "1.5"),
        (Integer | Email, "a@b.de", "a@b.de"),
    ],
)
def test_named_type_inside_another_hint(hint, value, expected):
    assert repr(bind(hint, value)) == repr(expected)


@pytest.mark.parametrize(
    ("hint", "value", "where"),
    [
        (list[Money], ["1", "-1"], "value[1] <Money>"),
        (dict[str, Email], {"a": "b"}, "value['a'] <Email>"),
        (tuple[Date, Date], ["2017-05-20", "x"], "value[1] <Date>"),
        (Money | Date, "x", "value <Money | Date>"),
    ],
)
def test_named_type_inside_another_hint_refused(hint, value, where):
    assert refusal(hint, value) == (1022, 400, f"参数类型错误：{where}")


CONSTRAINED = [
    (Annotated[Integer, msgspec.Meta(ge=0)], "5", 5, "-1"),
    (Annotated[Float, msgspec.Meta(lt=2)], "1.5", 1.5, "2"),
    (Annotated[String, msgspec.Meta(max_length=2)], "ab", "ab", "abc"),
    (Annotated[List, msgspec.Meta(max_length=1)], "[1]", [1], "[1, 2]"),
]


@pytest.mark.parametrize(("hint", "good", "expected", "bad"), CONSTRAINED)
def test_named_type_with_a_constraint(hint, good, expected, bad):
    assert bind(hint, good) == expected
    assert refusal(hint, bad)[0] == 1022


@pytest.mark.parametrize("hint", [Annotated[Money, msgspec.Meta(le=100)], Annotated[Decimal, msgspec.Meta(le=100)]])
def test_decimal_with_a_constraint_is_checked_or_refused_at_once(hint):
    try:
        plan_of(hint)
    except SignatureError as error:
        assert str(error).startswith("parameter value: its type hint ")  # noqa: PT017
    else:
        assert bind(hint, "100") == 100
        assert refusal(hint, "100.01")[0] == 1022


def test_named_type_called():
    assert Money("1.5") == Decimal("1.50")
    assert Integer(" 7 ") == 7


# Plain types


@pytest.mark.parametrize("hint", [Any, object, complex, range, typing.Iterator[int], type, ...])
@pytest.mark.parametrize("value", ["[1]", "", 5, 1.5, True, None, [1], {"a": None}])
def test_hint_that_nothing_converts(hint, value):
    assert bind(hint, value) is value


OTHER_SPELLINGS = [
    (typing.List, "[1]", [1]),  # noqa: UP006
    (typing.Dict, '{"a": 1}', {"a": 1}),  # noqa: UP006
    (typing.Tuple, "[1]", (1,)),  # noqa: UP006
    (typing.List[int], '["1"]', [1]),  # noqa: UP006
    (typing.Dict[str, int], '{"a": "1"}', {"a": 1}),  # noqa: UP006
    (typing.Tuple[int, ...], '["1"]', (1,)),  # noqa: UP006
    (typing.Optional[int], "1", 1),  # noqa: UP045
    (typing.NewType("UserId", int), "12", 12),
]


@pytest.mark.parametrize(("hint", "value", "expected"), OTHER_SPELLINGS)
def test_other_spelling_of_a_hint(hint, value, expected):
    assert bind(hint, value) == expected


def test_no_hint_is_as_it_came():
    assert CallPlan.of(lambda value: value).bind({"value": [None]}, {}) == ([], {"value": [None]})
    assert AS_IT_CAME.nullable


# Files


def test_upload_file_is_the_packages():
    assert apizen.UploadFile is UploadFile
    assert AVATAR._asdict() == {"name": "a.png", "content_type": "image/png", "body": b"\x89PNG"}


@pytest.mark.parametrize("hint", [UploadFile, UploadFile | None, str | UploadFile, Any])
def test_upload_file(hint):
    assert bind(hint, AVATAR) is AVATAR


@pytest.mark.parametrize("value", ["", "a.png", None, 5, ["a.png", "image/png", "aGk="], {"name": "a"}])
def test_upload_file_refused(value):
    assert refusal(UploadFile, value) == (1022, 400, "参数类型错误：value <UploadFile>")


@pytest.mark.parametrize("hint", [int, str, float, bool, list, dict, tuple, Money, datetime.date, Decimal])
def test_file_where_another_type_is_wanted(hint):
    name = converter(hint).name
    assert refusal(hint, AVATAR) == (1022, 400, f"参数类型错误：value <{name}>")


def test_upload_files():
    plan = plan_of(list[UploadFile])
    assert plan.bind({"value": AVATAR}, {"value": [AVATAR, AVATAR]}) == ([], {"value": [AVATAR, AVATAR]})
    assert refusal(list[UploadFile], ["x"]) == (1022, 400, "参数类型错误：value[0] <UploadFile>")


# Registered types


class Colour:
    def __init__(self, red: int, green: int, blue: int) -> None:
        self.parts = red, green, blue

    @classmethod
    def parse(cls, value: Any) -> "Colour":
        if not isinstance(value, str) or not value.startswith("#"):
            raise ValueError(f"{value!r} is no colour")
        return cls(*bytes.fromhex(value[1:]))


@pytest.fixture
def colour() -> Iterator[None]:
    register(Colour, Colour.parse)
    yield
    del schema._CONVERTERS[Colour]


@pytest.mark.usefixtures("colour")
def test_register():
    assert bind(Colour, "#010203").parts == (1, 2, 3)
    assert [one.parts for one in bind(list[Colour], '["#010203"]')] == [(1, 2, 3)]
    assert bind(Colour | None, None) is None


@pytest.mark.usefixtures("colour")
@pytest.mark.parametrize("value", ["red", "#xyz", 5, None])
def test_register_refused(value):
    assert refusal(Colour, value) == (1022, 400, "参数类型错误：value <Colour>")


@pytest.mark.usefixtures("colour")
def test_register_twice():
    with pytest.raises(ValueError, match=r"Colour'> has a converter already$"):
        register(Colour, Colour.parse)


def test_register_what_is_there():
    with pytest.raises(ValueError, match=r"^<class 'int'> has a converter already$"):
        register(int, float)


def test_register_with_a_name():
    register(Colour, Colour.parse, name="Farbe")
    try:
        assert refusal(Colour, "red") == (1022, 400, "参数类型错误：value <Farbe>")
    finally:
        del schema._CONVERTERS[Colour]


def test_unregistered_type_is_as_it_came():
    assert bind(Colour, "#010203") == "#010203"


def test_register_after_the_function_is_compiled_changes_nothing():
    plan = plan_of(Colour)
    register(Colour, Colour.parse)
    try:
        assert plan.bind({"value": "red"}, {}) == ([], {"value": "red"})
    finally:
        del schema._CONVERTERS[Colour]


# Hints that can't be checked are the developer's mistake, found when the function is registered

CANNOT_BE_CHECKED = [
    Annotated[str, msgspec.Meta(ge=0)],
    Annotated[bool, msgspec.Meta(ge=0)],
    list[Annotated[str, msgspec.Meta(ge=0)]],
]


@pytest.mark.parametrize("hint", CANNOT_BE_CHECKED)
def test_constraint_that_cannot_be_checked(hint):
    with pytest.raises(SignatureError, match=r"^parameter value: its type hint .* can't be read: "):
        plan_of(hint)


@pytest.mark.parametrize("hint", [5, True, "", b"int", (int, str), [int], {"a": int}])
def test_hint_that_is_no_type(hint):
    with pytest.raises(SignatureError, match=r"^parameter value: its type hint .* can't be read: "):
        plan_of(hint)


def test_json_never_makes_a_file():
    body = json.loads('{"name": "a", "content_type": "b", "body": "aGk="}')
    assert refusal(UploadFile | None, body) == (1022, 400, "参数类型错误：value <UploadFile>")
