import array
import asyncio
import base64
import collections
import dataclasses
import datetime
import enum
import itertools
import json
import math
import re
import threading
import time
import tracemalloc
import types
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import numpy
import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apizen.exception import ApiException
from apizen.faces.envelope import Envelope
from apizen.faces.plain import Unread, plain
from apizen.faces.reading import AnswerTooLarge, Reading

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
META = "<meta><code>1000</code><message>执行成功</message></meta>"
TAIPEI = datetime.timezone(datetime.timedelta(hours=8))
MOMENT = datetime.datetime(2017, 5, 20, 12, 0, 0, tzinfo=TAIPEI)
UTC_TEXT = "2017-05-20T04:00:00Z"


def reading(limit: float = math.inf, deadline: float = math.inf) -> Reading:
    return Reading("1.0 rows", limit, deadline)  # type: ignore[arg-type]


def tree_of(result: Any) -> Any:
    """The result made plain, its generators read."""
    try:
        return plain(result)
    except Unread:
        return reading().plain(result)


def in_json(result: Any) -> str:
    """The result as it stands in the JSON envelope."""
    head, tail = '{"meta":{"code":1000,"message":"执行成功"},"response":', "}"
    body = Envelope("response").success(tree_of(result), xml=False).decode()
    assert body.startswith(head)
    assert body.endswith(tail)
    return body[len(head) : -len(tail)]


def in_xml(result: Any) -> str:
    """The result as it stands in the XML envelope, which is well-formed."""
    head, tail = f"{DECLARATION}<root>{META}", "</root>"
    body = Envelope("response").success(tree_of(result), xml=True)
    assert ET.fromstring(body).tag == "root"
    text = body.decode()
    assert text.startswith(head)
    assert text.endswith(tail)
    return text[len(head) : -len(tail)]


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None


class Struct(msgspec.Struct):
    x: Any
    y: Any = None


class Model(pydantic.BaseModel):
    x: Any
    y: Any = None


class Order(pydantic.BaseModel):
    when: datetime.datetime
    stamp: bytes
    total: Decimal
    weight: float


class Pair(NamedTuple):
    x: Any
    y: Any


class Colour(enum.Enum):
    RED = "red"
    TWO = 2
    PAIR = (1, "a")
    WHEN = MOMENT


class Level(enum.IntEnum):
    HIGH = 7


class Size(enum.StrEnum):
    SMALL = "s"


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


class Count(int):
    pass


def generator() -> Iterator[Any]:
    yield 1
    yield {"when": MOMENT}


# Result types, with what stands for them in JSON and as text in XML

