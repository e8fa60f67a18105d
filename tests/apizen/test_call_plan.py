from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import inspect
import types
import typing
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apizen import UploadFile
from apizen.call_plan import CREDENTIALS, MISSING, PUBLIC_PARAMETERS, CallPlan, Parameter, SignatureError
from apizen.exception import ApiException
from apizen.schema import AS_IT_CAME, Date, DateTime, Email, Integer, Money

PUBLIC = {
    "v": "1.0",
    "method": "m",
    "format": "json",
    "app_key": "k",
    "timestamp": "0",
    "sign_method": "md5",
    "nonce": "n",
}
SECRET = {"sign": "s", "access_token": "t"}


def call(function: Callable[..., Any], /, **values: Any) -> Any:
    """What the function gives for a request with these parameters."""
    positional, named = CallPlan.of(function).bind(values, {})
    return function(*positional, **named)


def refusal(function: Callable[..., Any], /, **values: Any) -> tuple[int, str]:
    with pytest.raises(ApiException) as caught:
        CallPlan.of(function).bind(values, {})
    assert caught.value.status_code == 400
    return caught.value.err_code, str(caught.value)


def plain(a: int, b: int = 2): return a, b  # fmt: skip


def positional_only(a: int, b: int = 2, /): return a, b  # fmt: skip


def keyword_only(*, a: int, b: int = 2): return a, b  # fmt: skip


def mixed(a: int, /, b: int, *, c: int = 3): return a, b, c  # fmt: skip


def without_hints(a, b=2): return a, b  # fmt: skip


def nothing(): return "nothing"  # fmt: skip


def rest(a: int = 1, **kwargs): return a, kwargs  # fmt: skip


def rest_of_int(a: int = 1, **more: int): return a, more  # fmt: skip


def rest_of_lists(**more: list[int]): return more  # fmt: skip


def rest_behind_positional(self, kwargs=2, /, **more): return self, kwargs, more  # fmt: skip


# Kinds of parameters


@pytest.mark.parametrize(
    ("function", "values", "result"),
    [
        (plain, {"a": "1"}, (1, 2)),
        (plain, {"a": "1", "b": "3", "c": "4"}, (1, 3)),
        (positional_only, {"a": "1"}, (1, 2)),
        (positional_only, {"a": "1", "b": "3"}, (1, 3)),
        (keyword_only, {"a": "1"}, (1, 2)),
        (keyword_only, {"b": "3", "a": "1"}, (1, 3)),
        (mixed, {"c": "1", "b": "2", "a": "3"}, (3, 2, 1)),
        (mixed, {"b": "2", "a": "3"}, (3, 2, 3)),
        (without_hints, {"a": "1", "b": [None]}, ("1", [None])),
        (without_hints, {"a": None}, (None, 2)),
        (nothing, {"a": "1"}, "nothing"),
    ],
)
def test_bind(function, values, result):
    assert call(function, **values) == result


@pytest.mark.parametrize("function", [plain, positional_only, keyword_only])
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, (1018, "缺少方法所需参数:a")),
        ({"b": "x"}, (1018, "缺少方法所需参数:a")),
        ({"a": "x", "b": "y"}, (1022, "参数类型错误：a <int>")),
        ({"a": "1", "b": "y"}, (1022, "参数类型错误：b <int>")),
        ({"a": None}, (1022, "参数类型错误：a <int>")),
        ({"A": "1"}, (1018, "缺少方法所需参数:a")),
    ],
)
def test_bind_refused(function, values, error):
    assert refusal(function, **values) == error


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, (1018, "缺少方法所需参数:a")),
        ({"b": "x", "c": "x"}, (1018, "缺少方法所需参数:a")),
        ({"a": "1", "c": "x"}, (1018, "缺少方法所需参数:b")),
        ({"a": "1", "b": "x", "c": "x"}, (1022, "参数类型错误：b <int>")),
        ({"a": "1", "b": "1", "c": "x"}, (1022, "参数类型错误：c <int>")),
    ],
)
def test_bind_judges_in_the_order_of_the_signature(values, error):
    assert refusal(mixed, **values) == error


def test_bind_text_that_is_no_json():
    def function(users: list, ids: dict[str, list[int]] = {}): ...  # noqa: B006

    assert refusal(function, users="x") == (1021, "无效的json格式，users")
    assert refusal(function, users="[]", ids='{"a": "[1"}') == (1022, "参数类型错误：ids['a'] <list[int]>")


