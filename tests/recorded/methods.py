# ruff: noqa: RUF012 (tables are written as users write them)
"""What the recorded server serves beside the demo: functions of every kind, with parameters of every type."""

import asyncio
import enum
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock
from decimal import Decimal
from functools import partial, wraps
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict, Union

import msgspec

from apizen import ApiMethodBase, UploadFile, version
from apizen.exception import ApiBaseExceptions, ApiSysExceptions
from apizen.schema import Bool, Date, DateTime, Dict, Email, Float, Integer, List, Money, String, register

__all__ = ["RecordV90", "RecordV91", "RecordV99", "ShopV20", "ShopV21"]


class RecordErrors(ApiBaseExceptions):
    plain = {"api_code": 3000, "api_msg": "业务异常"}
    conflict = {"api_code": 3001, "http_code": 409, "api_msg": "库存不足", "ex_type": LookupError}
    joined = {"api_code": 3002, "http_code": 400, "api_msg": "参数无效", "joiner": ": "}
    answer = {"api_code": 3003, "http_code": 200, "api_msg": "没有数据"}
    odd_status = {"api_code": 3004, "http_code": 599, "api_msg": "其它状态"}
    other_spelling = {"err_code": 3005, "status_code": 418, "message": "茶壶", "retryable": True}


class ShopErrors(ApiBaseExceptions):
    sold_out = {"api_code": 2100, "http_code": 409, "api_msg": "库存不足"}


# The examples of the README.

PRICES = {"apple": 3, "pear": 4}


def price(fruit: Literal["apple", "pear"], count: int = 1):
    return {"fruit": fruit, "total": PRICES[fruit] * count}


def order(fruit: str, count: int):
    raise ShopErrors.sold_out(fruit)


@version("2.0")
class ShopV20(ApiMethodBase):
    api_methods = {"shop.price": {"func": price}}


@version("2.1")
class ShopV21(ShopV20):
    api_methods = {
        "shop.order": {"func": order, "method": ["post"], "timeout": 5},
        "shop.price": None,
    }


# The types of parameters.


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Weight:
    """A type of the application's own."""

    def __init__(self, grams: int) -> None:
        self.grams = grams

    @classmethod
    def parse(cls, value: Any) -> "Weight":
        if not isinstance(value, str) or not value.endswith("g"):
            raise ValueError("a weight ends with g")
        return cls(int(value[:-1]))

    def __repr__(self) -> str:
        return f"Weight({self.grams})"


register(Weight, Weight.parse)


@dataclass
class Item:
    name: str
    count: int = 1
    price: Decimal | None = None


class Point(TypedDict):
    x: float
    y: float
    label: NotRequired[str]


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    tags: list[str] = []


class Renamed(msgspec.Struct, rename="camel"):
    user_id: int
    full_name: str = ""


class Tree(msgspec.Struct):
    value: int
    children: "list[Tree]" = []


class Pair(NamedTuple):
    first: int
    second: str = "two"


UserId = NewType("UserId", int)

#: The hint of the parameter ``value`` of the method ``hint.<name>``.
HINTS: Mapping[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "decimal": Decimal,
    "any": Any,
    "object": object,
    "list-int": list[int],
    "list-str": list[str],
    "list-list": list[list[int]],
    "set-int": set[int],
    "tuple-fixed": tuple[int, str],
    "tuple-many": tuple[int, ...],
    "dict-int": dict[str, int],
    "dict-int-key": dict[int, list[bool]],
    "optional": Optional[int],  # noqa: UP045 (the spelling is meant)
    "union": Union[int, str],  # noqa: UP007 (as above)
    "union-operator": int | bool | None,
    "union-list": int | list[int],
    "union-record": Item | Strict,
    "literal": Literal["apple", "pear", 3, True],
    "literal-null": Literal["on", None],
    "enum": Colour,
    "int-enum": Level,
    "dataclass": Item,
    "list-dataclass": list[Item],
    "typed-dict": Point,
    "struct-strict": Strict,
    "struct-renamed": Renamed,
    "struct-tree": Tree,
    "named-tuple": Pair,
    "new-type": UserId,
    "own-type": Weight,
    "date": date,
    "datetime": datetime,
    "time": clock,
    "timedelta": timedelta,
    "uuid": uuid.UUID,
    "bytes": bytes,
    "at-least": Annotated[int, msgspec.Meta(ge=0)],
    "between": Annotated[float, msgspec.Meta(gt=0, lt=10)],
    "pattern": Annotated[str, msgspec.Meta(pattern="^[a-z]+$", max_length=5)],
    "list-short": Annotated[list[int], msgspec.Meta(min_length=1, max_length=2)],
    "Integer": Integer,
    "String": String,
    "Float": Float,
    "Bool": Bool,
    "List": List,
    "Dict": Dict,
    "Date": Date,
    "Date-form": Date("%d.%m.%Y"),
    "DateTime": DateTime,
    "DateTime-form": DateTime("%Y/%m/%d %H:%M"),
    "Email": Email,
    "Money": Money,
    "Money-or-null": Money | None,
}