SCALARS = [
    (None, "null", ""),
    (True, "true", "true"),
    (False, "false", "false"),
    (0, "0", "0"),
    (-1.5, "-1.5", "-1.5"),
    (1.0, "1.0", "1.0"),
    (1e22, "1e22", "1e22"),
    (math.nan, "null", ""),
    (math.inf, "null", ""),
    (-math.inf, "null", ""),
    ("", '""', ""),
    ('执行 "a" \\ </b>&', '"执行 \\"a\\" \\\\ </b>&"', '执行 "a" \\ &lt;/b&gt;&amp;'),
    ("😀\u2028", '"😀\u2028"', "😀\u2028"),
    (Loud("a"), '"a"', "a"),
    (Count(5), "5", "5"),
    (Decimal("1.50"), '"1.50"', "1.50"),
    (uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"', "00000000-0000-0000-0000-000000000005"),
    (b"\xff\x00", '"/wA="', "/wA="),
    (bytearray(b"hi"), '"aGk="', "aGk="),
    (memoryview(b"hi"), '"aGk="', "aGk="),
    (datetime.date(2017, 5, 20), '"2017-05-20"', "2017-05-20"),
    (datetime.time(12, 30), '"12:30:00"', "12:30:00"),
    (datetime.timedelta(days=1), '"P1D"', "P1D"),
    (datetime.datetime(2017, 5, 20, 12), '"2017-05-20T12:00:00"', "2017-05-20T12:00:00"),  # noqa: DTZ001
    (MOMENT, f'"{UTC_TEXT}"', UTC_TEXT),
    (MOMENT.astimezone(datetime.UTC), f'"{UTC_TEXT}"', UTC_TEXT),
    (MOMENT.replace(microsecond=5), '"2017-05-20T04:00:00.000005Z"', "2017-05-20T04:00:00.000005Z"),
    (Colour.RED, '"red"', "red"),
    (Colour.TWO, "2", "2"),
    (Colour.WHEN, f'"{UTC_TEXT}"', UTC_TEXT),
    (Level.HIGH, "7", "7"),
    (Size.SMALL, '"s"', "s"),
]


def name_of(value):
    """The same in each run, so without an address in memory."""
    return "memoryview" if isinstance(value, memoryview) else repr(value)


@pytest.mark.parametrize(("result", "as_json", "as_text"), SCALARS, ids=name_of)
def test_scalar(result, as_json, as_text):
    assert in_json(result) == as_json
    assert in_xml(result) == f"<response>{as_text}</response>"


@pytest.mark.parametrize(("result", "as_json", "as_text"), SCALARS, ids=name_of)
@pytest.mark.parametrize("within", [Point, Struct, lambda value: {"x": value, "y": None}, lambda value: Point(value)])
def test_scalar_inside(within, result, as_json, as_text):
    assert in_json([within(result)]) == f'[{{"x":{as_json},"y":null}}]'
    assert in_xml([within(result)]) == f"<response><x>{as_text}</x><y></y></response>"


CONTAINERS = [
    ([], "[]", "<response></response>"),
    ({}, "{}", "<response></response>"),
    ([1, "a", None], '[1,"a",null]', "<response>1</response><response>a</response><response></response>"),
    ((1, 2), "[1,2]", "<response>1</response><response>2</response>"),
    ({7}, "[7]", "<response>7</response>"),
    (frozenset({"a"}), '["a"]', "<response>a</response>"),
    (range(2), "[0,1]", "<response>0</response><response>1</response>"),
    (collections.deque([1]), "[1]", "<response>1</response>"),
    (array.array("i", [1]), "[1]", "<response>1</response>"),
    (Colour.PAIR, '[1,"a"]', "<response>1</response><response>a</response>"),
    (Pair(1, MOMENT), f'[1,"{UTC_TEXT}"]', f"<response>1</response><response>{UTC_TEXT}</response>"),
    ({"b": 1, "a": [1, 2]}, '{"b":1,"a":[1,2]}', "<response><b>1</b><a>1</a><a>2</a></response>"),
    (collections.OrderedDict(b=1, a=2), '{"b":1,"a":2}', "<response><b>1</b><a>2</a></response>"),
    (collections.Counter("aa"), '{"a":2}', "<response><a>2</a></response>"),
    (types.MappingProxyType({"a": MOMENT}), f'{{"a":"{UTC_TEXT}"}}', f"<response><a>{UTC_TEXT}</a></response>"),
    (collections.ChainMap({"a": 1}), '{"a":1}', "<response><a>1</a></response>"),
    ({"a": 1}.keys(), '["a"]', "<response>a</response>"),
    (Point(1, Struct("a")), '{"x":1,"y":{"x":"a","y":null}}', "<response><x>1</x><y><x>a</x><y></y></y></response>"),
    (
        Model(x=1, y=Model(x="a")),
        '{"x":1,"y":{"x":"a","y":null}}',
        "<response><x>1</x><y><x>a</x><y></y></y></response>",
    ),
    ([Model(x=1)], '[{"x":1,"y":null}]', "<response><x>1</x><y></y></response>"),
    (
        [[1, 2], [3]],
        "[[1,2],[3]]",
        "<response><item>1</item><item>2</item></response><response><item>3</item></response>",
    ),
    ([[[]]], "[[[]]]", "<response><item><item></item></item></response>"),
    ({"a": [], "b": {}}, '{"a":[],"b":{}}', "<response><a></a><b></b></response>"),
]


@pytest.mark.parametrize(("result", "as_json", "as_xml"), CONTAINERS, ids=repr)
def test_container(result, as_json, as_xml):
    assert in_json(result) == as_json
    assert in_xml(result) == as_xml


def test_set_has_every_member_once():
    assert sorted(json.loads(in_json({3, 1, 2}))) == [1, 2, 3]


@pytest.mark.parametrize("make", [generator, lambda: {"x": generator()}, lambda: Point([generator()])])
def test_generator(make):
    text = f'[1,{{"when":"{UTC_TEXT}"}}]'
    assert text in in_json(make())
    assert f"<when>{UTC_TEXT}</when>" in in_xml(make())


def test_iterator():
    assert in_json(map(str, [1, 2])) == '["1","2"]'


def test_generator_that_fails():
    with pytest.raises(ZeroDivisionError):
        tree_of(1 / number for number in (1, 0))


def test_plain_runs_a_generator_once():
    result = tree_of({"x": generator()})
    envelope = Envelope("response")
    assert envelope.success(result, xml=False) == envelope.success(result, xml=False)


@pytest.mark.parametrize("make", [generator, lambda: [1, {"x": generator()}], lambda: map(str, [1]), lambda: range(3)])
def test_plain_reads_nothing_item_by_item(make):
    result = make()
    with pytest.raises(Unread):
        plain(result)
    assert in_json(result) == in_json(make())


def test_what_is_read_within_what_is_read():
    rows = ({"row": row, "cells": (cell for cell in range(row))} for row in range(3))
    assert in_json(rows) == '[{"row":0,"cells":[]},{"row":1,"cells":[0]},{"row":2,"cells":[0,1]}]'
    assert in_xml([iter([iter([1]), iter([])])]) == "<response><item>1</item><item></item></response>"


# A generator's bytes, each item with the comma behind it
READ = [
    (lambda: iter([1, 22, 333]), 9),
    (lambda: {"a": iter([1, 1]), "b": {"c": iter([1, 1])}}, 8),
    (lambda: iter([iter([1, 1]), iter([])]), 9),
    (lambda: iter([{"a": iter([iter([1])])}]), 12),
    (lambda: range(10), 20),
]


@pytest.mark.parametrize(("make", "size"), READ)
def test_the_limit_of_what_is_read(make, size):
    assert reading(size).plain(make()) is not None
    with pytest.raises(AnswerTooLarge) as caught:
        reading(size - 1).plain(make())
    assert str(caught.value) == f"the answer has more than {size - 1} bytes, which is the setting max_answer"


ENDLESS = [
    lambda: ({"id": number, "name": "x" * 10} for number in itertools.count()),
    lambda: itertools.repeat({}),
    lambda: {"x": itertools.repeat(itertools.repeat(0))},
    lambda: range(10**12),
]


@pytest.mark.parametrize("make", ENDLESS)
def test_reading_takes_no_more_memory_than_the_answer_may(make):
    limit = 200_000
    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLarge):
            reading(limit).plain(make())
        assert tracemalloc.get_traced_memory()[1] < 5 * limit
    finally:
        tracemalloc.stop()