def test_bind_is_repeatable():
    plan = CallPlan.of(positional_only)
    values = {"a": "1"}
    assert [plan.bind(values, {}), plan.bind(values, {})] == [([1, 2], {}), ([1, 2], {})]
    assert values == {"a": "1"}


# Defaults and null


def test_default_is_never_converted():
    text: Any = "19"

    def function(a: int = text, b: list = (), *, c: bool = 1): return a, b, c  # fmt: skip

    def positional(a: int = text, b: dict = None, /): return a, b  # fmt: skip # noqa: RUF013

    assert call(function) == ("19", (), 1)
    assert call(positional) == ("19", None)


def test_sent_value_is_converted_also_when_it_equals_the_default():
    text: Any = "19"

    def function(a: int = text, /, b: int = text): return a, b  # fmt: skip

    assert call(function, a="19", b="19") == (19, 19)


def test_default_is_the_same_object():
    shared: list[int] = []

    def function(a=shared, /, b=shared): return a, b  # fmt: skip

    first, second = call(function)
    assert first is second is shared


def null_by_default(a: int = None): return a  # fmt: skip # noqa: RUF013


def null_by_default_positional(a: int = None, /): return a  # fmt: skip # noqa: RUF013


def null_by_hint(a: int | None): return a  # fmt: skip


def null_by_hint_with_default(a: typing.Optional[int] = 5): return a  # fmt: skip # noqa: UP045


NULL_TAKEN = [null_by_default, null_by_default_positional, null_by_hint, null_by_hint_with_default]


@pytest.mark.parametrize("function", NULL_TAKEN)
def test_null_is_taken(function):
    assert call(function, a=None) is None
    assert call(function, a="7") == 7


@pytest.mark.parametrize("function", NULL_TAKEN)
@pytest.mark.parametrize("value", ["null", "", "None"])
def test_text_is_no_null(function, value):
    assert refusal(function, a=value) == (1022, "参数类型错误：a <int>")


@pytest.mark.parametrize("hint", [int, str, float, bool, list, dict, tuple, Decimal, Money, Date, list[int], int | str])
def test_null_is_refused(hint):
    def function(a): ...

    function.__annotations__ = {"a": hint}
    code, message = refusal(function, a=None)
    assert (code, message.split(" ")[0]) == (1022, "参数类型错误：a")


def test_null_by_default_is_not_null_inside():
    def function(a: list[int] = None): ...  # noqa: RUF013

    assert refusal(function, a=[None]) == (1022, "参数类型错误：a[0] <int>")


# **kwargs


def test_rest_gets_all_that_is_not_named():
    assert call(rest, a="7", b="1", c=[None]) == (7, {"b": "1", "c": [None]})


def test_rest_gets_public_parameters_and_no_credentials():
    assert call(rest, **PUBLIC, **SECRET, b="1") == (1, {**PUBLIC, "b": "1"})


def test_public_parameters():
    assert {*PUBLIC, *SECRET} == PUBLIC_PARAMETERS
    assert set(SECRET) == CREDENTIALS


@pytest.mark.parametrize("function", [rest, lambda **kwargs: (1, kwargs)])
def test_rest_keeps_a_key_with_its_own_name(function):
    assert call(function, kwargs="5") == (1, {"kwargs": "5"})


def test_rest_behind_positional_only():
    assert call(rest_behind_positional, self="1", kwargs="2", more="3") == ("1", "2", {"more": "3"})


def test_rest_is_converted():
    assert call(rest_of_int, b="1", more="2") == (1, {"b": 1, "more": 2})


def test_rest_is_converted_but_for_public_parameters():
    assert call(rest_of_int, **PUBLIC, b="1") == (1, {**PUBLIC, "b": 1})


def test_rest_mismatch_names_the_parameter_that_was_sent():
    assert refusal(rest_of_int, age="x") == (1022, "参数类型错误：age <int>")


def test_rest_takes_null_only_where_the_hint_does():
    def function(**more: int | None): return more  # fmt: skip

    assert call(function, b=None) == {"b": None}
    assert refusal(rest_of_int, b=None)[0] == 1022


def test_rest_of_lists_takes_repeated_keys():
    assert CallPlan.of(rest_of_lists).bind({"b": "2"}, {"b": ["1", "2"]}) == ([], {"b": [1, 2]})


def test_credentials_go_to_a_function_that_names_them():
    def function(access_token: str, sign: str = ""): return access_token, sign  # fmt: skip

    assert call(function, access_token="t", sign="s") == ("t", "s")


