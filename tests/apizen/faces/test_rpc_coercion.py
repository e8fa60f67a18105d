"""What each hint takes from a query string, a form and a JSON body, and what it answers to the rest.

A row of the table is a hint, a value as it is sent, and the argument that the function gets, or the error.
The function answers with the repr of its argument, so that 12, 12.0 and "12" are told apart.
"""

import dataclasses
import datetime
import enum
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apizen import ApiMethodBase, UploadFile, version
from apizen.faces.rpc import Gateway
from apizen.multipart import parse_multipart
from apizen.pipeline import Pipeline
from apizen.request import Request, Response
from apizen.runner import Runner
from apizen.schema import Bool, Date, DateTime, Dict, Email, Float, Integer, List, Money, String
from apizen.version import Registry

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
GOOD = "v=1.0&method=f"


@dataclasses.dataclass
class User:
    name: str
    age: int = 19


class UserDict(TypedDict):
    name: str
    age: int


class UserStruct(msgspec.Struct):
    name: str
    age: int = 19


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


def gateway_of(function: Callable[..., Any], **entry: Any) -> Gateway:
    """A gateway with one method, ``f`` of version 1.0."""
    registry = Registry()
    table = {"f": {"func": function, "run": "inline", **entry}}
    methods = type(ApiMethodBase)("Methods", (ApiMethodBase,), {"__module__": "elsewhere", "api_methods": table})
    version("1.0", registry=registry)(methods)
    catalogue = registry.catalogue()
    assert catalogue.problems == ()
    return Gateway(catalogue, Pipeline(Runner(2, 10, 2)), multipart=parse_multipart)


def gateway_for(hint: Any, *default: Any) -> Gateway:
    def function(value): return repr(value)  # fmt: skip

    function.__annotations__ = {"value": hint}
    function.__defaults__ = default or None
    return gateway_of(function)


def ask(gateway: Gateway, query: str = "", body: bytes = b"", content_type: str = JSON) -> Response:
    headers = {"Content-Type": content_type} if body else {}
    response = gateway.handle(Request("POST" if body else "GET", f"{GOOD}&{query}", headers, body))
    assert isinstance(response, Response)
    return response


def send(gateway: Gateway, source: str, value: str) -> Response:
    """Sends the value as the parameter ``value``; the value of a JSON body is written as JSON."""
    if source == "query":
        return ask(gateway, urlencode({"value": value}))
    if source == "form":
        return ask(gateway, "", urlencode({"value": value}).encode(), FORM)
    return ask(gateway, "", b'{"value": %b}' % value.encode())


def envelope(response: Response) -> tuple[int, dict[str, Any]]:
    return response.status, json.loads(response.body)


class Error(NamedTuple):
    code: int
    message: str


def not_a(name: str) -> Error:
    return Error(1022, f"参数类型错误：value <{name}>")


NOT_JSON = Error(1021, "无效的json格式，value")
INT, FLOAT, STR, BOOL = not_a("int"), not_a("float"), not_a("str"), not_a("bool")
LIST, DICT, TUPLE, DECIMAL = not_a("list"), not_a("dict"), not_a("tuple"), not_a("Decimal")
HUGE = "9" * 4300