def closing_in(ended: list[int]) -> Iterator[int]:
    try:
        yield from itertools.count()
    finally:
        ended.append(threading.get_ident())


@pytest.mark.parametrize(("limit", "deadline", "error"), [(10, math.inf, AnswerTooLarge), (math.inf, 0, ApiException)])
def test_what_is_not_read_to_its_end_is_closed_here_and_now(limit, deadline, error):
    ended: list[int] = []
    with pytest.raises(error) as caught:
        reading(limit, deadline).plain(closing_in(ended))
    assert ended == [threading.get_ident()]
    assert getattr(caught.value, "err_code", 1029) == 1029


def test_reading_ends_at_its_deadline(caplog):
    taken = 0

    def count() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with pytest.raises(ApiException) as caught:
        reading(deadline=time.perf_counter() + 0.05).plain(count())
    assert caught.value.err_code == 1029
    assert taken > 1
    assert caplog.messages == ["1.0 rows is not read any further: its time is up"]
    taken = 0
    with pytest.raises(ApiException):
        reading(deadline=0).plain(count())
    assert taken == 1


def test_reading_an_async_generator_lets_others_run():
    async def endless():
        while True:
            yield "x" * 100  # it never waits for anything

    async def main():
        ended = asyncio.ensure_future(reading(deadline=time.perf_counter() + 0.2).gather(endless()))
        turns = 0
        while not ended.done():
            turns += 1
            await asyncio.sleep(0)
        with pytest.raises(ApiException):
            ended.result()
        return turns

    assert asyncio.run(main()) > 5  # one in 5 ms


@pytest.mark.parametrize("limit", [6, 5])
def test_an_async_iterator_that_is_no_generator(limit):
    class Count:
        def __init__(self):
            self.number = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.number += 1
            if self.number > 3:
                raise StopAsyncIteration
            return self.number

    if limit == 6:
        assert bytes(asyncio.run(reading(limit).gather(Count()))) == b"[1,2,3]"
    else:
        with pytest.raises(AnswerTooLarge):
            asyncio.run(reading(limit).gather(Count()))


