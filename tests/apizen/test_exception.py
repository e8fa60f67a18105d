import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from apizen import exception
from apizen.exception import SUCCESS_CODE, SUCCESS_MESSAGE, ApiBaseExceptions, ApiException, ApiSysExceptions

Declarations = type(ApiBaseExceptions)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    declared = Declarations.declared  # type: ignore[attr-defined]
    before = set(declared)
    yield
    for code in declared.keys() - before:
        del declared[code]


def declare(name: str = "Errors", **errors: Any) -> Any:
    """A class of declared errors, as a class statement with these attributes would make it."""
    return Declarations(name, (ApiBaseExceptions,), {"__module__": __name__, **errors})


def raised(error: type[ApiException]) -> ApiException:
    with pytest.raises(ApiException) as caught:
        raise error
    return caught.value


def system_errors() -> dict[str, type[ApiException]]:
    return {name: value for name, value in vars(ApiSysExceptions).items() if isinstance(value, type)}


# Declarations


@pytest.mark.parametrize(
    "declaration",
    [
        {"api_code": 29001, "http_code": 409, "api_msg": "库存不足", "ex_type": LookupError},
        {"err_code": 29001, "status_code": 409, "message": "库存不足", "ex_type": LookupError},
        {"api_code": 29001, "status_code": 409, "api_msg": "库存不足", "ex_type": LookupError},
    ],
)
def test_declaration_takes_both_spellings(declaration):
    error = raised(declare(out_of_stock=declaration).out_of_stock)
    assert (error.err_code, error.status_code, error.message, str(error)) == (29001, 409, "库存不足", "库存不足")
    assert isinstance(error, LookupError)


def test_declaration_defaults():
    error = declare(failed={"api_code": 29001, "api_msg": "失败"}).failed
    assert error.status_code == 500
    assert error.__bases__ == (ApiException,)


def test_declaration_name():
    error = declare(failed={"api_code": 29001, "api_msg": "失败"}).failed
    assert (error.__module__, error.__qualname__) == (__name__, "Errors.failed")


def test_declaration_leaves_other_attributes():
    errors = declare(failed={"api_code": 29001, "api_msg": "失败"}, limit=5)
    assert errors.limit == 5


@pytest.mark.parametrize("change", ["failed", "new"])
def test_declaration_cannot_be_replaced(change):
    errors = declare(failed={"api_code": 29001, "api_msg": "失败"})
    with pytest.raises(AttributeError, match=f"^Errors.{change}: a declared error can't be changed$"):
        setattr(errors, change, ValueError)


@pytest.mark.parametrize(
    ("declaration", "problem"),
    [
        ({}, "api_code must be a whole number above 1000, not None"),
        ({"api_code": 1000}, "api_code must be a whole number above 1000, not 1000"),
        ({"api_code": "29001"}, "api_code must be a whole number above 1000, not '29001'"),
        ({"api_code": True}, "api_code must be a whole number above 1000, not True"),
        ({"api_code": 29001, "http_code": 199}, "http_code must be an HTTP status that has a body, not 199"),
        ({"api_code": 29001, "http_code": 204}, "http_code must be an HTTP status that has a body, not 204"),
        ({"api_code": 29001, "http_code": 304}, "http_code must be an HTTP status that has a body, not 304"),
        ({"api_code": 29001, "http_code": 600}, "http_code must be an HTTP status that has a body, not 600"),
        ({"api_code": 29001, "http_code": "500"}, "http_code must be an HTTP status that has a body, not '500'"),
        ({"api_code": 29001}, "api_msg must be a text, not None"),
        ({"api_code": 29001, "api_msg": ""}, "api_msg must be a text, not ''"),
        (
            {"api_code": 29001, "api_msg": "x", "ex_type": "KeyError"},
            "ex_type must be an exception class, not 'KeyError'",
        ),
        (
            {"api_code": 29001, "api_msg": "x", "ex_type": KeyboardInterrupt},
            "ex_type must be an exception class, not <class 'KeyboardInterrupt'>",
        ),
        ({"api_code": 29001, "api_mgs": "x"}, "unknown key 'api_mgs', did you mean 'api_msg'?"),
        (
            {"api_code": 29001, "qqq": "x"},
            "unknown key 'qqq', known are: "
            "api_code, api_msg, cause, cause_english, english, err_code, ex_type, http_code, joiner, message, remedy, "
            "remedy_english, retryable, status_code",
        ),
        ({"api_code": 29001, "err_code": 29001}, "'err_code' is given under both of its spellings"),
        ({"api_code": 29001, "message": "x", "api_msg": "x"}, "'api_msg' is given under both of its spellings"),
    ],
)
def test_declaration_refused(declaration, problem):
    with pytest.raises(ValueError, match=re.escape(f"{__name__}.Errors.bad: {problem}") + "$"):
        declare(bad=declaration)