# Text: in a query string, in a form, and as a string in JSON.
TEXT_TABLE: list[tuple[Any, str, Any]] = [
    (int, "12", 12),
    (int, " 12 ", 12),
    (int, "\t12\r\n", 12),
    (int, "+12", 12),
    (int, "-5", -5),
    (int, "007", 7),
    (int, "0", 0),
    (int, str(2**70), 2**70),
    (int, HUGE, int(HUGE)),
    (int, f"-{HUGE}", -int(HUGE)),
    *[
        (int, text, INT)
        for text in ("12.2", "12.0", "1e3", "1_000", "", " ", "null", "true", "0x10", "12a", "1 2", "٣")
    ],
    *[(int, text, INT) for text in ("１２", "\u00a012", "12\x00", "--1", "Infinity", "[1]", HUGE + "9")],
    (float, "1.5", 1.5),
    (float, " 1.5 ", 1.5),
    (float, "12", 12.0),
    (float, "1e3", 1000.0),
    (float, "-1E-3", -0.001),
    (float, ".5", 0.5),
    *[
        (float, text, FLOAT)
        for text in ("nan", "NaN", "inf", "-inf", "Infinity", "1e400", "-1e400", "true", "", " ", "null")
    ],
    *[(float, text, FLOAT) for text in ("1_0", "1,5", "0x1p3", "1e", ".", "１.５", "abc")],
    *[
        (str, text, text)
        for text in ("", " ", " a\r\n", "12", "12.0", "true", "null", "[1]", "{}", "张三", "\x00", "a&b=c+%20")
    ],
    *[(bool, text, True) for text in ("true", "TRUE", "True", "1", "yes", "YES", "on", "On", "是", " true ")],
    *[(bool, text, False) for text in ("false", "FALSE", "False", "0", "no", "No", "off", "OFF", "否")],
    *[(bool, text, BOOL) for text in ("", " ", "2", "10", "t", "y", "n", "null", "1.0", "是的", "[]")],
    (list, "[]", []),
    (list, ' [1, "a", null] ', [1, "a", None]),
    *[(list, text, LIST) for text in ("{}", "1", '"a"', "null", "true")],
    *[
        (list, text, NOT_JSON)
        for text in ("", " ", "a", "1,2", "[1,", "[1,]", "['a']", "[NaN]", "[Infinity]", "[" * 101)
    ],
    (dict, "{}", {}),
    (dict, '{"a": {"b": [1]}}', {"a": {"b": [1]}}),
    *[(dict, text, DICT) for text in ("[]", "1", '"a"', "null", "true", "[{}]")],
    *[(dict, text, NOT_JSON) for text in ("", "a", "{a: 1}", "{", '{"a": NaN}', '{"a": "\\ud800"}')],
    (tuple, "[]", ()),
    (tuple, "[1, [2]]", (1, [2])),
    *[(tuple, text, TUPLE) for text in ("{}", "1", '"a"', "null")],
    *[(tuple, text, NOT_JSON) for text in ("", "a", "(1, 2)", "1, 2", "[NaN]")],
    (Decimal, "1.50", Decimal("1.50")),
    (Decimal, " -12 ", Decimal(-12)),
    *[(Decimal, text, DECIMAL) for text in ("nan", "sNaN", "inf", "", "1_0", "true", "null")],
    *[(None, text, text) for text in ("", "null", " 12 ", "[1")],
    *[(Any, text, text) for text in ("", "null", " 12 ", "[1")],
    *[(complex, text, text) for text in ("", "1j")],
    (int | None, "5", 5),
    *[(int | None, text, INT) for text in ("null", "", "None")],
    (str | None, "null", "null"),
    (str | None, "", ""),
    (int | str, "12", 12),
    (int | str, "12.0", "12.0"),
    (str | int, "12", "12"),
    (int | float, "12.0", 12.0),
    (int | float, "x", not_a("int | float")),
    (Literal["a", 1], "a", "a"),
    (Literal["a", 1], "1", 1),
    (Literal["a", 1], "b", not_a("'a' | 1")),
    (Colour, "red", Colour.RED),
    (Colour, "2", Colour.TWO),
    (Colour, "RED", not_a("Colour: 'red' | 2")),
    (datetime.date, "2017-05-20", datetime.date(2017, 5, 20)),
    *[(datetime.date, text, not_a("date")) for text in ("", "2017-02-29", "20.05.2017", "0000-01-01")],
    (datetime.datetime, "2017-05-20T12:00:00Z", datetime.datetime(2017, 5, 20, 12, tzinfo=datetime.UTC)),
    *[(datetime.datetime, text, not_a("datetime")) for text in ("", "2017-05-20T24:01:00", "now")],
    (uuid.UUID, "00000000-0000-0000-0000-000000000005", uuid.UUID(int=5)),
    (uuid.UUID, "5", not_a("UUID")),
    (list[int], "[1, 2]", [1, 2]),
    (list[int], "1", [1]),
    (list[int], '["1"]', [1]),
    (list[int], "[", NOT_JSON),
    (list[int], "[1, true]", Error(1022, "参数类型错误：value[1] <int>")),
    (list[int], "x", Error(1022, "参数类型错误：value[0] <int>")),
    (dict[str, int], '{"a": "1"}', {"a": 1}),
    (dict[str, int], '{"a": "x"}', Error(1022, "参数类型错误：value['a'] <int>")),
    (tuple[int, str], '[1, "a"]', (1, "a")),
    (tuple[int, str], "[1]", not_a("tuple[int, str]")),
    (set[int], "[1, 1]", {1}),
    *[(hint, '{"name": "jack", "age": "7"}', hint(name="jack", age=7)) for hint in (User, UserDict, UserStruct)],
    *[(hint, '{"age": 1}', Error(1018, "缺少方法所需参数:value.name")) for hint in (User, UserDict, UserStruct)],
    *[(hint, "x", NOT_JSON) for hint in (User, UserDict, UserStruct, Point)],
    *[(hint, "[]", not_a(hint.__name__)) for hint in (User, UserDict, UserStruct, Point)],
    (list[User], '[{"name": "a"}, {"name": "b", "age": "x"}]', Error(1022, "参数类型错误：value[1].age <int>")),
    (Annotated[int, msgspec.Meta(ge=0)], "0", 0),
    (Annotated[int, msgspec.Meta(ge=0)], "-1", not_a("int ge=0")),
    (Integer, "12.0", not_a("Integer")),
    (String, "", ""),
    (Float, "nan", not_a("Float")),
    (Bool, "是", True),
    (List, "{}", not_a("List")),
    (Dict, "x", NOT_JSON),
    (Date, "2017-05-20", datetime.date(2017, 5, 20)),
    (Date("%d.%m.%Y"), "2017-05-20", not_a("Date")),
    (DateTime, "2017-05-20 12:00", not_a("DateTime")),
    (Email, "a@b", not_a("Email")),
    (Money, "12.5", Decimal("12.50")),
    (Money, "-1", not_a("Money")),
    (UploadFile, "a.png", not_a("UploadFile")),
]