@pytest.mark.parametrize(
    ("function", "takes_any", "accepted"),
    [
        (plain, False, {"a", "b"}),
        (positional_only, False, {"a", "b"}),
        (rest, True, {"a"}),
        (nothing, False, set()),
    ],
)
def test_accepted(function, takes_any, accepted):
    plan = CallPlan.of(function)
    assert (plan.takes_any, plan.accepted) == (takes_any, accepted | PUBLIC_PARAMETERS)


# Repeated keys


def lists(a: list[int], b: int, c: list = (), *, d: tuple[int, ...] = ()): return a, b, c, d  # fmt: skip


def test_repeated():
    plan = CallPlan.of(lists)
    values = dict.fromkeys("abcd", "2")
    repeated = {name: ["1", "2"] for name in "abcd"}
    assert plan.bind(values, repeated) == ([], {"a": [1, 2], "b": 2, "c": ["1", "2"], "d": (1, 2)})
    assert values == dict.fromkeys("abcd", "2")


def test_repeated_mismatch():
    with pytest.raises(ApiException, match=r"^参数类型错误：a\[1\] <int>$"):
        CallPlan.of(lists).bind({"a": "x", "b": "1"}, {"a": ["1", "x"]})


# Everything that can be called


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return "wrapped", function(*args, **kwargs)

    return wrapper


class Shop:
    def __init__(self) -> None:
        self.sold: list[int] = []

    def sell(self, a: int, **more): self.sold.append(a); return self.sold, more  # fmt: skip # noqa: E702

    @classmethod
    def open(cls, a: int, **more): return cls, a, more  # fmt: skip

    @staticmethod
    def close(a: int, **more): return a, more  # fmt: skip

    def __call__(self, a: int, **more): return a, more  # fmt: skip


@dataclasses.dataclass
class Order:
    number: int
    note: str = ""


class WithInit:
    def __init__(self, a: int, **more) -> None:
        self.made = a, more


class WithNew:
    def __new__(cls, a: int, **more): return a, more  # fmt: skip


class Factory(type):
    def __call__(cls, a: int, **more): return a, more  # fmt: skip


class Made(metaclass=Factory): ...


SHOP = Shop()


def test_bound_method_is_called_on_the_registered_object():
    shop = Shop()
    plan = CallPlan.of(shop.sell)
    for number in ("1", "2"):
        positional, named = plan.bind({"a": number}, {})
        plan.function(*positional, **named)
    assert shop.sold == [1, 2]


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (Shop.open, (Shop, 1, {"b": "2"})),
        (SHOP.open, (Shop, 1, {"b": "2"})),
        (Shop.close, (1, {"b": "2"})),
        (SHOP.close, (1, {"b": "2"})),
        (SHOP, (1, {"b": "2"})),
        (WithNew, (1, {"b": "2"})),
        (Made, (1, {"b": "2"})),
        (staticmethod(rest), (1, {"b": "2"})),
        (functools.lru_cache(plain), (1, 2)),
        (functools.partial(rest, b="2"), (1, {"b": "2"})),
        (functools.partial(rest, 7), (7, {"b": "2"})),
        (functools.partial(functools.partial(mixed, 7), c=9), (7, 2, 9)),
        (functools.partial(SHOP.close, 7), (7, {"b": "2"})),
        (decorated(rest), ("wrapped", (1, {"b": "2"}))),
        (decorated(decorated(rest)), ("wrapped", ("wrapped", (1, {"b": "2"})))),
        (decorated(SHOP.close), ("wrapped", (1, {"b": "2"}))),
    ],
)
def test_callable(function, result):
    assert call(function, a="1", b="2") == result


def test_class():
    assert call(Order, number="7", more="x") == Order(7, "")
    assert call(WithInit, a="1", b="2").made == (1, {"b": "2"})
    assert refusal(Order, number="x") == (1022, "参数类型错误：number <int>")


def test_partial_takes_the_place_of_a_default():
    function = functools.partial(plain, b="3")
    assert call(function, a="1") == (1, "3")
    assert call(function, a="1", b="4") == (1, 4)


def test_static_method_with_self_needs_it():
    def err_func(self): return self  # fmt: skip

    assert refusal(err_func) == (1018, "缺少方法所需参数:self")
    assert call(err_func, self="1") == "1"


