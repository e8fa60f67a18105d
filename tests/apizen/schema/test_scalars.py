from decimal import Decimal

import pytest

from apizen.schema.scalars import (
    Mismatch,
    Missing,
    NotJson,
    array,
    boolean,
    decimal,
    document,
    floating,
    integer,
    mapping,
    text,
)
from tests.worst import LINEAR, times_longer

TAKEN = [
    (integer, 12, 12),
    (integer, 0, 0),
    (integer, 10**4299, 10**4299),
    (integer, "12", 12),
    (integer, " 12 ", 12),
    (integer, "\t\r\n12\n", 12),
    (integer, "+12", 12),
    (integer, "-5", -5),
    (integer, "007", 7),
    (integer, "-0", 0),
    (integer, "9" * 4300, 10**4300 - 1),
    (floating, 1.5, 1.5),
    (floating, 12, 12.0),
    (floating, "1.5", 1.5),
    (floating, " 1.5 ", 1.5),
    (floating, "12", 12.0),
    (floating, "1e3", 1000.0),
    (floating, "1E-3", 0.001),
    (floating, ".5", 0.5),
    (floating, "5.", 5.0),
    (floating, "-0", -0.0),
    (floating, "1e-400", 0.0),
    (text, "", ""),
    (text, " a\r\n", " a\r\n"),
    (text, "中", "中"),
    (text, "null", "null"),
    (text, "true", "true"),
    (text, 12, "12"),
    (text, -0.5, "-0.5"),
    (text, 2**70, "1180591620717411303424"),
    (text, Decimal("9" * 5000), "9" * 5000),
    (boolean, True, True),
    (boolean, False, False),
    (boolean, "true", True),
    (boolean, "TRUE", True),
    (boolean, "True", True),
    (boolean, " true ", True),
    (boolean, "1", True),
    (boolean, "yes", True),
    (boolean, "On", True),
    (boolean, "是", True),
    (boolean, "false", False),
    (boolean, "0", False),
    (boolean, "No", False),
    (boolean, "OFF", False),
    (boolean, "否", False),
    (array, [1, "a"], [1, "a"]),
    (array, "[]", []),
    (array, ' [1, "a"] ', [1, "a"]),
    (mapping, {"a": 1}, {"a": 1}),
    (mapping, '{"a": [1]}', {"a": [1]}),
    (decimal, "1.50", Decimal("1.50")),
    (decimal, " -1e3 ", Decimal("-1E+3")),
    (decimal, 12, Decimal(12)),
    (decimal, 0.1, Decimal("0.1")),
    (decimal, Decimal("1E+400"), Decimal("1E+400")),
    (document, "null", None),
    (document, 5, 5),
    (document, None, None),
]

REFUSED = [
    *[(integer, value) for value in (12.2, 12.0, True, False, None, [], {}, Decimal("1E+400"))],
    *[(integer, value) for value in ("", " ", "12.2", "12.0", "1e3", "1_000", "0x1", "1 2", "--1", "+ 1", "true")],
    *[(integer, value) for value in ("１２", "١٢", "²", "\u00a012", "12\x00", "12\x0b", "9" * 4301, "null")],
    *[(floating, value) for value in (True, None, [], {}, 10**400, float("inf"), float("nan"), Decimal("1E+400"))],
    *[(floating, value) for value in ("", ".", "nan", "inf", "-Infinity", "1e400", "-1e400", "1_0", "1,5", "0x1p3")],
    *[(floating, value) for value in ("1e", "e5", "１.５", "1 .5", "\u00a01.5", "true")],
    *[(text, value) for value in (True, False, None, [], {}, ["a"])],
    *[(boolean, value) for value in ("", " ", "2", "t", "y", "null", "是的", "\u00a0true", "11", 1, 0, 1.0, None, [])],
    *[(array, value) for value in ("{}", "1", '"[]"', "null", "true", {}, 1, None, True, (1, 2))],
    *[(mapping, value) for value in ("[]", "1", '"{}"', "null", [], 1, None, True)],
    *[(decimal, value) for value in ("", "nan", "sNaN", "inf", "1_0", "x", "1e99999999999999999999", True, None, [])],
]


def name_of(item):
    return item.__name__ if callable(item) else repr(item)[:30]


@pytest.mark.parametrize(("convert", "value", "expected"), TAKEN, ids=name_of)
def test_taken(convert, value, expected):
    assert repr(convert(value)) == repr(expected)


@pytest.mark.parametrize(("convert", "value"), REFUSED, ids=name_of)
def test_refused(convert, value):
    with pytest.raises(Mismatch) as caught:
        convert(value)
    assert (type(caught.value), caught.value.path, caught.value.name) == (Mismatch, "", None)


@pytest.mark.parametrize("convert", [array, mapping, document])
@pytest.mark.parametrize("value", ["", " ", "a", "[1,", "{", "[NaN]", '{"a": Infinity}', "[" * 101 + "]" * 101])
def test_text_that_is_no_json(convert, value):
    with pytest.raises(NotJson):
        convert(value)


def test_a_converted_list_is_not_copied():
    values = [1, 2]
    assert array(values) is values


@pytest.mark.parametrize("kind", [Mismatch, Missing, NotJson])
def test_mismatch_within(kind):
    inner = kind(".age", "int")
    outer = inner.within("[2]", "User").within(".users", "list[User]")
    assert (type(outer), outer.path, outer.name) == (kind, ".users[2].age", "int")
    assert (inner.path, inner.name) == (".age", "int")


def test_mismatch_within_takes_the_first_name():
    assert Mismatch().within("[0]", "int").name == "int"


# Texts that a regular expression with two ways to read the same digits would look at for minutes.
LONG = {
    "an integer": lambda size: "1" * size + "x",
    "a fraction": lambda size: "1" * (size // 2) + "." + "1" * (size // 2) + "x",
    "spaces": lambda size: " " * size + "x",
    "a space inside": lambda size: "1" * size + " x",
    "an exponent": lambda size: "1e" + "1" * size + "x",
}


@pytest.mark.parametrize("convert", [integer, floating, decimal, boolean])
@pytest.mark.parametrize("text_of", LONG.values(), ids=LONG)
def test_long_text_is_refused_in_linear_time(convert, text_of):
    def refuse(value):
        with pytest.raises(Mismatch):
            convert(value)

    assert times_longer(refuse, text_of(5_000), text_of(40_000)) < LINEAR