# Values as they stand in a JSON body.
JSON_TABLE: list[tuple[Any, str, Any]] = [
    (int, "12", 12),
    (int, "-0", 0),
    (int, str(2**70), 2**70),
    (int, HUGE, int(HUGE)),
    *[(int, value, INT) for value in ("12.2", "12.0", "1e3", "1e400", "true", "false", "null", "[]", "{}", HUGE + "9")],
    (float, "1.5", 1.5),
    (float, "12", 12.0),
    (float, "1e3", 1000.0),
    (float, "1e-400", 0.0),
    *[(float, value, FLOAT) for value in ("1e400", "-1e400", "9" * 400, HUGE + "9", "true", "null", "[]", "{}")],
    *[(str, value, value) for value in ("12", "-5", "1.5", "-0.5", str(2**70), HUGE)],
    *[(str, value, STR) for value in ("true", "false", "null", "[]", "{}", '["a"]')],
    (bool, "true", True),
    (bool, "false", False),
    *[(bool, value, BOOL) for value in ("null", "2", "1.0", "[]", "{}", "1e400")],
    (list, "[1, null]", [1, None]),
    *[(list, value, LIST) for value in ("{}", "1", "null", "true", "1e400")],
    (dict, '{"a": null}', {"a": None}),
    *[(dict, value, DICT) for value in ("[]", "1", "null", "true")],
    (tuple, "[1, null]", (1, None)),
    *[(tuple, value, TUPLE) for value in ('{"a": 1}', "1", "null", "true")],
    (Decimal, "1.5", Decimal("1.5")),
    (Decimal, "0.1", Decimal("0.1")),
    (Decimal, "12", Decimal(12)),
    *[(Decimal, value, DECIMAL) for value in ("true", "null", "[]", "{}")],
    *[(Any, value, json.loads(value)) for value in ("null", "true", "12", "1.5", "[null]", '{"a": 1}')],
    *[(complex, value, json.loads(value)) for value in ("null", "12", "[1]")],
    (int | None, "null", None),
    (int | None, "5", 5),
    (int | None, "5.5", INT),
    (list[int | None], "[1, null]", [1, None]),
    (list[int] | None, "[null]", Error(1022, "参数类型错误：value[0] <int>")),
    (str | int, "12", 12),
    (int | str, "1.5", "1.5"),
    (int | float, "true", not_a("int | float")),
    (Literal["a", 1], "1", 1),
    *[(Literal["a", 1], value, not_a("'a' | 1")) for value in ("true", "1.0", "null", "[]")],
    (Colour, "2", Colour.TWO),
    *[(Colour, value, not_a("Colour: 'red' | 2")) for value in ("3", "2.0", "true", "null", "{}")],
    *[(datetime.date, value, not_a("date")) for value in ("20170520", "null", "true", "[]")],
    *[(datetime.datetime, value, not_a("datetime")) for value in ("1495252800", "1.5", "null", "{}")],
    *[(uuid.UUID, value, not_a("UUID")) for value in ("5", "null", "[]")],
    (list[int], "[1, 2]", [1, 2]),
    (list[int], '["1", 2]', [1, 2]),
    (list[int], "5", not_a("list[int]")),
    (list[int], "[1, 2.0]", Error(1022, "参数类型错误：value[1] <int>")),
    (list[str], "[1]", ["1"]),
    (dict[str, int], '{"a": 1}', {"a": 1}),
    (dict[str, int], "[]", not_a("dict[str, int]")),
    (tuple[int, ...], "[1, 2]", (1, 2)),
    (set[int], '[1, "1"]', {1}),
    *[(hint, '{"name": "jack", "age": 7}', hint(name="jack", age=7)) for hint in (User, UserDict, UserStruct)],
    *[(hint, '{"name": null, "age": 1}', Error(1022, "参数类型错误：value.name <str>")) for hint in (User, UserDict)],
    *[(hint, "null", not_a(hint.__name__)) for hint in (User, UserDict, UserStruct, Point)],
    (list[User], '[{"name": "a"}, {"age": 1}]', Error(1018, "缺少方法所需参数:value[1].name")),
    (Annotated[int, msgspec.Meta(ge=0)], "-1", not_a("int ge=0")),
    (Integer, "true", not_a("Integer")),
    (Date, "20170520", not_a("Date")),
    (Money, "12.5", Decimal("12.50")),
    (Money, "0.001", not_a("Money")),
    (UploadFile, '{"name": "a", "content_type": "b", "body": "c"}', not_a("UploadFile")),
]