def shown(value: Any) -> Any:
    """The value's type beside its text, so that ``1`` and ``True`` and ``"1"`` differ."""
    return [type(value).__name__, repr(value)]


def takes(hint: Any) -> Callable[..., Any]:
    """A function with one parameter of this type."""

    def show(value):
        return shown(value)

    show.__annotations__ = {"value": hint}
    return show


# Kinds of functions.


def add(a: int, b: int = 2) -> int:
    return a + b


async def add_later(a: int, b: int = 2) -> int:
    await asyncio.sleep(0)
    return a + b


async def count_later(to: int):
    for number in range(to):
        yield {"number": number}


def count(to: int):
    yield from range(to)


def wrapped(function):
    @wraps(function)
    def wrapper(*args, **kwargs):
        return {"wrapped": function(*args, **kwargs)}

    return wrapper


class Adder:
    def __init__(self, much: int) -> None:
        self.much = much

    def __call__(self, value: int) -> int:
        return value + self.much

    def method(self, value: int) -> int:
        return value - self.much

    @classmethod
    def build(cls, value: int) -> str:
        return f"{cls.__name__} {value}"


def positional(a: int, /, b: str, *, c: float = 1.5):
    return [a, b, c]


def defaults(a: int = None, b: Optional[str] = "b", c: list[int] = (), d=None, e: bool = True):  # noqa: RUF013, UP045
    return [shown(each) for each in (a, b, c, d, e)]


def ordered(rest: dict[str, Any]) -> dict[str, Any]:
    """By name: public parameters come in any order."""
    return dict(sorted(rest.items()))


def anything(**rest):
    return ordered(rest)


def numbers(first: str = "-", **rest: int):
    return {"first": first, "rest": ordered(rest)}


def lists(**rest: list[int]):
    return ordered(rest)


def public(v: str, method: str, format: str = "none"):  # noqa: A002 (a public parameter's name)
    return [v, method, format]


def underscored(user_id: int, userName: str = ""):
    return [user_id, userName]


def sleepy(seconds: float):
    time.sleep(seconds)


async def sleepy_later(seconds: float):
    await asyncio.sleep(seconds)


def upload(photo: UploadFile, text: str = ""):
    return {"name": photo.name, "type": photo.content_type, "body": photo.body, "text": text}


def uploads(photos: list[UploadFile]):
    return [[photo.name, len(photo.body)] for photo in photos]


def upload_or_not(photo: UploadFile = None):
    return photo and photo.name


def length(text: str = "") -> int:
    return len(text)


# What functions raise.


def broken_text():
    raise RecordErrors.plain("\ud800")


def system_error(name: str, detail: str = None):  # noqa: RUF013
    raise getattr(ApiSysExceptions, name)(detail)


def own_error(name: str, detail: str = None, message: str = None):  # noqa: RUF013
    raise getattr(RecordErrors, name)(detail, message=message)


def with_headers():
    raise RecordErrors.conflict("A-17", headers={"Retry-After": "7", "X-Shop": "north"})


def with_bad_headers():
    raise RecordErrors.conflict(headers={"X-Shop": "a\r\nX-Other: b"})