FILLED = {
    "bound method": SHOP.sell,
    "class method": Shop.open,
    "callable object": SHOP,
    "class with __init__": WithInit,
    "class with __new__": WithNew,
    "class with a metaclass": Made,
    "wrapped function": decorated(rest),
    "wrapped method": decorated(SHOP.sell),
    "partial of a function": functools.partial(rest, 7),
    "partial of a method": functools.partial(SHOP.sell, 7),
    "partial of a class method": functools.partial(Shop.open, 7),
    "partial of a class": functools.partial(WithInit, 7),
}


@pytest.mark.parametrize("function", FILLED.values(), ids=FILLED)
def test_rest_never_gets_what_the_call_fills(function):
    names = ("self", "cls", "args", "kwargs", "function", "more", "a")
    call(function, **dict.fromkeys(names, "1"))


# Hints


def test_string_annotations():
    assert CallPlan.of(plain).signature.parameters["a"].annotation == "int"
    assert call(plain, a="1") == (1, 2)


def hinted_with_names(
    a: Money, b: list[Order], c: Literal["x", 1] = 1, d: typing.Optional[datetime.date] = None  # noqa: UP045
):  # fmt: skip
    return a, b, c, d


def test_string_annotations_that_need_the_module():
    result = call(hinted_with_names, a="1.5", b='[{"number": "7"}]', c="x", d="2017-05-20")
    assert result == (Decimal("1.50"), [Order(7)], "x", datetime.date(2017, 5, 20))


def test_annotation_with_a_string_inside():
    def function(a, b): return a, b  # fmt: skip

    function.__annotations__ = {"a": list["Order"], "b": typing.Optional["Order"]}
    assert call(function, a='[{"number": 1}]', b=None) == ([Order(1)], None)


def module_of(source: str) -> types.ModuleType:
    """Another module, with names of its own."""
    module = types.ModuleType("elsewhere")
    exec(f"from __future__ import annotations\nimport decimal as dec, functools\n{source}", vars(module))
    return module


ELSEWHERE = module_of("""
def function(a: dec.Decimal): return a
class Base:
    def __init__(self, a: dec.Decimal): self.a = a
    def method(self, a: dec.Decimal): return a
    def __call__(self, a: dec.Decimal): return a
def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs): return function(*args, **kwargs)
    return wrapper
""")


class Child(ELSEWHERE.Base):  # type: ignore[name-defined, misc]
    pass


@pytest.mark.parametrize(
    "function",
    [
        ELSEWHERE.function,
        decorated(ELSEWHERE.function),
        functools.partial(ELSEWHERE.function),
        Child("1").method,
        Child("1"),
        Child,
    ],
)
def test_string_annotations_are_read_where_they_were_written(function):
    assert CallPlan.of(function).bind({"a": "1.5"}, {}) == ([], {"a": Decimal("1.5")})


def test_string_annotations_of_a_function_wrapped_elsewhere():
    assert call(ELSEWHERE.decorated(hinted_with_names), a="1", b="[]") == (Decimal("1.00"), [], 1, None)


# What can't be called with named parameters


def with_args(a, *values): ...  # fmt: skip
def with_unknown_name(a, b: NoSuchType): ...  # fmt: skip # noqa: F821
def with_bad_syntax(a, b: "int |"): ...  # fmt: skip # noqa: F722
def with_error(a, *, b: 1 / 0): ...  # fmt: skip
def with_unknown_name_inside(a, b: list[NoSuchType]): ...  # fmt: skip # noqa: F821
def with_unknown_rest(**b: NoSuchType): ...  # fmt: skip # noqa: F821


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (with_args, r"parameter \*values: positional parameters without a name are not supported"),
        (lambda *args, **kwargs: None, r"parameter \*args: positional parameters without a name are not supported"),
        (print, r"parameter \*args: positional parameters without a name are not supported"),
        (with_unknown_name, r"parameter b: its type hint 'NoSuchType' can't be read: name 'NoSuchType' is not defined"),
        (with_bad_syntax, r"parameter b: its type hint .*int \|.* can't be read: .*"),
        (with_error, r"parameter b: its type hint .* can't be read: division by zero"),
        (with_unknown_name_inside, r"parameter b: .* can't be read: name 'NoSuchType' is not defined"),
        (with_unknown_rest, r"parameter b: its type hint 'NoSuchType' can't be read: name 'NoSuchType' is not defined"),
        (max, r"its signature can't be read: no signature found for builtin <built-in function max>"),
        (int, r"its signature can't be read: .*"),
    ],
)
def test_refused_at_registration(function, problem):
    with pytest.raises(SignatureError, match=f"^{problem}$"):
        CallPlan.of(function)


# What the documentation reads