TABLE = [
    *[(source, *row) for source in ("query", "form") for row in TEXT_TABLE if row[0] is not None],
    *[("JSON", hint, json.dumps(text), expected) for hint, text, expected in TEXT_TABLE if hint is not None],
    *[("JSON", *row) for row in JSON_TABLE],
]


def name_of(item: Any) -> str:
    return getattr(item, "__name__", str(item))[:40]


@pytest.mark.parametrize(("source", "hint", "value", "expected"), TABLE, ids=name_of)
def test_coercion(source, hint, value, expected):
    status, answer = envelope(send(gateway_for(hint), source, value))
    if isinstance(expected, Error):
        assert (status, answer) == (400, {"meta": expected._asdict(), "response": None})
    else:
        meta = {"code": 1000, "message": "执行成功"}
        assert (status, answer) == (200, {"meta": meta, "response": repr(expected)})


@pytest.mark.parametrize(
    ("source", "value"),
    [("query", " 12 "), ("form", " 12 "), ("JSON", '" 12 "')],
)
def test_no_hint_passes_text_as_it_came(source, value):
    assert envelope(send(gateway_of(lambda value: value), source, value))[1]["response"] == " 12 "


@pytest.mark.parametrize("value", [None, True, 12, 1.5, [None], {"a": [1]}])
def test_no_hint_passes_json_as_it_came(value):
    response = send(gateway_of(lambda value: value), "JSON", json.dumps(value))
    assert repr(envelope(response)[1]["response"]) == repr(value)


# What is missing, what is null, what is repeated


@pytest.mark.parametrize("source", ["query", "form", "JSON"])
@pytest.mark.parametrize("hint", [int, str, list, int | None, Any, User])
def test_missing(source, hint):
    bodies = {"query": (b"", JSON), "form": (b"other=1", FORM), "JSON": (b"{}", JSON)}
    answer = envelope(ask(gateway_for(hint), "other=1", *bodies[source]))
    assert answer == (400, {"meta": {"code": 1018, "message": "缺少方法所需参数:value"}, "response": None})


@pytest.mark.parametrize("hint", [int, float, str, bool, list, dict, tuple, Decimal, Colour, User, list[int], Money])
def test_null_where_the_default_is_none(hint):
    gateway = gateway_for(hint, None)
    assert envelope(send(gateway, "JSON", "null"))[1]["response"] == "None"
    assert envelope(ask(gateway))[1]["response"] == "None"


@pytest.mark.parametrize(
    ("default", "sent", "argument"), [("19", "19", "19"), ("19", None, "'19'"), (2.5, None, "2.5")]
)
def test_default_is_not_converted_and_what_is_sent_is(default, sent, argument):
    gateway = gateway_for(int, default)
    query = "" if sent is None else f"value={sent}"
    assert envelope(ask(gateway, query))[1]["response"] == argument


REPEATED = [
    (list, ["1", "2"]),
    (list[int], [1, 2]),
    (list[str] | None, ["1", "2"]),
    (tuple, ("1", "2")),
    (tuple[int, ...], (1, 2)),
    (tuple[int, str], (1, "2")),
    (List, ["1", "2"]),
    (int, 2),
    (str, "2"),
    (int | None, 2),
    (Any, "2"),
]


