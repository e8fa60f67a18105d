import contextlib
import json
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apizen.schema.strict_json import MAX_DEPTH, MAX_WEIGHT, InvalidDocument, decode, exact
from tests.worst import LINEAR, times_larger, times_longer

DOCUMENTS = [
    ("{}", {}),
    (" [1, 2.5, true, null] \r\n", [1, 2.5, True, None]),
    ('"中\\u4e2d"', "中中"),
    ('"\\ud83d\\ude00"', "😀"),
    ('"\\u0000"', "\x00"),
    ("-0", 0),
    ("-0.0", -0.0),
    ("1.0", 1.0),
    ("1e2", 100.0),
    ("1e-400", 0.0),
    (str(2**64), 2**64),
    (str(-(2**64)), -(2**64)),
    ("9" * 4300, int("9" * 4300)),
    ("1" * 4301, Decimal("1" * 4301)),
    ("1e400", Decimal("1E+400")),
    ("-1.5e400", Decimal("-1.5E+400")),
    ('{"a": [1e400, "b", 1.5, 7]}', {"a": [Decimal("1E+400"), "b", 1.5, 7]}),
    ('{"a": 1, "a": 2}', {"a": 2}),
]


@pytest.mark.parametrize(("text", "value"), DOCUMENTS, ids=lambda item: repr(item)[:30])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_decode(text, value, as_bytes):
    # repr, since 1 == 1.0 == True.
    assert repr(decode(text.encode() if as_bytes else text)) == repr(value)


REFUSED = [
    *["", " ", "nul", "NaN", "Infinity", "-Infinity", "[NaN]", '{"a": Infinity}', "[1,]", "{'a': 1}", "[1] [2]", "01"],
    *["+1", ".5", "1.", "0x1", '"\\ud800"', '"\\udc00\\ud800"', '"a\nb"', '"\\x41"', "{1: 2}", '{"a"}', "// x\n1"],
    *["[1e400, NaN]", "[1e400", '[1e400, "\\ud800"]', '{"\\ud800": 1e400}', "1e99999999999999999999"],
]


@pytest.mark.parametrize("text", REFUSED)
def test_decode_refused(text):
    with pytest.raises(InvalidDocument):
        decode(text)


@pytest.mark.parametrize("body", [b'"\xff"', b'{"a": 1e400, "b": "\xff"}', b'"\xed\xa0\x80"', b'"\xc0\x80"'])
def test_decode_bytes_that_are_not_utf8(body):
    with pytest.raises(InvalidDocument, match=r"^not UTF-8$"):
        decode(body)


@pytest.mark.parametrize("body", ["{}".encode("utf-16"), "{}".encode("utf-32"), "[1e400]".encode("utf-16-le")])
def test_decode_bytes_of_another_encoding(body):
    with pytest.raises(InvalidDocument):
        decode(body)


NESTED = [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")]


@pytest.mark.parametrize(("opening", "closing"), NESTED)
@pytest.mark.parametrize("number", ["1", "1e400"])
def test_decode_nested(opening, closing, number):
    times = MAX_DEPTH // (opening.count("[") + opening.count("{"))
    text = opening * times + number + closing * times
    assert json.dumps(decode(text), default=str, separators=(",", ":")) == text.replace("1e400", '"1E+400"')


@pytest.mark.parametrize(("opening", "closing"), NESTED)
@pytest.mark.parametrize("number", ["1", "1e400"])
@pytest.mark.parametrize("times", [MAX_DEPTH + 1, 1000, 100_000])
def test_decode_nested_too_deep(opening, closing, number, times):
    with pytest.raises(InvalidDocument, match=f"^nested deeper than {MAX_DEPTH} levels$"):
        decode(opening * times + number + closing * times)


def test_decode_brackets_in_text_are_no_nesting():
    assert decode(json.dumps(["[{" * 200])) == ["[{" * 200]


def test_decode_many_levels_side_by_side():
    assert decode("[" + "[[]]," * 1000 + "[]]") == [[[]]] * 1000 + [[]]


MANY = {
    "arrays": "[" + "[]," * 700_000 + "[]]",
    "objects": "[" + '{"id":1},' * 500_000 + "[]]",
    "numbers": "[" + "1," * 1_100_000 + "1]",
    "members": "{" + ",".join(f'"{number}":1' for number in range(700_000)) + "}",
}


@pytest.mark.parametrize("text", MANY.values(), ids=MANY)
def test_decode_more_values_than_memory(text):
    with pytest.raises(InvalidDocument, match=f"^its values would take more than {MAX_WEIGHT} bytes$"):
        decode(text)
    assert times_larger(refusal, text) < 3
    assert decode(text, 1 << 40) == json.loads(text)


def refusal(text):
    with pytest.raises(InvalidDocument):
        decode(text)


MARKS_IN_TEXT = ["[{,:" * 100_000, '\\"[' * 100_000, "\\\\" * 100_000, "\u5f20[" * 100_000, '{"a":[' * 50_000]


@pytest.mark.parametrize("text", MARKS_IN_TEXT, ids=lambda text: text[:8])
@pytest.mark.parametrize("shift", range(4))
def test_decode_marks_in_text_weigh_nothing(text, shift):
    document = json.dumps(["x" * shift, text, [text]])
    assert decode(document) == json.loads(document)


def test_decode_weighs_what_stands_behind_a_long_text():
    for opening in ("[", '{"a":'):
        text = '["' + "[" * 200_000 + '",' + opening * 200 + "1" + "}" * 200 * (opening != "[") + "]" * 201
        with pytest.raises(InvalidDocument, match=f"^nested deeper than {MAX_DEPTH} levels$"):
            decode(text)


WORST = {
    "arrays": b"[" + b"[]," * 20_000 + b"[]]",
    "objects": b"[" + b'{"a":1},' * 10_000 + b"[]]",
    "texts": b"[" + b'"a",' * 20_000 + b'""]',
    "quotes": b'"' * 80_000,
    "backslashes": b'"\\' * 40_000,
    "escapes": b'["' + b'\\"' * 40_000 + b'"]',
    "nested": b"[" * 80_000,
    "digits": b"1" * 80_000,
    "fraction": b"0." + b"1" * 80_000,
    "exponents": b"[" + b"1e400," * 10_000 + b"1]",
    "surrogates": b'["' + rb"\ud83d\ude00" * 8_000 + b'"]',
}


def anything(text):
    with contextlib.suppress(InvalidDocument):
        decode(text, 1 << 40)


@pytest.mark.parametrize("text", WORST.values(), ids=WORST)
def test_decode_time_is_linear(text):
    assert times_longer(anything, text, text[:1] + text[1:-1] * 8 + text[-1:]) < LINEAR


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON, st.booleans())
def test_decode_reads_what_json_writes(value, ascii_only):
    assert repr(decode(json.dumps(value, ensure_ascii=ascii_only).encode())) == repr(value)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='[]{}:,"\\u0123456789abcdefE+-.truefalsn \n') | st.text())
def test_decode_takes_nothing_that_json_refuses(text):
    try:
        value = decode(text)
    except InvalidDocument:
        return
    expected = json.loads(text)
    if not isinstance(expected, float) or math.isfinite(expected):
        assert value == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.50", "1.50"), ("1e400", "1E+400"), ("-0", "-0"), ("1E+999999999999999999", "1E+999999999999999999")],
)
def test_exact(text, number):
    assert str(exact(text)) == number


def test_exact_refused():
    with pytest.raises(ValueError, match=r"^a number of more than 999999999999999999 digits$"):
        exact("1e9999999999999999999")
