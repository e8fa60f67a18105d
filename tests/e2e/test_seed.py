"""Every example of the document that this project was rebuilt from, against the real program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.process import Program, running

SUCCESS = {"code": 1000, "message": "执行成功"}
JACK = [{"user_id": 11, "name": "jack", "age": 12, "mark": 92.5}]
NOBODY = "user_id=11&age=12&name=jack&mark=92.5"

QUERIES = [
    (f"v=1.0&method=matrix.api.set-user&{NOBODY}", SUCCESS, JACK),
    (
        "v=1.0&method=matrix.api.set-user&user_id=11&age=12.2&name=jack&mark=92.5",
        {"code": 1022, "message": "参数类型错误：age <int>"},
        None,
    ),
    ("v=1.0&method=matrix.api.instance-func&value=123", SUCCESS, "123"),
    ("v=1.0&method=matrix.api.class-func&name=jim", SUCCESS, {"name": "jim"}),
    ("v=1.0&method=matrix.api.err-func", {"code": 1018, "message": "缺少方法所需参数:self"}, None),
    (
        "v=1.1&method=matrix.api.send-kwargs&user_id=11&age=12&value=1",
        SUCCESS,
        {
            "value": "1",
            "kwargs": {"method": "matrix.api.send-kwargs", "age": "12", "v": "1.1", "user_id": "11"},
        },
    ),
    ("v=1.0&method=matrix.api.send-kwargs&value=1", {"code": 1013, "message": "不存在的方法名"}, None),
    ("v=1.2&method=matrix.api.send-kwargs&value=1", SUCCESS, None),
    ("v=1.1&method=matrix.api.raise-error", {"code": 2001, "message": "未知异常"}, None),
    ("v=1.2&method=matrix.api.only-post", {"code": 1019, "message": "不支持的http请求方式"}, None),
    ("v=1.2&method=matrix.api.api-stop", {"code": 1016, "message": "api已经停用"}, None),
    ("v=1.2&method=matrix.api.return-err", {"code": 2001, "message": "未知异常"}, None),
]

USERS = [
    {"id": 1, "age": 22, "name": "张三"},
    {"id": 2, "age": 23, "name": "李四"},
    {"id": 3, "age": 24, "name": "王五"},
]
USERS_BACK = [{"user_id": None, "age": user["age"], "name": user["name"]} for user in USERS]
LI = {"user_id": 75, "age": 27, "name": "李飞飞"}


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with running() as started:
        yield started


@pytest.mark.parametrize(("query", "meta", "response"), QUERIES)
def test_example_by_query(program: Program, query: str, meta: Any, response: Any) -> None:
    answer = program.get(query)
    assert answer.envelope["meta"] == meta
    if response is not None:
        assert answer.response == response


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8"])
def test_example_set_user_by_json(program: Program, content_type: str) -> None:
    answer = program.post("v=1.0&method=matrix.api.set-user", json.dumps(LI).encode(), content_type)
    assert answer.envelope == {"meta": SUCCESS, "response": [{**LI, "mark": None}]}


def test_example_set_users(program: Program) -> None:
    body = json.dumps({"users": USERS}).encode()
    assert program.post("v=1.0&method=matrix.api.set-users", body).response == USERS_BACK
    as_text = f"users={quote(json.dumps(USERS))}"
    assert program.get(f"v=1.0&method=matrix.api.set-users&{as_text}").response == USERS_BACK


def test_example_by_form(program: Program) -> None:
    form = f"v=1.0&method=matrix.api.set-user&{NOBODY}".encode()
    assert program.post("", form, "application/x-www-form-urlencoded").response == JACK


def test_example_in_xml(program: Program) -> None:
    answer = program.get(f"v=1.0&method=matrix.api.set-user&{NOBODY}&format=xml")
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><root><meta><code>1000</code><message>执行成功</message></meta>'
        "<response><user_id>11</user_id><name>jack</name><age>12</age><mark>92.5</mark></response></root>"
    )


def test_chinese_is_sent_as_utf8(program: Program) -> None:
    body = json.dumps(LI).encode()
    assert "李飞飞".encode() in program.post("v=1.0&method=matrix.api.set-user", body).body
