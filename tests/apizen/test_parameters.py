import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apizen import UploadFile
from apizen.exception import ApiException
from apizen.multipart import parse_multipart
from apizen.parameters import MAX_FIELDS, MAX_FORM, MAX_QUERY, Parameters, no_multipart
from apizen.request import Request
from tests.worst import LINEAR, times_larger, times_longer

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=x"


def parameters(query: str = "", body: bytes = b"", content_type: str | None = None, **more: Any) -> Parameters:
    """The parameters of a request, its body read."""
    headers = dict(more.get("headers", {}))
    if content_type is not None:
        headers["Content-Type"] = content_type
    verb = more.get("verb", "POST" if body else "GET")
    found = Parameters(Request(verb, query, headers, body), parse_multipart)
    found.read_body()
    return found


def refusal(*arguments: Any, **named: Any) -> tuple[int, int, str]:
    with pytest.raises(ApiException) as caught:
        parameters(*arguments, **named)
    return caught.value.err_code, caught.value.status_code, str(caught.value)


def code_of(*arguments: Any, **named: Any) -> int:
    try:
        parameters(*arguments, **named)
    except ApiException as error:
        return error.err_code
    return 1000


def part(name: str, value: bytes, *, file: str | None = None, content_type: str | None = None) -> bytes:
    filename = "" if file is None else f'; filename="{file}"'
    typed = "" if content_type is None else f"Content-Type: {content_type}\r\n"
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n{typed}\r\n'
    return head.encode() + value + b"\r\n"


END = b"--x--\r\n"


# The query string


@pytest.mark.parametrize(
    ("query", "values", "repeated"),
    [
        ("", {}, {}),
        ("a=1&b=2", {"a": "1", "b": "2"}, {}),
        ("a=1&a=2&b=3&a=3", {"a": "3", "b": "3"}, {"a": ["1", "2", "3"]}),
        ("a", {"a": ""}, {}),
        ("a=", {"a": ""}, {}),
        ("=1", {"": "1"}, {}),
        ("&&a=1&", {"a": "1"}, {}),
        ("a=1=2", {"a": "1=2"}, {}),
        ("a=1;b=2", {"a": "1;b=2"}, {}),
        ("a=x+y%20z", {"a": "x y z"}, {}),
        ("a=x%2By", {"a": "x+y"}, {}),
        ("a%20b=1&a+b=2", {"a b": "2"}, {"a b": ["1", "2"]}),
        ("a=%26%3D", {"a": "&="}, {}),
        ("a=%zz%4", {"a": "%zz%4"}, {}),
        ("a=%00", {"a": "\x00"}, {}),
        ("%E5%A7%93=%E5%BC%A0", {"姓": "张"}, {}),
        ("a=%e5%bc%a0&a=%F0%9F%98%80", {"a": "😀"}, {"a": ["张", "😀"]}),
        ("a=" + "张".encode().decode("latin-1"), {"a": "张"}, {}),
        ("a= x ", {"a": " x "}, {}),
        ("a[]=1&a.b=2", {"a[]": "1", "a.b": "2"}, {}),
    ],
)
@pytest.mark.parametrize("source", ["query", "form"])
def test_fields(source, query, values, repeated):
    found = parameters(query) if source == "query" else parameters("", query.encode("latin-1"), FORM)
    assert (found.named, found.repeated) == (values, repeated)


NOT_UTF8 = ["a=%ff", "%ff=a", "a=%ED%A0%80", "a=%C0%80", "a=%E5%BC", "a=\xff", "a=1&b=%FF&c=2"]


@pytest.mark.parametrize("query", NOT_UTF8)
def test_fields_that_are_not_utf8(query):
    assert refusal(query) == (1011, 400, "无效数据格式，查询串不是 UTF-8")
    assert refusal("", query.encode("latin-1"), FORM) == (1011, 400, "无效数据格式，表单不是 UTF-8")


def test_query_limits():
    assert parameters("a=" + "b" * (MAX_QUERY - 2)).named == {"a": "b" * (MAX_QUERY - 2)}
    assert refusal("a=" + "b" * (MAX_QUERY - 1)) == (1025, 400, "无效的请求，查询串超过 32768 个字符")


@pytest.mark.parametrize("name", ["a", "%61"])
def test_limit_of_fields(name):
    most = "&".join([f"{name}=1"] * MAX_FIELDS)
    assert parameters(most).repeated == {"a": ["1"] * 1000}
    assert parameters("", most.encode(), FORM).repeated == {"a": ["1"] * 1000}
    assert refusal(f"{most}&b=1") == (1025, 400, "无效的请求，查询串超过 1000 个参数")
    assert refusal("", f"{most}&b=1".encode(), FORM) == (1025, 400, "无效的请求，表单超过 1000 个参数")


