from __future__ import annotations

import pytest

from apizen.exception import ApiException
from apizen.request import Request
from apizen.servers import http_rules

FORM = "application/x-www-form-urlencoded"


def code_of(check, *values):
    """The code that a check raises, 0 where it raises none."""
    try:
        check(*values)
    except ApiException as error:
        return error.err_code
    return 0


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a/b", "/a/b"),
        ("/a%2Fb%20c", "/a%2Fb%20c"),
        ("//a/b", "//a/b"),
        ("http://api.example:80/a", "/a"),
        ("HTTPS://api.example", ""),
        ("http://[broken/a", ""),
        ("api.example:443", "443"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_path(target, path):
    assert http_rules.path_of(target) == path


@pytest.mark.parametrize(
    ("version", "hosts", "code"),
    [
        ("HTTP/1.1", ["a"], 0),
        ("HTTP/1.1", [""], 0),
        ("HTTP/1.1", [], 1025),
        ("HTTP/1.1", ["a", "a"], 1025),
        ("HTTP/1.0", [], 0),
        ("HTTP/1.0", ["a", "b"], 0),
    ],
)
def test_host(version, hosts, code):
    assert code_of(http_rules.check_host, version, hosts) == code


@pytest.mark.parametrize(
    ("host", "query", "code"),
    [
        ("api.example", "", 0),
        ("api.example:8010", "a=1", 0),
        ("[::1]:80", "", 0),
        ("%41", "", 0),
        ("", "", 0),
        ("a,b", "", 1025),
        ("a b", "", 1025),
        ("a/b", "", 1025),
        ("%4", "", 1025),
        ("ä", "", 1025),
        ("a\n", "", 1025),
        ("a", "&" * 999, 0),
        ("a", "&" * 1000, 1025),
    ],
)
def test_head_of_what_is_no_call(host, query, code):
    assert code_of(http_rules.check_unread, Request("GET", query, {"Host": host})) == code


def test_head_without_a_host():
    assert code_of(http_rules.check_unread, Request("GET", "", {})) == 0


@pytest.mark.parametrize(
    ("headers", "length", "lingers"),
    [
        ({}, None, False),
        ({"Expect": "100-continue"}, None, False),
        ({"Content-Length": "0"}, 0, True),
        ({"Content-Length": "12"}, 12, True),
        ({"Content-Length": "12", "Expect": "100-continue"}, 12, False),
        ({"Content-Length": "9" * 5000}, 10**20 - 1, True),
        ({"Content-Length": "two"}, 0, True),
        ({"Content-Length": "-2"}, 0, True),
        ({"Transfer-Encoding": "chunked"}, 0, True),
        ({"Transfer-Encoding": "chunked", "Expect": "100-continue"}, 0, False),
    ],
)
def test_what_a_body_announces(headers, length, lingers):
    assert http_rules.announced_length(headers) == length
    assert http_rules.lingers(headers) == lingers


@pytest.mark.parametrize(
    ("length", "most", "large"),
    [(65536, 1 << 20, False), (65537, 1 << 20, True), (100, 100, False), (101, 100, True), (0, 0, False)],
)
def test_large_body(length, most, large):
    assert http_rules.is_large(length, most) == large


@pytest.mark.parametrize(
    ("content_type", "most"),
    [
        (None, 1 << 20),
        ("application/json", 1 << 20),
        ("multipart/form-data; boundary=x", 1 << 20),
        (FORM, 64 * 1024),
        (f"{FORM}; charset=utf-8", 64 * 1024),
    ],
)
def test_limit_of_a_body_that_nobody_reads(content_type, most):
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert http_rules.limit_unread(headers, 1 << 20) == most
    assert http_rules.limit_unread(headers, 100) == 100


@pytest.mark.parametrize(
    ("version", "asked", "answered"),
    [
        ("HTTP/1.1", None, None),
        ("HTTP/1.1", "close", "close"),
        ("HTTP/1.1", "CLOSE", "close"),
        ("HTTP/1.1", "keep-alive", None),
        ("HTTP/1.1", "close, x", None),
        ("HTTP/1.0", None, None),
        ("HTTP/1.0", "Keep-Alive", "Keep-Alive"),
        ("HTTP/1.0", "close", None),
    ],
)
def test_connection(version, asked, answered):
    assert http_rules.connection_header(version, asked, draining=False) == answered
    assert http_rules.connection_header(version, asked, draining=True) == "close"
