from __future__ import annotations

import json
import logging
import math
import sys
import time
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apizen.observability.masking import MaskedFormatter, masked, masked_path, masked_sent
from apizen.observability.secret_name import is_secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing to hide: 12", "nothing to hide: 12"),
        ("the pin code of a session, a token too", "the pin code of a session, a token too"),
        ("GET /?v=1.0&sign=66987CB1&fields=a,b HTTP/1.1", "GET /?v=1.0&sign=***&fields=a,b HTTP/1.1"),
        ("SIGN=66987CB1", "SIGN=***"),
        ("sign_method=md5&timestamp=1&app_key=12345678", "sign_method=md5&timestamp=1&app_key=12345678"),
        ("sign=", "sign="),
        ("access_token=abc refresh_token=def", "access_token=*** refresh_token=***"),
        ("app_secret = hush", "app_secret = ***"),
        ("password=a,b;c'd\"e", "password=***"),
        ("{'password': 'x y', 'name': 'jack'}", "{'password': '***', 'name': 'jack'}"),
        ("{'password': 'it\\'s', 'name': 'jack'}", "{'password': '***', 'name': 'jack'}"),
        ('{"Password":"x \\" y","name":"jack"}', '{"Password":"***","name":"jack"}'),
        ("{'password': b'xy', 'n': 1}", "{'password': '***', 'n': 1}"),
        ("{'token': ['a', 'b'], 'n': 1}\nnext", "{'token': ***\nnext"),
        ("{'password': 12, 'n': 1}", "{'password': *** 'n': 1}"),
        ("[('Authorization', 'Bearer x y'), ('Host', 'h')]", "[('Authorization', '***'), ('Host', 'h')]"),
        ("Authorization: Bearer x y\nHost: h", "Authorization: ***\nHost: h"),
        ("Cookie: a=b; c=d\r\nHost: h", "Cookie: ***\r\nHost: h"),
        ("url='http://h/?sign=AB'", "url='http://h/?sign=***"),
        ("u%3Fv%3D1%26sign%3DABC%26x%3D1", "u%3Fv%3D1%26sign%3D***%26x%3D1"),
        ("postgresql://user:hush@host/db", "postgresql://user:***@host/db"),
        ("password='never closed", "password='***"),
        ("self.sign(token)", "self.sign(token)"),
        ("X-Api-Key: hush", "X-Api-Key: ***"),
        ("postgresql://u:p/x@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:p@x@h/db and more", "postgresql://u:***@h/db and more"),
        ("postgresql://u@corp:p@h/db", "postgresql://u@corp:***@h/db"),
        ("redis://:p@h", "redis://:***@h"),
        ("http://h/?next=redis://u:p@h", "http://h/?next=redis://u:***@h"),
        ("http://127.0.0.1:8010/users", "http://127.0.0.1:8010/users"),
        ("passphrase=x private_key=x PRIVATE-KEY=x", "passphrase=*** private_key=*** PRIVATE-KEY=***"),
        (
            "PHPSESSID=x&sessionid=x&db_session=x",
            "PHPSESSID=***&sessionid=***&db_session=***",
        ),
        ("db_pwd=x&user_pin=x&spin=x", "db_pwd=***&user_pin=***&spin=x"),
        ("db_pass=x&passCode=x&userPwd=x&pwd2=x", "db_pass=***&passCode=***&userPwd=***&pwd2=***"),
        ("compass=x&passenger=x&bypass=x", "compass=x&passenger=x&bypass=x"),
        ("pin_code=x&pinCode=x&userPin=x", "pin_code=***&pinCode=***&userPin=***"),
        ("shipping=x&pinned=x&opinion=x", "shipping=x&pinned=x&opinion=x"),
        ("authKey=x auth_key=x X-Auth-Key: x", "authKey=*** auth_key=*** X-Auth-Key: ***"),
        ("X-Signature: x\notp=x&signature=x", "X-Signature: ***\notp=***&signature=***"),
        ("密码=hush&用户口令=hush", "密码=***&用户口令=***"),
        ("登录失败，密码：hush", "登录失败，密码：***"),
        ('{"\\u5bc6\\u7801": "x", "n": 1}', '{"\\u5bc6\\u7801": "***", "n": 1}'),
        ("a=1&%E5%AF%86%E7%A0%81=x&b=2", "a=1&%E5%AF%86%E7%A0%81=***&b=2"),
        ("a%26%e5%8f%a3%e4%bb%a4%3Dx%26b", "a%26%e5%8f%a3%e4%bb%a4%3D***%26b"),
        ("%EF%BC%8Csign=x", "%EF%BC%8Csign=***"),
        ("C:\\new_token=x \\u0026pin=x", "C:\\new_token=*** \\u0026pin=***"),
        (
            "key: -----BEGIN RSA PRIVATE KEY-----\nMIIC\nMIID\n-----END RSA PRIVATE KEY-----",
            "key: -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
        ),
    ],
)
def test_masked(text, shown):
    assert masked(text) == shown


NAMES = [
    "sign", "access_token", "APP_SECRET", "Password", "token", "Authorization", "x-api-key", "client-secret",
    "db_pass", "userPwd", "otp", "pinCode", "signature", "用户密码", "口令",
]  # fmt: skip