def test_a_form_may_be_longer_than_a_query():
    text = "b" * (MAX_QUERY + 1)
    assert parameters("", f"a={text}".encode(), FORM).named == {"a": text}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_fields_of_any_text(fields):
    last = dict(fields)
    for query in (urlencode(fields), urlencode(fields, quote_via=quote)):
        assert parameters(query).named == last
        assert parameters("", query.encode(), FORM).named == last


# Merging


@pytest.mark.parametrize(
    ("query", "body", "content_type", "values", "repeated"),
    [
        ("a=1&b=1", b"b=2&c=2", FORM, {"a": "1", "b": "2", "c": "2"}, {}),
        ("a=1&b=1", b'{"b": 2, "c": null}', JSON, {"a": "1", "b": 2, "c": None}, {}),
        ("a=1&b=1", part("b", b"2") + part("c", b"2") + END, MULTIPART, {"a": "1", "b": "2", "c": "2"}, {}),
        ("a=1", b"{}", JSON, {"a": "1"}, {}),
        ("a=1&a=2", b"a=3", FORM, {"a": "3"}, {}),
        ("a=1&a=2", b'{"a": 3}', JSON, {"a": 3}, {}),
        ("a=1&a=2", part("a", b"3") + END, MULTIPART, {"a": "3"}, {}),
        ("a=1&a=2", b"b=1&b=2", FORM, {"a": "2", "b": "2"}, {"a": ["1", "2"], "b": ["1", "2"]}),
        ("a=1", b"a=2&a=3", FORM, {"a": "3"}, {"a": ["2", "3"]}),
        ("a=1&a=2", b'{"b": [1, 2]}', JSON, {"a": "2", "b": [1, 2]}, {"a": ["1", "2"]}),
        ("", b'{"a": 1, "a": 2}', JSON, {"a": 2}, {}),
    ],
)
def test_merge(query, body, content_type, values, repeated):
    found = parameters(query, body, content_type)
    assert (found.named, found.repeated) == (values, repeated)


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_body_is_read_for_every_verb(verb):
    assert parameters("", b"a=1", FORM, verb=verb).named == {"a": "1"}
    assert parameters("", b'{"a": 1}', JSON, verb=verb).named == {"a": 1}


# Public parameters

SOURCES = [
    ("v=1", b"v=2", FORM, "1"),
    ("v=1", part("v", b"2") + END, MULTIPART, "1"),
    ("v=1", b'{"v": "2"}', JSON, "1"),
    ("", b"v=2", FORM, "2"),
    ("", part("v", b"2") + END, MULTIPART, "2"),
    ("", b'{"v": "2"}', JSON, None),
    ("v=1&v=2", b"", None, "2"),
    ("", b"v=1&v=2", FORM, "2"),
    ("v=", b"v=2", FORM, ""),
    ("v=%20x+", b"", None, " x "),
    ("V=1", b"", None, None),
    ("", part("v", b"2", file="v.txt") + END, MULTIPART, None),
    ("", b"v=2", "text/plain", None),
    ("", b"v=2", None, None),
]


@pytest.mark.parametrize(("query", "body", "content_type", "value"), SOURCES)
def test_public(query, body, content_type, value):
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert Parameters(Request("POST", query, headers, body), parse_multipart).public("v") == value


@pytest.mark.parametrize("body", [b"a=%ff&v=2", b"&".join([b"v=2"] * 1001)])
def test_public_does_not_depend_on_a_form_that_cannot_be_read(body):
    found = Parameters(Request("POST", "v=1", {"Content-Type": FORM}, body), parse_multipart)
    assert (found.public("v"), found.public("method")) == ("1", None)
    with pytest.raises(ApiException):
        found.read_body()


# JSON bodies


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_json_content_type(content_type):
    assert parameters("", '{"a": "张"}'.encode(), content_type).named == {"a": "张"}


@pytest.mark.parametrize("body", [b"[]", b"1", b'"a"', b"null", b"true", b"[{}]", b"1e400"])
def test_json_that_is_no_object(body):
    assert refusal("", body, JSON) == (1021, 400, "无效的json格式，应为 JSON 对象")