@pytest.mark.parametrize("ex_type", [ApiSysExceptions.bad_request, ExceptionGroup, StopIteration])
def test_declaration_with_ex_type_that_cannot_be_raised(ex_type):
    place = re.escape(f"{__name__}.Errors.bad: ex_type {ex_type.__name__} ")
    with pytest.raises(ValueError, match=f"^{place}"):
        declare(bad={"api_code": 29001, "api_msg": "x", "ex_type": ex_type})


def test_code_declared_twice():
    declare("First", one={"api_code": 29001, "api_msg": "一"})
    places = f"{__name__}.First.one and {__name__}.Second.other"
    with pytest.raises(ValueError, match=f"^error code 29001 is declared twice: {re.escape(places)}$"):
        declare("Second", other={"err_code": 29001, "message": "二"})


def test_code_declared_twice_in_one_class():
    places = f"{__name__}.Errors.one and {__name__}.Errors.other"
    with pytest.raises(ValueError, match=f"^error code 29001 is declared twice: {re.escape(places)}$"):
        declare(one={"api_code": 29001, "api_msg": "一"}, other={"api_code": 29001, "api_msg": "二"})


def test_code_of_the_gateway_is_taken():
    places = f"apizen.exception.ApiSysExceptions.missing_version and {__name__}.Errors.mine"
    with pytest.raises(ValueError, match=f"^error code 1004 is declared twice: {re.escape(places)}$"):
        declare(mine={"api_code": 1004, "api_msg": "x"})


# Exceptions


def test_exception_is_fresh_each_time():
    error = declare(failed={"api_code": 29001, "api_msg": "失败"}).failed
    first, second = raised(error), raised(error)
    assert first is not second
    assert first.headers is not second.headers


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ((), {}, "失败"),
        ((None,), {}, "失败"),
        (("more",), {}, "失败，more"),
        ((0,), {}, "失败，0"),
        ((ValueError("x"),), {}, "失败，x"),
        ((), {"message": "别的"}, "别的"),
        (("more",), {"message": "别的"}, "别的，more"),
    ],
)
def test_exception_message(arguments, named, message):
    error = declare(failed={"api_code": 29001, "http_code": 400, "api_msg": "失败"}).failed
    made = error(*arguments, **named)
    assert (made.message, str(made), made.args) == (message, message, (message,))
    again = raised(error)
    assert (again.message, again.err_code, again.status_code, error.text) == ("失败", 29001, 400, "失败")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ApiSysExceptions.missing_method, "缺少方法名参数:x"),
        (ApiSysExceptions.missing_version, "缺少版本参数:x"),
        (ApiSysExceptions.missing_timestamp, "缺少时间戳参数:x"),
        (ApiSysExceptions.missing_signature, "缺少签名参数:x"),
        (ApiSysExceptions.missing_access_token, "缺少access_token参数:x"),
        (ApiSysExceptions.missing_arguments, "缺少方法所需参数:x"),
        (ApiSysExceptions.error_args_type, "参数类型错误：x"),
        (ApiSysExceptions.system_error, "系统处理错误，x"),
    ],
)
def test_exception_joins_detail(error, message):
    assert error("x").message == message


EX_TYPES = [
    *[Exception, ApiException, KeyError, AttributeError, OSError, FileNotFoundError, TimeoutError],
    *[json.JSONDecodeError, UnicodeDecodeError, UnicodeEncodeError, SyntaxError, ImportError],
]