@pytest.mark.parametrize("field", ["x", "y"])
@pytest.mark.parametrize(("value", "as_json"), [(value, as_json) for value, as_json, _ in SCALARS if value is not None])
def test_pydantic_model_is_as_a_dataclass(field, value, as_json):
    assert f'"{field}":{as_json}' in in_json(Model(**{"x": None, field: value}))


def test_pydantic_model_with_types():
    order = Order(when=MOMENT, stamp=b"\xff", total=Decimal("1.50"), weight=math.inf)
    assert in_json([order]) == f'[{{"when":"{UTC_TEXT}","stamp":"/w==","total":"1.50","weight":null}}]'


@pytest.mark.parametrize(
    ("result", "named"),
    [
        (1j, "builtins.complex"),
        ([object()], "builtins.object"),
        ({"a": print}, "builtins.builtin_function_or_method"),
        (Point(re.compile("")), "re.Pattern"),
    ],
)
def test_what_has_no_form_in_json(result, named):
    with pytest.raises(TypeError, match=f"^{re.escape(named)} has no form in JSON$"):
        plain(result)


def test_what_holds_itself():
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        plain(endless)


# Integers

INTEGERS = [2**63 - 1, 2**63, 2**64, 10**100, 2**14_000 - 1, 2**14_000, 10**4299, 10**4300 - 1]


@pytest.mark.parametrize("number", [sign * number for number in INTEGERS for sign in (1, -1)], ids=int.bit_length)
def test_integer_is_exact(number):
    text = str(number)
    assert in_json(number) == text
    assert in_json({"a": [1.5, number, MOMENT]}) == f'{{"a":[1.5,{text},"{UTC_TEXT}"]}}'
    assert in_xml(Point(number)) == f"<response><x>{text}</x><y></y></response>"
    assert in_json({number: 1}) == f'{{"{text}":1}}'


WAYS = [
    lambda number: number,
    lambda number: [1.5, {"a": (number,)}],
    lambda number: {number: 1},
    lambda number: {"a": {MOMENT: 1, number: 1}},
    lambda number: Point(number),
    lambda number: Model(x=number),
    lambda number: iter([number]),
    lambda number: enum.IntEnum("Wide", {"A": number}).A,
    lambda number: Count(number),
]


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("within", WAYS)
@pytest.mark.parametrize("number", [10**4300, -(10**4300), 10**5000], ids=int.bit_length)
def test_integer_that_is_too_long(number, within, xml):
    with pytest.raises(ValueError) as caught:
        Envelope("response").success(tree_of(within(number)), xml=xml)
    assert str(caught.value) == "an integer of more than 4300 digits can't be written"


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("within", WAYS[:4])
def test_integer_that_is_too_long_is_not_computed(within, xml):
    def seconds(bits: int) -> float:
        result = within(1 << bits)
        best = math.inf
        for _ in range(3):
            started = time.process_time()
            with pytest.raises(ValueError):
                Envelope("response").success(tree_of(result), xml=xml)
            best = min(best, time.process_time() - started)
        return best

    # Sixteen times as many bits take 256 times as long to be written.
    assert seconds(16_000_000) < 3 * 16 * max(seconds(1_000_000), 0.001)


# Moments


@pytest.mark.parametrize("hours", [-23, -1, 0, 5.5, 14])
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_aware_datetime_is_utc_at_any_depth(hours, depth):
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    result: Any = MOMENT.astimezone(zone)
    for _ in range(depth):
        result = [{"a": (Point(result),)}]
    assert re.findall(r"\d{4}-[^\"]*", in_json(result)) == [UTC_TEXT]
    assert re.findall(r"\d{4}-[^<]*", in_xml(result)) == [UTC_TEXT]


@pytest.mark.parametrize("seconds", [60, 8 * 3600 + 30])
def test_aware_datetime_with_seconds_in_its_offset(seconds):
    zone = datetime.timezone(datetime.timedelta(seconds=seconds))
    assert in_json([MOMENT.astimezone(zone)]) == f'["{UTC_TEXT}"]'


EDGES = [
    datetime.datetime(1, 1, 1, tzinfo=TAIPEI),
    datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone(datetime.timedelta(hours=-1))),
]


