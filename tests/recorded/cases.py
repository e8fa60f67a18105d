"""The requests of the record, by tables."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import NamedTuple
from urllib.parse import quote

from tests.recorded.requests import (
    BOUNDARY,
    FORM,
    GATEWAY,
    JSON,
    MULTIPART,
    Call,
    Credentials,
    File,
    multipart,
    public,
    query,
    request,
    signed,
)

#: Which servers there are, with the options that each is started with.
SERVERS: Mapping[str, tuple[str, ...]] = {
    "main": ("--trusted-proxies", "127.0.0.1/32", "--lockout", "3/minute", "--max-answer", "150000"),
    "debug": ("--debug",),
    "other": ("--response-key", "respone", "--cors-origin", "", "--max-body", "100", "--no-metrics"),
    "workers": ("--workers", "2", "--cors-origin", "https://shop.example"),
    "strict": ("--auth", "sign", "--sign-methods", "hmac-sha256-v2", "--time-zone", "UTC", "--rate", "5/day"),
    "maintained": (),  # has neither apps nor bans
}
#: The apps, with the options that each is made with.
APPS: Mapping[str, tuple[str, ...]] = {
    "plain": (),
    "narrow": ("--addresses", "203.0.113.0/24", "--methods", "signed.ad*,run.*", "--rate", "2/day"),
    "disabled": (),
}
#: Nobody may call from here.
BANNED = "198.51.100.0/24"
MAINTENANCE = "six o'clock"


class Case(NamedTuple):
    """A request, after some others whose answers nobody looks at."""

    name: str
    request: bytes
    server: str = "main"
    before: tuple[bytes, ...] = ()


Apps = Mapping[str, Credentials]


def cases(apps: Apps) -> Iterator[Case]:
    """All of them. Names and their order are the same for all ``apps``."""
    for part in (
        _demo, _kinds, _entries, _errors, _results, _hint_texts, _hint_documents, _binding, _formats, _requests,
        _bodies, _multiparts, _http, _pages, _rates, _settings,
    ):  # fmt: skip
        yield from part()
    yield from _signed(apps)
    yield from _refused(apps)


def _get(name: str, target: str, *headers: tuple[str, str], server: str = "main") -> Case:
    return Case(name, request("GET", target, headers), server)


def _post(name: str, target: str, content_type: str, body: bytes | str, *headers: tuple[str, str]) -> Case:
    data = body.encode() if isinstance(body, str) else body
    return Case(name, request("POST", target, [("Content-Type", content_type), *headers], data))


def _demo() -> Iterator[Case]:
    user = {"user_id": "11", "age": "12", "name": "jack", "mark": "92.5"}
    users = '{"users": [{"id": 1, "age": 22, "name": "张三"}, {"id": 2, "age": 23, "name": "李四"}]}'
    set_user, set_users = query("1.0", "matrix.api.set-user"), query("1.0", "matrix.api.set-users")
    calls = {
        "set-user": query("1.0", "matrix.api.set-user", **user),
        "set-user wrong age": query("1.0", "matrix.api.set-user", **{**user, "age": "12.2"}),
        "set-user nothing": set_user,
        "set-users text": query("1.0", "matrix.api.set-users", users='[{"name": "a"}]'),
        "set-users no json": query("1.0", "matrix.api.set-users", users="[{"),
        "set-users no list": query("1.0", "matrix.api.set-users", users="{}"),
        "set-users wrong items": query("1.0", "matrix.api.set-users", users="[1]"),
        "instance-func": query("1.0", "matrix.api.instance-func", value="123"),
        "class-func": query("1.0", "matrix.api.class-func", name="jim", format="xml"),
        "class-func misspelt": query("1.0", "matrix.api.class-func", name="jim", nmae="tom"),
        "err-func": query("1.0", "matrix.api.err-func"),
        "err-func self": query("1.0", "matrix.api.err-func", self="me"),
        "return-err": query("1.0", "matrix.api.return-err"),
        "return-err xml": query("1.0", "matrix.api.return-err", format="xml"),
        "send-kwargs": query("1.1", "matrix.api.send-kwargs", user_id="11", age="12", value="1"),
        "send-kwargs too early": query("1.0", "matrix.api.send-kwargs", value="1"),
        "raise-error": query("1.1", "matrix.api.raise-error"),
        "only-post": query("1.2", "matrix.api.only-post"),
        "api-stop": query("1.2", "matrix.api.api-stop"),
        "inherited": query("1.2", "matrix.api.class-func", name="jim"),
        "price": query("2.0", "shop.price", fruit="apple", count="3"),
        "price many": query("2.0", "shop.price", fruit="apple", count="many"),
        "price kiwi": query("2.0", "shop.price", fruit="kiwi"),
        "price nothing": query("2.0", "shop.price"),
        "price gone": query("2.1", "shop.price", fruit="pear"),
    }
    for name, target in calls.items():
        yield _get(f"demo {name}", target)
    yield _post("demo set-user json", set_user, JSON, '{"user_id": 75, "age": 27, "name": "李飞飞"}')
    yield _post("demo set-users json", set_users, JSON, users)
    yield _post("demo only-post by post", query("1.2", "matrix.api.only-post"), FORM, "a=1")
    yield _post("demo order", query("2.1", "shop.order"), FORM, "fruit=pear&count=12")


def _kinds() -> Iterator[Case]:
    run = ("inline", "thread", "async", "wrapped", "partial", "lambda", "coroutine")
    for name in run:
        yield _get(f"run {name}", query("9.0", f"run.{name}", a="1"))
        yield _get(f"run {name} xml", query("9.0", f"run.{name}", a="1", format="xml"))
    for name in ("async-generator", "generator", "inline-generator"):
        for to in ("0", "3"):
            yield _get(f"run {name} {to}", query("9.0", f"run.{name}", to=to))
        yield _get(f"run {name} xml", query("9.0", f"run.{name}", to="3", format="xml"))
    for name in ("object", "method", "class-method"):
        yield _get(f"run {name}", query("9.0", f"run.{name}", value="7"))
    yield _get("run class", query("9.0", "run.class", name="pear", price="2.50"))
    for name in ("run.inline", "run.thread", "run.added", "run.async"):
        yield _get(f"child version {name}", query("9.1", name, a="1"))


def _entries() -> Iterator[Case]:
    for name in ("always", "post"):
        yield _get(f"off {name}", query("9.0", f"off.{name}"))
    yield _get("off version", query("9.9", "run.inline", a="1"))
    for name in ("key", "func", "verb", "args", "run", "rate", "auth", "entry", "limit"):
        yield _get(f"bad entry {name}", query("9.0", f"bad.{name}", a="1"))
    for verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FETCH", "get"):
        for name in ("get", "post", "all", "delete"):
            yield Case(f"verb {verb} {name}", request(verb, query("9.0", f"verb.{name}", a="1")))
    yield Case("verb DELETE with a body", _json_request("DELETE", query("9.0", "verb.all"), b'{"a": 1}'))
    yield Case("verb GET with a body", _json_request("GET", query("9.0", "verb.all"), b'{"a": 1}'))
    yield Case("verb PUT with a body", _json_request("PUT", query("9.0", "verb.all"), b'{"a": 1}'))
    for name in ("sleep", "sleep-later"):
        yield _get(f"timeout {name}", query("9.0", f"call.{name}", seconds="0.6"))


def _json_request(verb: str, target: str, body: bytes) -> bytes:
    return request(verb, target, [("Content-Type", JSON)], body)


_SYSTEM_ERRORS = (
    "missing_system_error", "app_call_limited", "forbidden_request", "missing_version", "unsupported_version",
    "invalid_version", "missing_timestamp", "invalid_timestamp", "missing_signature", "invalid_signature",
    "invalid_format", "missing_method", "invalid_method", "missing_access_token", "invalid_access_token", "api_stop",
    "system_error", "missing_arguments", "not_allowed_request", "error_api_config", "invalid_json", "error_args_type",
    "missing_content_type", "unacceptable_content_type", "bad_request", "anonymous_not_allowed", "too_many_requests",
    "body_too_large", "call_timeout", "service_busy", "invalid_app_key", "repeated_request", "permission_denied",
    "unacceptable_format", "unknown_path",
)  # fmt: skip
_FAILURES = (
    "value", "key", "type", "assertion", "zero", "stop", "recursion", "memory", "timeout", "cancelled", "system-exit",
    "group", "untold",
)  # fmt: skip


def _errors() -> Iterator[Case]:
    for name in _SYSTEM_ERRORS:
        yield _get(f"error {name}", query("9.0", "error.system", name=name, detail="细节"))
    for name in ("plain", "conflict", "joined", "answer", "odd_status", "other_spelling"):
        yield _get(f"error own {name}", query("9.0", "error.own", name=name))
        yield _get(f"error own {name} detail", query("9.0", "error.own", name=name, detail="A-17", format="xml"))
    yield _get("error own message", query("9.0", "error.own", name="plain", message="instead <b>&amp;"))
    yield _get("error raw", query("9.0", "raw.error", name="conflict"))
    for name in ("headers", "bad-headers", "broken-text", "generator", "async-generator"):
        yield _get(f"error {name}", query("9.0", f"error.{name}"))
        yield _get(f"error {name} debug", query("9.0", f"error.{name}"), server="debug")
    for kind in ("inline", "thread", "async"):
        for name in _FAILURES:
            yield _get(f"error {kind} {name}", query("9.0", f"error.{kind}", name=name))
    for kind, name in (("inline", "value"), ("thread", "group"), ("async", "key"), ("thread", "system-exit")):
        yield _get(f"error {kind} {name} debug", query("9.0", f"error.{kind}", name=name), server="debug")


_RESULTS = (
    "null", "true", "text", "control", "empty", "empty-list", "nested", "keys", "date-keys", "float", "not-finite",
    "integers", "integer-too-long", "decimal", "date", "datetime", "uuid", "enum", "set", "tuple", "bytes", "dataclass",
    "struct", "named-tuple", "model", "subclass", "generator", "generators-within", "map", "large", "large-list",
    "too-large", "too-many", "odd", "odd-within", "function", "complex", "half-surrogate", "itself", "generator-of-odd",
)  # fmt: skip


def _results() -> Iterator[Case]:
    for name in _RESULTS:
        yield _get(f"give {name}", query("9.0", f"give.{name}"))
        if name != "too-many":
            yield _get(f"give {name} xml", query("9.0", f"give.{name}", format="xml"))
    for name in ("text", "bytes", "memory", "csv", "empty", "large", "dict", "null"):
        yield _get(f"raw {name}", query("9.0", f"raw.{name}"))
    yield _get("raw xml", query("9.0", "raw.text", format="xml"))
    yield _get("raw accept", query("9.0", "raw.text"), ("Accept", "image/png"))
    yield Case("raw head", request("HEAD", query("9.0", "raw.large")))


_INTEGERS = ("12", " 12 ", "+12", "-5", "007", "12.0", "1e3", "1_000", "true", "", "١", "9" * 4300, "9" * 4301)
_NUMBERS = ("1.5", "12", "1e3", ".5", "5.", "nan", "inf", "1e400", "true", "", "1_0", " 1 ")
_BOOLEANS = ("true", "False", "1", "0", "YES", "no", "on", "off", "是", "否", "", "2", "t", " 1 ")
_STRUCTURES = ("[1, 2]", "{}", '{"a": [1]}', "1", "null", "[", "", "a")
#: Texts of a query string for a hint.
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "int": _INTEGERS,
    "float": _NUMBERS,
    "str": ("text", "", "  blank ", "12", "null", "文本"),
    "bool": _BOOLEANS,
    "list": _STRUCTURES,
    "dict": _STRUCTURES,
    "tuple": _STRUCTURES,
    "decimal": ("1.50", "1e3", "nan", "1e400", "", "0.1" + "0" * 40),
    "any": ("1", "[1]"),
    "list-int": ("[1, \"2\"]", "1", "a", "[1, \"a\"]", "[[1]]", "", "[1"),
    "list-list": ("[[1], [2, 3]]", "[1]", '["[1]"]'),
    "set-int": ("[1, 1]", "7"),
    "tuple-fixed": ('[1, "a"]', "[1]", '[1, "a", 2]', '["a", "a"]'),
    "dict-int": ('{"a": "1"}', '{"a": {"b": 1}}', "[]"),
    "dict-int-key": ('{"1": [true]}', '{"a": []}', '{"1": [2]}'),
    "optional": ("1", "", "null", "a"),
    "union": ("1", "a", ""),
    "union-operator": ("1", "true", "2", "maybe"),
    "union-list": ("1", "[1, 2]", "a", "[a]"),
    "union-record": ('{"name": "a"}', '{"name": "a", "tags": ["b"]}', "{}"),
    "literal": ("apple", "3", "true", "kiwi", ""),
    "literal-null": ("on", "off"),
    "enum": ("red", "RED", "green"),
    "int-enum": ("1", "2", "3", "LOW"),
    "dataclass": ('{"name": "a", "count": "2", "price": "1.10", "more": 1}', "{}", '{"name": 1, "count": "a"}', "[]"),
    "list-dataclass": ('[{"name": "a"}, {"name": "b", "count": []}]', '[{"count": 1}]'),
    "typed-dict": ('{"x": 1, "y": "2"}', '{"x": 1}', '{"x": 1, "y": 2, "label": null}'),
    "struct-strict": ('{"name": "a"}', '{"name": "a", "more": 1}'),
    "struct-renamed": ('{"userId": "1", "fullName": "A"}', '{"user_id": 1}'),
    "struct-tree": ('{"value": 1, "children": [{"value": "2"}]}', '{"value": 1, "children": [{"children": []}]}'),
    "named-tuple": ("[1]", '[1, "a"]', '{"first": 1}'),
    "new-type": ("5", "a"),
    "own-type": ("5g", "5", "xg"),
    "date": ("2026-01-02", "2026-13-02", "02.01.2026"),
    "datetime": ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-02"),
    "time": ("03:04:05", "25:00:00"),
    "timedelta": ("PT1H", "1h"),
    "uuid": ("12345678-1234-5678-1234-567812345678", "12345678"),
    "bytes": ("YWJj", "abc"),
    "at-least": ("0", "-1", "a"),
    "between": ("0", "0.5", "10"),
    "pattern": ("abc", "ABC", "abcdef"),
    "list-short": ("[]", "[1]", "[1, 2, 3]"),
    "Integer": ("1", "a"),
    "String": ("a",),
    "Float": ("1.5", "nan"),
    "Bool": ("on", "2"),
    "List": ("[1]", "{}", "["),
    "Dict": ("{}", "[]"),
    "Date": ("2017-05-20", "2017-5-32", "20170520"),
    "Date-form": ("20.05.2017", "2017-05-20"),
    "DateTime": ("2017-05-20 12:00:00", "2017-05-20"),
    "DateTime-form": ("2017/05/20 12:00", "x"),
    "Email": ("name@example.com", "name@example", "a b@example.com", ""),
    "Money": ("12", "12.5", "12.50", "12.505", "-1", "1e30", "x"),
    "Money-or-null": ("1.5", ""),
}  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:8]}… of {len(text)}"


def _hint_texts() -> Iterator[Case]:
    for hint, texts in _TEXTS.items():
        for text in texts:
            yield _get(f"hint {hint} text {_short(text)!r}", query("9.0", f"hint.{hint}", value=text))
    for hint in ("int", "list", "tuple", "list-int", "set-int", "list-list", "union-list", "tuple-many", "list-str"):
        yield _get(f"hint {hint} repeated", query("9.0", f"hint.{hint}", value="1") + "&value=2")
    yield _get("hint list-dataclass repeated", query("9.0", "hint.list-dataclass") + '&value={"name":"a"}' * 2)


#: JSON values for several hints.
_VALUES = ("12", "12.0", "1e400", '"12"', "true", "null", '""', "[]", "{}", "[1]", '{"a": 1}', "NaN")
_HINTS_OF_VALUES = (
    "int", "float", "str", "bool", "list", "dict", "tuple", "decimal", "any", "object", "optional", "union",
    "union-operator", "list-int", "enum", "literal-null", "date", "Money", "dataclass", "Money-or-null",
)  # fmt: skip


def _hint_documents() -> Iterator[Case]:
    for hint in _HINTS_OF_VALUES:
        for value in _VALUES:
            name = f"hint {hint} json {value}"
            yield _post(name, query("9.0", f"hint.{hint}"), JSON, f'{{"value": {value}}}')
    further = {
        "list-list": '[["1"], "[2]"]',
        "list-dataclass": '[{"name": "a"}, {}]',
        "dict-int-key": '{"1": ["yes", 1]}',
        "struct-tree": '{"value": 1, "children": [{"value": 2, "children": [{"value": "x"}]}]}',
        "union-list": '["a"]',
        "uuid": "5",
        "bytes": '"YQ=="',
        "own-type": "5",
        "list-str": "[1, 1.50, true]",
        "str": "1.500000000000000000001",
    }
    for hint, value in further.items():
        yield _post(f"hint {hint} json {value}", query("9.0", f"hint.{hint}"), JSON, f'{{"value": {value}}}')


def _binding() -> Iterator[Case]:
    calls = {
        "positional": query("9.0", "call.positional", a="1", b="x", c="2"),
        "positional missing": query("9.0", "call.positional", b="x"),
        "positional missing second": query("9.0", "call.positional", a="1"),
        "defaults": query("9.0", "call.defaults"),
        "defaults all": query("9.0", "call.defaults", a="1", b="2", c="[3]", d="4", e="no"),
        "defaults empty": query("9.0", "call.defaults", a=""),
        "anything": query("9.0", "call.anything", a="1", format="json", nonce="n", access_token="t", sign="s"),
        "numbers": query("9.0", "call.numbers", first="f", a="1", b="2"),
        "numbers wrong": query("9.0", "call.numbers", a="1", b="x"),
        "lists": query("9.0", "call.lists", a="1") + "&a=2&b=3",
        "public": query("9.0", "call.public", format="xml"),
        "underscored": query("9.0", "call.underscored", user_id="1", userName="n", username="m"),
        "nothing": query("9.0", "call.nothing"),
        "ignored": query("9.0", "call.nothing", b="1", a="2", 名字="3", **{"x[]": "4", "a b": "5"}),
        "ignored many": query("9.0", "call.nothing", **{f"p{number:03}": "" for number in range(30)}),
        "ignored long": query("9.0", "call.nothing", **{"n" * 200: "1"}),
        "repeated": query("9.0", "run.inline", a="1") + "&a=2",
        "blank fields": query("9.0", "run.inline") + "&&a=1&&=5&b",
        "chinese method": query("9.0", "call.名字", a="1"),
        "blanks around": query(" 9.0 ", " run.inline ", a="1"),
    }
    for name, target in calls.items():
        yield _get(f"bind {name}", target)
    defaults = query("9.0", "call.defaults")
    yield _post("bind defaults null", defaults, JSON, '{"a": null, "b": null, "d": null}')
    yield _post("bind defaults null refused", defaults, JSON, '{"e": null}')
    yield _post("bind defaults null list", defaults, JSON, '{"c": null}')
    yield _post("bind order json over query", query("9.0", "run.inline", a="1"), JSON, '{"a": 5}')
    yield _post("bind order form over query", query("9.0", "run.inline", a="1"), FORM, "a=6&b=7")
    yield _post("bind public in json", query("9.0", "call.anything"), JSON, '{"v": "1", "format": "xml", "sign": 2}')
    yield _post("bind numbers json", query("9.0", "call.numbers"), JSON, '{"a": 1, "b": "2", "c": 1.5}')


_ACCEPTS = (
    "application/json", "application/xml", "text/xml", "*/*", "application/*", "text/*", "image/png", "",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml;q=0.5, application/json;q=0.4",
    "application/json;q=0, application/xml", "application/json;q=0", "application/xml;q=x", "*/*;q=0",
    "image/png, text/xml;q=0.1", "," * 200 + "application/xml", "APPLICATION/XML; charset=utf-8",
)  # fmt: skip
_FORMATS = ("json", "xml", "XML", "JSON", "yaml", "", " xml ", "xml,json")


def _formats() -> Iterator[Case]:
    target = query("9.0", "run.inline", a="1")
    for accept in _ACCEPTS:
        yield _get(f"accept {_short(accept)!r}", target, ("Accept", accept))
    for form in _FORMATS:
        yield _get(f"format {form!r}", query("9.0", "run.inline", a="1", format=form))
        yield _get(f"format {form!r} accept xml", f"{target}&format={quote(form)}", ("Accept", "text/xml"))
    yield _get("accept none of a method that is missing", query("9.0", "none"), ("Accept", "image/png"))
    yield _get("format twice", f"{target}&format=xml&format=json")
    yield _get("format of an unknown method", query("9.0", "none", format="xml"))
    yield _get("format without anything", f"{GATEWAY}?format=xml")
    yield _get("accept without anything", GATEWAY, ("Accept", "application/xml"))
    yield Case("head", request("HEAD", target))
    yield Case("head xml", request("HEAD", f"{target}&format=xml"))
    yield Case("head of an error", request("HEAD", query("9.0", "run.inline")))
    for origin in ("https://shop.example", "null"):
        yield _get(f"origin {origin}", target, ("Origin", origin))
        yield Case(f"origin {origin} preflight", _preflight(origin))
    yield Case("preflight of nothing", request("OPTIONS"))
    yield Case("preflight with a body", request("OPTIONS", headers=[("Content-Type", JSON)], body=b"{}"))
    for given in ("order-17", "a" * 128, "a:b/c=d+e.f_g-h"):
        yield _get(f"request id {_short(given)}", target, ("X-Request-Id", given))
    for given in ("", "a b", "a" * 129, "ä", '"x"'):
        yield _get(f"request id refused {_short(given)!r}", target, ("X-Request-Id", given))


def _preflight(origin: str) -> bytes:
    asked = [("Origin", origin), ("Access-Control-Request-Method", "PUT")]
    return request("OPTIONS", headers=[*asked, ("Access-Control-Request-Headers", "x-request-id, content-type")])


def _requests() -> Iterator[Case]:
    targets = {
        "nothing": GATEWAY,
        "empty query": f"{GATEWAY}?",
        "no v": f"{GATEWAY}?method=run.inline",
        "no method": f"{GATEWAY}?v=9.0",
        "empty v": query("", "run.inline"),
        "empty method": query("9.0", ""),
        "unknown v": query("8.0", "run.inline"),
        "odd v": query("9 0", "run.inline"),
        "long v": query("9" * 65, "run.inline"),
        "control in v": query("9\x00", "run.inline"),
        "unknown method": query("9.0", "run.inlin"),
        "method of another version": query("1.0", "run.inline"),
        "method in capitals": query("9.0", "RUN.INLINE"),
        "v twice": f"{query('1.0', 'run.inline', a='1')}&v=9.0",
        "bad utf-8 in a value": f"{query('9.0', 'call.anything')}&a=%ff",
        "bad utf-8 in a name": f"{query('9.0', 'call.anything')}&%e5%bc=1",
        "bad utf-8 in v": f"{GATEWAY}?v=%ff&method=x&format=xml",
        "percent": f"{query('9.0', 'call.anything')}&a=%E5%BC%A0&b=%&c=%zz&d=%2&e=1+2&f=%2B&g=a%00b",
        "semicolon": f"{query('9.0', 'call.anything')}&a=1;b=2",
        "equals": f"{query('9.0', 'call.anything')}&a==1=2&b=",
        "question marks": f"{query('9.0', 'call.anything')}?&a=?b",
        "raw utf-8": f"{query('9.0', 'call.anything')}&a=张",
        "long query": query("9.0", "call.length", text="x" * 32_000),
        "query too long": query("9.0", "call.length", text="x" * 33_000),
        "query too long xml": query("9.0", "call.length", format="xml", text="x" * 33_000),
        "many fields": query("9.0", "call.length") + "&a" * 998,
        "too many fields": query("9.0", "call.length") + "&a" * 999,
        "fragment": f"{query('9.0', 'call.anything', a='1')}#b",
    }
    for name, target in targets.items():
        yield _get(f"request {name}", target)


def _nested(levels: int) -> str:
    return f'{{"value": {"[" * levels}{"]" * levels}}}'


_DOCUMENTS: Mapping[str, str | bytes] = {
    "empty object": "{}",
    "list": "[1]",
    "number": "1",
    "null": "null",
    "text": '"a"',
    "cut": '{"value": 1',
    "trailing": '{"value": 1} x',
    "trailing comma": '{"value": 1,}',
    "comment": '{"value": 1} // x',
    "single quotes": "{'value': 1}",
    "nan": '{"value": NaN}',
    "infinity": '{"value": -Infinity}',
    "duplicate": '{"value": 1, "value": 2}',
    "blank": " ",
    "bom": b'\xef\xbb\xbf{"value": 1}',
    "bad utf-8": b'{"value": "\xff"}',
    "utf-16": '{"value": 1}'.encode("utf-16"),
    "half surrogate": '{"value": "\\ud800"}',
    "surrogates": '{"value": "\\ud83d\\ude00"}',
    "control": '{"value": "\x01"}',
    "escapes": '{"value": "\\u0000\\n\\/\\""}',
    "99 levels": _nested(98),
    "100 levels": _nested(99),
    "101 levels": _nested(100),
    "10000 levels": _nested(10_000),
    "brackets in a text": f'{{"value": "{"[" * 200}"}}',
    "big numbers": '{"value": [1e400, -1e-400, 123456789012345678901234567890, 0.1, 1E5]}',
    "huge exponent": '{"value": 1e9999999999999999999}',
    "leading zero": '{"value": 01}',
    "plus": '{"value": +1}',
    "large": f'{{"value": "{"x" * 70_000}"}}',
    "large list": json.dumps({"value": list(range(15_000))}),
    "large broken": f'{{"value": "{"x" * 70_000}',
    "large list no object": json.dumps(list(range(20_000))),
}
_CONTENT_TYPES = (
    "application/json", "application/json; charset=utf-8", "application/json;charset=UTF8", "Application/JSON",
    "application/json; charset=gbk", 'application/json; charset="utf-8"', "text/plain", "text/json", "application/xml",
    "application/problem+json", "", "json", ";", "application/json; " + "x" * 300, "application/octet-stream",
    "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=gbk", "multipart/form-data",
    "multipart/mixed; boundary=a", "multipart/form-data; boundary=",
)  # fmt: skip


def _bodies() -> Iterator[Case]:
    anything = query("9.0", "call.anything")
    for name, document in _DOCUMENTS.items():
        target = query("9.0", "call.length") if name.startswith("large") else anything
        yield _post(f"json {name}", target, JSON, document)
    for kind in _CONTENT_TYPES:
        yield _post(f"content type {_short(kind)!r}", anything, kind, '{"a": 1}')
    yield Case("content type missing", request("POST", anything, body=b'{"a": 1}'))
    yield Case("content type without a body", request("POST", anything, [("Content-Type", "text/plain")]))
    yield Case("content type of a get without a body", request("GET", anything, [("Content-Type", "text/plain")]))
    yield Case("json without a body", request("POST", anything, [("Content-Type", JSON)]))
    for encoding in ("gzip", "identity", "Identity", "deflate, identity"):
        yield _post(f"content encoding {encoding}", anything, JSON, '{"a": 1}', ("Content-Encoding", encoding))
    forms = {
        "plain": "a=1&b=2&a=3",
        "percent": "a=%E5%BC%A0+1&b=%",
        "bad utf-8": "a=%ff",
        "raw utf-8": "a=张",
        "raw bytes": b"a=\xff",
        "empty names": "=1&&b",
        "many fields": "&".join(["a"] * 1000),
        "too many fields": "&".join(["a"] * 1001),
    }
    for name, body in forms.items():
        yield _post(f"form {name}", query("9.0", "call.lists"), FORM, body)
        yield _post(f"form {name} without names", GATEWAY, FORM, body)
    yield _post("form names the method", GATEWAY, FORM, "v=9.0&method=run.inline&a=4&format=xml")
    yield _post("form names another method", query("9.0", "run.inline"), FORM, "v=1.0&method=none&a=4")
    yield _post("form large", query("9.0", "call.length"), FORM, "text=" + "x" * 100_000)
    yield _post("form large names the method", GATEWAY, FORM, "v=9.0&method=call.length&text=" + "x" * 100_000)
    yield _post("form too large", query("9.0", "call.length"), FORM, "text=" + "x" * 1_048_572)
    yield _post("json names the method", GATEWAY, JSON, '{"v": "9.0", "method": "run.inline"}')
    for length in (8, 9):
        body = json.dumps({"text": "x" * length})
        yield _post(f"small body of {len(body)}", query("9.0", "call.small-body"), JSON, body)
    for length in (2_097_152, 2_097_153):
        body = json.dumps({"text": "x" * (length - 12)})
        yield _post(f"body of {length}", query("9.0", "call.length"), JSON, body)
        yield _post(f"body of {length} of an unknown method", query("9.0", "none"), JSON, body)
    yield _post(
        "body allowed by its entry", query("9.0", "call.large-body"), JSON, json.dumps({"text": "x" * 3_000_000})
    )
    large = b"x" * 70_000
    yield _post("large body without names", GATEWAY, JSON, large)
    yield _post("large body of no type", query("9.0", "call.length"), "text/plain", large)
    yield _post("large body of a verb that is not taken", query("9.0", "verb.get"), JSON, large)
    yield _post("large body of a method that is off", query("9.0", "off.always", format="xml"), JSON, large)


def _part(head: str, content: str = "x") -> str:
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n{content}\r\n--{BOUNDARY}--\r\n"


def _multiparts() -> Iterator[Case]:
    photo = File("photo", "梨.txt", b"\x00pear", "image/png")
    bodies = {
        "file": multipart([("text", "文本")], [photo]),
        "no file": multipart([("text", "a")]),
        "file as text": multipart([("photo", "a")]),
        "text as file": multipart([], [photo, photo._replace(field="text")]),
        "empty file": multipart([], [File("photo", "", b"")]),
        "file without type": _part('Content-Disposition: form-data; name="photo"; filename="a.bin"').encode(),
        "extended name": _part("Content-Disposition: form-data; name=\"photo\"; filename*=UTF-8''%E6%A2%A8").encode(),
        "cut": multipart([], [photo])[:-20],
        "no end": multipart([("a", "1")])[:-4],
        "other boundary": multipart([], [photo]).replace(BOUNDARY.encode(), b"other"),
        "empty": b"\r\n",
        "without name": _part("Content-Disposition: form-data").encode(),
        "without disposition": _part("Content-Type: text/plain").encode(),
        "attachment": _part('Content-Disposition: attachment; name="photo"').encode(),
        "bad utf-8": _part('Content-Disposition: form-data; name="text"', "\x00").encode().replace(b"\x00", b"\xff"),
        "many marks": _part('Content-Disposition: form-data; name="text"' + "; a=b" * 70).encode(),
        "too many parts": multipart([(f"p{number}", "1") for number in range(100)]),
        "preamble": b"preamble\r\n" + multipart([], [photo]),
    }
    for name, body in bodies.items():
        yield _post(f"multipart {name}", query("9.0", "call.upload"), MULTIPART, body)
    names = [("v", "9.0"), ("method", "call.uploads"), ("format", "xml")]
    files = [File("photos", f"{number}.png", b"x" * number) for number in range(3)]
    yield _post("multipart names the method", GATEWAY, MULTIPART, multipart(names, files))
    yield _post("multipart one of several", query("9.0", "call.uploads"), MULTIPART, multipart([], files[:1]))
    yield _post("multipart several for one", query("9.0", "call.upload"), MULTIPART, multipart([], [photo, photo]))
    yield _post("multipart to anything", query("9.0", "call.lists"), MULTIPART, multipart([("a", "1"), ("a", "2")]))
    yield _post("multipart optional", query("9.0", "call.upload-or-not"), MULTIPART, multipart([("a", "1")]))
    yield _post("multipart in json", query("9.0", "call.upload"), JSON, '{"photo": "a"}')
    big = File("photo", "big.bin", b"x" * 100_000)
    yield _post("multipart large", query("9.0", "call.upload-or-not"), MULTIPART, multipart([], [big]))
    yield _post(
        "multipart long boundary", query("9.0", "call.upload"), f"multipart/form-data; boundary={'x' * 71}", "a"
    )


def _chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def _http() -> Iterator[Case]:
    target = query("9.0", "run.inline", a="1")
    again = request("GET", query("9.0", "run.inline", a="2"))
    kept = request("GET", target, [("Connection", "keep-alive")])
    yield Case("http keep-alive", kept + again)
    yield Case(
        "http pipelined thread", request("GET", query("9.0", "run.thread", a="1"), [("Connection", "x")]) + again
    )
    yield Case("http keep-alive after an error", request("GET", GATEWAY, [("Connection", "keep-alive")]) + again)
    form = [("Connection", "keep-alive"), ("Content-Type", FORM)]
    yield Case("http keep-alive after a body", request("POST", query("9.0", "run.inline"), form, b"a=7") + again)
    yield Case("http 1.0", request("GET", target, http="HTTP/1.0", common=False))
    yield Case("http 1.0 keep-alive", request("GET", target, [("Connection", "keep-alive")], http="HTTP/1.0") + again)
    yield Case("http 1.0 close", request("GET", target, http="HTTP/1.0"))
    for version in ("HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/1", "http/1.1", "FTP/1.1"):
        yield Case(f"http version {version}", request("GET", target, http=version))
    yield Case("http no host", request("GET", target, common=False))
    yield _get("http two hosts", target, ("Host", "recorded.test"), ("Host", "recorded.test"))
    yield _get("http two hosts elsewhere", "/none", ("Host", "a"), ("Host", "b"))
    yield _get("http empty host", target, ("Host", ""))
    yield _get("http odd host", target, ("Host", "a b/c"))
    for name, absolute in {
        "absolute": f"http://recorded.test{target}",
        "absolute elsewhere": f"https://other.test:99{target}",
        "absolute unknown path": "http://recorded.test/none",
        "absolute broken": "http://[/x",
        "asterisk": "*",
        "authority": "recorded.test:80",
        "double slash": f"/{target}",
        "slash behind": f"{GATEWAY}/?v=9.0",
        "percent in path": "/api/router/r%65st?v=9.0&method=run.inline&a=1",
    }.items():
        yield _get(f"http target {name}", absolute)
    yield Case("http target asterisk options", request("OPTIONS", "*"))
    for name, raw in {
        "garbage": b"garbage\r\n\r\n",
        "binary": bytes(range(128, 256)) + b"\r\n\r\n",
        "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
        "four words": b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
        "lf only": request("GET", target).replace(b"\r\n", b"\n"),
        "blank line first": b"\r\n" + request("GET", target),
        "header without colon": request("GET", target)[:-2] + b"Broken\r\n\r\n",
        "blank before colon": request("GET", target)[:-2] + b"Broken : 1\r\n\r\n",
        "folded header": request("GET", target)[:-2] + b"Folded: 1\r\n 2\r\n\r\n",
        "nul in a header": request("GET", target)[:-2] + b"Odd: a\x00b\r\n\r\n",
        "latin-1 header": request("GET", target)[:-2] + b"Odd: \xe4\r\n\r\n",
        "headers too large": request("GET", target, [("Large", "x" * 70_000)]),
    }.items():
        yield Case(f"http raw {name}", raw)
    lengths = ("-1", "+3", "3x", "", "3, 3", "3, 4", "0x3", "9" * 30)
    for length in lengths:
        headers = [("Content-Type", FORM), ("Content-Length", length)]
        yield Case(f"http length {_short(length)!r}", request("POST", query("9.0", "run.inline"), headers, b"a=1"))
    chunked = [("Content-Type", FORM), ("Transfer-Encoding", "chunked")]
    post = query("9.0", "run.inline")
    for name, body in {
        "one": _chunked(b"a=1"),
        "several": _chunked(b"a", b"=", b"12"),
        "none": _chunked(),
        "extension": b"3;x=y\r\na=1\r\n0\r\n\r\n",
        "capitals": b"A\r\na=1&b=2345\r\n0\r\n\r\n",
        "bad size": b"x\r\na=1\r\n0\r\n\r\n",
        "negative": b"-3\r\na=1\r\n0\r\n\r\n",
        "long size": b"0" * 70 + b"3\r\na=1\r\n0\r\n\r\n",
        "no crlf": b"3\r\na=1x0\r\n\r\n",
        "too large": _chunked(*[b"x" * 65_536] * 17),
    }.items():
        yield Case(f"http chunked {name}", request("POST", post, chunked, body))
    both = [*chunked, ("Content-Length", "3")]
    yield Case("http chunked and a length", request("POST", post, both, _chunked(b"a=1")))
    gzip = [("Content-Type", FORM), ("Transfer-Encoding", "gzip, chunked")]
    yield Case("http chunked gzip", request("POST", post, gzip, _chunked(b"a=1")))
    yield Case("http chunked json large", request(
        "POST", query("9.0", "call.length"), [("Content-Type", JSON), ("Transfer-Encoding", "chunked")],
        _chunked(b'{"text": "', *[b"x" * 30_000] * 4, b'"}'),
    ))  # fmt: skip
    expect = [("Content-Type", FORM), ("Expect", "100-continue")]
    yield Case("http expect", request("POST", post, expect, b"a=1"))
    yield Case("http expect too large", request("POST", post, [*expect, ("Content-Length", "5000000")]))
    yield Case("http expect unknown", request("POST", query("9.0", "none"), [*expect, ("Content-Length", "70000")]))
    yield _get("http forwarded", target, ("X-Forwarded-For", "192.0.2.1, 192.0.2.2"))
    yield _get("http forwarded odd", target, ("X-Forwarded-For", "nobody"))
    for path in (GATEWAY, "/healthz", "/none", "/api/errors"):
        yield _get(f"banned {path}", path, ("X-Forwarded-For", "198.51.100.7"))
    yield Case("banned preflight", request("OPTIONS", headers=[("X-Forwarded-For", "198.51.100.7")]))
    yield _get("banned xml", f"{GATEWAY}?format=xml", ("X-Forwarded-For", "198.51.100.7"))


def _pages() -> Iterator[Case]:
    for path in ("/healthz", "/readyz", "/metrics", "/api/errors", "/", "/none", "/api/router", "/favicon.ico"):
        for verb in ("GET", "HEAD", "POST", "OPTIONS", "DELETE", "FETCH"):
            if (path, verb) != ("/metrics", "HEAD"):  # its length is never the same
                yield Case(f"page {verb} {path}", request(verb, path))
    errors = "/api/errors"
    for rest in (
        "?format=json",
        "?format=html",
        "?format=html&lang=zh",
        "?format=xml",
        "?format=HTML&lang=fr",
        "?format=",
    ):
        yield _get(f"page errors {rest}", errors + rest)
    for accept, language in (
        ("text/html", "zh-CN,zh;q=0.9,en;q=0.8"), ("text/html;q=0.5,application/json;q=0.4", "de"), ("image/png", "zh"),
    ):  # fmt: skip
        yield _get(f"page errors {accept} {language}", errors, ("Accept", accept), ("Accept-Language", language))
    yield _get("page unknown xml", "/none?format=xml", ("Accept", "application/xml"))
    yield _get("page unknown accept", "/none", ("Accept", "application/xml"))
    yield _get("page bad utf-8", "/api/errors?format=%ff")
    yield _get("page query of healthz", "/healthz?a=1")
    yield _post("page post form", "/api/errors", FORM, "a=1")
    yield _post("page post unknown", "/none", JSON, '{"a": 1}')
    yield _post("page post too large", "/none", FORM, "a=" + "x" * 70_000)
    yield _get("page metrics openmetrics", "/metrics", ("Accept", "application/openmetrics-text; version=1.0.0"))


def _rates() -> Iterator[Case]:
    addresses = (("X-Forwarded-For", f"192.0.2.{number}") for number in count(1))

    def call(method: str, address: tuple[str, str], **parameters: str) -> bytes:
        return request("GET", query("9.0", method, **parameters), [address])

    def case(name: str, method: str, before: int, **parameters: str) -> Case:
        sent = call(method, next(addresses), **parameters)
        return Case(f"rate {name}", sent, "main", (sent,) * before)

    yield case("first", "rate.first", 0, a="1")
    yield case("second", "rate.second", 1, a="1")
    yield case("over", "rate.over", 1, a="1")
    yield case("over xml", "rate.over", 1, a="1", format="xml")
    yield case("over raw", "rate.over-raw", 1)
    yield case("of a wrong call", "rate.wrong", 1)
    address = next(addresses)
    large = request("POST", query("9.0", "rate.over-body"), [address, ("Content-Type", JSON)], b" " * 70_000 + b"{}")
    yield Case("rate over large body", large, "main", (large,))
    address = next(addresses)
    yield Case("rate over preflight", request("OPTIONS", query("9.0", "rate.over"), [address]), "main",
               (call("rate.over", address, a="1"),) * 2)  # fmt: skip
    address = next(addresses)
    yield Case("rate over head", request("HEAD", query("9.0", "rate.over", a="1"), [address]), "main",
               (call("rate.over", address, a="1"),))  # fmt: skip


def _settings() -> Iterator[Case]:
    calls = {
        "success": query("9.0", "run.inline", a="1"),
        "xml": query("9.0", "run.thread", a="1", format="xml"),
        "error": query("9.0", "run.inline", a="x"),
        "failure": query("9.0", "error.thread", name="value"),
        "unknown": query("9.0", "none"),
        "nothing": GATEWAY,
        "path": "/none",
        "healthz": "/healthz",
        "readyz": "/readyz",
        "errors": "/api/errors",
        "metrics": "/metrics",
        "unsigned": query("9.0", "signed.add", a="1"),
    }
    for server in ("debug", "other", "workers", "maintained"):
        for name, target in calls.items():
            yield _get(f"{server} {name}", target, server=server)
        yield Case(f"{server} preflight", _preflight("https://shop.example"), server)
        body = b'{"a": 1, "pad": "' + b"x" * 200 + b'"}'
        yield Case(f"{server} body", _json_request("POST", query("9.0", "run.inline"), body), server)
        yield Case(f"{server} malformed", b"garbage\r\n\r\n", server)


_SIGN_METHODS = ("", "md5", "hmac", "hmac-sha256", "hmac-sha256-v2")


def _signed(apps: Apps) -> Iterator[Case]:
    app = apps["plain"]
    json_body = b'{"a": "1", "b": 2}'
    for way in _SIGN_METHODS:
        shapes: dict[str, Call] = {
            "get": Call(query=[*public(app, "signed.add", way), ("a", "1")]),
            "inline": Call(query=[*public(app, "signed.inline", way), ("a", "1")]),
            "head": Call("HEAD", [*public(app, "signed.add", way), ("a", "1")]),
            "form": Call("POST", public(app, "signed.add", way), [("a", "1"), ("b", "3")]),
            "public in the form": Call("POST", [("v", "9.0")], [*public(app, "signed.add", way, v=""), ("a", "1")]),
            "json": Call("POST", public(app, "signed.add", way), json=json_body),
            "chinese": Call(query=[*public(app, "signed.anything", way), ("名", "1"), ("first", "张 三&=+%")]),
            "repeated": Call(query=[*public(app, "signed.add", way), ("a", "2"), ("a", "1")]),
            "extra": Call(query=[*public(app, "signed.extra", way), ("a", "1"), ("more", "2")]),
            "raw": Call(query=public(app, "signed.raw", way)),
            "xml": Call(query=[*public(app, "signed.add", way, format="xml"), ("a", "1")]),
            "large": Call("POST", public(app, "signed.length", way), json=b'{"text": "' + b"x" * 70_000 + b'"}'),
            "upload": Call("POST", public(app, "signed.upload", way), [("text", "梨")], [File("photo", "梨", b"p")]),
        }  # fmt: skip
        for name, call in shapes.items():
            yield Case(f"signed {way or 'default'} {name}", signed(call, way, app.secret).bytes())
    times: dict[str, Callable[[float], str]] = {
        "milliseconds": lambda now: str(int(now * 1000)),
        "date": lambda now: time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now + 8 * 3600)),
        "eight minutes ago": lambda now: str(int(now - 480)),
        "in eight minutes": lambda now: str(int(now + 480)),
    }
    for name, written in times.items():
        call = Call(query=[*public(app, "signed.add", timestamp=written(time.time())), ("a", "1")])
        yield Case(f"signed timestamp {name}", signed(call, "", app.secret).bytes())
    call = signed(Call(query=[*public(app, "signed.add"), ("a", "1")]), "", app.secret)
    small = call._replace(query=[(name, value.lower() if name == "sign" else value) for name, value in call.query])
    yield Case("signed small letters", small.bytes())
    milliseconds = str(time.time_ns() // 1_000_000)
    yield Case("signed without a nonce", _of(app, "signed.add", nonce="", timestamp=milliseconds, a="1"))
    yield Case("signed function fails", _of(app, "signed.add", a="x"))
    yield Case("signed open method", _of(app, "run.inline", a="1"))
    yield Case("signed rate", _of(app, "signed.rate", a="1"))
    yield Case("signed over", _of(app, "signed.over", a="1"), "main", (_of(app, "signed.over", a="1"),))
    yield Case("signed strict", _of(app, "run.inline", "hmac-sha256-v2", a="1"), "strict")
    yield Case("signed strict hmac", _of(app, "run.inline", "hmac", a="1"), "strict")
    utc = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    yield Case("signed strict date", _of(app, "run.thread", "hmac-sha256-v2", timestamp=utc, a="1"), "strict")
    yield Case("signed strict no date", _of(app, "run.thread", "hmac-sha256-v2", timestamp="x", a="1"), "strict")
    yield _get("signed strict nothing", query("9.0", "run.inline", a="1"), server="strict")
    for server in ("workers", "debug", "other"):
        yield Case(f"signed {server}", _of(app, "run.inline", a="1"), server)
    narrow = apps["narrow"]
    inside = [("X-Forwarded-For", "203.0.113.9")]
    narrow_call = Call(query=[*public(narrow, "signed.inline"), ("a", "1")])
    yield Case("signed not this method", signed(narrow_call, "", narrow.secret).bytes(inside))
    allowed = [signed(Call(query=[*public(narrow, "signed.add"), ("a", "1")]), "", narrow.secret) for _ in range(3)]
    yield Case("signed app's rate", allowed[0].bytes(inside), "main", tuple(each.bytes(inside) for each in allowed[1:]))


def _of(app: Credentials, method: str, sign_method: str = "", **parameters: str) -> bytes:
    """A signed call by GET. Parameters take the place of public ones, an empty text takes one of them away."""
    return signed(_unsigned(app, method, sign_method, **parameters), sign_method, app.secret).bytes()


def _unsigned(app: Credentials, method: str, sign_method: str = "", **parameters: str) -> Call:
    return Call(query=public(app, method, sign_method, **parameters))


def _refused(apps: Apps) -> Iterator[Case]:
    app = apps["plain"]
    addresses = (("X-Forwarded-For", f"10.9.{number // 250}.{number % 250 + 1}") for number in count())

    def case(name: str, call: Call, sign_method: str = "", secret: str = app.secret, server: str = "main") -> Case:
        headers = [next(addresses)] if server == "main" else []
        return Case(f"refused {name}", signed(call, sign_method, secret).bytes(headers), server)

    add = {"a": "1"}
    yield case("no app_key", _unsigned(app, "signed.add", app_key="", **add))
    yield case("no timestamp", _unsigned(app, "signed.add", timestamp="", **add))
    yield Case("refused no sign", _unsigned(app, "signed.add", **add).bytes())
    yield Case("refused nothing", request("GET", query("9.0", "signed.add", a="1")))
    yield Case("refused nothing raw", request("GET", query("9.0", "signed.raw")))
    yield case("unknown app", _unsigned(app, "signed.add", app_key="0000000000", **add))
    yield case("odd app", _unsigned(app, "signed.add", app_key="张\x00三", **add))
    yield case("disabled app", _unsigned(apps["disabled"], "signed.add", **add), secret=apps["disabled"].secret)
    yield case("address", _unsigned(apps["narrow"], "signed.add", **add), secret=apps["narrow"].secret)
    for way in ("sha1", "MD5", "hmac-sha256-v3"):
        yield case(f"sign_method {way}", _unsigned(app, "signed.add", sign_method=way, **add))
    for stamp in ("now", "1", "12345678901", "2026-13-01 00:00:00", "2026-01-01T00:00:00", "-1", "1.5", "١" * 10):
        yield case(f"timestamp {stamp}", _unsigned(app, "signed.add", timestamp=stamp, **add))
    for name, off in (("old", -3600), ("new", 3600)):
        stamp = str(int(time.time()) + off)
        yield case(f"timestamp too {name}", _unsigned(app, "signed.add", timestamp=stamp, **add))
    for way in _SIGN_METHODS:
        yield case(f"signature {way or 'default'}", _unsigned(app, "signed.add", way, **add), way, "wrong")
        debugged = _unsigned(app, "signed.add", way, timestamp="", nonce="n", **add)
        now = ("timestamp", str(int(time.time())))
        yield case(f"signature {way or 'default'} debug", debugged._replace(query=[*debugged.query, now]), way, "wrong",
                   "debug")  # fmt: skip
        more = _unsigned(app, "signed.add", way, more="1", **add)
        yield case(f"extra {way or 'default'}", more, way)
        twice = _unsigned(app, "signed.add", way, **add)
        yield case(f"twice {way or 'default'}", twice._replace(query=[*twice.query, ("v", "9.0")]), way)
    for written in ("", "x", "0" * 64, "签"):
        call = _unsigned(app, "signed.add", **add)
        call = call._replace(query=[*call.query, ("sign", written)])
        yield Case(f"refused sign {written[:3]!r}", call.bytes([next(addresses)]))
    yield case("verb", Call("PUT", _unsigned(app, "signed.add", **add).query))
    form = Call("POST", public(app, "signed.upload"), [("photo", "text")], [File("photo", "a", b"p")])
    yield case("file of the same name", form)
    large = Call("POST", public(app, "signed.length"), json=b'{"text": "' + b"x" * 70_000 + b'"}')
    yield case("large body", large, secret="wrong")
    yield case("arguments", _unsigned(app, "signed.add"))
    for way in _SIGN_METHODS[1:]:
        sent = _of(app, "signed.add", way, **add)
        yield Case(f"refused again {way}", sent, "main", (sent,))
    now = str(int(time.time()))
    nonce = f"n{time.time_ns()}"
    first = _of(app, "signed.add", nonce=nonce, timestamp=now, a="1")
    yield Case("refused nonce again", _of(app, "signed.add", nonce=nonce, timestamp=now, a="2"), "main", (first,))
    yield from _locked_out(app)


def _locked_out(app: Credentials) -> Iterator[Case]:
    marks = (("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example"), ("User-Agent", "Mozilla/5.0"))
    good = _unsigned(app, "signed.add", a="1")
    wrong = signed(good, "", "wrong")

    def case(name: str, address: str, last: bytes, *headers: tuple[str, str]) -> Case:
        here = ("X-Forwarded-For", address)
        return Case(f"locked out {name}", last, "main", (wrong.bytes([here, *headers]),) * 3)

    def here(address: str, *headers: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        return (("X-Forwarded-For", address), *headers)

    def right() -> Call:
        return signed(_unsigned(app, "signed.add", a="1"), "", app.secret)

    yield case("wrong call", "10.8.0.1", wrong.bytes(here("10.8.0.1")))
    yield case("good call", "10.8.0.2", right().bytes(here("10.8.0.2")))
    yield case("no timestamp", "10.8.0.3", Call(query=good.query[:3]).bytes(here("10.8.0.3")))
    yield case("open method", "10.8.0.4", request("GET", query("9.0", "run.inline", a="1"), here("10.8.0.4")))
    yield case("xml", "10.8.0.5", wrong._replace(query=[*wrong.query, ("format", "xml")]).bytes(here("10.8.0.5")))
    yield case("ipv6 network", "2001:db8::1", wrong.bytes(here("2001:db8::2")))
    large = Call("POST", good.query, json=b" " * 70_000 + b"{}")
    yield case("large body", "10.8.0.6", signed(large, "", app.secret).bytes(here("10.8.0.6")))
    for number, mark in enumerate(marks):
        address = f"10.8.1.{number}"
        yield case(f"by a page {mark[0]}", address, wrong.bytes(here(address, mark)), mark)
        address = f"10.8.2.{number}"
        yield case(f"by a page {mark[0]} not here", address, right().bytes(here(address)), mark)
    address = "10.8.0.7"
    known = right().bytes(here(address))
    yield Case("locked out familiar app", right().bytes(here(address)), "main",
               (known, *[wrong.bytes(here(address))] * 3))  # fmt: skip