class Untold(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


FAILURES: Mapping[str, BaseException | type[BaseException]] = {
    "value": ValueError("secret of the server"),
    "key": KeyError("k"),
    "type": TypeError("t"),
    "assertion": AssertionError(),
    "zero": ZeroDivisionError("division"),
    "stop": StopIteration("s"),
    "recursion": RecursionError("r"),
    "memory": MemoryError(),
    "timeout": TimeoutError("late"),
    "cancelled": asyncio.CancelledError(),
    "system-exit": SystemExit(3),
    "group": ExceptionGroup("several", [ValueError("one"), KeyError("two")]),
    "untold": Untold(),
}


def failure(name: str):
    raise FAILURES[name]


async def failure_later(name: str):
    raise FAILURES[name]


def broken_generator():
    yield 1
    raise RecordErrors.conflict("after one")


async def broken_async_generator():
    yield 1
    raise ValueError("after one")


# What functions give.


class Odd:
    """Nothing that JSON could hold."""


class Model:
    """As a pydantic model gives itself."""

    def model_dump(self, mode: str) -> dict[str, str]:
        return {"mode": mode}


class Text(str):
    pass


def itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


#: What the methods ``give.<name>`` give.
RESULTS: Mapping[str, Callable[[], Any]] = {
    "null": lambda: None,
    "true": lambda: True,
    "text": lambda: "李飞飞 <&> \"'\r\n\t",
    "control": lambda: "a\x00b\x0bc\ufffe",
    "empty": dict,
    "empty-list": list,
    "nested": lambda: {"a": [1, [2, [3, {"b": None}]]], "c": {"d": []}},
    "keys": lambda: {1: "int", None: "null", 1.5: "float", "a b": "blank", "_x0020_": "escaped", "": "e"},
    "date-keys": lambda: {date(2026, 1, 2): 1, Colour.RED: 2},
    "float": lambda: [1.0, 1e300, 0.1, -0.0, 1e-7],
    "not-finite": lambda: [float("nan"), float("inf")],
    "integers": lambda: [2**53, 2**64, -(2**70), 10**4000],
    "integer-too-long": lambda: 10**5000,
    "decimal": lambda: [Decimal("12.50"), Decimal("1E+3"), Decimal("NaN")],
    "date": lambda: [date(2026, 1, 2), clock(3, 4, 5), timedelta(hours=1, seconds=2)],
    "datetime": lambda: [
        datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 (naive is meant)
        datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=8))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8))),
    ],
    "uuid": lambda: uuid.UUID(int=7),
    "enum": lambda: [Colour.RED, Level.HIGH],
    "set": lambda: {3},
    "tuple": lambda: (1, "a"),
    "bytes": lambda: b"\x00\xffbytes",
    "dataclass": lambda: Item("pear", 2, Decimal("1.5")),
    "struct": lambda: Renamed(1, "Ann"),
    "named-tuple": lambda: Pair(1),
    "model": lambda: Model(),
    "subclass": lambda: Text("sub"),
    "generator": lambda: (number * number for number in range(4)),
    "generators-within": lambda: {"a": (c for c in "ab"), "b": [(1 for _ in range(2))]},
    "map": lambda: map(str, range(3)),
    "large": lambda: "x" * 70_000,
    "large-list": lambda: list(range(20_000)),
    "too-large": lambda: "x" * 150_001,
    "too-many": lambda: iter(int, 1),
    "odd": Odd,
    "odd-within": lambda: [1, {"a": Odd()}],
    "function": lambda: len,
    "complex": lambda: 1j,
    "half-surrogate": lambda: "\ud800",
    "itself": itself,
    "generator-of-odd": lambda: (Odd() for _ in range(2)),
}

#: What the methods ``raw.<name>`` give, and their key ``raw``.
RAW: Mapping[str, tuple[Any, Any]] = {
    "text": ("plain 文本", True),
    "bytes": (b"\x00\x01\xff", True),
    "memory": (memoryview(b"view"), True),
    "csv": ("a,b\r\n1,2\r\n", "text/csv; charset=utf-8"),
    "empty": (b"", "image/png"),
    "large": (b"\x80" * 80_000, "application/octet-stream"),
    "dict": ({"a": 1}, True),
    "null": (None, True),
}


def constantly(value: Any) -> Callable[[], Any]:
    return lambda: value