def documented(count: int, /, order: Order | None = None, *, note=None, **rest: list[int]) -> list[Order]:
    """Place an order.

    It is delivered on the same day.

    Args:
        count: how many
        order: what
            is ordered
        rest: all else

    Returns:
        what was ordered before
    """
    return [order or Order(count)]


def test_parameters():
    plan = CallPlan.of(documented)
    kinds = inspect.Parameter
    found = [(one.name, one.kind, one.hint, one.default, one.description) for one in plan.parameters]
    assert found == [
        ("count", kinds.POSITIONAL_ONLY, int, MISSING, "how many"),
        ("order", kinds.POSITIONAL_OR_KEYWORD, Order | None, None, "what is ordered"),
        ("note", kinds.KEYWORD_ONLY, MISSING, None, ""),
        ("rest", kinds.VAR_KEYWORD, list[int], MISSING, "all else"),
    ]
    assert (plan.summary, plan.description) == ("Place an order.", "It is delivered on the same day.")
    assert isinstance(plan.parameters, tuple)
    assert plan.parameters is plan.parameters


def test_parameters_have_the_converters_that_bind_uses():
    count, order, note, rest = (one.converter for one in CallPlan.of(documented).parameters)
    assert (count.schema(), note, rest.convert("[1]")) == ({"type": "integer"}, AS_IT_CAME, [1])
    assert order.schema()["anyOf"] == [{"$ref": "#/$defs/Order"}, {"type": "null"}]
    assert CallPlan.of(plain).parameters[0] == Parameter(
        "a", inspect.Parameter.POSITIONAL_OR_KEYWORD, int, count, MISSING, ""
    )
    with_none = CallPlan.of(lambda a=None: a).parameters[0]
    assert with_none.converter.nullable


def test_parameter_with_default_none_takes_null():
    def function(a: int = None): ...  # type: ignore[assignment]  # noqa: RUF013

    found = CallPlan.of(function).parameters[0]
    assert (found.hint, found.converter.schema()) == (int, {"anyOf": [{"type": "integer"}, {"type": "null"}]})


def test_result():
    result = CallPlan.of(documented).result
    assert (result.hint, result.description) == (list[Order], "what was ordered before")
    assert result.converter.schema()["items"] == {"$ref": "#/$defs/Order"}


def with_unknown_result(a: int) -> NoSuchType: ...  # fmt: skip # noqa: F821
def with_bad_result(a: int) -> 5: ...  # fmt: skip


@pytest.mark.parametrize("function", [plain, with_unknown_result, with_bad_result])
def test_result_without_a_hint_that_can_be_read(function):
    assert CallPlan.of(function).result == (MISSING, AS_IT_CAME, "")


class Described:
    """A shop."""

    def __init__(self, a: int = 1) -> None:
        self.a = a

    def __call__(self, b: int = 1) -> None:
        """Sell.

        :param b: what
        """


class Opened:
    def __init__(self, a: int = 1) -> None:
        """Open.

        :param a: where
        """


class Undescribed:
    """A shop without a word on selling."""

    def __call__(self, b: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("function", "summary", "description"),
    [
        (Described(), "Sell.", "what"),
        (Described, "A shop.", ""),
        (Opened, "Open.", "where"),
        (Undescribed(), "A shop without a word on selling.", ""),
        (functools.partial(documented, 1), "Place an order.", "what is ordered"),
        (functools.partial(Described()), "Sell.", "what"),
        (decorated(Described().__call__), "Sell.", "what"),
        (WithNew, "", ""),
        (lambda a: a, "", ""),
    ],
)
def test_docstring_of_what_is_called(function, summary, description):
    plan = CallPlan.of(function)
    assert (plan.summary, plan.parameters[0].description) == (summary, description)


# Any JSON value for any hint


class Colour(enum.Enum):
    RED = "red"
    TWO = 2
    LIST = (1, 2)


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    a: Annotated[int, msgspec.Meta(ge=0)]
    b_c: dict[str, Strict] | None = None


class Pair(msgspec.Struct, array_like=True):
    a: int
    b: str


class Point(NamedTuple):
    a: float
    b: int = 0


class Record(TypedDict, total=False):
    a: list[Record]
    b: Colour


@dataclasses.dataclass
class Node:
    a: int
    b: Node | None = None
    c: dict[str, Node | int] = dataclasses.field(default_factory=dict)