@pytest.mark.parametrize("ex_type", EX_TYPES)
def test_exception_is_its_ex_type(ex_type):
    error = declare(failed={"api_code": 29001, "api_msg": "失败", "ex_type": ex_type}).failed
    with pytest.raises(ex_type) as caught:
        raise error("more", headers={"Retry-After": "5"})
    assert type(caught.value) is error
    assert str(caught.value) == "失败，more"
    assert caught.value.headers == {"Retry-After": "5"}
    assert str(raised(error)) == "失败"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Allow", "GET\r\nSet-Cookie: a=b"),
        ("Allow", "GET\n"),
        ("Allow", "a\x00"),
        ("Allow", "a\tb"),
        ("Allow", "中文"),
        ("X-中文", "GET"),
        ("X\r\nY", "GET"),
    ],
)
def test_exception_header_refused(name, value):
    problem = f"header {name!r} of an error must be printable ASCII, not {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        ApiSysExceptions.bad_request(headers={name: value})


def test_exception_headers_are_its_own():
    headers = {"Allow": "GET, POST"}
    error = ApiSysExceptions.not_allowed_request(headers=headers)
    headers["Allow"] = "DELETE"
    assert error.headers == {"Allow": "GET, POST"}
    assert ApiSysExceptions.not_allowed_request().headers == {}


# The gateway's own errors

TEXTS = """1001 服务不可用
1002 限制时间内调用失败次数
1003 请求被禁止
1004 缺少版本参数
1005 不支持的版本号
1006 非法的版本参数
1007 缺少时间戳参数
1008 非法的时间戳参数
1009 缺少签名参数
1010 无效签名
1011 无效数据格式
1012 缺少方法名参数
1013 不存在的方法名
1014 缺少access_token参数
1015 无效access_token
1016 api已经停用
1017 系统处理错误
1018 缺少方法所需参数
1019 不支持的http请求方式
1020 错误的API配置
1021 无效的json格式
1022 参数类型错误
1023 缺少Content-Type
1024 不被接受的Content-Type
1025 无效的请求
1026 不允许匿名访问
1027 请求过于频繁
1028 请求体过大
1029 处理超时
1030 服务繁忙
1031 无效app_key
1032 重复的请求
1033 权限不足
1034 不可接受的响应格式
1035 不存在的路径"""

STATUS = {
    **dict.fromkeys([1001, 1002, 1003, 1033], 403),
    **dict.fromkeys([*range(1004, 1013), 1014, 1018, 1021, 1022, 1023, 1025], 400),
    **dict.fromkeys([1013, 1035], 404),
    **dict.fromkeys([1015, 1026, 1031], 401),
    **dict.fromkeys([1016, 1019], 405),
    **dict.fromkeys([1017, 1020], 500),
    1024: 415,
    1027: 429,
    1028: 413,
    1029: 504,
    1030: 503,
    1032: 409,
    1034: 406,
}


def test_system_errors_are_complete():
    declared = {error.err_code: (error.status_code, error.text) for error in system_errors().values()}
    lines = (line.split(" ", 1) for line in TEXTS.splitlines())
    assert declared == {int(code): (STATUS[int(code)], text) for code, text in lines}


def test_system_errors_are_the_table_of_the_docstring():
    rows = re.findall(r"^(\d{4}) (\d{3})  (\S+) +(\S.*)$", exception.__doc__ or "", re.MULTILINE)
    table = {int(code): (int(status), text) for code, status, text, _ in rows}
    declared = {error.err_code: (error.status_code, error.text) for error in system_errors().values()}
    assert table == {SUCCESS_CODE: (200, SUCCESS_MESSAGE), **declared}
    assert [int(code) for code, *_ in rows] == sorted(table)


def test_success():
    assert (SUCCESS_CODE, SUCCESS_MESSAGE) == (1000, "执行成功")


@pytest.mark.parametrize(
    ("name", "ex_type"),
    [
        ("missing_version", KeyError),
        ("invalid_method", AttributeError),
        ("missing_arguments", KeyError),
        ("invalid_json", json.JSONDecodeError),
        ("error_args_type", ValueError),
        ("call_timeout", TimeoutError),
        ("permission_denied", PermissionError),
    ],
)
def test_system_error_ex_type(name, ex_type):
    with pytest.raises(ex_type):
        raise getattr(ApiSysExceptions, name)