@pytest.mark.parametrize("moment", EDGES)
def test_aware_datetime_whose_utc_is_no_year_of_the_calendar(moment):
    # A client can send these, so writing them must not fail.
    assert json.loads(in_json([moment])) == [moment.isoformat()]
    assert in_xml(moment) == f"<response>{moment.isoformat()}</response>"


TEXTS_LIKE_MOMENTS = [
    "2017-05-20T12:00:00+08:00",
    "2017-05-20T12:00:00.5-01:00",
    "T00:00:00+00:00",
    UTC_TEXT,
    "2017-05-20",
]


@pytest.mark.parametrize("text", TEXTS_LIKE_MOMENTS)
def test_text_like_a_moment_is_unchanged(text):
    assert in_json(text) == f'"{text}"'
    assert in_json([text, {"a": text}, MOMENT]) == f'["{text}",{{"a":"{text}"}},"{UTC_TEXT}"]'
    assert in_json({text: 1}) == f'{{"{text}":1}}'
    assert in_xml([text]) == f"<response>{text}</response>"


# Keys

KEYS = [
    ("a b", "a b"),
    ("执行", "执行"),
    ("", ""),
    (1, "1"),
    (-1.5, "-1.5"),
    (True, "true"),
    (False, "false"),
    (None, "null"),
    (Decimal("1.50"), "1.50"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (datetime.date(2017, 5, 20), "2017-05-20"),
    (datetime.datetime(2017, 5, 20, 12), "2017-05-20T12:00:00"),  # noqa: DTZ001
    (MOMENT, UTC_TEXT),
    (Colour.RED, "red"),
    (Level.HIGH, "7"),
    (Size.SMALL, "s"),
    (b"hi", "aGk="),
]


@pytest.mark.parametrize(("key", "name"), KEYS, ids=repr)
@pytest.mark.parametrize("value", [1, MOMENT, 10**4299], ids=["plain", "moment", "huge"])
def test_key(key, name, value):
    assert in_json({key: value}) == f"{{{json.dumps(name, ensure_ascii=False)}:{in_json(value)}}}"
    (element,) = ET.fromstring(f"<root>{in_xml({key: value})}</root>")
    assert [decoded(child.tag) for child in element] == [name]


# XML names: characters that no name may have are escaped as in ISO 9075-14


def decoded(tag: str) -> str:
    """The key that an element's name stands for."""
    if tag == "_x_":
        return ""
    return re.sub("_x([0-9A-Fa-f]{4,6})_", lambda match: chr(int(match[1], 16)), tag)


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        ("user_id", "user_id"),
        ("a.b-c", "a.b-c"),
        ("姓名", "姓名"),
        ("a b", "a_x0020_b"),
        ("1a", "_x0031_a"),
        ("-", "_x002D_"),
        ("a:b", "a_x003A_b"),
        ("<a/>", "_x003C_a_x002F__x003E_"),
        ("@id", "_x0040_id"),
        ("xml", "_x0078_ml"),
        ("XMLdata", "_x0058_MLdata"),
        ("exml", "exml"),
        ("é", "_x00E9_"),
        ("😀", "_x1F600_"),
        ("_", "_"),
        ("__", "__"),
        ("_x", "_x"),
        ("", "_x_"),
        ("\x00", "_x0000_"),
        ("_x0041_", "_x005F_x0041_"),
        ("_x_", "_x005F_x_"),
    ],
)
def test_xml_name(key, tag):
    assert in_xml({key: 1}) == f"<response><{tag}>1</{tag}></response>"


@pytest.mark.parametrize("key", ["_x0041_", "_x0041 ", "_x0041:", "_x004", "_x00411 ", "_x_", "x0041_", "__x0041_ "])
def test_xml_name_that_looks_escaped_can_be_decoded(key):
    (element,) = ET.fromstring(f"<root>{in_xml({key: 1})}</root>")
    assert [decoded(child.tag) for child in element] == [key]


def test_xml_names_of_different_keys_differ():
    keys = ["", "\x00", "_x0000_", "_x_", " ", "_x0020_", "_x0020 ", "_", "a", "A", "é", "e\u0301"]
    (element,) = ET.fromstring(f"<root>{in_xml(dict.fromkeys(keys, 1))}</root>")
    assert len({child.tag for child in element}) == len(keys)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (" a ", " a "),
        ("\n\t ", "\n\t "),
        ("\r\n\r", "\r\n\r"),
        ("]]>", "]]>"),
        ("<![CDATA[x]]>", "<![CDATA[x]]>"),
        ("&amp;&#13;", "&amp;&#13;"),
        ("\x00\x08\x0b\x1f", "\ufffd" * 4),
        ("\ufffe\uffff", "\ufffd\ufffd"),
        ("\x7f\x85\u2028\ue000\U0010ffff", "\x7f\x85\u2028\ue000\U0010ffff"),
    ],
)
def test_xml_text(text, read):
    (element,) = ET.fromstring(f"<root>{in_xml(text)}</root>")
    assert element.text == read