@pytest.mark.parametrize(("hint", "argument"), REPEATED)
def test_repeated_key(hint, argument):
    gateway = gateway_for(hint)
    assert envelope(ask(gateway, "value=1&value=2"))[1]["response"] == repr(argument)
    assert envelope(ask(gateway, "value=7", b"value=1&value=2", FORM))[1]["response"] == repr(argument)


REPEATED_DOCUMENTS = [
    (list[User], ['{"name": "a"}', '{"name": "b"}'], [User("a"), User("b")]),
    (list[dict], ['{"a": 1}', '{"a": 2}'], [{"a": 1}, {"a": 2}]),
    (list[list[int]], ["[1]", "[2, 3]"], [[1], [2, 3]]),
    (list[User], ['{"name": "a"}'], [User("a")]),
    (list[dict] | None, ['{"a": 1}'], [{"a": 1}]),
]


@pytest.mark.parametrize(("hint", "texts", "argument"), REPEATED_DOCUMENTS)
def test_repeated_key_with_documents(hint, texts, argument):
    fields = urlencode([("value", text) for text in texts])
    gateway = gateway_for(hint)
    assert envelope(ask(gateway, fields))[1]["response"] == repr(argument)
    assert envelope(ask(gateway, "", fields.encode(), FORM))[1]["response"] == repr(argument)


def test_later_sources_win():
    gateway = gateway_for(list[str])
    assert envelope(ask(gateway, "value=1&value=2", b"value=3", FORM))[1]["response"] == "['3']"
    assert envelope(ask(gateway, "value=1&value=2", b'{"value": ["4"]}'))[1]["response"] == "['4']"


def test_arguments_are_judged_in_the_order_of_the_signature():
    def function(a: int, b: list, c: str): ...

    gateway = gateway_of(function)
    order = ["a=x&b=[", "a=1&b=[", "a=1&b={}", "a=1&b=[]"]
    messages = ["参数类型错误：a <int>", "无效的json格式，b", "参数类型错误：b <list>", "缺少方法所需参数:c"]
    assert [envelope(ask(gateway, query))[1]["meta"]["message"] for query in order] == messages


# **kwargs


def everything(**kwargs): return kwargs  # fmt: skip


def test_rest_has_public_parameters_from_the_query_then_the_form_and_never_from_json():
    gateway = gateway_of(everything)
    public = {"v": "1.0", "method": "f"}
    assert envelope(ask(gateway, "a=1"))[1]["response"] == {**public, "a": "1"}
    form = b"v=2.0&method=g&app_key=k&a=2"
    assert envelope(ask(gateway, "a=1", form, FORM))[1]["response"] == {**public, "app_key": "k", "a": "2"}
    body = b'{"v": "2.0", "method": "g", "a": 2}'
    assert envelope(ask(gateway, "a=1", body))[1]["response"] == {**public, "a": 2}


@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        ("sign=s&access_token=t", b"", JSON),
        ("", b"sign=s&access_token=t", FORM),
        ("", b'{"sign": "s", "access_token": "t"}', JSON),
    ],
)
def test_rest_has_no_credentials(query, body, content_type):
    answer = envelope(ask(gateway_of(everything), f"kwargs=1&{query}", body, content_type))
    assert answer[1]["response"] == {"v": "1.0", "method": "f", "kwargs": "1"}


TEXTS = st.text() | st.sampled_from(["", "1", "[1]"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=3))
def test_any_json_object_as_kwargs(members):
    body = json.dumps(members).encode()
    answer = envelope(ask(gateway_of(everything), "", body))
    assert answer[1]["meta"]["code"] == 1000
    assert {**answer[1]["response"], **members} == {"v": "1.0", "method": "f", **members}


# Files


def test_uploaded_file():
    def function(photo: UploadFile, photos: list[UploadFile], note: str):
        return photo, [one.name for one in photos], note

    head = b'--x\r\nContent-Disposition: form-data; name="'
    parts = [
        head + b'photo"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG',
        head + b'photos"; filename="b.png"\r\n\r\n1',
        head + b'note"\r\n\r\n\xe5\xbc\xa0',
    ]
    body = b"\r\n".join([*parts, b"--x--\r\n"])
    answer = envelope(ask(gateway_of(function), "", body, "multipart/form-data; boundary=x"))
    assert answer[1]["response"] == [["a.png", "image/png", "iVBORw=="], ["b.png"], "张"]