MALFORMED = [
    *[b" ", b"{", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": [1e400, NaN]}', b"{'a': 1}", b"a=1"],
    *["{}".encode("utf-16"), b"\xff", b'{"a": "\\ud800"}', b'{"a": 1}}', b'{"a": 1,}', b'{"a": "\n"}'],
]


@pytest.mark.parametrize("body", MALFORMED)
def test_json_that_is_malformed(body):
    code, status, message = refusal("", body, JSON)
    assert (code, status, message.partition("，")[0]) == (1021, 400, "无效的json格式")


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH"])
def test_json_that_is_empty(verb):
    assert refusal("", b"", JSON, verb=verb)[:2] == (1021, 400)


@pytest.mark.parametrize("verb", ["GET", "HEAD", "DELETE"])
def test_content_type_of_a_request_without_a_body_says_nothing(verb):
    for content_type in (JSON, FORM, "text/plain", f"{JSON}; charset=gbk"):
        assert parameters("a=1", b"", content_type, verb=verb).named == {"a": "1"}


@pytest.mark.parametrize(
    "body", [b'{"a": "\xff"}', b'{"\xff": 1}', b'{"a": "\xed\xa0\x80"}', b'{"a": 1e400, "b": "\xff"}']
)
def test_json_that_is_not_utf8(body):
    assert refusal("", body, JSON) == (1021, 400, "无效的json格式，not UTF-8")


def test_json_nesting():
    body = b'{"a":' + b"[" * 99 + b"]" * 99 + b"}"
    assert json.dumps(parameters("", body, JSON).named, separators=(",", ":")).encode() == body
    body = b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"
    assert refusal("", body, JSON) == (1021, 400, "无效的json格式，nested deeper than 100 levels")


# Content types


def test_body_without_a_content_type():
    assert refusal("a=1", b"a=1") == (1023, 400, "缺少Content-Type")
    assert refusal("a=1", b"a=1", verb="GET") == (1023, 400, "缺少Content-Type")


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE"])
def test_no_body_needs_no_content_type(verb):
    assert parameters("a=1", b"", verb=verb).named == {"a": "1"}


KINDS = "应为 application/json、application/x-www-form-urlencoded 或 multipart/form-data"


NOT_READ = [
    *["text/plain", "application/xml", "text/json", "application/jsonp", "json", "application", "*/*", ";", "/"],
    *["application/", "application/json, text/plain", "multipart/mixed; boundary=x", "a" * 256, "\xff/\xff"],
]


@pytest.mark.parametrize("content_type", NOT_READ)
def test_content_type_that_is_not_read(content_type):
    assert refusal("", b"{}", content_type) == (1024, 415, f"不被接受的Content-Type，{KINDS}")


@pytest.mark.parametrize("content_type", ["a" * 257, f"{JSON};" + "; " * 200, 'a/b;"' + ";" * 60_000])
def test_content_type_that_is_too_long(content_type):
    assert refusal("", b"{}", content_type) == (1024, 415, "不被接受的Content-Type，Content-Type 超过 256 个字符")


@pytest.mark.parametrize(("content_type", "body"), [(JSON, b"{}"), (FORM, b"a=1"), (MULTIPART, part("a", b"1") + END)])
@pytest.mark.parametrize("charset", ["gbk", "latin-1", "utf-16", '"gb2312"', "utf-8x"])
def test_charset_that_is_not_read(content_type, body, charset):
    problem = refusal("", body, f"{content_type}; charset={charset}")
    assert problem == (1024, 415, "不被接受的Content-Type，charset 应为 utf-8")


@pytest.mark.parametrize(("content_type", "body"), [(JSON, b"{}"), (FORM, b"a=1"), (MULTIPART, part("a", b"1") + END)])
@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "deflate, gzip"])
def test_content_encoding_that_is_not_read(content_type, body, encoding):
    problem = refusal("", body, content_type, headers={"Content-Encoding": encoding})
    assert problem == (1024, 415, "不被接受的Content-Type，不支持 Content-Encoding")


@pytest.mark.parametrize("encoding", ["identity", "Identity"])
def test_content_encoding_identity(encoding):
    assert parameters("", b"{}", JSON, headers={"Content-Encoding": encoding}).named == {}


CONTENT_TYPES = st.sampled_from([JSON, FORM, "multipart/form-data"])
PIECES = st.sampled_from(
    ["; charset", "; boundary", "*", "*0", "*1", "*0*", "=", '"', "''", "utf-8", "%E4", "x", ";", ","]
)
HEADERS = st.builds(
    lambda start, pieces, rest: start + "".join(pieces) + rest,
    CONTENT_TYPES | st.just(""),
    st.lists(PIECES, max_size=8),
    st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=8),
)


@settings(max_examples=200, deadline=None)
@given(HEADERS, st.sampled_from([b"{}", b"a=1", part("a", b"1") + END]))
def test_any_content_type(content_type, body):
    assert code_of("", body, content_type) in (1000, 1021, 1024, 1025)