WAYS = {
    "query": lambda name, secret: f"GET /?a=1&{name}={quote(secret)}&b=2",
    "form": lambda name, secret: repr(urlencode({"a": 1, name: secret, "b": 2}).encode()),
    "repr": lambda name, secret: f"failed for { ({'a': 1, name: secret, 'b': 2})!r}",
    "repr of bytes": lambda name, secret: repr({name: secret.encode(errors="replace")}),
    "pair": lambda name, secret: repr([("a", 1), (name, secret)]),
    "json": lambda name, secret: json.dumps({"a": 1, name: secret, "b": 2}),
    "json in json": lambda name, secret: json.dumps({"a": json.dumps({"a": 1, name: secret})}),
    "json in repr": lambda name, secret: repr({"a": json.dumps({"a": 1, name: secret})}),
    "repr in repr": lambda name, secret: repr(repr({"a": 1, name: secret})),
    "list": lambda name, secret: repr({name: [secret, secret]}),
    "encoded url": lambda name, secret: f"/?u={quote(f'http://h/?a=1&{name}={quote(secret)}', safe='')}",
}


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None)
@given(name=st.sampled_from(NAMES), before=st.text(max_size=20), tail=st.text(max_size=20), after=st.text(max_size=20))
def test_masked_hides_whatever_the_secret_is(way, name, before, tail, after):
    text = f"{before} {WAYS[way](name, f'hu{tail}sh-sh')} {after}"
    assert "sh-sh" not in masked(text)


@settings(deadline=None)
@given(st.text(max_size=50), st.text(alphabet=" -.:=/?&,;'\"{}[]0123456789xyz", max_size=80))
def test_masked_leaves_what_names_no_secret(first, second):
    text = first.replace("s", "") + second
    marks = ("pwd", "pin", "otp", "cookie", "token", "auth", "api", "密码", "口令", "://")
    if not any(mark in text.lower() for mark in marks):
        assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000 + "token", "token" + " " * 100_000, "\\" * 100_000 + "token'", "token" + "\\" * 100_000]
    + [
        part * 20_000
        for part in (
            "://a:",
            "://",
            "://a",
            "-----BEGIN PRIVATE KEY-----",
            "token='",
            "token='\\",
            "sign=a&",
            "token'",
            "token=[",
            "a%3",
        )
    ],
)
def test_masked_takes_linear_time(text):
    started = time.thread_time()
    masked("token=x " + text)
    assert time.thread_time() - started < 2


LONG = [
    "\\", "\\u1234", "\\u", "\\\\u5bc6", "%E5", "%26%E5", "%26", "%", "密码", "密码=", "aPass_", "pASS", "PASS", "PI",
    "passPass", "pin:", "otp", "totp", "signature", "u5bc6", "token\\", "-", "a-",
]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "size"), [*((part, 480_000) for part in LONG), ("\\u5bc6", 1_000_000), ("pin-", 1_000_000)]
)
def test_masked_takes_eight_times_as_long_for_eight_times_as_much(part, size):
    def seconds(characters: int) -> float:
        text = "token=x " + part * (characters // len(part))
        best = math.inf
        for _ in range(3):
            started = time.thread_time()
            masked(text)
            is_secret(text)
            best = min(best, time.thread_time() - started)
        return best

    assert seconds(size) < 3 * 8 * max(seconds(size // 8), 0.001)  # 64 times as long if it were quadratic


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/", "/"),
        ("/users/jack@example.com/100%25", "/users/jack@example.com/100%25"),
        ("*", "*"),
        ("http://localhost", "/"),
        ("http://joe:hunter2pw@localhost/foo", "/foo"),
        ("http://joe:hunter2/pw@localhost/foo", "/foo"),
        ("//joe:hunter2pw@localhost/foo", "//***@localhost/foo"),
        ("joe:hunter2pw@localhost:80", "***@localhost:80"),
        ("/to/http%3A%2F%2Fjoe%3Ahunter2pw%40h", "/to/http://joe:***@h"),
        ("/metrics%3Faccess_token=SECRETTOK", "/metrics?access_token=***"),
        ("/metrics%253Faccess%255Ftoken%253DSECRETTOK", "/metrics?access_token=***"),
        ("/foo;password=SECRETPW", "/foo;password=***"),
        ("/foo;password=SECRET%20PW%26x", "/foo;password=***"),
        ("/foo;p%61ssword%3dSECRETPW", "/foo;password=***"),
    ],
)
def test_masked_path(path, shown):
    assert masked_path(path) == shown


def test_masked_sent_takes_little_time():
    started = time.thread_time()
    masked_sent("%25" * 30_000)
    masked_path("a://b:" * 20_000)
    masked_path("@" * 60_000)
    assert time.thread_time() - started < 2


def test_masked_formatter_masks_message_and_traceback():
    formatter = MaskedFormatter("%(levelname)s %(message)s")
    try:
        raise RuntimeError("boom password=PW12345")
    except RuntimeError:
        record = logging.LogRecord("n", logging.ERROR, "p", 1, "sign=%s", ("AB",), sys.exc_info())
    first, *_, last = formatter.format(record).splitlines()
    assert (first, last) == ("ERROR sign=***", "RuntimeError: boom password=***")