HINTS: list[Any] = [
    *[int, float, str, bool, list, dict, tuple, set, frozenset, None, Any, object, complex, bytes, Decimal],
    *[datetime.date, datetime.datetime, datetime.time, datetime.timedelta, uuid.UUID, UploadFile],
    *[Integer, Money, Date, DateTime, DateTime("%H%f"), Email, Money | None, list[Money]],
    *[list[int], list[Any], list[list[int]], set[int], set[list[int]], frozenset[str], set[Colour], tuple[()]],
    *[tuple[int, ...], tuple[int, str], tuple[Node, ...], dict[str, int], dict[int, Any], dict[Colour, list[str]]],
    *[dict[tuple[int, ...], int], dict[list[int], int]],
    *[int | None, int | str, str | list[int], bool | float | None, Node | list[Node] | None, Decimal | str, int | Any],
    *[Literal["a", 1, None], Literal[True, 0], Colour, enum.IntEnum("Level", ["LOW", "HIGH"]), Colour | int],
    *[Annotated[int, msgspec.Meta(ge=0)], Annotated[str, msgspec.Meta(pattern="^a", max_length=3)]],
    *[Annotated[list[int], msgspec.Meta(max_length=1)], Annotated[float, msgspec.Meta(multiple_of=0.1)]],
    *[Annotated[dict[str, int], msgspec.Meta(min_length=1)], Annotated[int, "note"] | None],
    *[Annotated[Decimal, msgspec.Meta(multiple_of=5)], Annotated[Decimal, msgspec.Meta(multiple_of=0.1, le=0.5)]],
    *[Annotated[int, msgspec.Meta(multiple_of=0.5)], Annotated[Money, msgspec.Meta(gt=1)]],
    *[
        Annotated[datetime.datetime, msgspec.Meta(tz=True)],
        Annotated[int | str, msgspec.Meta(ge=0), msgspec.Meta(max_length=2)],
    ],
    *[Node, list[Node], dict[str, Node], Record, Strict, Cat, Cat | Pair, Pair, Point, Order, typing.Mapping[str, int]],
    *[typing.Sequence[int], typing.Iterable[int], typing.NewType("Id", int)],
]

# fmt: off
TEXTS = st.text(max_size=8) | st.sampled_from([
    "a", "red", "12", " 1 ", "-0", "1e5", "1e400", "1e-400", "nan", "inf", "true", "null", "", "[", "[1", "{}", "[1,2]",
    '{"a": 1}', '{"a": "[1"}', '["[1]"]', "[NaN]", "[1e400]", "[" * 101 + "]" * 101, "9" * 4301, "1e" + "9" * 30,
    "2017-05-20", "2017-05-20T12:00:00+23:59", "0001-01-01T00:00:00+14:00", "P999999999D", "P1D", "24:00:00", "aGk=",
    "a@b.de", "00000000-0000-0000-0000-000000000005", "0.005", "１２", "\u2028", "\x00", "%",
])
# fmt: on
NUMBERS = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, 2, -1, 10**18, 10**400, Decimal("1E+400"), Decimal("-1E+999999"), Decimal("9" * 4301)])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "bC", "type", "number"]) | TEXTS, inner, max_size=4)
    ),
    max_leaves=8,
)


def plan_of(hint: Any) -> CallPlan:
    def function(value): ...

    function.__annotations__ = {"value": hint}
    return CallPlan.of(function)


PLANS = [(hint, plan_of(hint)) for hint in HINTS]


def not_ready_for(value: Any, repeated: dict[str, list[Any]]) -> list[Any]:
    """The hints for which a value ends in anything but an argument, 1018, 1021 or 1022."""
    found = []
    for hint, plan in PLANS:
        try:
            plan.bind({"value": value}, repeated)
        except ApiException as error:
            if error.err_code not in (1018, 1021, 1022):
                found.append((hint, error))
        except Exception as error:
            found.append((hint, error))
    return found


@settings(max_examples=200, deadline=None)
@given(VALUES)
@example(Decimal("1E+999999999999999999"))
@example({"a": 1, "b": {"a": 1, "b": {"a": "x"}}, "c": {"d": {}}})
@example({"a": 1, "bC": {"x": {"a": -1}}})
@example({"type": "cat", "lives": Decimal("1E+400")})
@example({"[1]": 1})
@example("1e40")
@example(10**400)
def test_bind_any_json_value_for_any_hint(value):
    assert not_ready_for(value, {}) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(VALUES, min_size=2, max_size=3))
def test_bind_any_repeated_values_for_any_hint(values):
    assert not_ready_for(values[-1], {"value": values}) == []