# RFC 2231: a parameter in numbered parts, and in a charset of its own.
CONTINUED = {
    "parts": "{0}*0=utf; {0}*1=-8",
    "a part without a number": "{0}*=utf-8; {0}*1=utf-8",
    "a number with many digits": "{0}*" + "1" * 100 + "=utf-8",
    "charset": "{0}*=utf-8''utf-8",
    "charset unknown": "{0}*=nonsense''%FF",
    "charset alone": "{0}*=utf-8''",
}


@pytest.mark.parametrize("continued", CONTINUED.values(), ids=CONTINUED)
def test_content_type_with_a_continued_parameter(continued):
    assert code_of("", b"{}", f"{JSON}; {continued.format('charset')}") in (1000, 1024)
    assert code_of("", b"a=1", f"{FORM}; {continued.format('charset')}") in (1000, 1024)
    body = part("a", b"1") + END
    assert code_of("", body, f"multipart/form-data; {continued.format('boundary')}") == 1025


# Multipart


def test_multipart():
    body = part("city", "台北".encode()) + part("photo", b"\x89PNG", file="图.png", content_type="image/png") + END
    photo = UploadFile("图.png", "image/png", b"\x89PNG")
    assert parameters("", body, MULTIPART).named == {"city": "台北", "photo": photo}


def test_multipart_file_without_a_type():
    body = part("photo", b"\r\n\x00", file="a") + END
    name, _, content = parameters("", body, MULTIPART).named["photo"]
    assert (name, content) == ("a", b"\r\n\x00")


@pytest.mark.parametrize(
    ("parts", "last", "repeated"),
    [
        ([part("a", b"1"), part("a", b"2")], "2", {"a": ["1", "2"]}),
        ([part("a", b"1", file="1"), part("a", b"2", file="2")], b"2", {"a": [b"1", b"2"]}),
        ([part("a", b"1", file="1")], b"1", {"a": [b"1"]}),
        ([part("a", b"1")], "1", {}),
        ([part("a", b"")], "", {}),
    ],
)
def test_multipart_repeated(parts, last, repeated):
    found = parameters("a=0&a=0", b"".join(parts) + END, MULTIPART)

    def body_of(value: Any) -> Any:
        return value.body if isinstance(value, UploadFile) else value

    assert body_of(found.named["a"]) == last
    assert {name: list(map(body_of, values)) for name, values in found.repeated.items()} == repeated


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (part("a", b"1") + END, "multipart/form-data"),
        (part("a", b"1") + END, "multipart/form-data; boundary="),
        (part("a", b"1") + END, "multipart/form-data; boundary=y"),
        (part("a", b"1"), MULTIPART),
        (b"a=1", MULTIPART),
        (b"--x\r\nno header\r\n" + END, MULTIPART),
        (b"--x\r\n\r\nno name\r\n" + END, MULTIPART),
        (b'--x\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n' + END, MULTIPART),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n" + END, MULTIPART),
        (part("a", b"1") * 1001 + END, MULTIPART),
    ],
)
def test_multipart_malformed(body, content_type):
    assert refusal("", body, content_type) == (1025, 400, "无效的请求，multipart/form-data 格式错误")


@pytest.mark.parametrize("body", [part("a", b"\xff") + END, part("a", b"1") + part("b", "张".encode("gbk")) + END])
def test_multipart_text_that_is_not_utf8(body):
    assert refusal("", body, MULTIPART) == (1011, 400, "无效数据格式，表单不是 UTF-8")


def test_multipart_without_a_parser():
    found = Parameters(Request("POST", "", {"Content-Type": MULTIPART}, part("a", b"1") + END), no_multipart)
    with pytest.raises(ApiException, match=r"^无效的请求，multipart/form-data 格式错误$"):
        found.read_body()


FRAGMENTS = st.lists(
    st.sampled_from(
        [b"--x", b"--x--", b"\r\n", b"\r\n\r\n", b"Content-Disposition: form-data", b'; name="a"', b": ", b"\xff"]
    )
    | st.sampled_from(
        [b'; filename="f"', b"; filename*=utf-8''%ff", b"; name*=x''%", b"Content-Type: a/b", b"\x00", b'"']
    )
    | st.binary(max_size=3),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(FRAGMENTS, st.booleans())
def test_multipart_of_any_bytes(fragments, framed):
    body = b"".join(fragments)
    body = b"--x\r\n" + body + b"\r\n--x--\r\n" if framed else body or b" "
    assert code_of("", body, MULTIPART) in (1000, 1011, 1025)


@pytest.mark.parametrize("continued", CONTINUED.values(), ids=CONTINUED)
def test_multipart_with_a_continued_parameter(continued):
    body = part("a", b"1", content_type="a/b").replace(b'name="a"', continued.format("name").encode())
    assert code_of("", body + END, MULTIPART) in (1000, 1011, 1025)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1), st.sampled_from([JSON, FORM, MULTIPART]), st.text(st.characters(max_codepoint=255)))