def give(make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: make()


@version("9.0")
class RecordV90(ApiMethodBase):
    api_methods = {
        **{f"hint.{name}": {"func": takes(hint), "run": "inline"} for name, hint in HINTS.items()},
        **{f"give.{name}": {"func": give(make), "timeout": 20} for name, make in RESULTS.items()},
        **{f"raw.{name}": {"func": constantly(value), "raw": raw} for name, (value, raw) in RAW.items()},
        "raw.error": {"func": own_error, "raw": True},
        "run.inline": {"func": add, "run": "inline"},
        "run.thread": {"func": add, "run": "thread"},
        "run.async": {"func": add_later},
        "run.async-generator": {"func": count_later},
        "run.generator": {"func": count},
        "run.inline-generator": {"func": count, "run": "inline"},
        "run.wrapped": {"func": wrapped(add)},
        "run.partial": {"func": partial(add, b=40)},
        "run.object": {"func": Adder(5)},
        "run.method": {"func": Adder(5).method},
        "run.class-method": {"func": Adder.build},
        "run.class": {"func": Item},
        "run.lambda": {"func": lambda a, b=1: [a, b]},
        "run.coroutine": {"func": lambda a: add_later(int(a)), "run": "inline"},
        "call.positional": {"func": positional},
        "call.defaults": {"func": defaults},
        "call.anything": {"func": anything},
        "call.numbers": {"func": numbers},
        "call.lists": {"func": lists},
        "call.public": {"func": public},
        "call.underscored": {"func": underscored},
        "call.nothing": {"func": lambda: None},
        "call.upload": {"func": upload, "method": "post"},
        "call.uploads": {"func": uploads, "method": "post"},
        "call.upload-or-not": {"func": upload_or_not},
        "call.length": {"func": length},
        "call.small-body": {"func": length, "max_body": 20},
        "call.large-body": {"func": length, "max_body": 4_000_000},
        "call.sleep": {"func": sleepy, "timeout": 0.05},
        "call.sleep-later": {"func": sleepy_later, "timeout": 0.05},
        "call.名字": {"func": add},
        "verb.get": {"func": add, "method": ["get"]},
        "verb.post": {"func": add, "methods": ("POST",)},
        "verb.all": {"func": add, "method": ["get", "post", "put", "patch", "delete"]},
        "verb.delete": {"func": add, "method": "Delete"},
        "off.always": {"func": add, "enable": False},
        "off.post": {"func": add, "enable": False, "method": "post"},
        "bad.key": {"func": add, "enabel": True},
        "bad.func": {"func": "add"},
        "bad.verb": {"func": add, "method": "fetch"},
        "bad.args": {"func": lambda *args: args},
        "bad.run": {"func": add_later, "run": "inline"},
        "bad.rate": {"func": add, "rate": "many"},
        "bad.auth": {"func": add, "auth": "oauth"},
        "bad.entry": add,
        "bad.limit": {"func": takes(Annotated[dict, msgspec.Meta(ge=0)])},
        "error.system": {"func": system_error, "run": "inline"},
        "error.own": {"func": own_error},
        "error.headers": {"func": with_headers},
        "error.bad-headers": {"func": with_bad_headers},
        "error.broken-text": {"func": broken_text},
        "error.inline": {"func": failure, "run": "inline"},
        "error.thread": {"func": failure},
        "error.async": {"func": failure_later},
        "error.generator": {"func": broken_generator},
        "error.async-generator": {"func": broken_async_generator},
        "rate.first": {"func": add, "rate": "5/day"},
        "rate.second": {"func": add, "rate": "5/day"},
        "rate.over": {"func": add, "rate": "1/day"},
        "rate.over-raw": {"func": lambda: "x", "rate": "1/day", "raw": True},
        "rate.over-body": {"func": length, "rate": "1/day"},
        "rate.wrong": {"func": add, "rate": "5/day"},
        "signed.add": {"func": add, "auth": "sign"},
        "signed.inline": {"func": add, "auth": "sign", "run": "inline"},
        "signed.extra": {"func": add, "auth": "sign", "extra": True},
        "signed.anything": {"func": numbers, "auth": "sign"},
        "signed.upload": {"func": upload, "auth": "sign", "method": ["post"]},
        "signed.length": {"func": length, "auth": "sign"},
        "signed.rate": {"func": add, "auth": "sign", "rate": "5/day"},
        "signed.over": {"func": add, "auth": "sign", "rate": "1/day"},
        "signed.raw": {"func": lambda: "signed", "auth": "sign", "raw": "text/plain"},
    }


@version("9.1")
class RecordV91(RecordV90):
    support_methods = {
        "run.inline": None,
        "run.thread": {"func": lambda a: ["newer", a]},
        "run.added": {"func": add},
    }


@version("9.9", enable=False)
class RecordV99(RecordV90):
    api_methods = {}