# Any JSON tree

TEXT = st.text() | st.sampled_from(["\r\n", "]]>", "<a>&amp;", " ", "\ufffe", "2017-05-20T12:00:00+08:00"])
KEY = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["item", "xml", "1"])
TREE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=12,
)

Element = tuple[str, str | list["Element"]]


def elements(name: str, value: Any) -> list[Element]:
    """The elements that stand for a member: a list repeats its name, a list in a list has items."""
    if isinstance(value, list) and value:
        items = ([(name, elements("item", one))] if isinstance(one, list) else elements(name, one) for one in value)
        return [element for item in items for element in item]
    if isinstance(value, dict) and value:
        return [(name, [element for key, one in value.items() for element in elements(key, one)])]
    text = value if isinstance(value, str) else "" if value in (None, [], {}) else json.dumps(value)
    return [(name, re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", text))]


def read(element: ET.Element) -> Element:
    return decoded(element.tag), [read(child) for child in element] or element.text or ""


def number_or_text(element: Element) -> Any:
    """Two ways to write a float are the same float."""
    name, content = element
    if isinstance(content, list):
        return name, [number_or_text(child) for child in content]
    return name, repr(float(content)) if re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", content) else content


@settings(max_examples=200, deadline=None)
@given(TREE)
@example([[["a"], []], {"item": [[1]]}])
def test_xml_of_any_json_tree(tree):
    root = ET.fromstring(Envelope("response").success(plain(tree), xml=True))
    assert root.tag == "root"
    found = [number_or_text(read(child)) for child in list(root)[1:]]
    assert found == [number_or_text(element) for element in elements("response", tree)]


@settings(max_examples=200, deadline=None)
@given(TREE)
def test_json_of_any_json_tree(tree):
    body = Envelope("response").success(plain(tree), xml=False)
    assert repr(json.loads(body)["response"]) == repr(tree)


@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: [{"a": inner}]])
def test_as_deep_as_json_may_be(make):
    tree: Any = 7
    while json.dumps(tree).count("[") + json.dumps(tree).count("{") < 100:
        tree = make(tree)
    assert json.loads(in_json(tree)) == tree
    assert ">7<" in in_xml(tree)


# The envelope


def test_error():
    envelope = Envelope("response")
    meta = "<meta><code>1018</code><message>缺少方法所需参数:a&lt;b</message></meta>"
    body = envelope.error(1018, "缺少方法所需参数:a<b", xml=False)
    assert body.decode() == '{"meta":{"code":1018,"message":"缺少方法所需参数:a<b"},"response":null}'
    body = envelope.error(1018, "缺少方法所需参数:a<b", xml=True)
    assert body.decode() == f"{DECLARATION}<root>{meta}<response></response></root>"


def test_error_with_a_message_that_xml_cannot_hold():
    body = Envelope("response").error(1017, "a\x00\r", xml=True)
    assert ET.fromstring(body).findtext("meta/message") == "a\ufffd\r"


@pytest.mark.parametrize("key", ["respone", "结果", 'a"b'])
def test_response_key(key):
    envelope = Envelope(key)
    meta = {"code": 1000, "message": "执行成功"}
    assert json.loads(envelope.success([1], xml=False)) == {"meta": meta, key: [1]}
    assert json.loads(envelope.error(1001, "x", xml=False)) == {"meta": {"code": 1001, "message": "x"}, key: None}
    root = ET.fromstring(envelope.success([1], xml=True))
    assert [(decoded(child.tag), child.text) for child in root] == [("meta", None), (key, "1")]


def test_bytes_are_base64_of_any_length():
    body = bytes(range(256)) * 3
    assert base64.b64decode(json.loads(in_json(body))) == body


def test_numpy_values():
    values = [numpy.float64(1.5), numpy.int64(2), numpy.bool_(True), numpy.array([1, 2])]
    assert in_json(values) == "[1.5,2,true,[1,2]]"