def test_any_bytes(body, content_type, query):
    assert code_of(query, body, content_type) in (1000, 1011, 1021, 1025)


# What is signed


@pytest.mark.parametrize(
    ("query", "body", "content_type", "pairs", "json_body"),
    [
        ("", b"", None, [], b""),
        ("b=2&a=1", b"", None, [("b", "2"), ("a", "1")], b""),
        ("a=1&b=0&a=&a=2", b"", None, [("a", "1"), ("a", ""), ("a", "2"), ("b", "0")], b""),
        ("a=1", b"a=2&a=3&c=%E5%BC%A0", FORM, [("a", "1"), ("a", "2"), ("a", "3"), ("c", "张")], b""),
        ("a=1&a=2", b'{"a": 3 }', JSON, [("a", "1"), ("a", "2")], b'{"a": 3 }'),
        ("a=1", b"{}", JSON + "; charset=utf-8", [("a", "1")], b"{}"),
        (
            "a=1",
            part("b", b"2") + part("f", b"\xff", file="x") + part("b", b"3") + END,
            MULTIPART,
            [("a", "1"), ("b", "2"), ("b", "3")],
            b"",
        ),
    ],
)
def test_pairs_and_json_body(
    query: str, body: bytes, content_type: str | None, pairs: list[tuple[str, str]], json_body: bytes
) -> None:
    found = parameters(query, body, content_type)
    given = found.pairs()
    assert (list(given.items() if isinstance(given, dict) else given), found.document()) == (pairs, json_body)


@pytest.mark.parametrize(
    ("query", "body", "hidden"),
    [
        ("a=1", part("b", b"2") + part("f", b"3", file="x"), []),
        ("f=1", part("f", b"2", file="x"), ["f"]),
        ("", part("f", b"1") + part("f", b"2", file="x"), ["f"]),
        ("", part("f", b"1", file="x") + part("f", b"2", file="y"), []),
        ("", part("f", b"1", file="x") + part("f", b"2"), ["f"]),
    ],
)
def test_hidden_texts(query: str, body: bytes, hidden: list[str]) -> None:
    assert parameters(query, body + END, MULTIPART).hidden_texts() == hidden


# The worst that a stranger can send

WORST_FORMS = {
    "percent signs": b"%",
    "escapes": b"%41",
    "escapes between letters": b"ab%41",
    "halves of escapes": b"%4",
    "Chinese": b"%E5%BC%A0",
    "plus signs": b"+",
}


@pytest.mark.parametrize("unit", WORST_FORMS.values(), ids=WORST_FORMS)
def test_urlencoded_form_takes_little_memory(unit):
    body = b"a=" + unit * ((MAX_FORM - 2) // len(unit))
    body = body[: len(body) - len(body) % 3]
    assert times_larger(lambda body: code_of("", body, FORM), body) < 8


@pytest.mark.parametrize("unit", WORST_FORMS.values(), ids=WORST_FORMS)
def test_urlencoded_form_takes_linear_time(unit):
    small = b"a=" + unit * (MAX_FORM // 8 // len(unit))
    assert (
        times_longer(lambda body: code_of("", body, FORM), small, small + unit * (len(small) * 7 // len(unit))) < LINEAR
    )


def test_urlencoded_form_of_many_fields_takes_little_memory():
    body = b"&".join(b"%04d=%s" % (number, b"a" * 1000) for number in range(1000))
    assert times_larger(lambda body: code_of("", body, FORM), body) < 8


def test_urlencoded_form_at_its_limit():
    body = b"a=" + b"x" * (MAX_FORM - 2)
    assert len(parameters("", body, FORM).named["a"]) == MAX_FORM - 2
    assert refusal("", body + b"x", FORM) == (1028, 413, "请求体过大，urlencoded 表单上限为 1048576 字节")


@pytest.mark.parametrize("shift", range(6))
def test_urlencoded_form_is_decoded_in_whole_escapes(shift):
    text = "x" * shift + "张%" * 60_000
    body = f"a={quote(text)}".encode()
    assert parameters("", body, FORM).named["a"] == text
